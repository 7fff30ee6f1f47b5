"""The index of one process is the shadow of the database, never more and never less."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from desks import Desk, open_desk, pdq_at, picture
from node.matching.engine import PdqEngine
from node.matching.scan import ScanIndex
from node.services import catalogue as module
from node.services.catalogue import Catalogue, Difference
from node.services.fsck import Check, Finding, Fsck, IndexCheck
from node.storage.engine import Store
from node.storage.media import MediaRepository, PdqColumns
from node.storage.transaction import Transaction
from simulator import account_ban, media_flag
from worlds import ANNA, HOTLINE, PDQ, retract


def new_catalogue(desk: Desk) -> Catalogue:
    return Catalogue(desk.world.store, ScanIndex(), origin=desk.world.log.origin)


def near(
    catalogue: Catalogue, transaction: Transaction, pdq: str = PDQ
) -> list[tuple[int, int, int]]:
    (found,) = catalogue.near(transaction, [bytes.fromhex(pdq)], max_distance=31)
    return [(one.log_index, one.item, distance) for one, distance in found]


def test_a_new_process_takes_in_the_whole_log_once(
    either_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(5):
        pictures = tuple(picture(pdq_at(bits)) for bits in range(number + 1))
        either_desk.world.submit(media_flag(ANNA, number, items=pictures))
        either_desk.world.submit(account_ban(HOTLINE, number))
    catalogue = new_catalogue(either_desk)
    catalogue.refresh()
    assert len(catalogue) == 15
    catalogue.refresh()
    assert len(catalogue) == 15


def test_an_entry_that_was_taken_back_leaves_the_index_when_it_is_met(either_desk: Desk) -> None:
    receipt = either_desk.world.submit(media_flag(ANNA, items=(picture(), picture(pdq_at(3)))))
    catalogue = new_catalogue(either_desk)
    catalogue.refresh()
    either_desk.world.submit(retract(receipt.id, by=ANNA, items=(0,)))
    assert len(catalogue) == 2
    with either_desk.world.store.read() as transaction:
        assert near(catalogue, transaction) == [(receipt.index, 1, 3)]
    assert len(catalogue) == 1


def test_a_question_that_began_earlier_does_not_take_a_newer_entry_out_of_the_index(
    either_desk: Desk,
) -> None:
    catalogue = new_catalogue(either_desk)
    store = either_desk.world.store
    with store.read() as before:
        assert before.statements.entries(0, 1)  # its snapshot is taken
        receipt = either_desk.world.submit(media_flag(ANNA, items=(picture(),)))
        catalogue.refresh()
        assert near(catalogue, before) == [], "it did not exist when this question began"
    with store.read() as after:
        assert near(catalogue, after) == [(receipt.index, 0, 0)]


def test_nothing_new_costs_one_look(desk: Desk) -> None:
    counting = _Counting(desk.world.store)
    catalogue = Catalogue(counting, ScanIndex(), origin=desk.world.log.origin)  # type: ignore[arg-type]  # a Store but for its counter
    catalogue.refresh()
    first = counting.reads
    catalogue.refresh()
    assert counting.reads == first + 1


def test_an_unchanged_database_is_not_asked_what_is_new(desk: Desk) -> None:
    counting = _Counting(desk.world.store)
    catalogue = Catalogue(counting, ScanIndex(), origin=desk.world.log.origin)  # type: ignore[arg-type]  # a Store but for its counter
    catalogue.refresh(desk.world.store.version())
    first = counting.reads
    catalogue.refresh(desk.world.store.version())
    assert counting.reads == first
    desk.world.submit(media_flag(ANNA, items=(picture(),)))
    catalogue.refresh(desk.world.store.version())
    assert len(catalogue) == 1


class _Counting:
    """A store that counts how often it is read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        self.reads += 1
        with self._store.read() as transaction:
            yield transaction


def kept_index(folder: Path) -> PdqEngine:
    """An index as the node has it, but that it uses segments from the first entry on."""
    return PdqEngine(folder, small_rows=0, background=False, threads=1)


def flag_some(desk: Desk, first: int = 0) -> None:
    for number in range(first, first + 5):
        pictures = tuple(picture(pdq_at(bits)) for bits in range(number + 1))
        desk.world.submit(media_flag(ANNA, number, items=pictures))


def test_a_restart_takes_in_only_what_the_segments_lack(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag_some(desk)
    index = kept_index(tmp_path / "index")
    before = Catalogue(desk.world.store, index, origin=desk.world.log.origin)
    before.refresh()
    assert index.flush()
    before.close()
    size = desk.world.log.size()
    flag_some(desk, 5)
    asked = []
    columns_from = MediaRepository.pdq_columns_from

    def watched(self: MediaRepository, log_index: int, *, limit: int) -> PdqColumns | None:
        asked.append(log_index)
        return columns_from(self, log_index, limit=limit)

    monkeypatch.setattr(MediaRepository, "pdq_columns_from", watched)
    after = Catalogue(
        desk.world.store, kept_index(tmp_path / "index"), origin=desk.world.log.origin
    )
    after.refresh()
    assert asked == [size]
    assert len(after) == 15 + 40
    with desk.world.store.read() as transaction:
        assert len(near(after, transaction)) == 15 + 40


def test_an_index_of_another_log_begins_anew(
    desk: Desk, tmp_path: Path, migrated_sqlite: Path
) -> None:
    flag_some(desk)
    index = kept_index(tmp_path / "index")
    before = Catalogue(desk.world.store, index, origin=desk.world.log.origin)
    before.refresh()
    assert index.flush()
    shutil.copy(migrated_sqlite, tmp_path / "other.db")
    with open_desk(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other") as other:
        other.world.submit(media_flag(HOTLINE, items=(picture(pdq_at(200)),)))
        after = Catalogue(
            other.world.store, kept_index(tmp_path / "index"), origin=other.world.log.origin
        )
        with structlog.testing.capture_logs() as lines:
            after.refresh()
        assert [line["event"] for line in lines] == ["index_of_another_log"]
        assert len(after) == 1


def test_what_index_and_database_disagree_about_is_counted_and_mended(
    desk: Desk, tmp_path: Path
) -> None:
    flag_some(desk)
    index = kept_index(tmp_path / "index")
    catalogue = Catalogue(desk.world.store, index, origin=desk.world.log.origin)
    fsck = fsck_of(catalogue)
    assert [one.ok for one in fsck.run()] == [True]
    receipt = desk.world.submit(media_flag(ANNA, 9, items=(picture(), picture(pdq_at(9)))))
    catalogue.refresh()
    desk.world.submit(retract(receipt.id, by=ANNA, items=(0,)))
    assert catalogue.compare() == Difference(withdrawn=1)
    (found,) = fsck.run()
    assert found.ok
    assert "1 withdrawn" in found.sentence
    keys, _ = index.entries()
    index.remove(keys[:2].tolist())
    index.add([int(keys[1])], [bytes(32)])
    index.add([1 << 60], [bytes(32)])
    assert catalogue.compare() == Difference(missing=2, altered=1, unknown=1, withdrawn=1)
    (found,) = fsck.run()
    assert found == Finding(
        "index",
        ok=False,
        sentence="The index and the database differ: 2 are missing, 1 have another pdq, "
        "1 are of no statement.",
        mendable=True,
    )
    (found,) = fsck.run(rebuild=True)
    assert found == Finding("index", ok=True, sentence="The index was made anew: 16 entries.")
    assert catalogue.compare() == Difference()


def test_what_was_withdrawn_does_not_stay_in_the_files(desk: Desk, tmp_path: Path) -> None:
    index = kept_index(tmp_path / "index")
    catalogue = Catalogue(desk.world.store, index, origin=desk.world.log.origin)
    assert catalogue.tidy() == 0
    flag_some(desk)
    receipt = desk.world.submit(media_flag(ANNA, 9, items=(picture(), picture(pdq_at(9)))))
    catalogue.refresh()
    assert index.flush()
    desk.world.submit(retract(receipt.id, by=ANNA, items=(0,)))
    assert catalogue.compare() == Difference(withdrawn=1)
    assert catalogue.tidy() == 1
    assert catalogue.compare() == Difference()
    catalogue.close()
    assert len(kept_index(tmp_path / "index")) == 16


def test_a_damaged_file_is_a_finding_and_mended(desk: Desk, tmp_path: Path) -> None:
    flag_some(desk)
    index = kept_index(tmp_path / "index")
    catalogue = Catalogue(desk.world.store, index, origin=desk.world.log.origin)
    catalogue.refresh()
    assert index.flush()
    (path,) = (tmp_path / "index").glob("*.segment")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    fsck = fsck_of(catalogue)
    assert [one.sentence for one in fsck.run()] == [
        "A segment of the index is not what was written."
    ]
    assert [one.ok for one in fsck.run(rebuild=True)] == [True]
    assert [one.ok for one in fsck.run()] == [True]


def fsck_of(catalogue: Catalogue) -> Fsck:
    check = IndexCheck(catalogue)
    return Fsck({"index": Check(check.look, check.mend)})
