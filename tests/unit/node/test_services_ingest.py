"""The one way in: all or nothing, once and only once, and only what is addressed to this node."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from federation.trust import verify_statement
from node.services.directory import StoredDirectory
from node.storage.peers import SetAsideRecord
from protocol.encoding import format_time
from protocol.envelope import parse_envelope
from protocol.errors import (
    BadSignatureError,
    InvalidError,
    MalformedError,
    NotAllowedError,
    RevokedError,
    UnavailableError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.messages import Receipt
from protocol.statements import Statement
from simulator import DAY_S, NOW, account_ban, accredit, media_flag
from worlds import (
    ANNA,
    HOTLINE,
    PLATFORM,
    World,
    circle_descriptor,
    contents,
    dispute,
    erase,
    feedback,
    items,
    open_world,
    resolve,
    retract,
)

STRANGER = "stranger.example"


class CrashError(Exception):
    """The process dies here."""


def flagged(world: World) -> str:
    return world.submit(media_flag(ANNA, items=items(2))).id


def disputed_resolve(world: World) -> Statement:
    target = flagged(world)
    with world.store.write() as transaction:
        found = transaction.statements.by_id(target)
        assert found is not None
        transaction.journal.count_match(found.log_index, 0, "block", at=NOW)
    return resolve(target, world.submit(dispute(target)).id, "upheld")


KINDS: dict[str, Callable[[World], Statement]] = {
    "media-flag": lambda _world: media_flag(ANNA, items=items(2)),
    "account-ban": lambda _world: account_ban(ANNA),
    "retract": lambda world: retract(flagged(world), by=ANNA, items=(1,)),
    "erase": lambda world: erase(flagged(world), by=ANNA),
    "dispute": lambda world: dispute(flagged(world)),
    "resolve": disputed_resolve,
    "feedback": lambda world: feedback(flagged(world)),
    "accredit": lambda _world: accredit(f"{HOTLINE}/bert"),
    "circle-descriptor": lambda _world: circle_descriptor(),
}
"""A statement of each kind, with what it points at taken in before."""

every_kind = pytest.mark.parametrize("kind", KINDS)


@contextmanager
def crash_before(world: World, statement_number: int) -> Iterator[None]:
    """Lets the process die before the given SQL statement, counted from 0."""
    done = 0

    def count(*_arguments: object) -> None:
        nonlocal done
        if done == statement_number:
            raise CrashError
        done += 1

    event.listen(world.store._engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(world.store._engine, "before_cursor_execute", count)


@every_kind
def test_every_kind_of_statement_gets_the_next_place_and_keeps_its_bytes(
    world: World, kind: str
) -> None:
    statement = KINDS[kind](world)
    envelope = world.sign(statement)
    size = world.log.size()
    receipt = world.ingest.submit(envelope, caller=statement.issuer)
    assert (receipt.index, receipt.duplicate) == (size, False)
    assert world.log.size() == size + 1
    with world.store.read() as transaction:
        found = transaction.statements.by_id(receipt.id)
        assert found is not None
        assert (found.kind, found.log_index, found.state) == (kind, size, "active")
        assert transaction.statements.entries(size, 1) == [receipt.id]
        assert transaction.statements.envelopes([size]) == {size: envelope}


@every_kind
def test_the_same_envelope_again_gives_the_same_receipt_and_changes_nothing(
    world: World, kind: str
) -> None:
    statement = KINDS[kind](world)
    envelope = world.sign(statement)
    first = world.ingest.submit(envelope, caller=statement.issuer)
    before = world.contents()
    again = world.ingest.submit(envelope, caller=statement.issuer)
    assert again == Receipt(id=first.id, index=first.index, duplicate=True)
    assert world.contents() == before


@every_kind
def test_a_crash_at_any_point_leaves_all_of_a_statement_or_nothing(world: World, kind: str) -> None:
    statement = KINDS[kind](world)
    envelope = world.sign(statement)
    before, note = world.contents(), world.log.checkpoint()
    crashes = 0
    while True:
        try:
            with crash_before(world, crashes):
                world.ingest.submit(envelope, caller=statement.issuer)
            break
        except CrashError:
            crashes += 1
        if world.contents() != before:
            break  # it was kept, though its issuer was not told
        assert world.log.checkpoint() == note
    assert crashes >= 6
    after = world.contents()
    assert world.ingest.submit(envelope, caller=statement.issuer).duplicate
    assert world.contents() == after
    assert len(after["statement"]) == len(before["statement"]) + 1
    assert world.log.size() == len(after["statement"])


def test_a_statement_signed_more_than_a_day_ago_is_to_be_signed_anew(world: World) -> None:
    fresh, stale = (
        media_flag(HOTLINE, issued=format_time(NOW - DAY_S - late), nonce=nonce)
        for late, nonce in ((0, "A" * 22), (1, "B" * 21 + "A"))
    )
    assert not world.submit(fresh).duplicate
    with pytest.raises(InvalidError, match="sign it anew"):
        world.submit(stale)


def test_the_same_envelope_gives_the_same_receipt_after_its_key_was_revoked(world: World) -> None:
    envelope = world.sign(media_flag(ANNA))
    first = world.ingest.submit(envelope, caller=ANNA)
    world.submit(accredit(ANNA, issued=format_time(NOW + 1), status="revoked"))
    again = world.ingest.submit(envelope, caller=ANNA)
    assert again == Receipt(id=first.id, index=first.index, duplicate=True)
    with pytest.raises(NotAllowedError, match="issuer"):
        world.ingest.submit(world.sign(media_flag(HOTLINE)), caller=ANNA)


@pytest.mark.parametrize("persisted", [False, True], ids=["not persisted", "but persisted"])
def test_after_a_commit_that_failed_the_issuer_may_simply_ask_again(
    world: World, monkeypatch: pytest.MonkeyPatch, *, persisted: bool
) -> None:
    told: list[bool] = []
    world.ingest.subscribe(told.append)
    envelope = world.sign(media_flag(ANNA))
    dialect = world.store._engine.dialect
    commit = dialect.do_commit

    def fail(connection: object) -> None:
        if persisted:
            commit(connection)  # type: ignore[arg-type]  # as the driver gave it
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_commit", fail)
        with pytest.raises(CrashError):
            world.ingest.submit(envelope, caller=ANNA)
    assert told == []
    size = world.log.size()
    receipt = world.ingest.submit(envelope, caller=ANNA)
    assert receipt.duplicate is persisted
    assert world.log.size() == receipt.index + 1 == (size if persisted else size + 1)


def test_a_database_that_is_gone_is_unavailability_and_no_receipt(world: World) -> None:
    def fail(*_arguments: object) -> None:
        cause = sqlite3.OperationalError("secret")
        cause.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise OperationalError("INSERT secret", None, cause)

    before = world.contents()
    event.listen(world.store._engine, "commit", fail)
    with pytest.raises(UnavailableError, match=r"^The database does not answer\.$"):
        world.submit(media_flag(ANNA))
    event.remove(world.store._engine, "commit", fail)
    assert world.contents() == before


def test_subscribers_are_told_once_after_the_commit(world: World) -> None:
    seen: list[tuple[bool, int]] = []
    world.ingest.subscribe(lambda synced: seen.append((synced, world.log.size())))
    envelope = world.sign(media_flag(ANNA))
    size = world.log.size()
    world.ingest.submit(envelope, caller=ANNA)
    assert seen == [(False, size + 1)]
    world.ingest.submit(envelope, caller=ANNA)
    with pytest.raises(NotAllowedError):
        world.ingest.submit(world.sign(media_flag(ANNA, 1)), caller=PLATFORM)
    assert len(seen) == 1


def test_an_erased_body_is_gone_from_the_files_when_the_receipt_is_given(
    tmp_path: Path, migrated_sqlite: Path
) -> None:
    path = tmp_path / "erased.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    with open_world(f"sqlite:///{path}") as world:
        envelope = world.sign(media_flag(ANNA, items=items(2)))
        receipt = world.ingest.submit(envelope, caller=ANNA)
        world.submit(erase(receipt.id, by=ANNA))
        left = b"".join(one.read_bytes() for one in tmp_path.glob("erased.db*"))
        assert envelope[400:440] not in left
        assert bytes.fromhex(items(1)[0].pdq or "") not in left
        assert bytes.fromhex(receipt.id) in left


def test_a_statement_is_submitted_by_its_own_issuer(world: World) -> None:
    before = world.contents()
    for caller in (HOTLINE, PLATFORM, f"{HOTLINE}/bert", ""):
        with pytest.raises(NotAllowedError, match="by its own issuer"):
            world.ingest.submit(world.sign(media_flag(ANNA)), caller=caller)
    assert world.contents() == before


def broken(envelope: bytes) -> bytes:
    """The same statement with one bit of its signature flipped."""
    head, mark, tail = envelope.rpartition(b'"sig":"')
    return head + mark + (b"B" if tail[:1] == b"A" else b"A") + tail[1:]


def test_what_nobody_vouches_for_leaves_nothing(world: World) -> None:
    before = world.contents()
    unknown = "ab" * 32
    refused: list[tuple[bytes, str, type[Exception]]] = [
        (b"", ANNA, MalformedError),
        (b"{}", ANNA, MalformedError),
        (broken(world.sign(media_flag(ANNA))), ANNA, BadSignatureError),
        (world.sign(media_flag(STRANGER)), STRANGER, UnknownKeyError),
        (world.sign(media_flag(f"{PLATFORM}/eve")), f"{PLATFORM}/eve", UnknownKeyError),
        (world.sign(retract(unknown, by=ANNA)), ANNA, UnknownTargetError),
        (world.sign(accredit(f"{STRANGER}/eve", issuer=HOTLINE)), HOTLINE, RevokedError),
    ]
    for envelope, caller, error in refused:
        with pytest.raises(error):
            world.ingest.submit(envelope, caller=caller)
    assert world.contents() == before


def test_a_frozen_node_adds_nothing_and_what_it_said_before_stays(world: World) -> None:
    receipt = world.submit(media_flag(PLATFORM))
    with world.store.write() as transaction:
        transaction.peers.set_state(PLATFORM, "frozen")
    with pytest.raises(RevokedError, match="frozen"):
        world.submit(media_flag(PLATFORM, 1))
    with world.store.read() as transaction:
        found = transaction.statements.by_id(receipt.id)
    assert found is not None
    assert found.state == "active"


# when it ends


@pytest.mark.parametrize(
    "statement",
    [
        media_flag(ANNA, review_by=format_time(NOW + DAY_S // 2)),
        account_ban(ANNA, expires=format_time(NOW + DAY_S // 2)),
    ],
    ids=["media-flag", "account-ban"],
)
def test_a_statement_is_refused_from_its_last_second_on(world: World, statement: Statement) -> None:
    before = world.contents()
    world.clock.tick(DAY_S // 2)
    with pytest.raises(InvalidError, match="has ended already"):
        world.submit(statement)
    assert world.contents() == before
    world.clock.tick(-1)
    receipt = world.submit(statement)
    world.clock.tick(1)
    assert world.submit(statement) == Receipt(id=receipt.id, index=receipt.index, duplicate=True)


# from a sync


def test_one_bad_statement_of_a_batch_leaves_the_good_ones(world: World) -> None:
    good = [world.sign(media_flag(PLATFORM, number)) for number in (1, 2)]
    ended = world.sign(media_flag(PLATFORM, 3, review_by=format_time(NOW + 1)))
    world.clock.tick(1)
    accepted = []
    with world.store.write() as transaction:
        for envelope in (good[0], ended, good[1]):
            trusted = verify_statement(
                envelope, StoredDirectory(transaction), now=int(world.clock())
            )
            try:
                accepted.append(
                    world.ingest.accept(
                        transaction, trusted, source=PLATFORM, now=int(world.clock())
                    )
                )
            except InvalidError:
                continue
    assert [one.is_new for one in accepted] == [True, True]
    size = world.log.size()
    assert [one.log_index for one in accepted] == [size - 2, size - 1]
    rows = contents(world.url)
    assert len(rows["statement"]) == len(rows["envelope"]) == size


def test_a_statement_that_was_set_aside_is_so_no_more_once_it_is_accepted(world: World) -> None:
    envelope = world.sign(media_flag(PLATFORM))
    aside = SetAsideRecord(
        parse_envelope(envelope).statement_id,
        PLATFORM,
        "why",
        retry=True,
        seen=1,
        envelope=envelope,
    )
    with world.store.write() as transaction:
        transaction.peers.set_aside(aside)
    world.ingest.submit(envelope, caller=PLATFORM)
    assert contents(world.url)["set_aside"] == []
