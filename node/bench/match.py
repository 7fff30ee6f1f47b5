"""`bench match`: exact pdq search beside the tools of today, on one corpus, in one run.

One thread unless a figure's name says otherwise, steady state, three rounds in which all tools have
a turn, medians of the ratios of each round. Nine in ten questions resemble nothing, as uploads do.
A slow tool is asked fewer questions; how many stands beside its figure.
"""

from dataclasses import replace
from typing import Final

from node.bench import match_changes, match_exact, match_files, match_limits, match_queries
from node.bench.contenders import check_installed, use_threads
from node.bench.machine import MachineWatch
from node.bench.match_stage import Say, set_up
from node.bench.report import Bar, Figure, Report, at_least, at_most
from node.bench.timing import without_collection

PACKAGES: Final = ("numpy", "numba", "faiss-cpu", "pynear", "threatexchange")

_MILLION: Final = {
    "match.p50_ratio_faiss_flat": at_least(100, 180),
    "match.p50_ratio_threatexchange": at_least(150, 250),
    "match.p50_ratio_pynear": at_least(80, 100),
    "match.miss_p99_ratio_faiss_flat": at_least(50, 100),
    "match.lookups_per_s": at_least(90_000),
    "match.batch_ratio_faiss_flat": at_least(180, 350),
    "match.cold_ratio_faiss_flat": at_least(40, 60),
    "match.bytes_per_hash": at_most(140, 110),
    "match.build_ratio_multihash": at_least(10, 20),
}
_TEN_MILLION: Final = {
    "match.p50_ratio_faiss_flat": at_least(400, 650),
    "match.p50_ratio_threatexchange": at_least(900, 1_500),
    "match.p50_ratio_pynear": at_least(90, 120),
    "match.miss_p99_ratio_faiss_flat": at_least(40, 130),
    "match.lookups_per_s": at_least(40_000),
    "match.batch_ratio_faiss_flat": at_least(550, 900),
    "match.cold_ratio_faiss_flat": at_least(100, 200),
    "match.bytes_per_hash": at_most(130, 105),
    "match.build_ratio_multihash": at_least(8, 15),
}
_ANY: Final = {
    "match.recall": at_least(1.0),
    "match.recall_after_removal": at_least(1.0),
    "match.recall_at_64": at_least(1.0),
    "match.add_p99_us": at_most(20),
    "match.restart_s": at_most(1),
    "match.skewed_p50_ratio_scan": at_most(0.6),
    "match.exact_p99_us": at_most(20),
    "match.exact_bytes_per_entry": at_most(24),
    "match.fingerprint_p99_us": at_most(20),
    "match.fingerprint_bytes_per_entry": at_most(24),
}

_LIKE_A_MILLION: Final = 500_000
_LIKE_TEN_MILLION: Final = 5_000_000
_LIKE_NOTHING_KNOWN: Final = 20_000_000


def measure(hashes: int, *, say: Say) -> Report:
    """Returns what `bench match` measured on an index of so many entries.

    Args:
        hashes: entries; the bars are those of one million from 500,000 on, those of ten million
            from 5,000,000 on; below those, and from 20,000,000 on, only what holds at any size is
            held to anything.
        say: is told what is being done.

    Raises:
        UnavailableError: a rival is not installed.
    """
    check_installed()
    use_threads(1)
    machine = MachineWatch.start()
    with without_collection():
        stage = set_up(hashes, say=say)
    figures: list[Figure] = []
    with without_collection():
        for section in (
            match_queries.recall,
            match_queries.single,
            match_queries.batch,
            match_queries.cold,
            match_changes.build,
            match_limits.limit,
            match_limits.skewed,
            match_files.files,
            match_changes.thresholds,
            match_changes.add,
            match_changes.remove,
            match_exact.exact,
        ):
            figures += section(stage, say=say)
    bars = bars_for(hashes)
    figures = [replace(one, bar=bars.get(one.name)) for one in figures]
    return Report(machine.describe(PACKAGES) | {"hashes": hashes}, tuple(figures))


def bars_for(hashes: int) -> dict[str, Bar]:
    """What the figures of a run with so many entries are held to, by name."""
    if _LIKE_TEN_MILLION <= hashes < _LIKE_NOTHING_KNOWN:
        return _ANY | _TEN_MILLION
    if _LIKE_A_MILLION <= hashes < _LIKE_TEN_MILLION:
        return _ANY | _MILLION
    return dict(_ANY)
