"""The audit loses no line while the database comes and goes, and is whole when the node stops."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from desks import PLATFORM_PROGRAM, Desk
from node.services import audit as module
from node.services.audit import Audit
from node.storage.engine import Store
from node.storage.journal import JournalRepository
from node.storage.transaction import Transaction
from protocol.errors import UnavailableError
from signing.keys import KeyUse
from simulator import NOW, make_key, media_flag
from waiting import WITHIN_S
from worlds import ANNA, CIRCLE, HOTLINE, PLATFORM, items


class Flickering:
    """A store whose writes fail so often, and then succeed."""

    def __init__(self, store: Store, failures: int) -> None:
        self._store = store
        self.failures = failures
        self.written = threading.Event()

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("The database does not answer.")
        with self._store.write() as transaction:
            yield transaction
        self.written.set()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._store.read() as transaction:
            yield transaction


def flickering(desk: Desk, failures: int) -> tuple[Audit, Flickering]:
    store = Flickering(desk.world.store, failures)
    return Audit(store, clock=desk.clock), store  # type: ignore[arg-type]  # a Store but for its moods


def details(desk: Desk) -> list[str | None]:
    with desk.world.store.read() as transaction:
        return [one.detail for one in transaction.journal.audit_after(0, limit=10_000)]


def test_an_act_is_written_at_once_and_a_look_up_when_it_is_asked_for(either_desk: Desk) -> None:
    audit = either_desk.audit
    audit.note("program", "media.match", subject="public", detail="gathered")
    audit.record("operator", "peer.add", subject="platform.example", detail="at once")
    assert details(either_desk) == ["at once"]
    (act, look) = audit.export()
    assert (act.number < look.number, look.at) == (True, NOW)
    assert (look.actor, look.action, look.subject, look.detail) == (
        "program",
        "media.match",
        "public",
        "gathered",
    )


ACTS: dict[str, Callable[[Desk, str], object]] = {
    "flag": lambda desk, _: desk.flags.flag_media(
        items(1),
        category="csam.act.prepub",
        reviewers=1,
        purpose="detection",
        legal_basis="DSA-16",
        review_days=1,
        issuer_code=None,
        flags=(),
        surfaces=(),
        jurisdictions=(),
        audience=("peers",),
        client=PLATFORM_PROGRAM,
    ),
    "retract": lambda desk, target: desk.flags.retract(
        target, items=[], reason="wrong", client=PLATFORM_PROGRAM
    ),
    "ban": lambda desk, _: desk.accounts.ban(
        [("email", "offender@example.com")],
        category="account.grooming",
        reviewers=1,
        scope="account",
        purpose="detection",
        legal_basis="GDPR-6-1-f",
        expires_days=1,
        audience=None,
        client=PLATFORM_PROGRAM,
    ),
    "vouch": lambda desk, _: desk.flaggers.add(
        make_key(KeyUse.FLAGGER, "ben").public.to_text(), f"{HOTLINE}/ben", ["*"], 1
    ),
    "revoke": lambda desk, _: desk.flaggers.set_status(ANNA, "revoked"),
    "found": lambda desk, _: desk.circles.create("ring-1", {}, 1),
    "join": lambda desk, _: desk.circles.join(CIRCLE),
    "pin": lambda desk, _: desk.peers.freeze(PLATFORM),
    "key": lambda desk, _: desk.clients.create("one", ["match"]),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
def test_what_cannot_be_audited_is_not_done(
    desk: Desk, act: Callable[[Desk, str], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.join_circle()
    target = desk.world.submit(media_flag(ANNA, 7)).id
    before = desk.world.contents()

    def fail(*_: object, **__: object) -> None:
        raise UnavailableError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(JournalRepository, "audit", fail)
        with pytest.raises(UnavailableError, match="disk is full"):
            act(desk, target)
    assert desk.world.contents() == before


def test_the_audit_is_read_on_behind_the_last_line_that_was_read(desk: Desk) -> None:
    for number in range(5):
        desk.audit.record("a", "b", detail=str(number))
    first = desk.audit.export(limit=2)
    rest = desk.audit.export(first[-1].number, limit=10)
    assert [one.detail for one in (*first, *rest)] == ["0", "1", "2", "3", "4"]
    assert desk.audit.export(rest[-1].number) == []


def test_the_time_of_a_line_is_that_of_the_act_and_not_of_the_writing(desk: Desk) -> None:
    desk.audit.note("a", "b")
    desk.world.clock.tick(100)
    assert [one.at for one in desk.audit.export()] == [NOW]


def test_what_is_gathered_is_written_when_the_node_stops(desk: Desk) -> None:
    audit = Audit(desk.world.store, clock=desk.clock)
    audit.start()
    audit.note("a", "b", detail="last")
    audit.close()
    assert details(desk) == ["last"]


def test_what_is_gathered_is_written_when_a_node_stops_that_never_started(desk: Desk) -> None:
    desk.audit.note("a", "b", detail="last")
    desk.audit.close()
    assert details(desk) == ["last"]


def test_lines_are_written_without_anybody_asking(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FLUSH_EVERY_S", 60)
    monkeypatch.setattr(module, "_FLUSH_AT", 3)
    audit, store = flickering(desk, 0)
    audit.start()
    try:
        for number in range(3):
            audit.note("a", "b", detail=str(number))
        assert store.written.wait(WITHIN_S)
        assert details(desk) == ["0", "1", "2"]
    finally:
        audit.close()


def test_lines_that_could_not_be_written_are_written_later_in_their_order(desk: Desk) -> None:
    audit, _store = flickering(desk, 1)
    audit.note("a", "b", detail="1")
    with pytest.raises(UnavailableError):
        audit.flush()
    audit.note("a", "b", detail="2")
    audit.flush()
    assert details(desk) == ["1", "2"]


def test_the_writer_outlives_a_database_that_does_not_answer(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FLUSH_EVERY_S", 0.01)
    audit, store = flickering(desk, 3)
    audit.start()
    try:
        audit.note("a", "b", detail="kept")
        assert store.written.wait(WITHIN_S)
        assert details(desk) == ["kept"]
    finally:
        audit.close()


def test_while_nothing_can_be_written_no_more_than_a_bound_is_gathered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_WAITING", 5)
    audit, _store = flickering(desk, 1)
    for number in range(9):
        audit.note("a", "b", detail=str(number))
    with pytest.raises(UnavailableError):
        audit.flush()
    audit.flush()
    assert details(desk) == ["0", "1", "2", "3", "4", "4 lines were lost"]
