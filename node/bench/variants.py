"""`bench variants`: what variants of an upload find that a pdq alone does not, and what they cost.

Every upload is a real file: changed, compressed, decoded and hashed as `match-file` does it. The
pictures are whatever lies in a folder; benchmarks/fetch_pictures.py fetches those of the table.
Nothing of them is kept.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from node.bench.corpus import Generator
from node.bench.machine import MachineWatch
from node.bench.manipulated import MANIPULATIONS, Manipulation, jpeg
from node.bench.report import Figure, Report, at_most
from node.matching.engine import PdqEngine
from node.matching.media import MediaHashes, hash_picture
from node.matching.pixels import load_kernel
from node.matching.variant_names import FAMILIES, PLAIN, is_asked_for
from protocol.errors import InvalidError
from protocol.limits import PDQ_BITS, PDQ_MATCH_DISTANCE, PDQ_MIN_QUALITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from node.matching.pixels import PdqFunction

Say = Callable[[str], None]

SIDE_PX: Final = 800
"""Longer pictures are made so long first: this is about what finds them, not about decoding."""

LEAST_PICTURES: Final = 20
CLOSE: Final = 16
_ALIKE: Final = 80
"""Two pictures of the folder that are nearer are one, or the same motif; the second is left out."""

_TIMED: Final = 40
_INDEXED: Final = 100_000
_MS: Final = 1_000
_US: Final = 1_000_000
SINGLE: Final = tuple(family for family in FAMILIES if family != "combined")
"""The families that do one thing each."""

_COSTED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {family: (family,) for family in SINGLE}
    | {
        "combined-mirror-border": ("mirror", "border", "combined"),
        "uncombined": SINGLE,
        "all": FAMILIES,
    }
)
"""What a rule may ask for, by the name under which its cost is told."""

_MEGAPIXELS: Final = ((0.3, (640, 480)), (1, (1_200, 900)), (12, (4_000, 3_000)))


@dataclass
class Found:
    """What came of one manipulation.

    Attributes:
        plain: for each picture, the distance of the upload as it is to what was flagged.
        by_family: likewise, of the nearest variant that a single family allows.
        uncombined: likewise with all families but `combined`.
        together: likewise with all families; `combined` among them only after two changes.
    """

    plain: list[int] = field(default_factory=list)
    by_family: dict[str, list[int]] = field(default_factory=dict)
    uncombined: list[int] = field(default_factory=list)
    together: list[int] = field(default_factory=list)


@dataclass
class Unrelated:
    """How near uploads come to what they are not.

    Attributes:
        pairs: of an upload and another flagged picture.
        plain: of them within the distance, as they are.
        varied: likewise with all variants.
        nearest_plain: bits.
        nearest_varied: bits.
    """

    pairs: int = 0
    plain: int = 0
    varied: int = 0
    nearest_plain: int = 256
    nearest_varied: int = 256


def measure(pictures: Path, *, say: Say) -> Report:
    """Returns what `bench variants` measured with the pictures in a folder.

    Args:
        pictures: a folder; every picture file in it and below is taken.
        say: is told what is being done.

    Raises:
        InvalidError: fewer than LEAST_PICTURES that differ and have a good quality.
    """
    machine = MachineWatch.start()
    pdq_of = load_kernel()
    originals = different_pictures(pictures, pdq_of, say=say)
    if len(originals) < LEAST_PICTURES:
        raise InvalidError(f"the folder needs at least {LEAST_PICTURES} different photographs")
    flagged = _pdqs(hash_picture(jpeg(one, 95), pdq_of=pdq_of).pdq for one in originals)
    singly, doubly = Unrelated(), Unrelated()
    figures = []
    for manipulation in MANIPULATIONS:
        say(f"{len(originals)} pictures: {manipulation.told}")
        unrelated = doubly if manipulation.is_double else singly
        found = _try(manipulation, originals, flagged, unrelated, pdq_of)
        figures.append(_recall(manipulation, found))
    figures.append(_false_matches("variants.false_matches", singly))
    figures.append(_false_matches("variants.false_matches.combined", doubly))
    say("What it costs")
    figures += _costs(originals, flagged, pdq_of)
    told = {"pictures": len(originals), "manipulations": len(MANIPULATIONS)}
    packages = ("numpy", "pillow", "pdqhash", "simplejpeg", "numba")
    return Report(machine.describe(packages) | told, tuple(figures))


def different_pictures(
    folder: Path, pdq_of: "PdqFunction | None" = None, *, say: Say = lambda _: None
) -> list[Image.Image]:
    """The photographs in a folder that are fit for a flag and differ, at most SIDE_PX long.

    Args:
        folder: where they lie, in it and below.
        pdq_of: as for hash_picture.
        say: is told which were left out, and why.
    """
    kept: list[Image.Image] = []
    pdqs: list[NDArray[np.uint8]] = []
    for path in sorted(one for one in folder.rglob("*") if one.is_file()):
        try:
            with Image.open(path) as image:
                picture = image.convert("RGB")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError):
            continue
        picture.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
        hashes = hash_picture(jpeg(picture, 95), pdq_of=pdq_of)
        pdq = _pdqs([hashes.pdq])
        if hashes.quality < PDQ_MIN_QUALITY:
            say(f"Left out, quality {hashes.quality}: {path.name}")
            continue
        nearest = int(_distances(pdq, np.concatenate(pdqs)).min()) if pdqs else PDQ_BITS
        if nearest <= _ALIKE:
            say(f"Left out, {nearest} bits from another picture: {path.name}")
            continue
        kept.append(picture)
        pdqs.append(pdq)
    return kept


def _try(
    manipulation: Manipulation,
    originals: Sequence[Image.Image],
    flagged: "NDArray[np.uint8]",
    unrelated: Unrelated,
    pdq_of: "PdqFunction | None",
) -> Found:
    found = Found(by_family={family: [] for family in SINGLE})
    for number, original in enumerate(originals):
        changed = manipulation.change(original)
        uploaded = original if manipulation.is_of_flagged else changed
        data = jpeg(uploaded, manipulation.quality)
        families = FAMILIES if manipulation.is_double else SINGLE
        hashes = hash_picture(data, pdq_of=pdq_of, variants=families)
        target = flagged[number : number + 1]
        if manipulation.is_of_flagged:
            target = _pdqs([hash_picture(jpeg(changed), pdq_of=pdq_of).pdq])
        names = [PLAIN, *(one.name for one in hashes.variants)]
        pdqs = _pdqs([hashes.pdq, *(one.pdq for one in hashes.variants)])
        near = _distances(pdqs, target)[:, 0]
        found.plain.append(int(near[0]))
        found.together.append(int(near.min()))
        for family in SINGLE:
            found.by_family[family].append(_nearest(near, names, (family,)))
        found.uncombined.append(_nearest(near, names, SINGLE))
        _count_unrelated(unrelated, pdqs, np.delete(flagged, number, axis=0))
    return found


def _nearest(near: "NDArray[np.int64]", names: Sequence[str], families: Sequence[str]) -> int:
    return int(near[[is_asked_for(name, families) for name in names]].min())


def _count_unrelated(
    unrelated: Unrelated, pdqs: "NDArray[np.uint8]", others: "NDArray[np.uint8]"
) -> None:
    near = _distances(pdqs, others)
    plain, varied = near[0], near.min(axis=0)
    unrelated.pairs += len(others)
    unrelated.plain += int((plain <= PDQ_MATCH_DISTANCE).sum())
    unrelated.varied += int((varied <= PDQ_MATCH_DISTANCE).sum())
    unrelated.nearest_plain = min(unrelated.nearest_plain, int(plain.min()))
    unrelated.nearest_varied = min(unrelated.nearest_varied, int(varied.min()))


def _recall(manipulation: Manipulation, found: Found) -> Figure:
    plain = _share(found.plain, PDQ_MATCH_DISTANCE)
    families = {
        family: _share(near, PDQ_MATCH_DISTANCE) for family, near in found.by_family.items()
    }
    return Figure(
        f"variants.recall.{manipulation.name}",
        _share(found.together, PDQ_MATCH_DISTANCE),
        "",
        None,
        {
            "told": manipulation.told,
            "plain": plain,
            "plain_at_16": _share(found.plain, CLOSE),
            "uncombined": _share(found.uncombined, PDQ_MATCH_DISTANCE),
            "varied_at_16": _share(found.together, CLOSE),
            "plain_median_bits": float(statistics.median(found.plain)),
            "varied_median_bits": float(statistics.median(found.together)),
            **families,
        },
    )


def _false_matches(name: str, unrelated: Unrelated) -> Figure:
    beside = {
        "pairs": unrelated.pairs,
        "plain": unrelated.plain,
        "nearest_plain_bits": unrelated.nearest_plain,
        "nearest_varied_bits": unrelated.nearest_varied,
    }
    return Figure(name, unrelated.varied, "", at_most(0), beside)


def _costs(
    originals: Sequence[Image.Image],
    flagged: "NDArray[np.uint8]",
    pdq_of: "PdqFunction | None",
) -> list[Figure]:
    figures = []
    for megapixels, size in _MEGAPIXELS:
        files = [jpeg(one.resize(size), 85) for one in originals[: 4 if megapixels > 1 else 12]]
        plain = _cpu_ms(files, (), pdq_of)
        for name, families in _COSTED.items():
            varied = _cpu_ms(files, families, pdq_of)
            figures.append(
                Figure(
                    f"variants.cpu_ms.{name}.{megapixels:g}mpx",
                    varied,
                    "ms",
                    None,
                    {"plain_ms": plain, "more_ms": max(0.0, varied - plain)},
                )
            )
    return [*figures, *_search_costs(originals, pdq_of, flagged)]


def _cpu_ms(files: Sequence[bytes], families: Sequence[str], pdq_of: "PdqFunction | None") -> float:
    """The median processor time of hashing one file, in ms."""
    hash_picture(files[0], pdq_of=pdq_of, variants=families)
    times = []
    for data in list(files) * 3:
        begun = time.process_time()
        hash_picture(data, pdq_of=pdq_of, variants=families)
        times.append(time.process_time() - begun)
    return statistics.median(times) * _MS


def _search_costs(
    originals: Sequence[Image.Image], pdq_of: "PdqFunction | None", flagged: "NDArray[np.uint8]"
) -> list[Figure]:
    """How much longer it takes to look for variants of a picture than for itself."""
    entries = np.concatenate([flagged, Generator(11).photographs(_INDEXED)])
    index = PdqEngine(None, threads=1, small_rows=0, background=False)
    index.add(np.arange(len(entries)), entries)
    uploads: list[MediaHashes] = [
        hash_picture(jpeg(one), pdq_of=pdq_of, variants=FAMILIES) for one in originals[:_TIMED]
    ]
    plain = _seconds(index, [[one.pdq] for one in uploads])
    figures = []
    for name in ("uncombined", "all"):
        families = _COSTED[name]
        queries = [
            [one.pdq] + [each.pdq for each in one.variants if is_asked_for(each.name, families)]
            for one in uploads
        ]
        varied = _seconds(index, queries)
        figures.append(
            Figure(
                f"variants.pdqs_per_upload.{name}",
                statistics.mean(map(len, queries)),
                "",
                None,
                {"entries": len(entries), "plain_us": plain * _US, "varied_us": varied * _US},
            )
        )
    return figures


def _seconds(index: PdqEngine, queries: Sequence[Sequence[bytes]]) -> float:
    times = []
    for pdqs in [*queries, *queries]:  # the first round warms the caches
        begun = time.process_time()
        index.query_many(pdqs, PDQ_MATCH_DISTANCE)
        times.append(time.process_time() - begun)
    return statistics.median(times[len(queries) :])


def _share(distances: Sequence[int], most: int) -> float:
    return sum(one <= most for one in distances) / len(distances)


def _pdqs(values: Iterable[bytes]) -> "NDArray[np.uint8]":
    """Values of 32 bytes as uint8 [n, 32]."""
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, 32)


def _distances(some: "NDArray[np.uint8]", others: "NDArray[np.uint8]") -> "NDArray[np.int64]":
    """Hamming distances in bits, int64 [some, others]."""
    words = np.ascontiguousarray(some).view(np.uint64), np.ascontiguousarray(others).view(np.uint64)
    apart = words[0][:, None, :] ^ words[1][None, :, :]
    bits: NDArray[np.int64] = np.bitwise_count(apart).sum(axis=2, dtype=np.int64)
    return bits
