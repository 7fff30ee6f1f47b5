"""Later descriptors of pinned nodes are taken over; a chain that breaks is stopped at."""

from contextlib import AbstractContextManager

import pytest

from desks import Desk
from node.services.successions import WHAT_TO_DO, Successions
from node.storage.transaction import Transaction
from protocol.encoding import to_base64url
from protocol.errors import (
    ChainError,
    ConflictError,
    InvalidError,
    NotAllowedError,
    NotFoundError,
    ProtocolError,
    UnknownKeyError,
)
from protocol.messages import Descriptors
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, make_key, media_flag
from successions import Chain
from worlds import HOTLINE, PLATFORM

OTHER = "other.example"
NEW_ROOT = make_key(KeyUse.ROOT, "the next root")


@pytest.fixture
def successions(desk: Desk) -> Successions:
    world = desk.world
    return Successions(world.store, world.ingest, name=HOTLINE, clock=desk.clock)


@pytest.fixture
def chain() -> Chain:
    return Chain.of(Peer(PLATFORM))


def message(*envelopes: bytes) -> Descriptors:
    return Descriptors(descriptors=tuple(one.decode() for one in envelopes))


def state_of(desk: Desk, name: str = PLATFORM) -> str:
    return desk.peers.get(name).state


def test_a_later_descriptor_is_pinned_whoever_brings_it(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    before = desk.peers.get(PLATFORM)
    chain.go_on(KeyUse.REQUEST, KeyUse.LOG, KeyUse.STATEMENT)
    successions.announced(message(*chain.later))
    node = desk.peers.node(PLATFORM)
    assert node.request_key == chain.key(KeyUse.REQUEST).public
    assert node.fingerprint == before.fingerprint
    assert desk.peers.get(PLATFORM).seen_size == before.seen_size
    assert ("node", "peer.descriptor", PLATFORM, "version 2") in desk.audited()


def test_requests_are_taken_under_the_old_and_the_new_key_until_the_old_one_ends(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    old, new = make_key(KeyUse.REQUEST, PLATFORM), chain.key(KeyUse.REQUEST)
    with pytest.raises(UnknownKeyError):
        desk.peers.find_caller(new.kid)
    chain.go_on(KeyUse.REQUEST)
    successions.announced(message(*chain.later))
    for key in (old, new):
        found, caller = desk.peers.find_caller(key.kid)
        assert (found, caller.name) == (key.public, PLATFORM)
    desk.world.clock.tick(15 * DAY_S)
    assert desk.peers.find_caller(new.kid)[1].name == PLATFORM
    with pytest.raises(UnknownKeyError, match="ended"):
        desk.peers.find_caller(old.kid)


def test_a_request_key_that_is_named_no_longer_opens_nothing(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    draft = chain.draft(KeyUse.REQUEST)
    old = make_key(KeyUse.REQUEST, PLATFORM).public
    kept = tuple(one for one in draft.keys if one.key != to_base64url(old.raw))
    chain.go_on(KeyUse.REQUEST, keys=kept)
    successions.announced(message(*chain.later))
    with pytest.raises(UnknownKeyError):
        desk.peers.find_caller(old.kid)


def test_being_told_again_changes_nothing(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    chain.go_on(KeyUse.REQUEST)
    successions.announced(message(*chain.later))
    before = desk.world.contents()
    successions.announced(message(chain.first, *chain.later))
    assert desk.world.contents() == before


def test_who_brings_nothing_new_and_no_proof_keeps_no_writer_waiting(
    desk: Desk, successions: Successions, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.go_on(KeyUse.REQUEST)
    successions.announced(message(*chain.later))
    monkeypatch.setattr(desk.world.store, "write", lambda: pytest.fail("it took a writer's turn"))
    successions.announced(message(chain.first, *chain.later * 15))
    stranger = Peer(PLATFORM, generation=2).descriptor_envelope
    for refused in ((stranger,), (*chain.later, b"{}"), (Peer(OTHER).descriptor_envelope,)):
        with pytest.raises((ChainError, ProtocolError, NotFoundError)):
            successions.announced(message(*refused))


def test_what_two_tell_at_once_is_taken_over_once(
    desk: Desk, successions: Successions, chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain.go_on(KeyUse.REQUEST)
    other = Successions(desk.world.store, desk.world.ingest, name=HOTLINE, clock=desk.clock)
    write = desk.world.store.write

    def write_late(*, durable: bool = True) -> AbstractContextManager[Transaction]:
        monkeypatch.undo()
        other.announced(message(*chain.later))
        return write(durable=durable)

    monkeypatch.setattr(desk.world.store, "write", write_late)
    with pytest.raises(ConflictError, match="look again"):
        successions.announced(message(*chain.later))
    successions.announced(message(*chain.later))
    lines = [one for one in desk.audited() if one[1] == "peer.descriptor"]
    assert lines == [("node", "peer.descriptor", PLATFORM, "version 2")]


def test_statements_signed_with_a_key_that_was_not_known_are_taken_in_once_it_is(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    envelope = sign_statement(media_flag(PLATFORM, 7), chain.key(KeyUse.STATEMENT))
    with desk.world.store.write() as transaction, pytest.raises(UnknownKeyError):
        desk.world.ingest.believe(transaction, envelope, source=PLATFORM, now=NOW)
    desk.world.set_aside(envelope, source=PLATFORM)
    chain.go_on(KeyUse.STATEMENT)
    size = desk.world.log.size()
    successions.announced(message(*chain.later))
    assert desk.world.log.size() == size + 1
    assert desk.peers.set_aside() == []


def test_two_versions_of_one_number_freeze_the_node_whoever_shows_them(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    chain.go_on(KeyUse.REQUEST)
    successions.announced(message(*chain.later))
    contradiction = Chain.of(Peer(PLATFORM)).go_on(KeyUse.LOG)
    with pytest.raises(ChainError, match="Another version 2"):
        successions.announced(message(contradiction))
    peer = desk.peers.get(PLATFORM)
    assert peer.state == "frozen"
    assert peer.problem is not None
    assert peer.problem.endswith(WHAT_TO_DO)
    with desk.world.store.read() as transaction:
        ((_, evidence),) = transaction.peers.evidence(PLATFORM)
    assert evidence == chain.latest + b"\n" + contradiction
    with pytest.raises(NotAllowedError, match="frozen"):
        successions.announced(message(chain.go_on(KeyUse.LOG)))


def test_what_anybody_may_have_made_freezes_nobody_unless_the_node_itself_answered_it(
    desk: Desk, successions: Successions
) -> None:
    stranger = Peer(PLATFORM, generation=2).descriptor_envelope
    before = desk.world.contents()
    with pytest.raises(ChainError):
        successions.announced(message(stranger))
    assert desk.world.contents() == before
    with pytest.raises(ChainError):
        successions.take(PLATFORM, [stranger], answered=True)
    assert state_of(desk) == "frozen"


def test_a_descriptor_that_cannot_be_read_freezes_nobody_even_as_an_answer(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    chain.go_on(KeyUse.REQUEST)
    for answer in ([b"{}"], [chain.first[:-2]], [b"x" * (1 << 17)]):
        with pytest.raises(ProtocolError):
            successions.take(PLATFORM, answer, answered=True)
        assert state_of(desk) == "active"


def test_nobody_is_told_of_nothing_of_strangers_or_of_itself(
    successions: Successions, chain: Chain
) -> None:
    with pytest.raises(InvalidError):
        successions.announced(message())
    with pytest.raises(NotFoundError):
        successions.announced(message(Peer(OTHER).descriptor_envelope))
    with pytest.raises(NotAllowedError, match="its own"):
        successions.announced(message(Peer(HOTLINE).descriptor_envelope))
    chain.go_on(KeyUse.REQUEST)
    chain.go_on(KeyUse.LOG)
    with pytest.raises(ConflictError, match="missing"):
        successions.announced(message(chain.later[1]))


def test_a_node_cannot_claim_the_request_key_of_another(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    draft = chain.draft()
    stolen = to_base64url(make_key(KeyUse.REQUEST, HOTLINE).public.raw)
    (mine,) = (one for one in draft.keys if one.use == "request")
    keys = tuple(one for one in draft.keys if one.use != "request")
    changed = type(mine)(
        use="request", key=stolen, not_before=mine.not_before, not_after=mine.not_after
    )
    chain.go_on(keys=(*keys, changed))
    before = desk.world.contents()
    with pytest.raises(ConflictError, match="same request key"):
        successions.announced(message(*chain.later))
    assert desk.world.contents() == before


def test_a_node_that_is_pinned_anew_begins_its_chain_anew(
    desk: Desk, successions: Successions, chain: Chain
) -> None:
    chain.go_on(KeyUse.REQUEST)
    successions.announced(message(*chain.later))
    desk.peers.remove(PLATFORM)
    anew = Chain.of(Peer(PLATFORM, generation=5))
    fingerprint = Peer(PLATFORM, generation=5).pinned().fingerprint
    desk.peers.add(anew.first, fingerprint, authority=False)
    with pytest.raises(UnknownKeyError):
        desk.peers.find_caller(chain.key(KeyUse.REQUEST).kid)
    with pytest.raises(ChainError):
        successions.announced(message(*chain.later))
    assert state_of(desk) == "active"


def test_a_node_is_pinned_by_its_whole_chain_under_the_fingerprint_of_the_first(
    desk: Desk, chain: Chain
) -> None:
    desk.peers.remove(PLATFORM)
    chain.go_on(KeyUse.REQUEST, root=NEW_ROOT)
    chain.go_on(KeyUse.LOG)
    fingerprint = Peer(PLATFORM).pinned().fingerprint
    with pytest.raises(InvalidError, match="not that of this node"):
        desk.peers.add(
            Peer(PLATFORM, generation=2).descriptor_envelope, fingerprint, authority=False
        )
    desk.peers.add(chain.first, fingerprint, authority=False, later=chain.later)
    assert desk.peers.node(PLATFORM).log_key == chain.key(KeyUse.LOG).public
    assert desk.peers.get(PLATFORM).fingerprint == fingerprint


def test_a_node_serves_its_own_descriptors_behind_one_version(
    desk: Desk, successions: Successions
) -> None:
    assert successions.own_after(0) == message(Peer(HOTLINE).descriptor_envelope)
    assert successions.own_after(1) == message()
    assert desk.peers.own_descriptor() == Peer(HOTLINE).descriptor_envelope
