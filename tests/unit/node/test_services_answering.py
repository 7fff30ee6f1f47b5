"""What issuers are told when they take something back, and what the operator is asked to restore."""

from pathlib import Path

import pytest

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, pdq_at, picture
from node.matching.engine import PdqEngine
from node.services.answering import Says
from node.services.catalogue import Catalogue
from node.services.clients import Client
from node.services.lookups import MediaQuery
from node.services.remedies import Remedy
from protocol.envelope import parse_envelope
from protocol.errors import ConflictError, NotFoundError
from protocol.kinds import parse_statement
from protocol.statements import Erased, Remedied, Statement
from simulator import DAY_S, account_ban, media_flag
from worlds import ANNA, PDQ, PLATFORM, dispute, erase, items, resolve, retract

OTHER_PROGRAM = Client(2, "gallery", frozenset({"match"}))


def said(desk: Desk) -> list[Statement]:
    """What this node has said to issuers, in the order of its log."""
    with desk.world.store.read() as transaction:
        records = transaction.statements.of_kinds(("remedied", "erased"), 0, limit=100)
        bodies = transaction.statements.envelopes(one.log_index for one in records)
    found = []
    for one in records:
        parsed = parse_envelope(bodies[one.log_index])
        found.append(parse_statement(parsed.kind, parsed.payload))
    return found


def outcomes(desk: Desk) -> list[str]:
    return [one.outcome for one in said(desk) if isinstance(one, Remedied)]


def answer(desk: Desk, says: Says) -> None:
    answering = desk.new_answering(says)
    while answering.is_behind():
        assert answering.step()


def flag_and_block(desk: Desk, number: int = 1, *, reference: str = "u-1") -> str:
    """The platform flags a picture, and a program of this node blocks an upload because of it."""
    desk.set_policy(OPEN_POLICY)
    flagged = desk.world.submit(media_flag(PLATFORM, number, items=(picture(),)))
    block(desk, reference)
    return flagged.id


def block(desk: Desk, reference: str = "", client: Client = PLATFORM_PROGRAM) -> None:
    found = desk.lookups.match(
        [MediaQuery(pdq=PDQ, quality=90)],
        surface="public",
        client=client,
        references=[reference] if reference else (),
    )
    assert [one.decision for one in found.results] == ["block"]


def only_task(desk: Desk) -> Remedy:
    (task,) = desk.remedies.open()
    return desk.remedies.get(task.id)


def test_a_task_names_whom_the_node_answered_and_what_they_call_the_upload(
    either_desk: Desk,
) -> None:
    names = [either_desk.clients.create(one, ["match"])[0] for one in ("app", "gallery")]
    statement = flag_and_block(either_desk, reference="u-1")
    block(either_desk, client=names[1])
    block(either_desk, client=names[1])
    either_desk.world.submit(retract(statement, by=PLATFORM))
    task = only_task(either_desk)
    assert (task.issuer, task.items, task.state) == (PLATFORM, (0,), "open")
    assert {
        (one.client, one.decision, one.rule, one.reference, one.count) for one in task.deeds
    } == {
        ("app", "block", "block-media", "u-1", 1),
        ("gallery", "block", "block-media", None, 2),
    }


def test_of_one_item_a_thousand_uploads_are_kept_by_name_and_the_rest_are_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.services.restoring.MOST_REFERENCES", 3)
    statement = flag_and_block(desk)
    for number in range(2, 8):
        block(desk, f"u-{number}")
    desk.world.submit(retract(statement, by=PLATFORM))
    counted = {one.reference: one.count for one in only_task(desk).deeds}
    assert counted == {"u-1": 1, "u-2": 1, "u-3": 1, None: 4}


def test_what_was_done_for_whom_is_forgotten_in_time_and_the_task_stays(desk: Desk) -> None:
    statement = flag_and_block(desk)
    desk.world.clock.tick(91 * DAY_S)
    desk.maintenance.forget()
    desk.world.submit(retract(statement, by=PLATFORM, issued="2027-02-21T10:00:00Z"))
    assert only_task(desk).deeds == ()


def test_an_issuer_learns_that_it_was_acted_on_and_when_all_is_restored(desk: Desk) -> None:
    statement = flag_and_block(desk)
    desk.world.submit(retract(statement, by=PLATFORM))
    answer(desk, "acted")
    assert outcomes(desk) == ["restoring"]
    remedies = desk.new_remedies("acted")
    remedies.done(only_task(desk).id, PLATFORM_PROGRAM, "put back")
    assert outcomes(desk) == ["restoring", "restored"]
    (done,) = remedies.list(open_only=False)
    assert (done.state, done.done_by, done.note) == ("done", "upload-check", "put back")


def test_an_operator_may_say_no_more_than_that_nothing_is_left_to_restore(desk: Desk) -> None:
    statement = flag_and_block(desk)
    desk.world.submit(retract(statement, by=PLATFORM))
    answer(desk, "settled")
    assert outcomes(desk) == []
    desk.remedies.done(only_task(desk).id, PLATFORM_PROGRAM)
    assert outcomes(desk) == ["settled"]


@pytest.mark.parametrize(
    ("says", "expected"), [("acted", ["not-acted"]), ("settled", ["settled"]), ("nothing", [])]
)
def test_who_did_nothing_says_so_at_once(desk: Desk, says: Says, expected: list[str]) -> None:
    flagged = desk.world.submit(media_flag(PLATFORM, 1, items=items(1)))
    desk.world.submit(retract(flagged.id, by=PLATFORM))
    answer(desk, says)
    assert outcomes(desk) == expected


def test_of_a_ban_nobody_learns_whether_it_was_met(desk: Desk) -> None:
    desk.join_circle()
    banned = desk.world.submit(account_ban(PLATFORM, 1))
    with desk.world.store.write() as transaction:
        transaction.journal.count_statements([banned.index], "review", at=1)
    desk.world.submit(retract(banned.id, by=PLATFORM))
    answer(desk, "acted")
    assert outcomes(desk) == []
    desk.new_remedies("acted").done(only_task(desk).id, PLATFORM_PROGRAM)
    assert outcomes(desk) == ["settled"]


def test_the_issuer_is_told_once_all_tasks_about_its_statement_are_done(desk: Desk) -> None:
    flagged = desk.world.submit(media_flag(PLATFORM, 1, items=items(2)))
    with desk.world.store.write() as transaction:
        for item in (0, 1):
            transaction.journal.count_match(flagged.index, item, "block", at=1)
    for item in (0, 1):
        desk.world.submit(retract(flagged.id, by=PLATFORM, items=(item,)))
    first, second = desk.remedies.open()
    desk.remedies.done(first.id, PLATFORM_PROGRAM)
    assert outcomes(desk) == []
    desk.remedies.done(second.id, PLATFORM_PROGRAM)
    assert outcomes(desk) == ["settled"]
    with pytest.raises(NotFoundError, match="No task of this number"):
        desk.remedies.done(second.id, PLATFORM_PROGRAM)


def test_an_upheld_dispute_is_answered_and_a_rejected_one_is_not(desk: Desk) -> None:
    for number, outcome in enumerate(("rejected", "upheld"), 1):
        flagged = desk.world.submit(media_flag(PLATFORM, number, items=items(1)))
        disputed = desk.world.submit(dispute(flagged.id, by="hotline.example"))
        desk.world.submit(resolve(flagged.id, disputed.id, outcome, by=PLATFORM))
    answer(desk, "acted")
    assert outcomes(desk) == ["not-acted"]


@pytest.mark.parametrize("reason", ["expired", "duplicate"])
def test_what_was_right_until_then_asks_for_no_answer(desk: Desk, reason: str) -> None:
    flagged = desk.world.submit(media_flag(PLATFORM, 1, items=items(1)))
    desk.world.submit(retract(flagged.id, by=PLATFORM, reason=reason))
    answer(desk, "acted")
    assert outcomes(desk) == []


def test_the_node_does_not_answer_itself(desk: Desk) -> None:
    flagged = desk.world.submit(media_flag(ANNA, 1, items=items(1)))
    desk.world.submit(retract(flagged.id, by=ANNA))
    answer(desk, "acted")
    assert said(desk) == []


def test_what_is_answered_is_answered_once_also_after_a_crash(desk: Desk) -> None:
    flagged = desk.world.submit(media_flag(PLATFORM, 1, items=items(1)))
    desk.world.submit(retract(flagged.id, by=PLATFORM))
    answer(desk, "settled")
    answer(desk, "settled")
    assert outcomes(desk) == ["settled"]


def test_an_erasure_is_proved_to_the_issuer_alone(either_desk: Desk) -> None:
    flagged = either_desk.world.submit(media_flag(PLATFORM, 1, items=items(1)))
    asked = either_desk.world.submit(erase(flagged.id, by=PLATFORM, reason="retention"))
    answer(either_desk, "nothing")
    (proof,) = said(either_desk)
    assert isinstance(proof, Erased)
    assert (proof.target, proof.cause) == (flagged.id, asked.id)
    assert proof.audience == (f"node:{PLATFORM}",)
    assert {"body", "media-hashes", "set-aside", "evidence", "index"} <= set(proof.places)
    is_sqlite = either_desk.world.store.dialect == "sqlite"
    assert ("write-ahead-log" in proof.places) is is_sqlite


def test_no_proof_is_given_while_somebody_still_reads_the_deleted_pages(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    flagged = desk.world.submit(media_flag(PLATFORM, 1, items=items(1)))
    desk.world.submit(erase(flagged.id, by=PLATFORM))
    answering = desk.new_answering("settled")
    with monkeypatch.context() as patch:
        patch.setattr(desk.world.store, "forget_deleted", lambda: False)
        assert answering.is_behind()
        assert not answering.step()
        assert said(desk) == []
    answer(desk, "settled")
    assert [type(one) for one in said(desk)] == [Remedied, Erased]


def test_a_flood_of_erasures_is_cleared_away_together(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleared: list[list[int]] = []
    whole = Catalogue.clear

    def clear(catalogue: Catalogue, places: list[int]) -> bool:
        cleared.append(places)
        return whole(catalogue, places)

    monkeypatch.setattr(Catalogue, "clear", clear)
    answering = desk.new_answering("nothing")
    flags = [
        desk.world.submit(media_flag(PLATFORM, number, items=items(1))) for number in range(1, 6)
    ]
    for number, flagged in enumerate(flags):
        desk.world.submit(erase(flagged.id, by=PLATFORM))
        assert answering.is_behind()
        assert answering.step() is (number == 0)
    desk.world.clock.tick(15)
    assert answering.step()
    assert cleared == [[flags[0].index], [one.index for one in flags[1:]]]
    assert len(said(desk)) == len(flags)


def test_what_is_erased_is_no_more_in_the_files_of_the_index(desk: Desk, tmp_path: Path) -> None:
    # More than are only scanned: so there are files.
    engine = PdqEngine(tmp_path / "index", small_rows=0)
    catalogue = Catalogue(desk.world.store, engine, origin=desk.world.log.origin)
    kept, gone = (
        desk.world.submit(media_flag(PLATFORM, number, items=(picture(pdq_at(number)),)))
        for number in (1, 2)
    )
    catalogue.refresh()
    assert engine.flush()
    traces = [bytes.fromhex(pdq_at(number)) for number in (1, 2)]
    desk.world.submit(erase(gone.id, by=PLATFORM))
    assert catalogue.clear([gone.index])
    catalogue.close()
    del kept
    reopened = PdqEngine(tmp_path / "index", small_rows=0)
    _keys, pdqs = reopened.entries()
    assert [bytes(one) for one in pdqs] == traces[:1]
    reopened.close()


def test_tasks_that_never_stop_changing_are_left_open(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    statement = flag_and_block(desk)
    desk.world.submit(retract(statement, by=PLATFORM))
    counts = iter(range(100))
    monkeypatch.setattr("node.services.remedies._others", lambda *_: next(counts) % 2)
    with pytest.raises(ConflictError, match="keep changing"):
        desk.remedies.done(1, PLATFORM_PROGRAM)
    assert len(desk.remedies.open()) == 1
    assert outcomes(desk) == []
