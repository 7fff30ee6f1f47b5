"""A node that agrees with itself, and one thing after another in its database that does not."""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from films import film
from node.services.fsck import Check, Finding, Fsck
from node.services.fsck_log import LogCheck
from node.services.fsck_mirrors import MirrorsCheck
from node.services.fsck_statements import StatementsCheck
from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.witnesses import NoteRecord
from protocol.checkpoint import Checkpoint
from protocol.encoding import format_time
from protocol.merkle import Frontier
from protocol.messages import EntriesRequest
from protocol.statements import Avatar, Revocation
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import NOW, account_ban, accredit, make_key, media_flag
from worlds import (
    ANNA,
    HOTLINE,
    PDQ,
    World,
    append_entries,
    dispute,
    erase,
    items,
    open_world,
    resolve,
    retract,
)

GUARDS = "SELECT 'DROP TRIGGER ' || name FROM sqlite_master WHERE type = 'trigger'"
"""What keeps programs from changing what was said; a thief of the file has no such scruples."""


def checks_of(world: World) -> Fsck:
    log = LogCheck(world.store, origin=world.log.origin)
    statements = StatementsCheck(world.store, origin=world.log.origin)
    return Fsck({"log": Check(log.look, log.mend), "statements": Check(statements.look)})


def wrong(world: World) -> dict[str, str]:
    return {one.check: one.sentence for one in checks_of(world).run() if not one.ok}


def damage(world: World, *commands: str, **values: object) -> None:
    with world.store.write() as transaction:
        connection = transaction._connection
        for row in connection.execute(text(GUARDS)).fetchall():
            connection.execute(text(row[0]))
        for command in commands:
            connection.execute(text(command), values)


def fill(world: World) -> None:
    """Makes a log with every kind of thing that fsck looks at.

    Entry 0 accredits Anna, 1 and 2 are flags, 3 a film, 4 and 5 bans, 6 takes one item of 1 back,
    7 all of 2, 8 erases 5, 9 and 10 dispute 3 and give in, 11 disputes 1 in vain, 12 says so.
    """
    flags = [world.submit(media_flag(ANNA, number, items=items(3))) for number in (101, 102)]
    filmed = world.submit(media_flag(ANNA, 103, items=(*items(1), film(range(3)))))
    avatar = Avatar(pdq=PDQ, quality=90)
    world.submit(account_ban(HOTLINE, 104, avatar=avatar))
    banned = world.submit(account_ban(HOTLINE, 105))
    world.submit(retract(flags[0].id, by=ANNA, items=(1,)))
    world.submit(retract(flags[1].id, by=ANNA))
    world.submit(erase(banned.id))
    for target, outcome, disputed in ((filmed, "upheld", (1,)), (flags[0], "rejected", ())):
        said = world.submit(dispute(target.id, items=disputed, by=HOTLINE))
        world.submit(resolve(target.id, said.id, outcome, by=HOTLINE))


@pytest.fixture(scope="module")
def filled(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with all of that, to be copied."""
    path = tmp_path_factory.mktemp("fsck") / "node.db"
    shutil.copy(migrated_sqlite, path)
    with open_world(f"sqlite:///{path}") as world:
        fill(world)
    return path


@pytest.fixture
def full(filled: Path, tmp_path: Path) -> Iterator[World]:
    """The node over a copy of it, to be damaged."""
    shutil.copy(filled, tmp_path / "node.db")
    url = f"sqlite:///{tmp_path / 'node.db'}"
    store = Store(url)
    yield World(HOTLINE, url, store)
    store.close()


def test_a_node_that_was_left_alone_agrees_with_itself(world: World) -> None:
    assert wrong(world) == {}
    fill(world)
    found = checks_of(world).run()
    assert [one.check for one in found] == [
        "entries", "tiles", "checkpoints", "bodies", "signatures", "statements", "items", "accounts", "withdrawn",
    ]  # fmt: skip
    assert all(one.ok for one in found), found
    assert not any("no key is known" in one.sentence for one in found)


DAMAGES: list[tuple[str, str | Sequence[str], str, str]] = [
    (
        "an id that was changed",
        "UPDATE statement SET id = :noise WHERE log_index = 2",
        "entries",
        "another root than its entries",
    ),
    (
        "the same, seen by the body",
        "UPDATE statement SET id = :noise WHERE log_index = 2",
        "bodies",
        r"1 bodies are not what their ids say \(first: entry 2\)",
    ),
    ("an entry that has gone", "DELETE FROM statement WHERE log_index = 3", "entries", "Entry 3"),
    (
        "the last entry that has gone",
        "DELETE FROM statement WHERE log_index = 12",
        "entries",
        "Entry 12 of the log is missing",
    ),
    (
        "rows of no entry",
        "DELETE FROM statement WHERE log_index = 3",
        "bodies",
        r"1 rows belong to no entry",
    ),
    (
        "rows beyond the log",
        "UPDATE avatar SET log_index = 99",
        "bodies",
        r"1 rows belong to no entry",
    ),
    (
        "a frontier that was put back",
        "UPDATE log SET size = size - 1",
        "entries",
        "another root than its entries",
    ),
    (
        "a body that has gone",
        "DELETE FROM envelope WHERE log_index = 1",
        "bodies",
        r"1 statements have lost their body \(first: entry 1\)",
    ),
    (
        "a body of another statement",
        "UPDATE envelope SET body = (SELECT body FROM envelope WHERE log_index = 1) WHERE log_index = 2",
        "bodies",
        r"1 bodies are not what their ids say \(first: entry 2\)",
    ),
    (
        "a body of nothing",
        "UPDATE envelope SET body = :noise WHERE log_index = 4",
        "bodies",
        "1 bodies are not what their ids say",
    ),
    (
        "a body that was to be erased",
        "INSERT INTO envelope SELECT 5, body FROM envelope WHERE log_index = 4",
        "bodies",
        "still have a body, or hashes of it",
    ),
    (
        "a fingerprint that was to be erased",
        "UPDATE fingerprint SET log_index = 5 WHERE log_index = 4",
        "bodies",
        "1 erased or expired statements still have",
    ),
    (
        "another key",
        "UPDATE statement SET keyid = (SELECT keyid FROM statement WHERE log_index = 4) WHERE log_index = 1",
        "signatures",
        r"1 bodies are not signed as they should be \(first: entry 1\)",
    ),
    (
        "another issuer",
        "UPDATE statement SET issuer = 'platform.example' WHERE log_index = 4",
        "statements",
        "1 statements are described otherwise",
    ),
    ("another category", "UPDATE statement SET category = 'ncii.adult' WHERE log_index = 1",
     "statements", "1 statements are described otherwise"),
    ("another end", "UPDATE statement SET ends = ends + 1 WHERE log_index IN (1, 4)",
     "statements", "2 statements are described otherwise"),
    ("another target", "UPDATE statement SET target_index = 3 WHERE log_index = 7",
     "statements", "1 statements are described otherwise"),
    ("no target", "UPDATE statement SET target_index = NULL WHERE log_index = 7",
     "statements", "1 statements are described otherwise"),
    ("another number of items", "UPDATE statement SET items = 4 WHERE log_index = 1",
     "statements", "1 statements are described otherwise"),
    ("another pdq", "UPDATE media_hash SET value = :noise WHERE log_index = 1 AND slot = 0",
     "items", r"1 statements have other media hashes than they say \(first: entry 1\)"),
    ("another digest", "UPDATE media_hash SET value = :noise WHERE log_index = 1 AND slot = 1",
     "items", "1 statements have other media hashes"),
    ("a media hash that has gone", "DELETE FROM media_hash WHERE log_index = 3 AND slot = 5",
     "items", "1 statements have other media hashes"),
    ("a media hash too many",
     "INSERT INTO media_hash SELECT 4, slot, item, kind, value, active, at_ms FROM media_hash WHERE log_index = 1",
     "items", "1 statements have other media hashes"),
    ("another time of a frame", "UPDATE media_hash SET at_ms = 7 WHERE kind = 'frame' AND slot = 5",
     "items", "1 statements have other media hashes"),
    ("another fingerprint", "UPDATE fingerprint SET value = :noise",
     "accounts", r"1 bans have other fingerprints or avatars \S+ they say \(first: entry 4\)"),
    ("another epoch", "UPDATE fingerprint SET epoch = 2", "accounts", "1 bans have other"),
    ("another avatar", "UPDATE avatar SET pdq = :noise", "accounts", "1 bans have other"),
    ("an avatar that has gone", "DELETE FROM avatar", "accounts", "1 bans have other"),
    ("what was withdrawn matches", "UPDATE media_hash SET active = true WHERE log_index = 1",
     "withdrawn", r"1 statements match though they were withdrawn.*\(first: entry 1\)"),
    ("what was not withdrawn does not match",
     "UPDATE media_hash SET active = false WHERE log_index = 1",
     "withdrawn", "1 statements match though"),
    ("what was disputed matches", "UPDATE media_hash SET active = true WHERE log_index = 3",
     "withdrawn", "1 statements match though"),
    ("a state that was put back", "UPDATE statement SET state = 'active' WHERE log_index = 2",
     "withdrawn", "1 statements match though"),
    ("a ban that was set aside", "UPDATE statement SET state = 'retracted' WHERE log_index = 4",
     "withdrawn", "1 statements match though"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "check", "sentence"), [one[1:] for one in DAMAGES], ids=[one[0] for one in DAMAGES]
)
def test_each_damage_is_named(full: World, command: str, check: str, sentence: str) -> None:
    damage(full, command, noise=b"\x5a" * 32)
    found = wrong(full)
    assert check in found
    assert pytest.raises(AssertionError, match=sentence).matches(AssertionError(found[check]))


def test_a_signature_of_somebody_else_is_named(full: World) -> None:
    # Under the right id, which does not cover the signatures, and naming Anna's key.
    statement = media_flag(ANNA, 101, items=items(3))
    right = make_key(KeyUse.FLAGGER, ANNA)
    forged = sign_statement(statement, make_key(KeyUse.FLAGGER, "hotline.example/ben"))
    body = forged.replace(make_key(KeyUse.FLAGGER, "hotline.example/ben").kid.encode(),
                          right.kid.encode())  # fmt: skip
    damage(full, "UPDATE envelope SET body = :body WHERE log_index = 1", body=body)
    assert wrong(full) == {
        "signatures": "1 bodies are not signed as they should be (first: entry 1)."
    }


def test_statements_of_keys_that_are_known_no_more_are_counted_not_blamed(full: World) -> None:
    damage(full, "DELETE FROM peer WHERE name = 'hotline.example'")
    found = {one.check: one for one in checks_of(full).run()}
    assert found["signatures"].ok
    assert "Of 7 no key is known" in found["signatures"].sentence


def test_the_tree_is_compared_and_made_anew(full: World) -> None:
    ids = [f"{at:064x}" for at in range(100, 20_100)]
    with full.store.write() as transaction:
        append_entries(transaction, full.log, ids)
    check = LogCheck(full.store, origin=full.log.origin)
    seen: list[tuple[int, int]] = []
    assert all(one.ok for one in check.look(lambda done, of: seen.append((done, of))))
    assert seen[-1] == (20_013, 20_013)
    assert len(seen) == 2
    right = full.contents()["log_tile"]
    damage(
        full,
        "UPDATE log_tile SET root = :noise WHERE number IN (0, 17)",
        "DELETE FROM log_tile WHERE number = 5",
        "INSERT INTO log_tile VALUES (0, 99, :noise), (3, 0, :noise)",
        noise=b"\x5a" * 32,
    )
    fsck = checks_of(full)
    _, tiles, _ = LogCheck(full.store, origin=full.log.origin).look(lambda _done, _of: None)
    assert tiles == Finding(
        "tiles",
        ok=False,
        sentence="The tree over the log differs from its entries in 5 hashes.",
        mendable=True,
    )
    mended = fsck.run(rebuild=True)
    assert [one.ok for one in mended[:2]] == [True, True]
    assert full.contents()["log_tile"] == right


def test_a_tree_is_not_made_over_entries_that_are_wrong(full: World) -> None:
    damage(full, "UPDATE statement SET id = :noise WHERE log_index = 2", noise=b"\x5a" * 32)
    (found,) = LogCheck(full.store, origin=full.log.origin).mend()
    assert (found.check, found.ok, found.mendable) == ("entries", False, False)


def note_of(world: World, entries: Sequence[str], size: int | None = None) -> bytes:
    root = Frontier.EMPTY.append(bytes.fromhex(one) for one in entries).root()
    checkpoint = Checkpoint(world.log.origin, size or len(entries), root)
    return sign_checkpoint(checkpoint, make_key(KeyUse.LOG, HOTLINE))


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (13, "Its witnesses were shown this log."),
        (14, "The log has lost entries that its witnesses have seen."),
        (12, "The log is another one than its witnesses have seen."),
        (0, "A checkpoint that was shown to witnesses is none any more."),
    ],
)
def test_the_log_is_compared_with_what_its_witnesses_have_seen(
    full: World, size: int, sentence: str
) -> None:
    entries = full.log.entries(EntriesRequest(start=0, limit=100)).entries
    note = note_of(full, entries, size) if size else b"a letter to my aunt"
    with full.store.write() as transaction:
        transaction.witnesses.put_own(NoteRecord(full.log.origin, size, note, 1), "published")
    found = {one.check: one for one in checks_of(full).run()}["checkpoints"]
    assert (found.ok, found.sentence) == (size == 13, sentence)


def test_what_is_kept_of_a_peers_log_is_compared_with_what_was_taken_over(full: World) -> None:
    ids = [f"{at:064x}" for at in range(600)]
    known = Frontier.EMPTY.append(bytes.fromhex(one) for one in ids)
    check = MirrorsCheck(full.store, origin=full.log.origin)

    def is_right() -> bool:
        (found,) = check.look(lambda _done, _of: None)
        return found.ok

    with full.store.write() as transaction:
        transaction.logs.put(LogRecord("old", known, None))
        transaction.logs.put(LogRecord("peer", known, None))
        transaction.mirrors.extend("peer", 0, ids)
    assert is_right()
    for command in (
        "UPDATE mirror SET ids = CAST(:noise || substr(ids, 33) AS BLOB) WHERE number = 1",
        "DELETE FROM mirror WHERE number = 1",
        "UPDATE mirror SET ids = substr(ids, 1, 64) WHERE number = 2",
        "UPDATE mirror SET ids = CAST(ids || :noise AS BLOB) WHERE number = 2",
    ):
        with full.store.read() as transaction:
            before = transaction._connection.execute(text("SELECT * FROM mirror")).fetchall()
        damage(full, command, noise=b"\x5a" * 32)
        assert not is_right(), command
        damage(full, "DELETE FROM mirror")
        for log, number, body in before:
            damage(
                full, "INSERT INTO mirror VALUES (:log, :number, :ids)",
                log=log, number=number, ids=body,
            )  # fmt: skip
        assert is_right()


def test_progress_is_told_by_check(full: World) -> None:
    told: list[tuple[str, int, int]] = []
    checks_of(full).run(progress=lambda *one: told.append(one))
    assert told == [("log", 13, 13), ("statements", 13, 13)]


def test_what_a_revoked_key_has_said_since_is_withdrawn_rightly(world: World) -> None:
    world.submit(media_flag(ANNA, 71, items=items(2)))
    mark = Revocation(at=format_time(NOW), log=world.log.origin, size=1, reason="compromised")
    later = format_time(NOW + 1)
    world.submit(accredit(ANNA, 72, issued=later, status="revoked", revoked=mark))
    assert wrong(world) == {}
