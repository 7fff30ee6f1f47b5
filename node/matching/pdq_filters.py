"""The compiled half of node.matching.pdq_kernel: luma, filters and cosine transform of PDQ.

Every rounding here is one that the reference makes, in its order; pdq_kernel says why and how.
Nothing may be fused or reassociated, hence neither `fastmath` nor a matrix product.

The functions take arrays that pdq_kernel made and check nothing.
"""

from typing import TYPE_CHECKING, Final

import numpy as np

from node.matching.compiled import compiled
from node.matching.pdq_block import BLOCK, COEFFICIENTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

Lie = tuple[int, int, int]
"""Where the pixels of a picture are: the byte at which the first one that is displayed starts, and
how many bytes it is from a pixel to the one displayed under it and to the one right of it."""

_STRIP: Final = 16  # rows that go through the filters together; twice the eight of `_sum_8_rows`
_PADDING: Final = 16  # floats, so that rows start in different cache lines at widths of 2^n

_ZERO: Final = np.float32(0)


@compiled
def read_luma(
    flat: "NDArray[np.uint8]",
    lie: Lie,
    top: int,
    luma: "NDArray[np.float32]",
) -> None:
    """The luma of the rows from `top` on is in `luma`, float32 [rows, columns].

    Args:
        flat: the bytes of the picture, uint8 [n].
        lie: where its pixels are.
        top: a row of the picture as displayed.
        luma: what is filled.
    """
    start, down, right = lie
    start += top * down
    height, width = luma.shape
    if right == 3:  # noqa: PLR2004 - not turned: the loop that the compiler can do in vectors
        for y in range(height):
            row = flat[start + y * down : start + y * down + 3 * width]
            for x in range(width):
                thousandths = (
                    np.int32(row[3 * x]) * np.int32(299)
                    + np.int32(row[3 * x + 1]) * np.int32(587)
                    + np.int32(row[3 * x + 2]) * np.int32(114)
                )
                luma[y, x] = np.float32(thousandths) / np.float32(1000)
        return
    # The rows of a turned picture lie beside each other in memory; so a strip of them is read.
    for x in range(width):
        at = start + x * right
        for y in range(height):
            thousandths = (
                np.int32(flat[at]) * np.int32(299)
                + np.int32(flat[at + 1]) * np.int32(587)
                + np.int32(flat[at + 2]) * np.int32(114)
            )
            luma[y, x] = np.float32(thousandths) / np.float32(1000)
            at += down


@compiled
def _window(length: int) -> tuple[int, int]:
    """Pixels that a filter pass over `length` pixels averages, and how many of them are ahead."""
    window = (length + 2 * BLOCK - 1) // (2 * BLOCK)
    return window, (window + 2) // 2 - 1


@compiled
def _counts(length: int) -> "NDArray[np.float32]":
    """Of how many pixels the average at each place of a row or column is: fewer at the ends."""
    window, ahead = _window(length)
    counts = np.empty(length, np.float32)
    for at in range(length):
        counts[at] = min(at + ahead, length - 1) - max(at + ahead - window, -1)
    return counts


@compiled
def _samples(length: int) -> "NDArray[np.int64]":
    """Which 64 places of a row or column become the block; of a short one some do twice."""
    places = np.empty(BLOCK, np.int64)
    for i in range(BLOCK):
        places[i] = int(((i + 0.5) * length) / BLOCK)
    return places


@compiled
def filter_into(
    flat: "NDArray[np.uint8]",
    lie: Lie,
    height: int,
    width: int,
    block: "NDArray[np.float32]",
) -> None:
    """The picture, filtered twice along rows and columns, is sampled in `block`, [64, 64].

    Args:
        flat: the bytes of the picture, uint8 [n].
        lie: where its pixels are.
        height: of the picture as displayed, in pixels.
        width: likewise.
        block: what is filled.
    """
    across, left = window_x = _window(width)
    along, above = _window(height)
    per_column, per_row = _counts(width), _counts(height)
    columns_kept, rows_kept = _samples(width), _samples(height)
    # Zeroes beside each row: what is outside adds and subtracts nothing.
    stride = (across + width + left + 2 * _PADDING - 1) // _PADDING * _PADDING
    luma = np.zeros((_STRIP, stride), np.float32)
    smooth = np.zeros((_STRIP, stride), np.float32)
    row_sums = np.zeros((_STRIP, (width // _PADDING + 1) * _PADDING), np.float32)
    last_rows = np.zeros((along, width), np.float32)
    column_sums = np.zeros(width, np.float32)
    narrow = np.zeros((_STRIP, BLOCK), np.float32)
    last_narrow = np.zeros((along, BLOCK), np.float32)
    narrow_sums = np.zeros(BLOCK, np.float32)
    for row in range(height + above):
        place = row % _STRIP
        if place == 0 and row < height:
            rows = min(_STRIP, height - row)
            read_luma(flat, lie, row, luma[:rows, across : across + width])
            _sum_8_rows(luma[:8], window_x, width, row_sums[:8])
            _sum_8_rows(luma[8:], window_x, width, row_sums[8:])
        if row >= height:
            row_sums[place] = _ZERO
        _move_down(row_sums[place], per_column, last_rows[row % along], column_sums)
        if row < above:
            continue
        ready = row - above
        place = ready % _STRIP
        _divide(column_sums, per_row[ready], smooth[place, across : across + width])
        if place == _STRIP - 1 or ready == height - 1:
            _sample_8_rows(smooth[:8], window_x, columns_kept, per_column, narrow[:8])
            _sample_8_rows(smooth[8:], window_x, columns_kept, per_column, narrow[8:])
            _filter_columns_again(
                narrow[: place + 1],
                ready - place,
                (rows_kept, per_row),
                (last_narrow, narrow_sums),
                block,
            )


@compiled
def _sum_8_rows(
    padded: "NDArray[np.float32]",
    lengths: tuple[int, int],
    width: int,
    sums: "NDArray[np.float32]",
) -> None:
    """The running sums along eight rows are in `sums`, float32 [8, >= width].

    Eight at once, because each sum waits for the one before it and eight chains do not wait for
    each other. Written out, because only then does the compiler keep all eight in registers.

    Args:
        padded: rows with `window` zeroes before and `ahead` zeroes behind them.
        lengths: how many values are added up, the `window`, and how many of them are `ahead`.
        width: values in a row.
        sums: what is filled.
    """
    window, ahead = lengths
    a0, a1, a2, a3 = padded[0], padded[1], padded[2], padded[3]
    a4, a5, a6, a7 = padded[4], padded[5], padded[6], padded[7]
    b0, b1, b2, b3 = sums[0], sums[1], sums[2], sums[3]
    b4, b5, b6, b7 = sums[4], sums[5], sums[6], sums[7]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = _ZERO
    for old in range(width + ahead):
        new = old + window
        s0 = (s0 + a0[new]) - a0[old]
        s1 = (s1 + a1[new]) - a1[old]
        s2 = (s2 + a2[new]) - a2[old]
        s3 = (s3 + a3[new]) - a3[old]
        s4 = (s4 + a4[new]) - a4[old]
        s5 = (s5 + a5[new]) - a5[old]
        s6 = (s6 + a6[new]) - a6[old]
        s7 = (s7 + a7[new]) - a7[old]
        if old >= ahead:
            at = old - ahead
            b0[at], b1[at], b2[at], b3[at] = s0, s1, s2, s3
            b4[at], b5[at], b6[at], b7[at] = s4, s5, s6, s7


@compiled
def _sample_8_rows(
    padded: "NDArray[np.float32]",
    lengths: tuple[int, int],
    places: "NDArray[np.int64]",
    counts: "NDArray[np.float32]",
    averages: "NDArray[np.float32]",
) -> None:
    """The averages along eight rows at the 64 sampled places are in `averages`, float32 [8, 64].

    Args:
        padded: as _sum_8_rows.
        lengths: as _sum_8_rows.
        places: the sampled ones, in ascending order, int64 [64].
        counts: of how many values the average at each place is, float32 [width].
        averages: what is filled.
    """
    window, ahead = lengths
    a0, a1, a2, a3 = padded[0], padded[1], padded[2], padded[3]
    a4, a5, a6, a7 = padded[4], padded[5], padded[6], padded[7]
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = _ZERO
    old = 0
    for i in range(BLOCK):
        until = places[i] + ahead + 1
        while old < until:
            new = old + window
            s0 = (s0 + a0[new]) - a0[old]
            s1 = (s1 + a1[new]) - a1[old]
            s2 = (s2 + a2[new]) - a2[old]
            s3 = (s3 + a3[new]) - a3[old]
            s4 = (s4 + a4[new]) - a4[old]
            s5 = (s5 + a5[new]) - a5[old]
            s6 = (s6 + a6[new]) - a6[old]
            s7 = (s7 + a7[new]) - a7[old]
            old += 1
        count = counts[places[i]]
        averages[0, i], averages[1, i] = s0 / count, s1 / count
        averages[2, i], averages[3, i] = s2 / count, s3 / count
        averages[4, i], averages[5, i] = s4 / count, s5 / count
        averages[6, i], averages[7, i] = s6 / count, s7 / count


@compiled
def _move_down(
    row_sums: "NDArray[np.float32]",
    counts: "NDArray[np.float32]",
    oldest: "NDArray[np.float32]",
    sums: "NDArray[np.float32]",
) -> None:
    """The columns' running sums have taken in one row and given back another.

    Args:
        row_sums: what enters, before its division.
        counts: what it is divided by.
        oldest: what leaves; replaced by what entered, which leaves a window later.
        sums: one per column.
    """
    for x in range(sums.size):
        new = row_sums[x] / counts[x]
        sums[x] = (sums[x] + new) - oldest[x]
        oldest[x] = new


@compiled
def _divide(
    sums: "NDArray[np.float32]", count: np.float32, averages: "NDArray[np.float32]"
) -> None:
    """`averages` are `sums` divided by `count`."""
    for x in range(sums.size):
        averages[x] = sums[x] / count


@compiled
def _filter_columns_again(
    rows: "NDArray[np.float32]",
    top: int,
    samples: tuple["NDArray[np.int64]", "NDArray[np.float32]"],
    state: tuple["NDArray[np.float32]", "NDArray[np.float32]"],
    block: "NDArray[np.float32]",
) -> None:
    """The second pass along the 64 columns has taken in some rows, and `block` what it yields.

    Args:
        rows: float32 [rows, 64], the next ones.
        top: which row of the picture the first of them is.
        samples: which rows of the picture are sampled, int64 [64], and of how many rows the
            average at each row is, float32 [height].
        state: the last rows, float32 [window, 64], and the columns' running sums, float32 [64].
        block: float32 [64, 64], sampled from what comes out.
    """
    places, counts = samples
    last_rows, sums = state
    height = counts.size
    window, ahead = _window(height)
    ones = np.ones(BLOCK, np.float32)
    nothing = np.zeros(BLOCK, np.float32)
    until = top + len(rows)
    for row in range(top, until + ahead if until == height else until):
        entering = rows[row - top] if row < height else nothing
        _move_down(entering, ones, last_rows[row % window], sums)
        if row < ahead:
            continue
        for i in range(BLOCK):
            if places[i] == row - ahead:
                _divide(sums, counts[row - ahead], block[i])


@compiled
def transform(
    block: "NDArray[np.float32]",
    cosines: "NDArray[np.float32]",
    coefficients: "NDArray[np.float32]",
) -> None:
    """`coefficients` is cosines · block · cosinesᵀ, each sum taken in order of its index.

    Args:
        block: float32 [64, 64].
        cosines: float32 [16, 64].
        coefficients: float32 [16, 16], what is filled.
    """
    half = np.zeros((COEFFICIENTS, BLOCK), np.float32)
    for i in range(COEFFICIENTS):
        for k in range(BLOCK):
            for j in range(BLOCK):
                half[i, j] += cosines[i, k] * block[k, j]
    coefficients[:] = _ZERO
    for i in range(COEFFICIENTS):
        for j in range(COEFFICIENTS):
            for k in range(BLOCK):
                coefficients[i, j] += half[i, k] * cosines[j, k]
