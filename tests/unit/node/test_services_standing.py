"""Where the log stands: what others have kept of it decides, and only what this node has signed."""

from collections.abc import Callable

import pytest

from desks import Desk
from node.services.log import OwnLog
from node.services.recovery import LOST, Recovery
from node.services.standing import Standing
from node.storage.engine import Store
from protocol.checkpoint import Checkpoint
from protocol.envelope import parse_envelope
from protocol.errors import NotFoundError, ProofError, UnavailableError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import OwnLogRequest
from protocol.witnessing import AddCheckpoint
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import make_key, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, World, erase

KEY = make_key(KeyUse.LOG, HOTLINE)
ORIGIN = f"{HOTLINE}/log/1"


@pytest.fixture
def standing(either_desk: Desk) -> Standing:
    world = either_desk.world
    return Standing(world.store, world.log, name=HOTLINE, clock=either_desk.clock)


def recovery_of(desk: Desk) -> Recovery:
    world = desk.world
    return Recovery(
        world.store, world.log, name=HOTLINE, settle=world.ingest.settle, clock=desk.clock
    )


def ids_of(store: Store) -> list[StatementId]:
    with store.read() as transaction:
        return transaction.statements.entries(0, 4_096)


def note_of(ids: list[StatementId]) -> bytes:
    root = Frontier.EMPTY.append(bytes.fromhex(one) for one in ids).root()
    return sign_checkpoint(Checkpoint(ORIGIN, len(ids), root), KEY)


def more(world: World, count: int) -> list[tuple[StatementId, bytes]]:
    """Flags that the node had, and has no more: ids with their envelopes."""
    envelopes = [world.sign(media_flag(ANNA, 500 + number)) for number in range(count)]

    return [(parse_envelope(one).statement_id, one) for one in envelopes]


def test_a_log_that_has_all_it_has_signed_is_fine(either_desk: Desk, standing: Standing) -> None:
    for number in range(3):
        either_desk.world.submit(media_flag(ANNA, number))
    ids = ids_of(either_desk.world.store)
    for size in range(1, len(ids) + 1):
        assert standing.judge([note_of(ids[:size])]).state == "fine"
    assert standing.reason() is None
    either_desk.world.submit(media_flag(ANNA, 9))


def test_a_log_that_is_behind_takes_nothing_in_and_signs_nothing_in_any_process(
    either_desk: Desk, standing: Standing
) -> None:
    world = either_desk.world
    missing = more(world, 2)
    found = standing.judge([note_of([*ids_of(world.store), *(one for one, _ in missing)])])
    assert (found.state, found.size, found.signed) == ("behind", 1, 3)
    with pytest.raises(UnavailableError):
        world.submit(media_flag(ANNA, 1))
    other = OwnLog(world.store, KEY, origin=ORIGIN)
    with pytest.raises(UnavailableError):
        other.checkpoint()
    assert "has 1 entries and has signed 3" in (standing.reason() or "")
    assert ("node", "log.behind", ORIGIN, "1 entries, signed 3") in either_desk.audited()


def test_a_log_that_contradicts_what_it_has_signed_is_barred_for_good(
    either_desk: Desk, standing: Standing
) -> None:
    either_desk.world.submit(media_flag(ANNA, 1))
    note = note_of([StatementId("ab" * 32), StatementId("cd" * 32)])
    assert standing.judge([note]).state == "forked"
    with pytest.raises(UnavailableError):
        either_desk.world.submit(media_flag(ANNA, 2))
    assert "new-origin" in (standing.reason() or "")
    assert standing.judge([note_of(ids_of(either_desk.world.store))]).state == "forked"


def test_nobody_holds_a_node_up_with_what_it_has_not_signed(
    either_desk: Desk, standing: Standing
) -> None:
    stranger = make_key(KeyUse.LOG, "liar.example")
    notes = [
        sign_checkpoint(Checkpoint(ORIGIN, 99, bytes(32)), stranger),
        sign_checkpoint(Checkpoint(f"{HOTLINE}/log/9", 99, bytes(32)), KEY),
        b"no note",
        b"",
    ]
    assert standing.judge(notes).state == "fine"
    either_desk.world.submit(media_flag(ANNA, 1))


def test_what_is_missing_comes_back_in_its_order_and_the_log_is_signed_again(
    either_desk: Desk, standing: Standing
) -> None:
    world = either_desk.world
    missing = more(world, 5)
    whole = [*ids_of(world.store), *(one for one, _ in missing)]
    note = note_of(whole)
    standing.judge([note])
    recovery = recovery_of(either_desk)
    ((target, _),) = standing.opened([note])
    found = recovery.check([one for one, _ in missing], target)
    heard: list[bool] = []
    world.ingest.subscribe(heard.append)
    assert recovery.take(found.start, missing[:2]) == []
    assert standing.state().state == "behind", "half of it is not enough"
    assert recovery.take(found.start + 2, missing[2:]) == []
    assert recovery.take(found.start, missing) == [], "another process does nothing over again"
    assert standing.state().state == "fine"
    assert ids_of(world.store) == whole
    assert world.log.checkpoint() == note
    assert heard == [True, True]
    world.submit(media_flag(ANNA, 900))


def test_entries_that_were_not_signed_are_not_taken_back(
    either_desk: Desk, standing: Standing
) -> None:
    world = either_desk.world
    missing = more(world, 3)
    note = note_of([*ids_of(world.store), *(one for one, _ in missing)])
    ((target, _),) = standing.opened([note])
    ids = [one for one, _ in missing]
    for wrong in (ids[::-1], ids[:2], [*ids, ids[0]], [ids[0], ids[0], ids[0]]):
        with pytest.raises(ProofError, match="do not lead"):
            recovery_of(either_desk).check(wrong, target)


def test_of_what_nobody_has_any_more_the_id_is_kept(either_desk: Desk, standing: Standing) -> None:
    world = either_desk.world
    (first, _), second = more(world, 2)
    note = note_of([*ids_of(world.store), first, second[0]])
    standing.judge([note])
    assert recovery_of(either_desk).take(1, [(first, None), second]) == [first]
    assert world.log.checkpoint() == note
    with world.store.read() as transaction:
        lost = transaction.statements.by_id(first)
    assert lost is not None
    assert (lost.kind, lost.state) == (LOST, "erased")
    (answer,) = either_desk.serving.envelopes([first], reader=PLATFORM).envelopes
    assert answer.envelope is None


def test_a_body_that_would_not_be_accepted_today_does_not_stop_the_rest(
    either_desk: Desk, standing: Standing
) -> None:
    world = either_desk.world
    (first, envelope), second = more(world, 2)
    about_nothing = world.sign(erase("ee" * 32, by=ANNA))

    odd = parse_envelope(about_nothing).statement_id
    note = note_of([*ids_of(world.store), first, odd, second[0]])
    standing.judge([note])
    pages = [(first, envelope), (odd, about_nothing), second]
    assert recovery_of(either_desk).take(1, pages) == [odd]
    assert world.log.checkpoint() == note


def test_what_waited_for_a_statement_does_not_slip_in_between(
    either_desk: Desk, standing: Standing, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[Callable[..., object]] = []
    monkeypatch.setattr("node.services.waiting.wakes", lambda *_: called.append(print) or ())
    (first, envelope), *_ = more(either_desk.world, 1)
    standing.judge([note_of([*ids_of(either_desk.world.store), first])])
    recovery_of(either_desk).take(1, [(first, envelope)])
    assert called == []


def test_a_process_that_waits_for_its_witnesses_signs_nothing(
    either_desk: Desk, standing: Standing
) -> None:
    log = either_desk.world.log
    log.hold("Nobody has answered yet.")
    assert standing.reason() == "Nobody has answered yet."
    with pytest.raises(UnavailableError, match="Nobody"):
        log.checkpoint()
    with pytest.raises(UnavailableError, match="Nobody"):
        either_desk.world.submit(media_flag(ANNA, 1))
    log.hold(None)
    either_desk.world.submit(media_flag(ANNA, 1))


def test_a_peer_is_told_its_own_log_and_nothing_of_others(
    either_desk: Desk, standing: Standing
) -> None:
    asked = OwnLogRequest(start=0, limit=10)
    answer = standing.own_log(asked, reader=PLATFORM)
    assert (answer.origin, answer.size, answer.entries, answer.checkpoint) == (
        f"{PLATFORM}/log/1",
        0,
        (),
        None,
    )
    note = sign_checkpoint(
        Checkpoint(f"{PLATFORM}/log/1", 3, bytes([7]) * 32), make_key(KeyUse.LOG, PLATFORM)
    )
    either_desk.witness.add_checkpoint(AddCheckpoint(0, (), note), caller=PLATFORM)
    shown = standing.own_log(asked, reader=PLATFORM).checkpoint
    assert shown is not None
    assert shown.startswith(note.decode())
    with pytest.raises(NotFoundError):
        standing.own_log(asked, reader="stranger.example")
