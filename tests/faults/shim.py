"""The page through which a test tells a node's process what is to go wrong (shim.c).

The library is compiled by the run that uses it, with the system's C compiler. A page outlives the
process that it harms: a node that is started again finds what was said last.
"""

import mmap
import os
import shutil
import struct
import subprocess
from pathlib import Path

_SOURCE = Path(__file__).with_name("shim.c")
_FIELDS = (
    "clock_offset_ns",
    "failing_syncs",
    "failing_writes",
    "die_before",
    "operations",
    "died_before",
    "failed_syncs",
    "failed_writes",
    "syncs",
    "die_before_sync",
    "die_after_sync",
)
_FORM = struct.Struct("=q")
KINDS = {1: "write", 2: "truncation", 3: "sync"}
"""What a process did not come to do, by `Page.died_before`."""


def compile_shim(folder: Path) -> Path:
    """Returns the library, compiled into the folder.

    Raises:
        RuntimeError: there is no C compiler.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise RuntimeError("The fault suite needs a C compiler (cc).")
    library = folder / "shim.so"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", library, _SOURCE, "-ldl"],
        check=True,
    )
    return library


class Page:
    """What is to go wrong in one node's processes, and what did."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        self.path = path

    def environ(self, library: Path) -> dict[str, str]:
        """Variables of a process that is to be harmed."""
        return {"LD_PRELOAD": str(library), "FAULT_PAGE": str(self.path)}

    def get(self, field: str) -> int:
        """Returns one field of the page."""
        (value,) = _FORM.unpack_from(self._map, _FORM.size * _FIELDS.index(field))
        return int(value)

    def set(self, field: str, value: int) -> None:
        """Writes one field of the page."""
        _FORM.pack_into(self._map, _FORM.size * _FIELDS.index(field), value)

    def set_clock(self, ahead_s: float) -> None:
        """Puts the process's clock on the wall so far ahead of the machine's, or behind it."""
        self.set("clock_offset_ns", int(ahead_s * 1_000_000_000))

    def die_at(self, operation: int) -> None:
        """Has the process killed before its n-th operation on the database from now on."""
        self.set("died_before", 0)
        self.set("die_before", self.get("operations") + operation)

    def die_at_sync(self, number: int, moment: str) -> None:
        """Has the process killed ``before`` or ``after`` its n-th sync from now on."""
        self.set("died_before", 0)
        self.set(f"die_{moment}_sync", self.get("syncs") + number)

    def live(self) -> None:
        """Takes every fault away, but leaves the clock."""
        for field in (
            *("failing_syncs", "failing_writes"),
            *("die_before", "die_before_sync", "die_after_sync"),
        ):
            self.set(field, 0)

    def close(self) -> None:
        """Lets the page go."""
        self._map.close()
