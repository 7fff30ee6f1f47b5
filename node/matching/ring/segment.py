"""One immutable segment: its arrays in one piece of memory, anonymous or a mapped file.

The file is that memory behind a header. It is written once, made durable, and never changed; all
processes that map it share its pages. Numbers are little-endian, as the processors are that numba
compiles for; on any other the header's version does not read back, and the file is refused.
"""

import hashlib
import mmap
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from node.matching.ring.building import checksum, fill_table, take_rows
from node.matching.ring.chunks import pack_all, rows_with, unpack_all
from node.matching.ring.families import Plan, plan_rows, tell_bundles
from node.matching.ring.layout import (
    BUNDLE_BYTES,
    CHUNKS,
    FAMILY,
    HALF_BYTES,
    PADDING,
    SEGMENT,
    STARTS,
)
from protocol.errors import UnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT_VERSION: Final = 2
MOST_ROWS: Final = 1 << 30
"""Rows of one segment; the bounds of buckets are uint32."""

_MAGIC: Final = b"snpdqidx"
_HEADER: Final = struct.Struct("<8sIIIIQQQqQ32s")
_HEADER_BYTES: Final = 4_096
_ALIGNED: Final = 64
_WIDEST_PACKED: Final = 57  # bits that eight bytes hold wherever they start
_WORD_BITS: Final = 64


@dataclass(frozen=True)
class Shape:
    """What the size of a segment and the places of its arrays follow from.

    Attributes:
        rows: how many.
        tabled: how many of them are in the tables; the others are in families.
        families: how many.
        bundles: of the families together.
        number_bits: of a row's number in the tables.
        key_bits: of a key less `key_base`.
        key_base: the least key.
    """

    rows: int
    tabled: int
    families: int
    bundles: int
    number_bits: int
    key_bits: int
    key_base: int

    def sections(self) -> list[tuple[str, int]]:
        """Name and bytes of each array, in their order."""
        rows = self.rows + PADDING
        return [
            ("starts", CHUNKS * STARTS * 4),
            ("filters", CHUNKS * _aligned((self.tabled + PADDING) * 2)),
            ("numbers", (CHUNKS - 1) * _packed_bytes(self.tabled, self.number_bits)),
            ("near", rows * HALF_BYTES),
            ("far", rows * HALF_BYTES),
            ("keys", _packed_bytes(self.rows, self.key_bits)),
            ("families", self.families * FAMILY.itemsize),
            ("bundles", self.bundles * BUNDLE_BYTES),
        ]

    def bytes(self) -> int:
        """Size of the memory, header included."""
        return _HEADER_BYTES + sum(_aligned(size) for _, size in self.sections())


class Segment:
    """Immutable rows with their tables.

    Attributes:
        shape: sizes.
        digest: SHA-256 of the body, once it was written to a file; else empty.
        record: what the kernels are given, SEGMENT [1], without dead rows.
    """

    def __init__(self, memory: mmap.mmap, shape: Shape, digest: bytes = b"") -> None:
        self._memory = memory
        self.shape = shape
        self.digest = digest
        self.bytes: NDArray[np.uint8] = np.frombuffer(memory, np.uint8)
        self._arrays = dict(_cut(self.bytes, shape))
        self.record = np.zeros(1, SEGMENT)
        self.record["rows"] = shape.rows
        self.record["tabled"] = shape.tabled
        self.record["family_count"] = shape.families
        self.record["filter_stride"] = _aligned((shape.tabled + PADDING) * 2)
        self.record["number_stride"] = _packed_bytes(shape.tabled, shape.number_bits)
        self.record["number_bits"] = shape.number_bits
        self.record["key_bits"] = shape.key_bits
        self.record["key_base"] = np.int64(shape.key_base).view(np.uint64)
        for name, array in self._arrays.items():
            self.record[name] = array.ctypes.data

    def __len__(self) -> int:
        return self.shape.rows

    def words(self) -> "NDArray[np.uint64]":
        """A copy of all rows' chunks, uint64 [rows, 4], in the segment's order."""
        rows = self.shape.rows
        return np.hstack([self._half("near")[:rows], self._half("far")[:rows]])

    def keys(self) -> "NDArray[np.int64]":
        """A copy of all rows' keys, int64 [rows], in the same order."""
        found = np.empty(self.shape.rows, np.uint64)
        base = np.int64(self.shape.key_base).view(np.uint64)
        unpack_all(self._arrays["keys"], np.uint64(self.shape.key_bits), base, found)
        return found.view(np.int64)

    def rows_of(self, wanted: "NDArray[np.int64]") -> "NDArray[np.int64]":
        """The rows under any of these keys, which ascend."""
        rows = np.empty(self.shape.rows, np.int64)  # touched only as far as something is found
        base = np.int64(self.shape.key_base).view(np.uint64)
        bits = np.uint64(self.shape.key_bits)
        found = rows_with(self._arrays["keys"], bits, base, wanted.view(np.uint64), rows)
        return rows[:found]

    def _half(self, name: str) -> "NDArray[np.uint64]":
        return self._arrays[name].view(np.uint64).reshape(-1, 2)

    def fill(
        self, words: "NDArray[np.uint64]", keys: "NDArray[np.int64]", plan: Plan, *, threads: int
    ) -> None:
        """Takes the rows in their order and makes the tables; the memory held only zeros before."""
        rows, order = self.shape.tabled, plan.order
        near, far = self._half("near"), self._half("far")
        take_rows(words, order, near, far)
        self._arrays["families"].view(FAMILY)[:] = plan.families
        bundles = self._arrays["bundles"].view(np.uint64).reshape(-1, 8)
        tell_bundles(near, far, plan.families, bundles)
        base = np.int64(self.shape.key_base).view(np.uint64)
        pack_all(
            self._arrays["keys"], np.uint64(self.shape.key_bits), keys.view(np.uint64)[order], base
        )
        halves = (near.view(np.uint16), far.view(np.uint16))
        starts = self._arrays["starts"].view(np.uint32).reshape(CHUNKS, STARTS)
        filters = self._arrays["filters"].view(np.uint16).reshape(CHUNKS, -1)
        numbers = self._arrays["numbers"].reshape(CHUNKS - 1, -1)
        nowhere = np.empty(0, np.uint8)

        def column(chunk: int) -> "NDArray[np.uint16]":
            half, place = divmod(chunk, CHUNKS // 2)
            return halves[half][:rows, place]

        def fill(table: int) -> None:
            fill_table(
                column(table),
                column((table + 1) % CHUNKS),
                starts[table],
                filters[table],
                numbers[table - 1] if table else nowhere,
                np.uint64(self.shape.number_bits),
            )

        if threads == 1:
            for table in range(CHUNKS):
                fill(table)
            return
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(fill, range(CHUNKS)))

    def write(self, path: Path) -> None:
        """The segment is in a new file, durably.

        Raises:
            OSError: there is no room; nothing is left of the file.
        """
        body = self.bytes[_HEADER_BYTES:]
        header = _HEADER.pack(
            _MAGIC,
            FORMAT_VERSION,
            self.shape.number_bits,
            self.shape.key_bits,
            self.shape.families,
            self.shape.rows,
            self.shape.tabled,
            self.shape.bundles,
            self.shape.key_base,
            int(checksum(body.view(np.uint64))),
            hashlib.sha256(body.data).digest(),
        )
        whole = header + hashlib.sha256(header).digest()
        self.bytes[: len(whole)] = np.frombuffer(whole, np.uint8)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.bytes.data)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def verify(self) -> None:
        """Compares the body with its SHA-256, which takes a second for a gigabyte.

        Raises:
            UnavailableError: it is not what was written.
        """
        if hashlib.sha256(self.bytes[_HEADER_BYTES:].data).digest() != self.digest:
            raise UnavailableError("A segment of the index is not what was written.")


def build_segment(
    words: "NDArray[np.uint64]", keys: "NDArray[np.int64]", *, threads: int = 1
) -> Segment:
    """Returns a segment of these rows, in memory.

    Args:
        words: uint64 [n, 4], the chunks of each row; n from 1 to MOST_ROWS.
        keys: int64 [n].
        threads: how many to sort with.
    """
    plan = plan_rows(words)
    least, greatest = int(keys.min()), int(keys.max())
    key_bits = max(1, (greatest - least).bit_length())
    shape = Shape(
        rows=len(keys),
        tabled=plan.tabled,
        families=len(plan.families),
        bundles=plan.bundles,
        number_bits=max(1, (plan.tabled - 1).bit_length()),
        key_bits=key_bits if key_bits <= _WIDEST_PACKED else _WORD_BITS,
        key_base=least,
    )
    memory = mmap.mmap(-1, shape.bytes(), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)  # a query touches hundreds of places far apart
    segment = Segment(memory, shape)
    segment.fill(words, keys, plan, threads=threads)
    return segment


def open_segment(path: Path) -> Segment:
    """Maps a segment's file, once all of it was compared with its checksum.

    Raises:
        FileNotFoundError: it is not there.
        UnavailableError: it is not what was written.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        header = file.read(_HEADER.size + hashlib.sha256().digest_size)
        try:
            shape, total, digest = _parse(header)
        except struct.error:
            raise UnavailableError("A segment of the index is cut off.") from None
        if size != shape.bytes():
            raise UnavailableError("A segment of the index is cut off.")
        memory = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
    segment = Segment(memory, shape, digest)
    if int(checksum(segment.bytes[_HEADER_BYTES:].view(np.uint64))) != total:
        raise UnavailableError("A segment of the index is not what was written.")
    return segment


def _parse(whole: bytes) -> tuple[Shape, int, bytes]:
    header = whole[: _HEADER.size]
    magic, version, number_bits, key_bits, *counts, key_base, total, digest = _HEADER.unpack(header)
    if hashlib.sha256(header).digest() != whole[_HEADER.size :] or magic != _MAGIC:
        raise UnavailableError("A segment of the index does not begin as one.")
    if version != FORMAT_VERSION:
        raise UnavailableError(f"A segment of the index has the unknown format {version}.")
    families, rows, tabled, bundles = counts
    shape = Shape(rows, tabled, families, bundles, number_bits, key_bits, key_base)
    return shape, total, digest


def _cut(memory: "NDArray[np.uint8]", shape: Shape) -> "Iterator[tuple[str, NDArray[Any]]]":
    start = _HEADER_BYTES
    for name, size in shape.sections():
        yield name, memory[start : start + size]
        start += _aligned(size)


def _aligned(size: int) -> int:
    return -(-size // _ALIGNED) * _ALIGNED


def _packed_bytes(count: int, bits: int) -> int:
    """Room for packed numbers, and for reading eight bytes at the last one."""
    return _aligned(count * bits // 8 + 8)
