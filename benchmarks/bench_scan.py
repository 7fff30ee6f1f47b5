"""How long ScanIndex takes, beside what the same machine needs to read the same memory.

Run: python benchmarks/bench_scan.py [--sizes 10000,100000,1000000] [--json]

Entries and queries are uniform bits, so almost no query matches: the usual case of an upload. Every
query is checked to find the one entry that was planted for it. Two floors are measured in the same
rounds as the index: one pass of memory over the bytes that a query must read (half of each pdq),
and over the whole pdqs. `one_shot` is plain NumPy without blocks: xor, bitwise_count, sum, compare.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from node.matching.scan import ScanIndex

ROUNDS = 3
QUERIES = 100
BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description="p50 and p99 of exact pdq search by scanning")
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    results = [measure(size) for size in sizes]
    if arguments.json:
        figures = [
            {"name": f"scan.{size}.{name}", "value": round(value, 4), "unit": unit_of(name)}
            for size, result in zip(sizes, results, strict=True)
            for name, value in result.items()
        ]
        print(json.dumps({"machine": machine(), "figures": figures}))
        return
    print(" · ".join(f"{name} {value}" for name, value in machine().items()))
    for size, result in zip(sizes, results, strict=True):
        print(f"\n{size:,} entries")
        for name, value in result.items():
            print(f"  {name:32} {value:10.3f} {unit_of(name)}")


def unit_of(name: str) -> str:
    if name.startswith("add"):
        return "us/entry"
    return "x" if name.endswith("_ratio") else "ms"


def machine() -> dict[str, str]:
    cpus = Path("/proc/cpuinfo").read_text("utf-8")
    model = next((line for line in cpus.splitlines() if line.startswith("model name")), ": unknown")
    return {
        "cpu": model.split(":", 1)[1].strip(),
        "cpus": str(os.cpu_count()),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "platform": sys.platform,
    }


def measure(size: int) -> dict[str, float]:
    rng = np.random.default_rng(1)
    words = rng.integers(0, 2**64, (size, 4), np.uint64)
    raw = words.tobytes()
    pdqs = [raw[i : i + 32] for i in range(0, len(raw), 32)]
    index = ScanIndex()
    before = time.perf_counter()
    for start in range(0, size, 1_000):
        index.add(range(start, min(start + 1_000, size)), pdqs[start : start + 1_000])
    add_us = (time.perf_counter() - before) / size * 1e6

    questions = []
    for key in rng.integers(0, size, QUERIES):
        flips = sum(1 << int(bit) for bit in rng.choice(256, 31, replace=False))
        questions.append((int(key), (int.from_bytes(pdqs[key]) ^ flips).to_bytes(32)))
    misses = [rng.bytes(32) for _ in range(QUERIES)]
    planes = [np.ascontiguousarray(words[:, i]) for i in range(4)]

    times: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        timed(times, "read_half", lambda: [plane.max() for plane in planes[:2]], QUERIES)
        timed(times, "read_all", lambda: [plane.max() for plane in planes], QUERIES)
        for pdq in misses:
            timed(times, "query", lambda pdq=pdq: index.query(pdq))
        for key, pdq in questions:
            found = timed(times, "hit", lambda pdq=pdq: index.query(pdq))
            assert (key, 31) in found
        timed(times, "batch", lambda: index.query_many(misses[:BATCH]), 3)
        timed(times, "one_shot", lambda: one_shot(words, misses[0]), 5)
    batch = percentile(times["batch"], 50) / BATCH
    query = percentile(times["query"], 50)
    return {
        "query_p50": query,
        "query_p99": percentile(times["query"], 99),
        "query_with_match_p50": percentile(times["hit"], 50),
        f"query_many_{BATCH}_each_p50": batch,
        "floor_read_half_p50": percentile(times["read_half"], 50),
        "floor_read_all_p50": percentile(times["read_all"], 50),
        "one_shot_numpy_p50": percentile(times["one_shot"], 50),
        "query_to_floor_ratio": query / percentile(times["read_half"], 50),
        "one_shot_to_query_ratio": percentile(times["one_shot"], 50) / query,
        "add_1000_at_a_time": add_us,
    }


def one_shot(words: np.ndarray, pdq: bytes) -> np.ndarray:
    question = np.frombuffer(pdq, np.uint64)
    return np.flatnonzero(np.bitwise_count(words ^ question).sum(1) <= 31)


def timed(
    times: dict[str, list[float]], name: str, action: Callable[[], object], repeats: int = 1
) -> object:
    result = None
    for _ in range(repeats):
        before = time.perf_counter()
        result = action()
        times.setdefault(name, []).append((time.perf_counter() - before) * 1e3)
    return result


def percentile(values: list[float], share: float) -> float:
    return float(np.percentile(values, share))


if __name__ == "__main__":
    main()
