"""A log in files: right as a whole, or the file at fault is named."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from federation.log_files import verify_log
from federation.offline import FileNode, read_nodes
from protocol.checkpoint import Checkpoint
from protocol.errors import (
    BadSignatureError,
    MalformedError,
    NotFoundError,
    ProofError,
    SchutznetzError,
)
from protocol.merkle import Frontier, leaf_hash
from protocol.tiles import join_bundle, levels_of, tiles_of
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import Peer, make_key

NAME = "hotline.example"
SIZE = 66_000
ENTRIES = [sha256(b"%d" % at).digest() for at in range(SIZE)]
GROWN, FULL = Frontier.EMPTY.grow(ENTRIES)
LEVELS = [[leaf_hash(one) for one in ENTRIES], FULL[0], FULL[1]]

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def node() -> FileNode:
    return read_nodes([Peer(NAME).descriptor_envelope])[NAME]


def log(size: int) -> Files:
    root = Frontier.EMPTY.append(ENTRIES[:size]).root()
    checkpoint = Checkpoint(f"{NAME}/log/1", size, root)
    files = {"checkpoint": sign_checkpoint(checkpoint, make_key(KeyUse.LOG, NAME))}
    for level in levels_of(size):
        for tile in tiles_of(size, level):
            end = tile.first + tile.width
            files[tile.path()] = b"".join(LEVELS[level][tile.first : end])
            if not level:
                files[tile.bundle_path()] = join_bundle(ENTRIES[tile.first : end])
    return files


def reading(files: Files) -> Callable[[str, int], bytes | None]:
    def read(path: str, max_bytes: int) -> bytes | None:
        return None if path not in files else files[path][:max_bytes]

    return read


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 1_000, SIZE])
def test_a_whole_log_is_hashed_from_its_first_entry_to_its_root(node, size):
    seen: list[int] = []
    files = log(size)
    checkpoint, note = verify_log(reading(files), node, step=seen.append)
    assert (checkpoint.size, note) == (size, files["checkpoint"])
    assert seen == [*range(256, size, 256), size][: len(seen)]
    assert seen[-1:] == ([size] if size else [])


def test_every_file_counts_and_the_one_at_fault_is_named(node):
    files = log(700)
    assert len(files) == 8
    for path in files:
        read = reading({name: data for name, data in files.items() if name != path})
        with pytest.raises(NotFoundError, match=rf"^{path} is missing"):
            verify_log(read, node)
    for path in files.keys() - {"checkpoint"}:
        data = bytearray(files[path])
        data[40] ^= 1
        with pytest.raises((ProofError, MalformedError), match="tile/") as caught:
            verify_log(reading(files | {path: bytes(data)}), node)
        assert path.removeprefix("tile/entries").removeprefix("tile/0") in str(caught.value)


@pytest.mark.parametrize("path", ["tile/0/000", "tile/entries/000", "tile/0/002.p/188"])
@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0"])
def test_a_file_of_another_length_is_refused(node, path, change):
    files = log(700)
    with pytest.raises(MalformedError, match=path.replace(".", r"\.")):
        verify_log(reading(files | {path: change(files[path])}), node)


def test_an_entry_that_is_no_id_is_refused(node):
    files = log(2)
    bundle = join_bundle([ENTRIES[0] + b"\0", ENTRIES[1][1:]])
    with pytest.raises(MalformedError, match="no statement id"):
        verify_log(reading(files | {"tile/entries/000.p/2": bundle}), node)


def test_entries_and_tiles_that_fit_each_other_but_not_the_checkpoint_are_refused(node):
    files = log(3)
    swapped = [ENTRIES[1], ENTRIES[0], ENTRIES[2]]
    files["tile/entries/000.p/3"] = join_bundle(swapped)
    files["tile/0/000.p/3"] = b"".join(leaf_hash(one) for one in swapped)
    with pytest.raises(ProofError, match="do not have the root"):
        verify_log(reading(files), node)


def test_a_checkpoint_that_was_changed_is_refused(node):
    files = log(3)
    files["checkpoint"] = files["checkpoint"].replace(b"\n3\n", b"\n2\n")
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify_log(reading(files), node)
    files["checkpoint"] = bytes(100_000)
    with pytest.raises(SchutznetzError):
        verify_log(reading(files), node)


def test_a_partial_tile_that_has_gone_is_read_from_the_full_one(node):
    files = log(300) | {path: data for path, data in log(600).items() if path != "checkpoint"}
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44"):
        del files[path]
    assert verify_log(reading(files), node)[0].size == 300
