"""Asking a circle over real HTTP: the fingerprint, or nothing is decided."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from node import asking as module
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.errors import RateLimitedError, UnavailableError
from protocol.identifiers import normalise
from protocol.messages import OprfAnswer, OprfRequest
from signing.envelopes import new_nonce, sign_statement
from signing.oprf.fingerprints import fingerprint_from_output, fingerprint_input
from signing.oprf.shares import combine, split_key
from signing.oprf.voprf import KeyPair, blind, evaluate, generate_key, verify_evaluation
from unit.node.exchange_station import (
    CIRCLE,
    DAY_S,
    KEY,
    OWN,
    A,
    B,
    Station,
    open_station,
)
from waiting import WITHIN_S, keep_clear_of_midnight, wait_for

C = "c.example"

EMAIL = normalise("email", "offender@example.com")


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with open_station(sqlite_url, tmp_path) as station:
        yield station


@pytest.fixture
def hasty(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    """Gives a holder up soon; for tests of one that never answers."""
    with open_station(
        sqlite_url, tmp_path, peer_timeout_s=0.5, account_check_deadline_s=2
    ) as station:
        yield station


def descriptor(*holders: tuple[int, str], key: Any = KEY, budget: int = 100) -> CircleDescriptor:
    now = int(time.time())
    return CircleDescriptor(
        issuer=OWN,
        nonce=new_nonce(),
        issued=format_time(now),
        audience=("peers",),
        circle=CIRCLE,
        version=1,
        members=(Member(node=OWN, budget_per_day=budget),),
        admins=(OWN,),
        admin_threshold=1,
        epochs=(
            Epoch(
                epoch=1,
                not_before=format_time(now - DAY_S),
                not_after=format_time(now + DAY_S),
                threshold=1,
                commitments=(to_base64url(key.public),),
                holders=tuple(Holder(index=index, node=node) for index, node in holders),
            ),
        ),
    )


def ask(station: Station, circle: CircleDescriptor) -> list[bytes]:
    return station.asking.ask_circle(circle, circle.epochs[0], [EMAIL])


def expected() -> bytes:
    """What the key gives for the identifier, computed without any conversation."""
    blinded = blind([fingerprint_input(EMAIL.kind.value, EMAIL.scheme, EMAIL.value)])
    evaluation = verify_evaluation(KEY.public, blinded, evaluate(KEY, blinded.elements))
    (output,) = combine(blinded, {1: evaluation}, {1: KEY.public}, 1)
    return fingerprint_from_output(output)


def test_a_holder_elsewhere_gives_the_fingerprint(station: Station) -> None:
    station.peer(A, share=(1, KEY))
    with station.asking_circles():
        assert ask(station, descriptor((1, A))) == [expected()]


def test_a_node_that_holds_the_share_itself_asks_itself_within_its_budget(
    station: Station,
) -> None:
    keep_clear_of_midnight()
    circle = descriptor((1, OWN), budget=1)
    station.ingest.submit(sign_statement(circle, station.keys.statement), caller=OWN)
    with station.asking_circles():
        assert ask(station, circle) == [expected()]
        with pytest.raises(RateLimitedError, match="budget") as caught:
            ask(station, circle)
    assert 0 < caught.value.retry_after_s <= DAY_S


@pytest.mark.parametrize("manner", ["stall", "flood", "cut"])
def test_a_holder_that_gives_no_answer_leaves_everything_undecided(
    hasty: Station, manner: Any
) -> None:
    hasty.peer(A, share=(1, KEY), manner=manner)
    # On a busy machine the check may be over before the holder is given up.
    with (
        hasty.asking_circles(),
        pytest.raises(UnavailableError, match=r"could not be asked|in time"),
    ):
        ask(hasty, descriptor((1, A)))


def test_a_holder_that_is_not_pinned_or_frozen_is_not_asked(station: Station) -> None:
    frozen = station.peer(A, pinned=False, share=(1, KEY))
    station.pin(frozen, state="frozen")
    with station.asking_circles():
        for name in (A, "nobody.example"):
            with pytest.raises(UnavailableError, match="could not be asked"):
                ask(station, descriptor((1, name)))
    assert frozen.asked == 0


def test_a_holder_whose_proof_does_not_hold_is_named_and_the_next_one_asked(
    station: Station,
) -> None:
    station.peer(A, share=(1, generate_key()))
    circle = descriptor((1, A))
    with station.asking_circles(), pytest.raises(UnavailableError, match="could not be asked"):
        ask(station, circle)
    (message,) = station.evidence(A)
    assert "gave a proof that does not hold" in message


def two_of_three(*holders: tuple[int, str]) -> tuple[CircleDescriptor, dict[int, KeyPair]]:
    split = split_key(KEY.private, 2, 3)
    circle = descriptor(*holders)
    commitments = tuple(map(to_base64url, split.commitments))
    epoch = msgspec.structs.replace(circle.epochs[0], threshold=2, commitments=commitments)
    return msgspec.structs.replace(circle, epochs=(epoch,)), split.shares


def test_a_holder_that_lied_is_asked_no_more_until_the_operator_says_so(station: Station) -> None:
    circle, shares = two_of_three((1, A), (2, B), (3, C))
    liar = station.peer(A, share=(1, generate_key()))
    station.peer(B, share=(2, shares[2]))
    station.peer(C, share=(3, shares[3]))
    with station.asking_circles() as asking:
        assert ask(station, circle) == [expected()]
        wait_for(lambda: bool(station.evidence(A)), "the lie is noted")
        for _ in range(3):
            assert ask(station, circle) == [expected()]
        assert liar.asked == 1
        with station.store.write() as transaction:
            (frozen,) = transaction.trust.frozen_holders()
            assert (frozen.circle, frozen.node) == (CIRCLE, A)
            assert transaction.trust.thaw_holder(CIRCLE, A)
        liar.share = (1, shares[1])
        assert ask(station, circle) == [expected()]
        # One of the others may have been asked beside it, and answered first.
        wait_for(lambda: liar.asked == 2, "it is asked again")
        assert asking.outcomes()["answered"] == 5
    with station.store.read() as transaction:
        lines = transaction.journal.audit_after(0, limit=9)
    (line,) = [one for one in lines if one.action == "circle.freeze-holder"]
    assert (line.actor, line.subject, line.detail) == ("node", A, CIRCLE)


def test_what_is_kept_of_a_lie_names_the_descriptor_that_was_in_force(station: Station) -> None:
    station.peer(A, share=(1, generate_key()))
    circle = descriptor((1, A))
    receipt = station.ingest.submit(sign_statement(circle, station.keys.statement), caller=OWN)
    with station.asking_circles(), pytest.raises(UnavailableError):
        ask(station, circle)
    with station.store.read() as transaction:
        ((_, body),) = transaction.peers.evidence(A)
    assert json.loads(body)["descriptor"] == receipt.id


def test_all_keys_are_asked_at_once(station: Station) -> None:
    both = [station.peer(name, share=(1, KEY)) for name in (A, B)]
    circles = [descriptor((1, A)), descriptor((1, B))]
    gate = threading.Barrier(2)

    for one in both:
        one.evaluate = met(one.evaluate, gate)  # type: ignore[method-assign]  # as a slow network
    with station.asking_circles() as asking:
        keys = [(one, one.epochs[0]) for one in circles]
        assert asking.ask_circles(keys, [EMAIL]) == [[expected()], [expected()]]


def met(honest: Any, gate: threading.Barrier) -> Any:
    """An evaluation that begins once the other holder was asked too."""

    async def evaluate(request: OprfRequest) -> OprfAnswer:
        await asyncio.to_thread(gate.wait, WITHIN_S)
        return cast("OprfAnswer", await honest(request))

    return evaluate


def test_where_one_key_cannot_be_asked_there_is_no_answer_in_part(station: Station) -> None:
    station.peer(A, share=(1, KEY))
    circles = [descriptor((1, A)), descriptor((1, B))]
    with station.asking_circles() as asking:
        with pytest.raises(UnavailableError, match="could not be asked"):
            asking.ask_circles([(one, one.epochs[0]) for one in circles], [EMAIL])
        assert asking.outcomes()["unavailable"] == 1


def test_a_holder_whose_descriptor_has_ended_is_not_asked(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = station.peer(A, share=(1, KEY))
    monkeypatch.setattr(station.asking, "_clock", lambda: time.time() + 400 * DAY_S)
    with station.asking_circles(), pytest.raises(UnavailableError, match="could not be asked"):
        ask(station, descriptor((1, A)))
    assert peer.asked == 0


def test_a_holder_that_keeps_failing_is_known_by_name(station: Station) -> None:
    station.peer(A, share=(1, KEY), manner="cut")
    with station.asking_circles() as asking:
        for _ in range(3):
            with pytest.raises(UnavailableError):
                ask(station, descriptor((1, A)))
        assert asking.failing() == {CIRCLE: [A]}


def test_a_circle_that_takes_too_long_is_not_waited_for(
    hasty: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: Any, **__: Any) -> list[bytes]:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(module.Panel, "fingerprint", never)
    began = time.monotonic()
    with hasty.asking_circles(), pytest.raises(UnavailableError, match="in time"):
        ask(hasty, descriptor((1, OWN)))
    taken_s = time.monotonic() - began
    assert 0 <= taken_s - hasty.settings.account_check_deadline_s < WITHIN_S


def test_a_batch_has_the_time_of_a_check_for_every_eight_identifiers(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    def wait(_loop: Any, work: Any, within_s: float) -> None:
        work.close()
        waited.append(within_s)
        raise TimeoutError

    monkeypatch.setattr(module.Loop, "wait", wait)
    circle = descriptor((1, OWN))
    with station.asking_circles() as asking:
        for many in (1, 8, 9, 64):
            with pytest.raises(UnavailableError, match="in time"):
                asking.ask_circle(circle, circle.epochs[0], [EMAIL] * many)
    once = station.settings.account_check_deadline_s
    assert [round((one - 1) / once) for one in waited] == [1, 1, 2, 8]


def test_a_circle_whose_commitments_are_no_elements_leaves_everything_undecided(
    station: Station,
) -> None:
    station.peer(A, share=(1, KEY))
    circle = descriptor((1, A))
    broken = msgspec.structs.replace(circle.epochs[0], commitments=(to_base64url(b"\xff" * 32),))
    with station.asking_circles(), pytest.raises(UnavailableError, match="could not be asked"):
        station.asking.ask_circle(circle, broken, [EMAIL])


def test_a_process_without_conversations_cannot_ask(station: Station) -> None:
    with pytest.raises(UnavailableError, match="no conversations"):
        ask(station, descriptor((1, OWN)))
