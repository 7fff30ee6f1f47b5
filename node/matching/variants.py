"""Pdqs of what an upload may have been made of: turned back, without border or banner, uncropped.

A pdq finds a picture again after a new compression or a smaller size, and after little else. What
was done to a picture beside that can often be undone on the side of the upload, from pixels that
are decoded already; docs/matching.md says with a table what each family finds and costs.

Everything up to the 64 × 64 picture that PDQ transforms is linear, and does rows and columns apart:
block = R(height) · luma · R(width)ᵀ, where row k of R(n) says with what weight each of n pixels
counts for sample k. So one product along the rows serves every variant that changes rows alone,
and one along the columns every other one; a trimmed banner costs a hundredth of a new hash.

- A picture is first reduced, by a whole factor for each axis, to less than 1024 pixels a side.
  That bounds the cost, and changes 4 bits (median; 16 at most of 66 pictures) where it reduces.
- Products are BLAS's, so a bit whose coefficient ties with the median may differ from pdqhash's:
  variants are for looking up, never for a flag. The plain pdq is computed elsewhere, exactly.
- What is nearly constant or of a quality below 50 is left out: it would match anything.
"""

from collections.abc import Callable, Collection, Iterator
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from node.matching.pdq_block import BLOCK, COSINES, bits_of, dihedral_forms, quality_of
from node.matching.turned import FORMS
from node.matching.variant_names import NAMES, VARIANTS, VariantName, VariantPdq
from protocol.limits import PDQ_MIN_QUALITY
from protocol.pdq import Pdq, is_degenerate

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE_PX: Final = 512
"""A side is reduced by the greatest whole factor that leaves it at least so long."""

_LEAST_PX: Final = 32  # a side that trimming leaves
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)

# A line belongs to a border while all but one in a hundred of its pixels are of the colour of the
# outermost line, within `tolerance` levels. A JPEG rings beside the edge, so that a strict
# tolerance stops short of it: the edge is then the strongest step within `reach` lines. The looser
# pair finds borders that were compressed twice.
_BORDERS: Final = ((4, 16), (8, 8))
_STRAYS: Final = 0.01
_MOST_OF_SIDE: Final = 0.45  # for each side and look; there are two
_LOOKS: Final = 2  # a frame within a letterbox
_CHUNK: Final = 64

_EDGES: Final = 2  # of a banner, that are tried at each end
_EDGE_FROM: Final = 0.04  # of the height
_EDGE_TO: Final = 0.36
_EDGE_CLIP: Final = 30  # levels; one bright letter is not an edge
_EDGE_APART: Final = 4  # lines

# Shares of the upload's side; docs/matching.md: each reaches about 1 % further both ways.
_EXTENDED_ALL: Final = (0.02, 0.05)
_EXTENDED_ONE: Final = (0.03, 0.06, 0.1)
_CROPPED_ALL: Final = (0.025, 0.045, 0.065, 0.085, 0.105)

_Part = tuple[str, "NDArray[np.float32]", "NDArray[np.float32]"]

# Which forms of what is left of a picture there is a name for; docs/matching.md has why not of all.
_NAMED: Final[dict[str, tuple[VariantName | None, ...]]] = {
    "": FORMS,
    **{
        f"{first}-": tuple(
            next((name for name in NAMES if name == f"{first}-{form}"), None) for form in FORMS
        )
        for first in NAMES
        if first not in FORMS
    },
}


def variants_of(
    pixels: "NDArray[np.uint8]",
    turned: "Callable[[NDArray[np.uint8]], NDArray[np.uint8]]",
    families: Collection[str],
) -> tuple[VariantPdq, ...]:
    """The variants of a picture that `families` ask for, at most MAX_VARIANTS.

    Args:
        pixels: RGB, [height, width, 3], C-contiguous, as they lie in the file.
        turned: from pixels as they lie to how they are displayed.
        families: some of FAMILIES.
    """
    if not families:
        return ()
    colours = turned(_reduced(pixels))
    plane = Plane(colours.astype(np.float32) @ _LUMA)
    found: dict[bytes, VariantPdq] = {}
    asked = set(families)
    parts: list[_Part] = [("", plane.block, _product(COSINES, plane.block, COSINES.T))]
    for name, block in _blocks(colours, plane, asked):
        coefficients = _product(COSINES, block, COSINES.T)
        _take(found, name, bits_of(coefficients), quality_of(block))
        parts.append((f"{name}-", block, coefficients))
    # what one thing explains is not named after two
    for before, block, coefficients in parts if "combined" in asked else parts[:1]:
        forms = [
            (name, form)
            for name, form in zip(_NAMED[before], dihedral_forms(coefficients)[1:], strict=True)
            if name is not None and VARIANTS[name] <= asked
        ]
        quality = quality_of(block) if forms else 0
        for name, form in forms:
            _take(found, name, bits_of(form), quality)
    return tuple(found.values())


class Plane:
    """One picture's luma, and the products that its variants share.

    Args:
        luma: float32 [height, width], 0 to 255.
    """

    def __init__(self, luma: "NDArray[np.float32]") -> None:
        self.luma = luma
        self.height, self.width = luma.shape

    @cached_property
    def across(self) -> "NDArray[np.float32]":
        """Every row, filtered and sampled along itself, float32 [height, 64]."""
        return self.luma @ response(self.width).T

    @cached_property
    def down(self) -> "NDArray[np.float32]":
        """Every column, likewise, float32 [64, width]."""
        return response(self.height) @ self.luma

    @cached_property
    def block(self) -> "NDArray[np.float32]":
        """The plain picture, float32 [64, 64]."""
        return response(self.height) @ self.across

    def rows(self, top: int, bottom: int) -> "NDArray[np.float32]":
        """The block of the rows from `top` to before `bottom` alone."""
        return response(bottom - top) @ self.across[top:bottom]

    def covered(self, top: int, bottom: int) -> "NDArray[np.float32]":
        """The block of the whole picture, with the average of those rows in place of the others.

        A band of one colour, whichever, changes no bit: PDQ leaves out what is the same in a whole
        row or column. So what this removes is the writing on it.
        """
        weights = response(self.height)
        kept = weights[:, top:bottom]
        others = 1 - kept.sum(axis=1, keepdims=True)
        block: NDArray[np.float32] = kept @ self.across[top:bottom]
        block += others * self.luma[top:bottom].mean()
        return block

    def part(self, top: int, bottom: int, left: int, right: int) -> "NDArray[np.float32]":
        """The block of a rectangle."""
        inner = self.luma[top:bottom, left:right]
        return _product(response(bottom - top), inner, response(right - left).T)

    def extended(
        self, *, top: float = 0, bottom: float = 0, left: float = 0, right: float = 0
    ) -> "NDArray[np.float32]":
        """The block of the picture with its outermost lines repeated, by shares of its sides."""
        height = extended_response(
            self.height, round(self.height * top), round(self.height * bottom)
        )
        width = extended_response(self.width, round(self.width * left), round(self.width * right))
        if not (left or right):
            return height @ self.across
        if not (top or bottom):
            return self.down @ width.T
        return _product(height, self.luma, width.T)


@lru_cache(maxsize=64)
def response(length: int) -> "NDArray[np.float32]":
    """With what weight each of `length` pixels counts for each of PDQ's 64 samples along them.

    Two box filters of a 128th of the length, averaged over as many pixels as there are, sampled in
    the middle of each 64th. float32 [64, length], every row adding up to 1.
    """
    window = (length + 2 * BLOCK - 1) // (2 * BLOCK)
    ahead = (window + 2) // 2 - 1
    behind = window - 1 - ahead
    places = np.arange(length)
    first = np.maximum(places - behind, 0)
    last = np.minimum(places + ahead, length - 1)
    counts = last - first + 1
    samples = ((np.arange(BLOCK) + 0.5) * length / BLOCK).astype(np.int64)
    # of each sample, the places that the second filter averages, each of them a box of the first
    boxes = samples[:, None] + np.arange(-behind, ahead + 1)[None, :]
    inside = (boxes >= 0) & (boxes < length)
    boxes = boxes.clip(0, length - 1)
    share = np.where(inside, 1.0 / (counts[boxes] * counts[samples][:, None]), 0.0).ravel()
    steps = np.zeros((BLOCK, length + 1))
    sample = np.repeat(np.arange(BLOCK), window)
    np.add.at(steps, (sample, first[boxes].ravel()), share)
    np.add.at(steps, (sample, last[boxes].ravel() + 1), -share)
    weights: NDArray[np.float32] = np.cumsum(steps, axis=1)[:, :length].astype(np.float32)
    weights.flags.writeable = False
    return weights


def extended_response(length: int, before: int, behind: int) -> "NDArray[np.float32]":
    """`response` of so many pixels more, which repeat the first and the last of `length`."""
    whole = response(length + before + behind)
    weights = whole[:, before : before + length].copy()
    weights[:, 0] += whole[:, :before].sum(axis=1)
    weights[:, -1] += whole[:, before + length :].sum(axis=1)
    return weights


def _product(
    before: "NDArray[np.float32]", middle: "NDArray[np.float32]", behind: "NDArray[np.float32]"
) -> "NDArray[np.float32]":
    half: NDArray[np.float32] = before @ middle
    whole: NDArray[np.float32] = half @ behind
    return whole


def _take(found: dict[bytes, VariantPdq], name: VariantName, pdq: bytes, quality: int) -> None:
    """Adds a variant, if it tells anything that none before did."""
    if quality >= PDQ_MIN_QUALITY and pdq not in found and not is_degenerate(Pdq(pdq)):
        found[pdq] = VariantPdq(name, Pdq(pdq), quality)


def _reduced(pixels: "NDArray[np.uint8]") -> "NDArray[np.uint8]":
    """The picture with less than 2 · SIDE_PX pixels a side, each the average of a rectangle."""
    height, width, _colours = pixels.shape
    factors = max(1, width // SIDE_PX), max(1, height // SIDE_PX)
    if factors == (1, 1):
        return pixels
    return np.asarray(Image.fromarray(pixels).reduce(factors))


def _blocks(
    colours: "NDArray[np.uint8]", plane: Plane, families: set[str]
) -> "Iterator[tuple[VariantName, NDArray[np.float32]]]":
    """The variants that change more than how the picture lies, each as float32 [64, 64]."""
    if "border" in families:
        for rectangle in borders_of(colours):
            yield "border-trimmed", plane.part(*rectangle)
    if "banner" in families:
        for top, bottom in banners_of(plane.luma):
            yield "banner-trimmed", plane.rows(top, bottom)
            yield "banner-covered", plane.covered(top, bottom)
    if "crop" in families:
        for share in _EXTENDED_ALL:
            yield "extended", plane.extended(top=share, bottom=share, left=share, right=share)
        for share in _EXTENDED_ONE:
            yield "extended", plane.extended(top=share)
            yield "extended", plane.extended(bottom=share)
            yield "extended", plane.extended(left=share)
            yield "extended", plane.extended(right=share)
        for share in _CROPPED_ALL:
            above, aside = round(plane.height * share), round(plane.width * share)
            yield (
                "cropped",
                plane.part(above, plane.height - above, aside, plane.width - aside),
            )


def borders_of(colours: "NDArray[np.uint8]") -> list[tuple[int, int, int, int]]:
    """What may be left of a picture without its border: top, bottom, left, right; at most two.

    Args:
        colours: uint8 [height, width, 3], as displayed.
    """
    height, width, _colours = colours.shape
    whole = (0, height, 0, width)
    found = {_inside(colours, tolerance, reach) for tolerance, reach in _BORDERS}
    return sorted(found - {whole})


def _inside(colours: "NDArray[np.uint8]", tolerance: int, reach: int) -> tuple[int, int, int, int]:
    top, left = 0, 0
    bottom, right = colours.shape[:2]
    for _ in range(_LOOKS):
        lines = colours[top:bottom, left:right]
        above = _depth(lines, tolerance, reach)
        below = _depth(lines[::-1], tolerance, reach)
        if len(lines) - above - below >= _LEAST_PX:
            top, bottom = top + above, bottom - below
        lines = colours[top:bottom, left:right].swapaxes(0, 1)
        before = _depth(lines, tolerance, reach)
        behind = _depth(lines[::-1], tolerance, reach)
        if len(lines) - before - behind >= _LEAST_PX:
            left, right = left + before, right - behind
    return top, bottom, left, right


def _depth(lines: "NDArray[np.uint8]", tolerance: int, reach: int) -> int:
    """How many of the first lines are a border.

    Args:
        lines: uint8 [lines, pixels, 3], the outermost first.
        tolerance: levels.
        reach: lines.
    """
    most = int(len(lines) * _MOST_OF_SIDE)
    colour = np.median(lines[0], axis=0).astype(np.int16)
    depth = 0
    while depth < most:
        chunk = lines[depth : min(depth + (_CHUNK if depth else 1), most)].astype(np.int16)
        strays = (np.abs(chunk - colour).max(axis=2) > tolerance).mean(axis=1) > _STRAYS
        if strays.any():
            depth += int(strays.argmax())
            break
        depth += len(chunk)
    if depth == 0:
        return 0
    near = lines[depth - 1 : depth + reach + 1].mean(axis=2, dtype=np.float32)
    if len(near) == 1:
        return depth
    return depth + int(np.abs(np.diff(near, axis=0)).mean(axis=1).argmax())


def banners_of(luma: "NDArray[np.float32]") -> list[tuple[int, int]]:
    """What may be left of a picture beside a banner at its top or bottom: rows from and to before.

    At each end the two rows where the picture changes most over its whole width.

    Args:
        luma: float32 [height, width].
    """
    height = len(luma)
    steps = np.minimum(np.abs(np.diff(luma, axis=0)), _EDGE_CLIP).mean(axis=1)
    rows = np.arange(1, height)
    found: list[tuple[int, int]] = []
    for first, last in ((_EDGE_FROM, _EDGE_TO), (1 - _EDGE_TO, 1 - _EDGE_FROM)):
        strength = np.where((rows >= first * height) & (rows <= last * height), steps, -1)
        for _ in range(_EDGES):
            place = int(strength.argmax())
            row = int(rows[place])
            if strength[place] <= 0:
                break
            strength[max(0, place - _EDGE_APART) : place + _EDGE_APART + 1] = -1
            part = (row, height) if first < 0.5 else (0, row)  # noqa: PLR2004 - which half
            if part[1] - part[0] >= _LEAST_PX:
                found.append(part)
    return found
