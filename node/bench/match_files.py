"""The figures of `bench match` about an index in files: a new process, the mapping, two threads.

Run as a program, ``python -m node.bench.match_files DIRECTORY PDQ`` opens the index in a directory,
asks it one question and prints how many entries are near.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from node.matching.engine import PdqEngine

if TYPE_CHECKING:
    from node.bench.match_stage import Say, Stage
    from node.bench.report import Figure

_STARTS: Final = 3
_TIMEOUT_S: Final = 120.0
_TURN_S: Final = 2.0
_US: Final = 1e6


def files(stage: "Stage", *, say: "Say") -> "Iterator[Figure]":
    """Writes the index to files, as a node keeps it, and measures what the files are for."""
    import numpy as np  # noqa: PLC0415  # what the new process needs not is not loaded there

    from node.bench.report import Figure  # noqa: PLC0415  # likewise
    from node.bench.timing import median, seconds  # noqa: PLC0415  # likewise

    say("writing the index to files")
    with TemporaryDirectory() as folder:
        directory = Path(folder)
        stored = PdqEngine(directory, threads=1, small_rows=0, background=False)
        keys = np.arange(len(stage.corpus.pdqs))
        written_s = seconds(stored.build, keys, stage.corpus.pdqs)
        planted = stage.ours.questions(stage.mixed[~stage.is_miss])[0]
        expected = len(stored.query(planted))
        say("starting new processes")
        starts = [_start(directory, planted, expected) for _ in range(_STARTS)]
        yield Figure(
            "match.restart_s",
            median([taken for taken, _ in starts[1:]]),
            "s",
            None,
            {
                "first_s": starts[0][0],
                "processor_s": median([used for _, used in starts[1:]]),
                "write_s": written_s,
            },
        )
        yield _mapped(stage, stored)
        shared = PdqEngine(directory, threads=2, small_rows=0, background=False)
        yield _two_threads(stage, stored, shared)
        shared.close()
        stored.close()


def _start(directory: Path, pdq: bytes, expected: int) -> tuple[float, float]:
    """Seconds until a new process has said how many entries are near, and of a processor's time."""
    command = [sys.executable, "-m", "node.bench.match_files", str(directory), pdq.hex()]
    used = _used_by_children()
    before = time.perf_counter()
    done = subprocess.run(  # noqa: S603  # our own module
        command, capture_output=True, check=True, timeout=_TIMEOUT_S
    )
    taken = time.perf_counter() - before
    if int(done.stdout) != expected:
        raise RuntimeError("a new process answers otherwise than the one that wrote the index")
    return taken, _used_by_children() - used


def _used_by_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _mapped(stage: "Stage", stored: PdqEngine) -> "Figure":
    from node.bench.report import Figure  # noqa: PLC0415  # see files
    from node.bench.timing import ROUNDS, median, take_turn  # noqa: PLC0415  # likewise

    misses = stage.ours.questions(stage.misses[:5_000])
    rounds = [
        (
            take_turn(stored.query, misses, budget_s=_TURN_S).percentile(50),
            take_turn(stage.ours.ask, misses, budget_s=_TURN_S).percentile(50),
        )
        for _ in range(ROUNDS)
    ]
    beside = {
        "mapped_us": median([mapped for mapped, _ in rounds]),
        "in_memory_us": median([held for _, held in rounds]),
    }
    ratio = median([mapped / held for mapped, held in rounds])
    return Figure("match.mapped_p50_ratio", ratio, "×", None, beside)


def _two_threads(stage: "Stage", one: PdqEngine, two: PdqEngine) -> "Figure":
    from node.bench.contenders import use_threads  # noqa: PLC0415  # see files
    from node.bench.report import Figure  # noqa: PLC0415  # likewise
    from node.bench.timing import ROUNDS, median, wall_seconds  # noqa: PLC0415  # likewise

    scanned = stage.misses[:64]
    each_us = _US / len(stage.misses)
    one_us, two_us, flat_us = [], [], []
    two.query_arrays(stage.misses)
    use_threads(2)
    for _ in range(ROUNDS):
        one_us.append(wall_seconds(one.query_arrays, stage.misses) * each_us)
        two_us.append(wall_seconds(two.query_arrays, stage.misses) * each_us)
        flat_us.append(wall_seconds(stage.flat.ask, scanned) / len(scanned) * _US)
    use_threads(1)
    gains = [alone / together for alone, together in zip(one_us, two_us, strict=True)]
    beside = {
        "one_thread_us": median(one_us),
        "two_threads_us": median(two_us),
        "faiss_flat_two_threads_us": median(flat_us),
        "rounds": gains,
    }
    return Figure("match.batch_two_threads_gain", median(gains), "×", None, beside)


if __name__ == "__main__":
    engine = PdqEngine(Path(sys.argv[1]), threads=1, background=False)
    sys.stdout.write(f"{len(engine.query(bytes.fromhex(sys.argv[2])))}\n")
