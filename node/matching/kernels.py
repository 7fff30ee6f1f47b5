"""Loads the compiled index, which takes half a second, and compiles it where nobody has yet.

A node with few entries never does: it scans them with NumPy alone (node.matching.scan).

What numba compiled is kept on disk, in the package's own cache if that can be written, else in the
folder of the index. It is code: whoever can write there can run what he likes as the node, as with
the package itself; so it is never kept where others write. numba looks only at one file's time to
know whether its code is current; here the name of the folder follows from all of the source.
"""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from node.matching.ring.index import RingIndex

_SOURCE: Final = Path(__file__).parent / "ring"
_SOME: Final = 64


@cache
def load_ring(folder: Path | None) -> "type[RingIndex]":
    """Returns the class; each kernel is compiled, or read from disk, when it is first called.

    Args:
        folder: of the index, for the compiled code where the package's cannot be written.
    """
    import numba  # noqa: PLC0415  # it costs 0.2 s and 60 MB, which small nodes need not pay

    own = _SOURCE / "__pycache__"
    home = own if os.access(own if own.exists() else _SOURCE, os.W_OK) else folder
    if home is not None and "NUMBA_CACHE_DIR" not in os.environ:
        cache_folder = str(home / f"kernels-{_version(numba.__version__)}")
        numba.config.__dict__["CACHE_DIR"] = cache_folder  # made at run time: not in its types
    from node.matching.ring.index import RingIndex  # noqa: PLC0415  # after numba was told where

    return RingIndex


@cache
def warm_up(folder: Path | None) -> None:
    """Every kernel is compiled, so that no question has to wait for it later."""
    index = load_ring(folder)(None, threads=1)
    keys = np.arange(_SOME, dtype=np.int64)
    pdqs = np.zeros((_SOME, 32), np.uint8)
    index.add(keys, pdqs)
    index.merge()
    index.query(bytes(32), 0, None)
    index.query_arrays(pdqs[:1], 0, None)
    index.remove([0])
    index.entries()


def _version(numba_version: str) -> str:
    digest = hashlib.sha256(numba_version.encode())
    for path in sorted(_SOURCE.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
