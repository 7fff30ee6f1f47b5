"""The index on disk: what survives, what is shared, what a crash leaves, and what damage does."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import structlog

from node.matching import engine
from node.matching.engine import PdqEngine
from node.matching.folder import Folder
from node.matching.index import START, Reached
from pdq_corpora import corpus, oracle, questions_about
from protocol.errors import UnavailableError
from waiting import WITHIN_S, wait_for

ROWS = 2_000


@pytest.fixture(scope="module")
def pdqs():
    return corpus("clustered", ROWS, np.random.default_rng(3))


def open_engine(folder, **settings):
    return PdqEngine(folder, **({"small_rows": 0, "background": False, "threads": 1} | settings))


def seen(engine, pdqs, most=31):
    return [engine.query(bytes(one), most) for one in pdqs[:: ROWS // 20]]


def expected(keys, pdqs, most=31):
    return [oracle(keys, pdqs, bytes(one), most) for one in pdqs[:: ROWS // 20]]


def test_a_new_process_answers_from_the_segments_and_knows_how_far_they_reach(tmp_path, pdqs):
    engine = open_engine(tmp_path / "index")
    engine.build(np.arange(1_500), pdqs[:1_500], Reached(1_500, "here"))
    engine.add(np.arange(1_500, ROWS), pdqs[1_500:], Reached(ROWS, "there"))
    assert engine.reached == (ROWS, "there")
    engine.close()
    again = open_engine(tmp_path / "index", small_rows=30_000)
    assert len(again) == 1_500, "what was not merged is the caller's to add again"
    assert again.reached == (1_500, "here")
    again.add(np.arange(1_500, ROWS), pdqs[1_500:], Reached(ROWS, "there"))
    assert again.flush()
    again.close()
    last = open_engine(tmp_path / "index")
    assert (len(last), last.reached) == (ROWS, (ROWS, "there"))
    assert seen(last, pdqs) == expected(np.arange(ROWS), pdqs)
    last.verify()


def test_little_is_scanned_without_the_compiler_and_much_is_not(tmp_path, pdqs):
    engine = open_engine(tmp_path / "index", small_rows=1_000)
    engine.add(range(1_000), [bytes(one) for one in pdqs[:1_000]], Reached(1_000, "a"))
    engine.tend()
    assert engine._ring is None
    assert not (tmp_path / "index").exists()
    engine.add(range(1_000, ROWS), [bytes(one) for one in pdqs[1_000:]], Reached(ROWS, "b"))
    before = seen(engine, pdqs)
    engine.tend()
    assert engine._ring is not None
    assert seen(engine, pdqs) == before == expected(np.arange(ROWS), pdqs)
    assert (len(engine), engine.reached) == (ROWS, (ROWS, "b"))


def test_a_node_of_few_entries_never_loads_the_compiler(tmp_path):
    program = (
        "import sys; from pathlib import Path; from node.matching.engine import PdqEngine\n"
        f"engine = PdqEngine(Path({str(tmp_path / 'index')!r}))\n"
        "engine.add([1], [bytes(32)]); assert engine.query(bytes(32)) == [(1, 0)]\n"
        "engine.close(); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=WITHIN_S)


def test_another_process_goes_over_to_new_segments_and_keeps_what_they_lack(tmp_path, pdqs):
    writer, reader = open_engine(tmp_path / "index"), open_engine(tmp_path / "index")
    for one in (writer, reader):
        one.add(np.arange(1_000), pdqs[:1_000], Reached(1_000, "a"))
    reader.add(np.arange(1_000, ROWS), pdqs[1_000:], Reached(ROWS, "b"))
    reader.remove([3])
    assert writer.flush()
    reader.tend()
    assert len(reader._ring._view.mounted) == 1
    assert sum(map(len, reader._ring._view.blocks)) == ROWS - 1_000
    kept = np.delete(np.arange(ROWS), 3)
    assert [reader.query(bytes(one)) for one in pdqs[:9]] == [
        oracle(kept, pdqs[kept], bytes(one), 31) for one in pdqs[:9]
    ]
    writer.add(np.arange(1_000, ROWS), pdqs[1_000:], Reached(ROWS, "b"))
    assert writer.flush(), "its segment replaces the one that the reader has mapped"
    assert reader.query(bytes(pdqs[7])) == oracle(kept, pdqs[kept], bytes(pdqs[7]), 31)
    reader.tend()
    assert len(reader) == ROWS - 1, "what it knows to be removed stays removed"
    assert [path.name for path in (tmp_path / "index").glob("*.segment")] == [
        reader._ring._view.mounted[0].name
    ]


def test_one_process_merges_at_a_time(tmp_path, pdqs):
    first, second = open_engine(tmp_path / "index"), open_engine(tmp_path / "index")
    for one in (first, second):
        one.add(np.arange(ROWS), pdqs, Reached(ROWS, "a"))
    with Folder(tmp_path / "index").locked() as held:
        assert held
        assert not first.flush()
        with pytest.raises(UnavailableError, match="Another process is at work"):
            second.replace(np.arange(ROWS), pdqs, Reached(ROWS, "a"))
        first.build(np.arange(ROWS, 2 * ROWS), pdqs, Reached(2 * ROWS, "b"))
    assert len(first) == 2 * ROWS
    assert first.flush()
    assert second.flush()
    assert len(second) == 2 * ROWS


def test_queries_go_on_while_segments_are_merged(pdqs):
    engine = open_engine(None)
    engine.build(np.arange(1_000), pdqs[:1_000])
    answers, stop = [], threading.Event()
    question = bytes(pdqs[5])

    def ask():
        while not stop.is_set():
            answers.append(engine.query(question))

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for one in askers:
        one.start()
    for key in range(1_000, ROWS):
        engine.add([key], pdqs[key : key + 1])
        if key % 100 == 0:
            assert engine.flush()
    stop.set()
    for one in askers:
        one.join()
    assert engine.query(question) == oracle(np.arange(ROWS), pdqs, question, 31)
    everything = set(engine.query(question))
    assert all(set(one) <= everything for one in answers)
    at_first = set(oracle(np.arange(1_000), pdqs[:1_000], question, 31))
    assert all(at_first <= set(one) for one in answers)


def test_what_is_removed_while_a_merge_is_under_way_is_not_in_its_segment(pdqs, monkeypatch):
    engine = open_engine(None)
    engine.add(np.arange(ROWS), pdqs)
    ring = engine._ring
    build = ring._new_segment

    def removing(words, keys):
        engine.remove([1, 2])
        engine.add([1], pdqs[1:2])
        return build(words, keys)

    monkeypatch.setattr(ring, "_new_segment", removing)
    assert engine.flush()
    assert len(engine) == ROWS - 1
    assert (1, 0) in engine.query(bytes(pdqs[1]))
    assert (2, 0) not in engine.query(bytes(pdqs[2]))


@pytest.mark.parametrize("where", ["header", "start", "middle", "end", "cut off", "gone"])
def test_a_damaged_segment_is_noticed_and_everything_asked_for_again(tmp_path, pdqs, where):
    engine = open_engine(tmp_path / "index")
    engine.build(np.arange(ROWS), pdqs, Reached(ROWS, "a"))
    engine.close()
    (path,) = (tmp_path / "index").glob("*.segment")
    size = path.stat().st_size
    places = {"header": 17, "start": 4_100, "middle": size // 2, "end": size - 1}
    if where == "gone":
        path.unlink()
    elif where == "cut off":
        os.truncate(path, size - 1)
    else:
        with path.open("r+b") as file:
            file.seek(places[where])
            (was,) = file.read(1)
            file.seek(places[where])
            file.write(bytes([was ^ 4]))
    again = open_engine(tmp_path / "index")
    with structlog.testing.capture_logs() as lines:
        assert (len(again), again.reached) == (0, START)
    assert [line["event"] for line in lines] == ["index_damaged"]
    again.add(np.arange(ROWS), pdqs, Reached(ROWS, "a"))
    assert again.flush()
    again.close()
    assert seen(open_engine(tmp_path / "index"), pdqs) == expected(np.arange(ROWS), pdqs)


def test_damage_that_comes_later_is_found_by_the_digest(tmp_path, pdqs):
    engine = open_engine(tmp_path / "index")
    engine.build(np.arange(ROWS), pdqs)
    engine.verify()
    (path,) = (tmp_path / "index").glob("*.segment")
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x01")
    with pytest.raises(UnavailableError, match="not what was written"):
        engine.verify()


def test_a_full_disk_leaves_matching_to_memory(tmp_path, pdqs, monkeypatch):
    def no_room(*_):
        raise OSError("no room")

    engine = open_engine(tmp_path / "index")
    engine.add(np.arange(ROWS), pdqs, Reached(ROWS, "a"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_room)
        with structlog.testing.capture_logs() as lines:
            assert engine.flush()
    assert [line["event"] for line in lines] == ["index_not_written"]
    assert seen(engine, pdqs) == expected(np.arange(ROWS), pdqs)
    assert not list((tmp_path / "index").glob("*.segment"))
    assert engine.flush(), "the next merge writes it"
    engine.close()
    assert len(open_engine(tmp_path / "index")) == ROWS


_MERGES_FOR_EVER = """
import sys
from pathlib import Path
import numpy as np
from node.matching import engine
from node.matching.engine import PdqEngine
from node.matching.index import Reached
pdqs = np.fromfile(sys.argv[2], np.uint8).reshape(-1, 32)
engine = PdqEngine(Path(sys.argv[1]), small_rows=0, background=False, threads=1)
start = engine.reached.upto
for key in range(start, len(pdqs)):
    engine.add([key], pdqs[key:key + 1], Reached(key + 1, str(key)))
    if key % 5 == 4:
        engine.flush()
        print(engine.reached.upto, flush=True)
"""


def test_a_process_killed_while_it_merges_leaves_one_set_of_segments_or_the_other(tmp_path, pdqs):
    values = tmp_path / "pdqs"
    pdqs.tofile(values)
    folder = tmp_path / "index"
    reached = 0
    for said_before in (2, 7):
        merging = subprocess.Popen(
            [sys.executable, "-c", _MERGES_FOR_EVER, folder, values],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert merging.stdout is not None
        said = [int(merging.stdout.readline()) for _ in range(said_before)][-1]
        merging.send_signal(signal.SIGKILL)
        merging.wait()
        merging.stdout.close()
        engine = open_engine(folder)
        with structlog.testing.capture_logs() as lines:
            upto, mark = engine.reached
        assert not lines, "nothing was damaged"
        assert upto >= max(said, reached)
        assert mark == str(upto - 1)
        reached = upto
        assert len(engine) == upto
        found = [engine.query(bytes(one)) for one in pdqs[: upto + 5]]
        assert found == [
            oracle(np.arange(upto), pdqs[:upto], bytes(q), 31) for q in pdqs[: upto + 5]
        ]
        engine.verify()


def test_segments_in_the_background_without_being_asked(tmp_path, pdqs):
    with structlog.testing.capture_logs() as lines:
        engine = PdqEngine(tmp_path / "index", small_rows=ROWS - 1, threads=1)
        many = np.concatenate([pdqs] * 10)
        engine.add(np.arange(len(many)), many, Reached(len(many), "a"))
        folder = Folder(tmp_path / "index")
        wait_for(folder.holds_segments, "a segment is there")
        engine.close()
    assert not lines
    assert len(open_engine(tmp_path / "index")) == len(many)


def test_misuse_is_told(pdqs):
    engine = open_engine(None)
    with pytest.raises(RuntimeError, match="a pdq is 32 bytes"):
        engine.query(bytes(31))
    with pytest.raises(RuntimeError, match="a pdq is 32 bytes"):
        engine.add([1], [bytes(33)])
    with pytest.raises(RuntimeError, match="one key for each pdq"):
        engine.add([1, 2], [bytes(32)])
    with pytest.raises(RuntimeError, match="distances of 0 to 255"):
        engine.query(bytes(32), 256)


def test_many_questions_are_answered_by_several_threads_alike(pdqs):
    alone, shared = open_engine(None), open_engine(None, threads=3)
    questions = questions_about(pdqs, 500, np.random.default_rng(1))
    for one in (alone, shared):
        one.build(np.arange(ROWS), pdqs)
        one.add([ROWS], questions[:1])
    many = [bytes(one) for one in questions]
    assert alone.query_many(many) == shared.query_many(many) == [alone.query(one) for one in many]
    assert alone.query_many([]) == shared.query_many([]) == []
    alone.close()
    shared.close()


def test_a_folder_whose_manifest_cannot_be_read_holds_nothing(tmp_path: Path):
    (tmp_path / "manifest.json").write_bytes(b"{")
    engine = open_engine(tmp_path)
    assert (len(engine), engine.reached) == (0, START)


def test_a_search_is_quick_while_tables_or_a_short_scan_answer_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scanned, tabled = (
        PdqEngine(None, background=False),
        PdqEngine(None, small_rows=0, background=False),
    )
    assert not scanned.is_quick()  # nobody has opened it yet
    for index in (scanned, tabled):
        index.add([1, 2], [bytes(32), bytes(32)])
        assert index.is_quick()
    monkeypatch.setattr(engine, "_QUICK_ROWS", 1)
    assert not tabled.is_quick()
