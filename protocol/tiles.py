"""Tiles of a log and bundles of its entries: their addresses and bytes (C2SP tlog-tiles).

What it is: names and encodings, each with one form. What it is not: a store, or a proof. Hashes
that came in a tile prove nothing until they were seen to lead to a root that the log signed.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from protocol import limits
from protocol.errors import LimitError, MalformedError
from protocol.merkle import HASH_BYTES, TILE_HEIGHT

TILE_WIDTH: Final = 1 << TILE_HEIGHT
"""Hashes of a full tile, and entries of a full bundle."""

TILE_TYPE: Final = "application/octet-stream"
"""Content type of tiles and bundles."""

MAX_BUNDLE_BYTES: Final = TILE_WIDTH * (2 + HASH_BYTES)
"""Length of a full bundle of our logs, whose entries have 32 bytes each."""

_MAX_LEVEL: Final = (limits.MAX_LOG_SIZE.bit_length() - 1) // TILE_HEIGHT
_MAX_ENTRY_BYTES: Final = 0xFFFF
_LENGTH_BYTES: Final = 2
_LEVEL: Final = re.compile("0|[1-9][0-9]?")
# 2^45 tiles of level 0 have numbers of at most 14 digits, which are five elements.
_PLACE: Final = re.compile(r"((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True)
class Tile:
    """Which hashes of a log are meant: `width` of level `level`, from number 256 × `number` on.

    A hash of tile level *n* is the root over 256^n entries. The bundle of the same entries as a
    tile of level 0 has the same number and width.

    Attributes:
        level: 0 to 6, as far as our logs reach.
        number: place among the tiles of the level, from 0.
        width: 256, or 1 to 255 for the last of its level.

    Raises:
        MalformedError: no log has such a tile.
    """

    level: int
    number: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        """Refuse what no log can have."""
        if not 0 <= self.level <= _MAX_LEVEL or not 1 <= self.width <= TILE_WIDTH:
            raise MalformedError("A tile has 1 to 256 hashes, and a level that a log can have.")
        if self.number < 0 or self.needs() > limits.MAX_LOG_SIZE:
            raise MalformedError("No log has a tile of this number.")

    @property
    def first(self) -> int:
        """Number of its first hash, among all of its level."""
        return self.number << TILE_HEIGHT

    def needs(self) -> int:
        """Return how many entries a log must have to have this tile."""
        return (self.first + self.width) << TILE_HEIGHT * self.level

    def path(self) -> str:
        """Return where the tile is served, such as ``tile/0/x001/067.p/8``."""
        return f"tile/{self.level}/{self.place()}"

    def bundle_path(self) -> str:
        """Return where the entries under a tile of level 0 are served.

        Raises:
            RuntimeError: the tile is of another level.
        """
        if self.level:
            raise RuntimeError("Only the tiles of level 0 have a bundle of entries.")
        return f"tile/entries/{self.place()}"

    def place(self) -> str:
        """Return number and width as they stand in an address, such as ``x001/067.p/8``."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        elements = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        place = "/".join([*(f"x{one}" for one in elements[:-1]), elements[-1]])
        return place if self.width == TILE_WIDTH else f"{place}.p/{self.width}"


ReadTile = Callable[[Tile], Sequence[bytes]]
"""Gives the hashes of a tile, `Tile.width` of 32 bytes each."""


def parse_tile(level: str, place: str) -> Tile:
    """Return the tile that ``/tile/<level>/<place>`` means.

    Args:
        level: untrusted text; ``0`` for the address of a bundle.
        place: untrusted text, such as ``x001/x234/067`` or ``000.p/12``.

    Raises:
        MalformedError: not an address that tlog-tiles has, or not in its one form.
    """
    found = _PLACE.fullmatch(place)
    if not _LEVEL.fullmatch(level) or found is None:
        raise MalformedError("This is not the address of a tile.")
    number, width = found.groups()
    tile = Tile(int(level), int(number.replace("x", "").replace("/", "")), int(width or TILE_WIDTH))
    # Elements of zeros in front, and a width of 256 that is written out, are other forms.
    if tile.place() != place:
        raise MalformedError("The address of a tile is not in its one form.")
    return tile


def tile_of(level: int, number: int, size: int) -> Tile:
    """Return a tile as wide as a log of `size` entries has it.

    Args:
        level: of the tile.
        number: of the tile.
        size: number of entries; at least as many as the tile's first hash needs.

    Raises:
        MalformedError: the log has no such tile.
    """
    reached = (size >> TILE_HEIGHT * level) - (number << TILE_HEIGHT)
    return Tile(level, number, min(TILE_WIDTH, reached))


def tiles_of(size: int, level: int) -> Iterator[Tile]:
    """Yield the tiles of one level that a log of `size` entries has, the partial one last."""
    count = size >> TILE_HEIGHT * level
    for number in range(-(-count // TILE_WIDTH)):
        yield tile_of(level, number, size)


def levels_of(size: int) -> range:
    """Return the levels on which a log of `size` entries has tiles."""
    return range(-(-size.bit_length() // TILE_HEIGHT))


def split_tile(data: bytes, tile: Tile) -> tuple[bytes, ...]:
    """Return the hashes in the bytes of a tile.

    Raises:
        MalformedError: not as many bytes as the tile has.
    """
    if len(data) != HASH_BYTES * tile.width:
        raise MalformedError("The tile does not have the length that its address says.")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def join_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the bytes of a bundle: each entry after its length as 2 bytes, big-endian.

    Raises:
        LimitError: an entry has more than 65,535 bytes.
    """
    if any(len(entry) > _MAX_ENTRY_BYTES for entry in entries):
        raise LimitError(f"An entry of a bundle has at most {_MAX_ENTRY_BYTES} bytes.")
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES, "big") + entry for entry in entries)


def split_bundle(data: bytes, width: int) -> tuple[bytes, ...]:
    """Return the entries in the bytes of a bundle.

    Args:
        data: untrusted bytes.
        width: how many entries there are to be.

    Raises:
        MalformedError: another number of entries, or bytes that belong to none.
    """
    entries: list[bytes] = []
    at = 0
    while at < len(data) and len(entries) < width:
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        entries.append(data[start:at])
    # A length that reaches beyond the end leaves `at` there.
    if at != len(data) or len(entries) != width:
        raise MalformedError("The bundle does not have the entries that its address says.")
    return tuple(entries)
