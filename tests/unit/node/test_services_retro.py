"""Uploads of yesterday: what is registered, what they turn out to match, and what becomes of it."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from desks import OPEN_POLICY, Desk, open_desk, pdq_at, picture
from node.matching.engine import PdqEngine
from node.matching.turned import FORMS, turned_pdqs
from node.matching.variant_names import FAMILIES, VariantName
from node.services.clients import Client
from node.services.fsck import UploadsCheck
from node.services.maintenance import Maintenance
from node.services.retro import Retro, RetroMatch
from node.services.upload_index import UploadIndex
from node.services.uploads import NewUpload, Registered, Uploads
from protocol.errors import NotFoundError
from simulator import NOW, media_flag
from worlds import ANNA, PDQ, erase, items, retract

PLATFORM = Client(1, "platform", frozenset({"uploads"}))
OTHER = Client(2, "other", frozenset({"uploads"}))
SHA256 = "9c" * 32
FAR = f"{int(PDQ, 16) ^ ((1 << 256) - 1):064x}"
DAY_S = 86_400


def upload(number: int, pdq: str | None = PDQ, **changes: object) -> NewUpload:
    values: dict[str, object] = {"id": f"u-{number}", "surface": "public", "pdq": pdq}
    values |= {} if pdq is None else {"quality": 90}
    return NewUpload(**(values | changes))  # type: ignore[arg-type]  # the test's own fields


@dataclass
class Shelf:
    """A desk with registered uploads.

    Attributes:
        indexes: of the uploads, one for each process that was begun.
    """

    desk: Desk
    directory: Path
    policy: str = OPEN_POLICY
    indexes: list[UploadIndex] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.desk.set_policy(self.policy)
        self.uploads = Uploads(self.desk.world.store, kept_days=30, clock=self.desk.clock)
        self.retro = self.new_retro()

    def new_retro(self) -> Retro:
        """That of another process, over the same folder."""
        self.indexes.append(UploadIndex(PdqEngine(self.directory, background=False)))
        return Retro(
            self.desk.world.store,
            self.indexes[-1],
            self.desk.new_lookups(),
            self.desk.policy,
            origin=self.desk.world.log.origin,
            clock=self.desk.clock,
        )

    def register(self, *uploads: NewUpload, client: Client = PLATFORM) -> Registered:
        return self.uploads.register(uploads, client=client)

    def run(self) -> None:
        while self.retro.is_behind():
            assert self.retro.step()

    def found(self, *, after: int = 0, client: Client = PLATFORM) -> list[RetroMatch]:
        return self.retro.matches(client, after=after, limit=100)

    def flag(self, number: int, *pdqs: str) -> str:
        flagged = tuple(picture(one) for one in pdqs) or items(1)
        return self.desk.world.submit(media_flag(ANNA, number, items=flagged)).id


@pytest.fixture
def shelf(desk: Desk, tmp_path: Path) -> Iterator[Shelf]:
    """Over SQLite."""
    shelf = Shelf(desk, tmp_path / "uploads")
    yield shelf
    for index in shelf.indexes:
        index.close()


@pytest.fixture
def either_shelf(either_desk: Desk, tmp_path: Path) -> Iterator[Shelf]:
    """Over SQLite and over PostgreSQL."""
    shelf = Shelf(either_desk, tmp_path / "uploads")
    yield shelf
    for index in shelf.indexes:
        index.close()


VARIED = OPEN_POLICY.replace(
    "max_distance = 31", 'max_distance = 31\nvariants = ["mirror", "rotation"]'
)
"""Asks for turned and mirrored uploads."""


def turned(name: VariantName) -> str:
    """The pdq of the flagged picture if this was done to it, but for roundings."""
    return dict(turned_pdqs(bytes.fromhex(PDQ), FAMILIES))[name].hex()


def told(matches: Sequence[RetroMatch]) -> list[tuple[str, str, int, str]]:
    return [(one.upload, one.kind, one.distance, one.decision) for one in matches]


def test_a_turned_upload_is_met_whichever_came_first(either_shelf: Shelf) -> None:
    shelf = either_shelf
    shelf.desk.set_policy(VARIED)
    shelf.desk.world.clock.tick(2)
    names: tuple[VariantName, ...] = (*FORMS,)
    shelf.register(*(upload(at, turned(name)) for at, name in enumerate(names)))
    shelf.run()
    shelf.flag(1, PDQ)
    shelf.run()
    shelf.register(*(upload(10 + at, turned(name)) for at, name in enumerate(names)))
    shelf.run()
    wanted = [*range(len(names)), *(10 + at for at in range(len(names)))]
    assert sorted(told(shelf.found())) == sorted((f"u-{at}", "pdq", 0, "block") for at in wanted)


def test_a_turned_upload_is_left_alone_where_no_rule_asks_for_it(shelf: Shelf) -> None:
    shelf.register(upload(1, turned("mirrored")))
    shelf.run()
    shelf.flag(1, PDQ)
    shelf.register(upload(2, turned("mirrored")))
    shelf.run()
    assert shelf.found() == []


def test_what_is_flagged_later_is_found_among_uploads(either_shelf: Shelf) -> None:
    shelf = either_shelf
    shelf.register(upload(1, pdq_at(7)), upload(2, FAR), upload(3, None, sha256=SHA256))
    shelf.run()
    assert shelf.found() == []
    flagged = (picture(), picture(FAR[::-1], sha256=SHA256))
    statement = shelf.desk.world.submit(media_flag(ANNA, 1, items=flagged)).id
    shelf.run()
    near, exact = shelf.found()
    assert told([near]) == [("u-1", "pdq", 7, "block")]
    assert told([exact]) == [("u-3", "sha256", 0, "block")]
    assert (near.statement, near.item, exact.item) == (statement, 0, 1)
    assert (near.rule, near.state) == ("block-media", "open")


def test_a_new_upload_is_compared_with_what_is_flagged_already(shelf: Shelf) -> None:
    shelf.flag(1, PDQ)
    shelf.register(upload(1))
    shelf.run()
    assert told(shelf.found()) == [("u-1", "pdq", 0, "block")]


def test_each_client_sees_its_own_uploads_only(shelf: Shelf) -> None:
    shelf.register(upload(1))
    shelf.register(upload(1), client=OTHER)
    shelf.flag(1, PDQ)
    shelf.run()
    (mine,), (theirs,) = shelf.found(), shelf.found(client=OTHER)
    with pytest.raises(NotFoundError, match="No match of this number"):
        shelf.retro.done(theirs.id, client=PLATFORM)
    assert mine.id != theirs.id
    assert shelf.uploads.delete(["u-1"], client=OTHER) == 1
    assert (len(shelf.found()), shelf.found(client=OTHER)) == (1, [])


def test_the_same_upload_again_changes_nothing_and_another_takes_its_place(shelf: Shelf) -> None:
    assert shelf.register(upload(1), upload(2)) == Registered(2, 0, 0)
    assert shelf.register(upload(1), upload(2, FAR)) == Registered(0, 1, 1)
    shelf.flag(1, PDQ)
    shelf.run()
    assert told(shelf.found()) == [("u-1", "pdq", 0, "block")]


def test_work_that_is_done_twice_is_found_once(shelf: Shelf) -> None:
    shelf.register(upload(1))
    shelf.run()
    shelf.flag(1, PDQ)
    shelf.run()
    with shelf.desk.world.store.write() as transaction:
        # as if the process had died after the matches and before the cursor
        transaction.retro.set_cursor("statements", 0)
        transaction.retro.set_cursor("uploads", 0)
    shelf.retro = shelf.new_retro()
    shelf.run()
    assert len(shelf.found()) == 1


def test_a_second_statement_is_judged_together_with_the_first(shelf: Shelf) -> None:
    shelf.register(upload(1))
    shelf.flag(1, PDQ)
    shelf.run()
    shelf.flag(2, pdq_at(3))
    shelf.run()
    assert told(shelf.found()) == [("u-1", "pdq", 0, "block"), ("u-1", "pdq", 3, "block")]


def test_private_uploads_are_left_alone_unless_the_operator_says_otherwise(
    desk: Desk, tmp_path: Path
) -> None:
    policy = OPEN_POLICY.replace("messages = true", "messages = false")
    shelf = Shelf(desk, tmp_path / "uploads", policy)
    shelf.register(upload(1, surface="private"), upload(2, surface="hosted"))
    shelf.flag(1, PDQ)
    shelf.run()
    assert [one.upload for one in shelf.found()] == ["u-2"]
    shelf.indexes[0].close()


@pytest.mark.parametrize("how", [retract, erase])
def test_what_is_taken_back_is_told_to_whoever_was_told_of_it(shelf: Shelf, how: object) -> None:
    shelf.register(upload(1), upload(2))
    statement = shelf.flag(1, PDQ)
    shelf.run()
    first, second = shelf.found()
    shelf.retro.done(first.id, client=PLATFORM)
    (changed,) = shelf.found(after=second.change)
    assert (changed.id, changed.state) == (first.id, "done")
    shelf.desk.world.submit(how(statement, by=ANNA))  # type: ignore[operator]  # a function above
    shelf.run()
    later = shelf.found(after=changed.change)
    assert {(one.upload, one.state) for one in later} == {
        ("u-1", "withdrawn"),
        ("u-2", "withdrawn"),
    }
    with pytest.raises(NotFoundError, match="No match of this number"):
        shelf.retro.done(second.id, client=PLATFORM)


def test_a_flag_that_is_taken_back_before_its_turn_is_never_told(shelf: Shelf) -> None:
    shelf.register(upload(1))
    shelf.run()
    shelf.desk.world.submit(retract(shelf.flag(1, PDQ), by=ANNA))
    shelf.run()
    assert shelf.found() == []


def test_a_deleted_upload_is_found_no_more_and_leaves_the_index(shelf: Shelf) -> None:
    shelf.register(upload(1), upload(2))
    shelf.run()
    shelf.flag(1, PDQ)
    shelf.run()
    shelf.uploads.delete_one("u-1", client=PLATFORM)
    with pytest.raises(NotFoundError, match="No upload of this id"):
        shelf.uploads.delete_one("u-1", client=PLATFORM)
    assert [one.upload for one in shelf.found()] == ["u-2"]
    assert shelf.retro.tidy() == 1
    assert shelf.retro.tidy() == 0
    shelf.flag(2, pdq_at(1))
    shelf.run()
    assert {one.upload for one in shelf.found()} == {"u-2"}


def test_uploads_and_matches_are_forgotten_in_time(shelf: Shelf) -> None:
    shelf.register(upload(1), upload(2, keep_days=1), upload(3, keep_days=99))
    shelf.flag(1, PDQ)
    shelf.run()
    world = shelf.desk.world
    job = Maintenance(world.store, world.ingest, clock=lambda: NOW + 2 * DAY_S, uploads_kept_days=1)
    job.forget()
    assert shelf.found() == []
    with world.store.read() as transaction:
        assert [one.id for one in transaction.uploads.after(0, limit=9)] == ["u-1", "u-3"]
    Maintenance(world.store, world.ingest, clock=lambda: NOW + 31 * DAY_S).forget()
    with world.store.read() as transaction:
        assert transaction.uploads.last() == 0


def test_a_process_that_takes_over_goes_on_where_the_other_was(shelf: Shelf) -> None:
    shelf.register(upload(1))
    shelf.run()
    shelf.retro = shelf.new_retro()
    shelf.register(upload(2, pdq_at(2)))
    shelf.flag(1, PDQ)
    shelf.run()
    assert [one.upload for one in shelf.found()] == ["u-2", "u-1"]


def test_an_index_of_other_uploads_is_made_anew(
    shelf: Shelf, migrated_sqlite: Path, tmp_path: Path
) -> None:
    engine = PdqEngine(tmp_path / "uploads", small_rows=0, background=False)
    index = UploadIndex(engine)
    with shelf.desk.world.store.read() as transaction:
        index.refresh(transaction)
    shelf.register(upload(1, FAR), upload(2, FAR))
    with shelf.desk.world.store.read() as transaction:
        index.refresh(transaction)
    engine.flush()
    index.close()
    copy = tmp_path / "restored.db"
    copy.write_bytes(migrated_sqlite.read_bytes())
    with open_desk(f"sqlite:///{copy}", tmp_path / "other") as desk:
        restored = Shelf(desk, tmp_path / "uploads")
        restored.register(upload(7), upload(8))
        restored.run()
        restored.flag(1, PDQ)
        restored.run()
        assert [one.upload for one in restored.found()] == ["u-7", "u-8"]
        restored.indexes[0].close()


def test_what_the_index_of_uploads_does_not_have_is_named_and_mended(
    shelf: Shelf, tmp_path: Path
) -> None:
    shelf.register(*(upload(number, pdq_at(number)) for number in range(1, 6)))
    shelf.uploads.delete(["u-5"], client=PLATFORM)
    engine = PdqEngine(tmp_path / "uploads", small_rows=0, background=False)
    index = UploadIndex(engine)
    check = UploadsCheck(shelf.desk.world.store, index)
    assert [one.ok for one in check.look(lambda _done, _of: None)] == [True]
    engine.remove([1, 2])
    engine.add([2, 1 << 40], [bytes(32), bytes(32)])
    shelf.uploads.delete(["u-4"], client=PLATFORM)
    (found,) = check.look(lambda _done, _of: None)
    assert (found.check, found.mendable) == ("uploads", True)
    assert found.sentence == (
        "The index of uploads and the database differ: 2 are missing, 1 have another pdq, "
        "1 are of no upload."
    )
    (mended,) = check.mend()
    assert mended.sentence == "The index of uploads was made anew: 3 entries."
    assert [one.ok for one in check.look(lambda _done, _of: None)] == [True]
    shelf.uploads.delete(["u-1", "u-2", "u-3"], client=PLATFORM)
    assert "0 entries" in check.mend()[0].sentence
    assert engine.flush()
    index.close()


def test_a_damaged_file_of_the_index_of_uploads_is_a_finding(shelf: Shelf, tmp_path: Path) -> None:
    shelf.register(upload(1), upload(2, FAR))
    engine = PdqEngine(tmp_path / "uploads", small_rows=0, background=False)
    check = UploadsCheck(shelf.desk.world.store, UploadIndex(engine))
    assert check.look(lambda _done, _of: None)[0].ok
    assert engine.flush()
    (path,) = (tmp_path / "uploads").glob("*.segment")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    (found,) = check.look(lambda _done, _of: None)
    assert (found.ok, found.mendable) == (False, True)
    assert check.mend()[0].ok
    assert check.look(lambda _done, _of: None)[0].ok
    engine.close()


def test_nothing_of_an_upload_stands_in_the_audit(shelf: Shelf) -> None:
    shelf.register(upload(1, id="very-own-name"))
    shelf.uploads.delete(["very-own-name"], client=PLATFORM)
    assert shelf.desk.audited() == [
        ("platform", "uploads.register", None, "added=1 replaced=0 known=0"),
        ("platform", "uploads.delete", None, "items=1"),
    ]
