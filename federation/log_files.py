"""A log that lies in files, as C2SP tlog-tiles has them: hashed from its first entry to its root.

What it is not: a look at the statements behind the entries, or at which entries are there twice.
"""

from collections.abc import Callable
from itertools import chain

from federation.offline import FileNode
from protocol.checkpoint import Checkpoint
from protocol.errors import MalformedError, NotFoundError, ProofError
from protocol.limits import MAX_NOTE_BYTES
from protocol.merkle import HASH_BYTES, Frontier, leaf_hash
from protocol.tiles import Tile, levels_of, split_bundle, split_tile, tiles_of
from signing.notes import open_signed

CHECKPOINT_FILE = "checkpoint"
"""Name of the checkpoint among the files of a log."""

ReadFile = Callable[[str, int], bytes | None]
"""Gives the bytes at a path such as ``tile/0/000``, at most as many as said; None: not there."""


def verify_log(
    read: ReadFile, node: FileNode, *, step: Callable[[int], None] = lambda _entries: None
) -> tuple[Checkpoint, bytes]:
    """Returns the checkpoint of a log that lies in files, and its note, once all of it was hashed.

    1. The checkpoint is believed under the node's log key.
    2. Every entry is there; the tiles of level 0 hold the hashes of the entries.
    3. The tiles of every level above hold the roots of the tiles below.
    4. The root over all entries is that of the checkpoint.

    Memory: one hash for every 256 entries.

    Args:
        read: gives the files of the log, at the paths of C2SP tlog-tiles.
        node: whose log it is.
        step: is told after each tile of level 0 how many entries have been read.

    Raises:
        NotFoundError: a file is missing.
        ProtocolError: a file is not what it should be; the sentence names it.
        SigningError: step 1.
    """
    # 1.
    note = _read(read, CHECKPOINT_FILE, MAX_NOTE_BYTES)
    origin = node.node.log_origin
    checkpoint = open_signed(note, origin=origin, keys=node.log_keys)
    # 2.
    frontier = Frontier.EMPTY
    above: dict[int, list[bytes]] = {}
    for tile in tiles_of(checkpoint.size, 0):
        entries = _entries(read, tile)
        if _hashes(read, tile) != tuple(leaf_hash(entry) for entry in entries):
            raise ProofError(f"{tile.path()} does not hold the hashes of its entries.")
        frontier, full = frontier.grow(entries)
        for level, roots in full.items():
            above.setdefault(level + 1, []).extend(roots)
        step(frontier.size)
    # 3.
    for tile in chain.from_iterable(
        tiles_of(checkpoint.size, level) for level in levels_of(checkpoint.size) if level
    ):
        if _hashes(read, tile) != tuple(above[tile.level][tile.first : tile.first + tile.width]):
            raise ProofError(f"{tile.path()} does not hold the roots of the tiles below it.")
    # 4.
    if frontier.root() != checkpoint.root:
        raise ProofError("The entries do not have the root that the checkpoint says.")
    return checkpoint, note


def _entries(read: ReadFile, tile: Tile) -> tuple[bytes, ...]:
    data = _read_tile(read, tile, Tile.bundle_path, 2 + HASH_BYTES)
    try:
        entries = split_bundle(data, tile.width)
    except MalformedError as error:
        raise MalformedError(f"{tile.bundle_path()}: {error}") from None
    if any(len(entry) != HASH_BYTES for entry in entries):
        raise MalformedError(f"{tile.bundle_path()} has an entry that is no statement id.")
    return entries


def _hashes(read: ReadFile, tile: Tile) -> tuple[bytes, ...]:
    try:
        return split_tile(_read_tile(read, tile, Tile.path, HASH_BYTES), tile)
    except MalformedError as error:
        raise MalformedError(f"{tile.path()}: {error}") from None


def _read_tile(read: ReadFile, tile: Tile, path: Callable[[Tile], str], item_bytes: int) -> bytes:
    """Returns a partial tile, or what the full one has of it where the partial one has gone."""
    whole = Tile(tile.level, tile.number)
    length = tile.width * item_bytes
    # One byte more than there should be is read, so that a longer file is noticed.
    data = read(path(tile), length + 1)
    if data is None and tile != whole:
        data = read(path(whole), whole.width * item_bytes)
        data = None if data is None else data[:length]
    if data is None:
        raise NotFoundError(f"{path(tile)} is missing.")
    return data


def _read(read: ReadFile, path: str, most: int) -> bytes:
    data = read(path, most + 1)
    if data is None:
        raise NotFoundError(f"{path} is missing.")
    return data
