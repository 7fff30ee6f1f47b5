"""Audit, matches, feedback and remedies."""

from node.storage.engine import Store
from node.storage.journal import AuditEntry, FeedbackTotals
from node.storage.sql import join_list, split_list, split_numbers


def test_the_audit_is_exported_in_order_from_any_line_on(store: Store) -> None:
    with store.write() as transaction:
        for at in range(5):
            transaction.journal.audit("anna", f"act-{at}", at=at, subject=None, detail=None)
        transaction.journal.audit("bert", "act-5", at=5, subject="statement", detail="why")
        lines = transaction.journal.audit_after(0, limit=100)
        assert [one.action for one in lines] == [f"act-{at}" for at in range(6)]
        assert sorted({one.number for one in lines}) == [one.number for one in lines]
        assert lines[-1] == AuditEntry(lines[-1].number, 5, "bert", "act-5", "statement", "why")
        assert transaction.journal.audit_after(lines[3].number, limit=1) == [lines[4]]
        assert transaction.journal.audit_after(lines[-1].number, limit=9) == []


def test_matches_are_counted_by_item_and_decision(store: Store) -> None:
    with store.write() as transaction:
        journal = transaction.journal
        for item, decision in [(0, "review"), (0, "review"), (1, "block"), (2, "note")]:
            journal.count_match(7, item, decision, at=1)
        assert journal.matches(7) == 4
        assert journal.matches(8) == 0
        assert journal.acted_on(7, ("block", "review")) == {0, 1}
        assert journal.acted_on(7, ("hold",)) == set()
        assert journal.acted_on(8, ("block",)) == set()


def test_a_later_report_of_a_day_replaces_the_earlier_one(store: Store) -> None:
    with store.write() as transaction:
        journal = transaction.journal
        assert journal.feedback(7) == FeedbackTotals(0, 0, 0)
        journal.put_feedback(7, "a.example", "2026-11-21", [(0, 1, 2, 3), (1, 10**9, 0, 0)])
        journal.put_feedback(7, "a.example", "2026-11-21", [(0, 4, 0, 0)])
        assert journal.feedback(7) == FeedbackTotals(10**9 + 4, 0, 0)
        journal.put_feedback(7, "a.example", "2026-11-22", [(0, 1, 1, 1)])
        journal.put_feedback(7, "b.example", "2026-11-21", [(1, 10**9, 1, 1)])
        assert journal.feedback(7) == FeedbackTotals(2 * 10**9 + 5, 2, 2)


def test_a_remedy_waits_until_it_is_done_once(store: Store) -> None:
    with store.write() as transaction:
        journal = transaction.journal
        journal.add_remedy(7, [0, 12], "wrong", at=100)
        journal.add_remedy(8, [], "dispute upheld", at=101)
        first, second = journal.remedies(open_only=True, limit=10)
        assert (first.log_index, first.items, first.reason, first.since) == (
            7,
            (0, 12),
            "wrong",
            100,
        )
        assert (second.items, second.done, second.done_by) == ((), None, None)
        assert journal.finish_remedy(first.number, by="app", at=200)
        assert not journal.finish_remedy(first.number, by="app", at=201)
        assert not journal.finish_remedy(999, by="app", at=201)
        assert journal.remedies(open_only=True, limit=10) == [second]
        done = journal.remedies(open_only=False, limit=10)[0]
        assert (done.done, done.done_by) == (200, "app")
        assert len(journal.remedies(open_only=False, limit=1)) == 1


def test_a_list_in_a_column_comes_back_as_it_was() -> None:
    for names in ((), ("peers",), ("node:a.example", "circle:hotline.example/minors-1")):
        assert split_list(join_list(names)) == names
    for numbers in ((), (0,), (0, 12, 999)):
        assert split_numbers(join_list(numbers)) == numbers
