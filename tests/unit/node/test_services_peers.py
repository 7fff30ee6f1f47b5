"""Whom a node pins and how it tells callers apart."""

import dataclasses
from typing import Any

import pytest

from desks import Desk
from node.services.once import Once
from node.services.peers import Caller
from protocol.descriptors import fingerprint_of
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import (
    ConflictError,
    InvalidError,
    MalformedError,
    NotFoundError,
    ReplayedError,
    SchutznetzError,
    UnknownKeyError,
)
from protocol.messages import Acknowledgement, Poke, SetAside
from protocol.statements import Accredit
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, accredit, make_key, media_flag
from worlds import ANNA, HOTLINE, PLATFORM

THIRD = "third.example"


def add(desk: Desk, peer: Peer, *, typed: str | None = None, authority: bool = False) -> None:
    fingerprint = fingerprint_of(parse_envelope(peer.descriptor_envelope).statement_id)
    desk.peers.add(peer.descriptor_envelope, typed or fingerprint, authority=authority)


def request_keyid(name: str) -> str:
    return make_key(KeyUse.REQUEST, name).kid


def names(desk: Desk) -> list[str]:
    return [one.name for one in desk.peers.list()]


def pin_itself(desk: Desk, generation: int) -> None:
    """Sets the node up anew under its own name."""
    peer = Peer(HOTLINE, generation=generation)
    with desk.world.store.write() as transaction:
        record = transaction.peers.get(HOTLINE)
        assert record is not None
        transaction.peers.put(dataclasses.replace(record, descriptor=peer.descriptor_envelope))


def test_a_flagger_whom_a_key_vouches_for_that_is_gone_does_not_call(desk: Desk) -> None:
    keyid = make_key(KeyUse.FLAGGER, ANNA).kid
    assert desk.peers.caller(keyid) == Caller(ANNA, "flagger")
    pin_itself(desk, 2)
    for ask in (desk.peers.caller, desk.peers.find_request_key):
        with pytest.raises(UnknownKeyError):
            ask(keyid)


# pinning


def test_a_node_is_pinned_once_its_fingerprint_was_typed(either_desk: Desk) -> None:
    peer = Peer(THIRD, url="https://third.example:8443")
    fingerprint = peer.pinned().fingerprint
    add(either_desk, peer, typed=f" {fingerprint.upper().replace('-', ' ')}", authority=True)
    state = either_desk.peers.get(THIRD)
    assert (state.name, state.url, state.fingerprint) == (THIRD, peer.url, fingerprint)
    assert (state.authority, state.state, state.seen_size, state.acked_size) == (
        True,
        "active",
        0,
        0,
    )
    assert (state.synced, state.problem, state.acked_at, state.set_aside) == (None, None, None, 0)
    assert either_desk.peers.node(THIRD) == peer.pinned(authority=True)
    assert either_desk.audited() == [("operator", "peer.add", THIRD, "authority=True")]


def test_a_node_is_not_among_its_own_peers(desk: Desk) -> None:
    assert names(desk) == [PLATFORM]
    with pytest.raises(NotFoundError, match="No node of this name"):
        desk.peers.get(HOTLINE)


def test_a_typing_error_in_a_fingerprint_is_called_one(desk: Desk) -> None:
    right = Peer(THIRD).pinned().fingerprint
    wrong = ("b" if right[0] == "a" else "a") + right[1:]
    with pytest.raises(MalformedError, match="typing error"):
        add(desk, Peer(THIRD), typed=wrong)
    assert names(desk) == [PLATFORM]


def test_the_fingerprint_of_another_node_is_a_reason_to_stop(desk: Desk) -> None:
    with pytest.raises(InvalidError, match="not that of this node") as caught:
        add(desk, Peer(THIRD), typed=Peer("fourth.example").pinned().fingerprint)
    assert caught.value.where == "fingerprint"
    assert names(desk) == [PLATFORM]


def test_a_node_does_not_pin_its_own_name(desk: Desk) -> None:
    with pytest.raises(ConflictError, match="another name"):
        add(desk, Peer(HOTLINE, url="https://elsewhere.example"))


def test_another_node_under_a_pinned_name_is_refused(desk: Desk) -> None:
    with pytest.raises(ConflictError, match="another fingerprint is pinned"):
        add(desk, Peer(PLATFORM, url="https://elsewhere.example"))
    assert desk.peers.get(PLATFORM).url == "https://peer.example"


def test_pinning_again_changes_what_the_operator_says_and_nothing_else(either_desk: Desk) -> None:
    desk = either_desk
    desk.peers.freeze(PLATFORM)
    with desk.world.store.write() as transaction:
        transaction.peers.note_sync(PLATFORM, at=NOW - 5, problem="it lied")
        transaction.peers.note_acknowledgement(PLATFORM, size=1, at=NOW - 4)
    before = desk.peers.get(PLATFORM)
    desk.world.clock.tick(60)
    add(desk, Peer(PLATFORM), authority=True)
    assert desk.peers.get(PLATFORM) == dataclasses.replace(before, authority=True)
    assert before.state == "frozen", "a frozen node is thawed by `thaw` and by nothing else"


def test_what_is_no_descriptor_is_not_pinned(desk: Desk) -> None:
    flag = desk.world.sign(media_flag(PLATFORM))
    for data in (b"", b"{}", flag):
        with pytest.raises(SchutznetzError):
            desk.peers.add(data, Peer(THIRD).pinned().fingerprint, authority=False)


# freezing, removing


@pytest.mark.parametrize("act", ["freeze", "thaw", "remove", "node", "get"])
def test_what_is_not_pinned_has_no_state(desk: Desk, act: str) -> None:
    with pytest.raises(NotFoundError, match="No node of this name"):
        getattr(desk.peers, act)(THIRD)


@pytest.mark.parametrize("act", ["freeze", "thaw", "remove"])
def test_a_node_is_not_its_own_peer(desk: Desk, act: str) -> None:
    with pytest.raises(NotFoundError, match="No node of this name"):
        getattr(desk.peers, act)(HOTLINE)
    assert desk.peers.own_descriptor() == Peer(HOTLINE).descriptor_envelope


def test_a_frozen_node_is_neither_believed_nor_heard_until_it_is_thawed(desk: Desk) -> None:
    desk.world.submit(media_flag(PLATFORM, 1))
    desk.peers.freeze(PLATFORM, actor="console")
    assert desk.peers.get(PLATFORM).state == "frozen"
    with pytest.raises(SchutznetzError, match="frozen"):
        desk.world.submit(media_flag(PLATFORM, 2))
    with pytest.raises(UnknownKeyError):
        desk.peers.find_request_key(request_keyid(PLATFORM))
    desk.peers.thaw(PLATFORM)
    desk.world.submit(media_flag(PLATFORM, 3))
    assert desk.peers.find_request_key(request_keyid(PLATFORM)).kid == request_keyid(PLATFORM)
    assert desk.audited() == [
        ("console", "peer.frozen", PLATFORM, None),
        ("operator", "peer.active", PLATFORM, None),
    ]


def test_a_removed_node_is_unknown_and_what_it_said_stays(desk: Desk) -> None:
    receipt = desk.world.submit(media_flag(PLATFORM, 1))
    desk.peers.remove(PLATFORM)
    assert names(desk) == []
    assert desk.flags.status(receipt.id).state == "active"
    with pytest.raises(UnknownKeyError):
        desk.peers.caller(request_keyid(PLATFORM))


# who calls


def test_a_pinned_node_is_known_by_its_request_key_alone(either_desk: Desk) -> None:
    keyid = request_keyid(PLATFORM)
    key = make_key(KeyUse.REQUEST, PLATFORM).public
    assert either_desk.peers.find_request_key(keyid) == key
    assert either_desk.peers.caller(keyid) == Caller(PLATFORM, "node")
    for use in (KeyUse.STATEMENT, KeyUse.LOG, KeyUse.ROOT):
        with pytest.raises(UnknownKeyError, match="Nobody that this node knows"):
            either_desk.peers.find_request_key(make_key(use, PLATFORM).kid)


def test_a_flagger_of_this_node_is_known_by_its_key(either_desk: Desk) -> None:
    key = make_key(KeyUse.FLAGGER, ANNA)
    assert either_desk.peers.find_request_key(key.kid) == key.public
    assert either_desk.peers.caller(key.kid) == Caller(ANNA, "flagger")


def test_a_flagger_of_another_organisation_does_not_call_here(desk: Desk) -> None:
    carl = f"{PLATFORM}/carl"
    desk.world.submit(accredit(carl, 5))
    keyid = make_key(KeyUse.FLAGGER, carl).kid
    for ask in (desk.peers.find_request_key, desk.peers.caller):
        with pytest.raises(UnknownKeyError, match="Nobody that this node knows"):
            ask(keyid)


def ben(number: int, **changes: Any) -> Accredit:
    return accredit(f"{HOTLINE}/ben", number, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "suspended"},
        {"status": "revoked"},
        {"not_before": format_time(NOW + 1)},
        {"not_after": format_time(NOW - 1)},
    ],
    ids=str,
)
def test_a_flagger_that_may_not_flag_now_does_not_call(desk: Desk, changes: dict[str, Any]) -> None:
    desk.world.submit(ben(7))
    desk.world.submit(ben(8, **changes))
    keyid = make_key(KeyUse.FLAGGER, f"{HOTLINE}/ben").kid
    for ask in (desk.peers.find_request_key, desk.peers.caller):
        with pytest.raises(UnknownKeyError, match="Nobody that this node knows"):
            ask(keyid)


def test_the_key_of_an_accreditation_that_has_ended_is_found_with_its_last_day(
    either_desk: Desk,
) -> None:
    key = make_key(KeyUse.FLAGGER, f"{HOTLINE}/ben")
    either_desk.world.submit(ben(7, not_after=format_time(NOW + DAY_S)))
    assert either_desk.peers.find_ended(key.kid) is None
    either_desk.world.clock.tick(DAY_S)
    assert either_desk.peers.find_ended(key.kid) is None  # the last second of it
    either_desk.world.clock.tick(1)
    assert either_desk.peers.find_ended(key.kid) == (key.public, format_time(NOW + DAY_S)[:10])
    with pytest.raises(UnknownKeyError, match="Nobody that this node knows"):
        either_desk.peers.find_caller(key.kid)


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_of_a_key_that_was_taken_away_nothing_is_found_when_its_days_are_over(
    desk: Desk, status: str
) -> None:
    desk.world.submit(ben(7))
    desk.world.submit(ben(8, status=status, not_after=format_time(NOW - 1)))
    assert desk.peers.find_ended(make_key(KeyUse.FLAGGER, f"{HOTLINE}/ben").kid) is None


def test_of_strangers_and_flaggers_of_other_organisations_nothing_is_found(desk: Desk) -> None:
    carl = f"{PLATFORM}/carl"
    desk.world.submit(accredit(carl, 5, not_after=format_time(NOW - 1)))
    for key in (make_key(KeyUse.FLAGGER, carl), make_key(KeyUse.REQUEST, PLATFORM)):
        assert desk.peers.find_ended(key.kid) is None


def test_a_key_that_was_handed_on_calls_under_the_name_that_has_it_now(desk: Desk) -> None:
    key = make_key(KeyUse.FLAGGER, ANNA)
    desk.world.submit(ben(7, key=to_base64url(key.public.raw)))
    desk.flaggers.set_status(ANNA, "revoked")
    assert desk.peers.caller(key.kid) == Caller(f"{HOTLINE}/ben", "flagger")


def test_a_node_whose_descriptor_has_expired_does_not_call(desk: Desk) -> None:
    desk.world.clock.now = Peer(PLATFORM).pinned().expires
    desk.peers.find_request_key(request_keyid(PLATFORM))
    desk.world.clock.tick(1)
    with pytest.raises(UnknownKeyError, match="ended"):
        desk.peers.find_request_key(request_keyid(PLATFORM))


def test_the_operator_reads_why_a_peer_that_has_ended_is_no_longer_asked(desk: Desk) -> None:
    desk.world.clock.now = Peer(PLATFORM).pinned().expires - 1
    assert desk.peers.get(PLATFORM).problem is None
    desk.world.clock.tick(1)
    assert "neither asked nor believed" in (desk.peers.get(PLATFORM).problem or "")


def test_a_request_is_made_once(either_desk: Desk) -> None:
    either_desk.peers.remember(Once("aa" * 16, "one", NOW))
    either_desk.peers.remember(Once("aa" * 16, "two", NOW))
    either_desk.peers.remember(Once("bb" * 16, "one", NOW))
    with pytest.raises(ReplayedError, match="here before"):
        either_desk.peers.remember(Once("aa" * 16, "one", NOW + 60))


# acknowledgements


def acknowledgement(desk: Desk, **changes: Any) -> Acknowledgement:
    with desk.world.store.read() as transaction:
        frontier = transaction.logs.get(desk.world.log.origin).frontier
    values: dict[str, Any] = {
        "origin": desk.world.log.origin,
        "size": frontier.size,
        "root": to_base64url(frontier.root()),
    }
    return Acknowledgement(**(values | changes))


def evidence(desk: Desk) -> list[tuple[str, bytes]]:
    with desk.world.store.read() as transaction:
        return transaction.peers.evidence(PLATFORM)


def test_an_acknowledgement_says_how_far_a_peer_has_come_and_when(either_desk: Desk) -> None:
    either_desk.peers.acknowledge(PLATFORM, acknowledgement(either_desk))
    state = either_desk.peers.get(PLATFORM)
    assert (state.acked_size, state.acked_at) == (1, NOW)


def test_an_acknowledgement_of_an_earlier_size_counts_up_to_there(desk: Desk) -> None:
    earlier = acknowledgement(desk)
    desk.world.submit(media_flag(ANNA))
    desk.peers.acknowledge(PLATFORM, earlier)
    assert desk.peers.get(PLATFORM).acked_size == 1


@pytest.mark.parametrize(
    ("changes", "where"), [({"origin": f"{PLATFORM}/log/1"}, "origin"), ({"size": 2}, "size")]
)
def test_an_acknowledgement_of_what_there_is_not_is_refused(
    desk: Desk, changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        desk.peers.acknowledge(PLATFORM, acknowledgement(desk, **changes))
    assert caught.value.where == where
    assert desk.peers.get(PLATFORM).acked_size == 0


def test_whoever_was_shown_another_log_is_told_and_the_evidence_is_kept(
    either_desk: Desk,
) -> None:
    root = to_base64url(b"\1" * 32)
    with pytest.raises(ConflictError, match="shown another log"):
        either_desk.peers.acknowledge(PLATFORM, acknowledgement(either_desk, root=root))
    assert either_desk.peers.get(PLATFORM).acked_size == 0
    assert evidence(either_desk) == [
        ("the peer acknowledged a root that this node never signed", b"\1" * 32)
    ]


def test_refusals_are_kept_only_of_statements_that_this_log_has(either_desk: Desk) -> None:
    """A peer could have filled the disk with refusals of what never was."""
    receipt = either_desk.world.submit(media_flag(ANNA))
    invented = [SetAside(id=f"{number:064x}", reason="x" * 500) for number in range(200)]
    either_desk.peers.acknowledge(
        PLATFORM,
        acknowledgement(
            either_desk, set_aside=(*invented, SetAside(id=receipt.id, reason="Invalid."))
        ),
    )
    assert len(either_desk.world.contents()["peer_refusal"]) == 1
    (status,) = either_desk.flags.status(receipt.id).peers
    assert (status.state, status.reason) == ("set-aside", "Invalid.")


# pokes


def test_a_poke_wakes_only_for_what_is_new_in_the_callers_own_log(either_desk: Desk) -> None:
    desk = either_desk
    woken: list[str] = []
    desk.peers.poked(PLATFORM, Poke(origin=f"{PLATFORM}/log/1", size=1))  # nobody listens yet
    desk.peers.on_poke(woken.append)
    desk.peers.poked(PLATFORM, Poke(origin=f"{PLATFORM}/log/1", size=0))
    assert woken == []
    desk.peers.poked(PLATFORM, Poke(origin=f"{PLATFORM}/log/1", size=1))
    assert woken == [PLATFORM]
    for origin in (f"{HOTLINE}/log/1", f"{THIRD}/log/1", "anything"):
        with pytest.raises(InvalidError, match="not the log") as caught:
            desk.peers.poked(PLATFORM, Poke(origin=origin, size=10**6))
        assert caught.value.where == "origin"
    assert woken == [PLATFORM]


def test_a_node_that_was_removed_meanwhile_pokes_nobody(desk: Desk) -> None:
    desk.peers.remove(PLATFORM)
    with pytest.raises(NotFoundError):
        desk.peers.poked(PLATFORM, Poke(origin=f"{PLATFORM}/log/1", size=1))


def test_the_age_of_a_day_is_no_reason_to_forget_a_peer(desk: Desk) -> None:
    desk.world.clock.tick(DAY_S)
    assert names(desk) == [PLATFORM]
