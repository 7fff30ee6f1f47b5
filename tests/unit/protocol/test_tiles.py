"""Addresses and bytes of tiles and bundles, each with its one form."""

import pytest

from protocol import limits
from protocol.errors import LimitError, MalformedError
from protocol.tiles import (
    MAX_BUNDLE_BYTES,
    Tile,
    join_bundle,
    levels_of,
    parse_tile,
    split_bundle,
    split_tile,
    tile_of,
    tiles_of,
)

ADDRESSES = [
    (Tile(0, 0), "tile/0/000"),
    (Tile(0, 0, 1), "tile/0/000.p/1"),
    (Tile(3, 999, 255), "tile/3/999.p/255"),
    (Tile(1, 1000), "tile/1/x001/000"),
    (Tile(0, 1234067), "tile/0/x001/x234/067"),
    (Tile(0, 1234067, 8), "tile/0/x001/x234/067.p/8"),
    (Tile(0, 2**45 - 1, 255), "tile/0/x035/x184/x372/x088/831.p/255"),
    (Tile(6, 0, 31), "tile/6/000.p/31"),
]
NO_PLACES = [
    "", "0", "00", "0000", "x000/000", "000/", "/000", "001/000", "x001", "x1/000", "X001/000",
    "000.p/0", "000.p/256", "000.p/01", "000.p/", "000.p", "000.p/999", "000.p/1000", "000.p/-1",
    "-01", "+01", "000\n", "000.p/1\n", "٠٠٠", "x001/x234/067/", "../000", "x999/x999/x999/x999/999",
    "x001/x000/x000/x000/x000/000", "x035/x184/x372/x088/832",
]  # fmt: skip
"""Places that no tile has, among them the last tile whose log would be too large."""


@pytest.mark.parametrize(("tile", "path"), ADDRESSES, ids=[path for _, path in ADDRESSES])
def test_a_tile_has_one_address(tile, path):
    _, level, place = path.split("/", 2)
    assert tile.path() == path
    assert parse_tile(level, place) == tile


def test_a_bundle_has_the_address_of_its_tile_of_level_0():
    assert Tile(0, 1234067, 8).bundle_path() == "tile/entries/x001/x234/067.p/8"
    with pytest.raises(RuntimeError, match="level 0"):
        Tile(1, 0).bundle_path()


@pytest.mark.parametrize("place", NO_PLACES)
def test_what_is_not_the_place_of_a_tile_is_refused(place):
    with pytest.raises(MalformedError, match=r"tile"):
        parse_tile("0", place)


@pytest.mark.parametrize("level", ["", "00", "01", "-1", "7", "63", "64", "100", "0\n", "entries"])
def test_a_level_that_no_log_of_ours_has_is_refused(level):
    with pytest.raises(MalformedError, match=r"tile"):
        parse_tile(level, "000")


@pytest.mark.parametrize(
    "fields", [(-1, 0, 1), (0, -1, 1), (0, 0, 0), (0, 0, 257), (6, 0, 32), (0, 2**45 - 1, 256)]
)
def test_a_tile_that_no_log_has_is_refused(fields):
    with pytest.raises(MalformedError, match=r"No log|A tile has"):
        Tile(*fields)


def test_the_largest_log_has_tiles_on_seven_levels():
    size = limits.MAX_LOG_SIZE
    assert list(levels_of(size)) == list(range(7))
    assert tile_of(6, 0, size) == Tile(6, 0, 31)
    assert tile_of(0, size >> 8, size).needs() == size


def test_a_log_of_70000_entries_has_the_tiles_of_the_specification():
    by_level = [list(tiles_of(70_000, level)) for level in levels_of(70_000)]
    assert [len(tiles) for tiles in by_level] == [274, 2, 1]
    assert by_level[0][-1] == Tile(0, 273, 112)
    assert by_level[1] == [Tile(1, 0), Tile(1, 1, 17)]
    assert by_level[2] == [Tile(2, 0, 1)]


@pytest.mark.parametrize(
    ("size", "tiles"),
    [
        (0, []),
        (1, [Tile(0, 0, 1)]),
        (255, [Tile(0, 0, 255)]),
        (256, [Tile(0, 0), Tile(1, 0, 1)]),
        (257, [Tile(0, 0), Tile(0, 1, 1), Tile(1, 0, 1)]),
    ],
)
def test_a_log_has_no_empty_tile(size, tiles):
    assert [tile for level in levels_of(size) for tile in tiles_of(size, level)] == tiles


def test_a_bundle_gives_back_its_entries():
    entries = (b"", b"one", bytes(32), bytes(0xFFFF))
    data = join_bundle(entries)
    assert data[:7] == b"\0\0\0\x03one"
    assert split_bundle(data, 4) == entries
    assert len(join_bundle([bytes(32)] * 256)) == MAX_BUNDLE_BYTES
    with pytest.raises(LimitError, match="65535"):
        join_bundle([bytes(0x10000)])


@pytest.mark.parametrize(
    ("data", "width"),
    [
        (b"", 1),
        (b"\0", 1),
        (b"\0\1", 1),
        (b"\0\2a", 1),
        (b"\0\1a", 0),
        (b"\0\1a", 2),
        (b"\0\1a\0", 1),
        (b"\0\1a\0\1b", 1),
    ],
)
def test_a_bundle_with_other_entries_than_its_address_says_is_refused(data, width):
    with pytest.raises(MalformedError, match="does not have the entries"):
        split_bundle(data, width)


def test_a_tile_is_cut_into_hashes_and_nothing_is_left_over():
    assert split_tile(b"a" * 32 + b"b" * 32, Tile(0, 0, 2)) == (b"a" * 32, b"b" * 32)
    for length in (0, 31, 63, 65, 96):
        with pytest.raises(MalformedError, match="length that its address says"):
            split_tile(bytes(length), Tile(0, 0, 2))
