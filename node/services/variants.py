"""The pdqs that are looked for on behalf of one upload: its own, and those of its variants.

A rule of the policy asks for families of variants; what no rule asks for is not looked for. What
the client or the node's own decoder computed is taken; the turned and mirrored forms of a pdq that
came alone are derived from its bits, which is nearly as good.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from node.matching.turned import turned_pdqs
from node.matching.variant_names import DIHEDRAL, PLAIN, is_asked_for
from node.services.catalogue import Believed, Found, key_of
from node.services.judging import Hit
from protocol.limits import PDQ_BITS, PDQ_MIN_QUALITY
from protocol.pdq import is_degenerate, parse_pdq


@dataclass(frozen=True, repr=False)
class QueryVariant:
    """One variant of an uploaded picture; the pdq in hexadecimal."""

    name: str
    pdq: str
    quality: int


@dataclass(frozen=True, repr=False)
class Compared:
    """One pdq that is looked for.

    Attributes:
        number: of the upload.
        variant: `PLAIN`, or a name of node.matching.variant_names.
        pdq: 32 bytes.
        is_sure: whether its quality is known.
    """

    number: int
    variant: str
    pdq: bytes
    is_sure: bool


def compared(
    number: int,
    pdq: str | None,
    quality: int | None,
    variants: Sequence[QueryVariant],
    families: Collection[str],
) -> list[Compared]:
    """Returns what is looked for on behalf of an upload.

    A pdq that is not fit for matching is left out, of the upload as of a variant. A variant may be
    fit where the upload is not: a broad border leaves little to see.

    Args:
        number: of the upload.
        pdq: of the upload.
        quality: of that pdq, if it is known.
        variants: that came with it.
        families: that the policy asks for.
    """
    is_fit = pdq is not None and (quality is None or quality >= PDQ_MIN_QUALITY)
    found = []
    if pdq is not None and is_fit:
        found.append(Compared(number, PLAIN, bytes.fromhex(pdq), quality is not None))
    if not families:
        return found
    for one in variants:
        if is_asked_for(one.name, families) and one.quality >= PDQ_MIN_QUALITY:
            value = parse_pdq(one.pdq)
            if not is_degenerate(value):
                found.append(Compared(number, one.name, value, is_sure=True))
    if pdq is not None and is_fit and not any(one.name in DIHEDRAL for one in variants):
        found += [
            Compared(number, name, value, quality is not None)
            for name, value in turned_pdqs(bytes.fromhex(pdq), families)
        ]
    return found


@dataclass(frozen=True, repr=False)
class Resembling:
    """What one upload resembles, by whichever of its variants.

    It is heard once, however many variants it has, and no entry is looked at twice.

    Attributes:
        number: of the upload.
        rows: what was looked for and found something, with what was found.
    """

    number: int
    rows: tuple[tuple[Compared, Found], ...]

    def nearest(self) -> Found:
        """Returns each entry once, at its least distance, nearest first."""
        if len(self.rows) == 1:
            return self.rows[0][1]
        least: dict[int, int] = {}
        for _row, found in self.rows:
            for key, distance in found:
                if distance < least.get(key, PDQ_BITS + 1):
                    least[key] = distance
        return sorted(least.items(), key=lambda one: (one[1], one[0]))

    def hits(self, believed: Believed) -> list[Hit]:
        """Returns the hits of the upload, nearest first.

        A variant that is no nearer to an entry than the upload itself says nothing more of it, and
        of variants of one name only the nearest counts. Of the frames of one film, only the nearest
        counts for each variant: a picture that is like one frame says little of the film.

        Args:
            believed: what the database has active of `nearest`.
        """
        met = self._met({key_of(entry) for entry, _ in believed})
        hits = []
        for entry, _least in believed:
            by_variant = met[key_of(entry)]
            plain = by_variant.get(PLAIN)
            hits += [
                Hit(entry, distance, is_sure and entry.kind == "pdq", variant=variant)
                for variant, (distance, is_sure) in by_variant.items()
                if variant == PLAIN or plain is None or distance < plain[0]
            ]
        hits.sort(key=lambda one: one.distance)
        return _without_further_frames(hits)

    def _met(self, keys: Collection[int]) -> dict[int, dict[str, tuple[int, bool]]]:
        """By entry and variant, the least distance, and whether its quality is known."""
        met: dict[int, dict[str, tuple[int, bool]]] = {key: {} for key in keys}
        for row, found in self.rows:
            for key, distance in found:
                by_variant = met.get(key)
                if by_variant is None:
                    continue
                known = by_variant.get(row.variant)
                if known is None or distance < known[0]:
                    by_variant[row.variant] = (distance, row.is_sure)
        return met


def resembling(rows: Sequence[Compared], raw: Sequence[Found]) -> list[Resembling]:
    """Returns the uploads that resemble anything.

    Args:
        rows: what was looked for, in the order of the uploads.
        raw: what was found of each.
    """
    of_upload: dict[int, list[tuple[Compared, Found]]] = {}
    for row, found in zip(rows, raw, strict=True):
        if found:
            of_upload.setdefault(row.number, []).append((row, found))
    return [Resembling(number, tuple(parts)) for number, parts in of_upload.items()]


def _without_further_frames(hits: Sequence[Hit]) -> list[Hit]:
    met: set[tuple[int, int, str]] = set()
    kept = []
    for hit in hits:
        if hit.entry.kind == "frame":
            frame = (hit.entry.log_index, hit.entry.item, hit.variant)
            if frame in met:
                continue
            met.add(frame)
        kept.append(hit)
    return kept
