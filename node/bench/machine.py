"""What a bench ran on: enough to judge the figures, nothing that names the machine or its owner."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

_GIB = 1 << 30


@dataclass(frozen=True)
class MachineWatch:
    """The machine as it was when a bench began."""

    load_at_start: float

    @classmethod
    def start(cls) -> "MachineWatch":
        """Returns a watch that knows how busy the machine is now."""
        return cls(round(os.getloadavg()[0], 2))

    def describe(self, packages: Sequence[str] = ()) -> dict[str, Any]:
        """The `machine` of the document.

        The load average is the last minute's, in processes that want to run; above the number of
        processors, or far from this bench's own threads, others disturbed the figures.

        Args:
            packages: distributions whose versions the figures depend on; absent ones are left out.
        """
        return {
            "cpu": _cpu_model(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(memory_bytes() / _GIB, 1),
            "system": f"{sys.platform} {platform.machine()}",
            "load_at_start": self.load_at_start,
            "load_at_end": round(os.getloadavg()[0], 2),
            "python": platform.python_version(),
            "packages": {name: version for name in packages if (version := _version(name))},
        }


def memory_bytes() -> int:
    """The memory of the machine, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def available_bytes() -> int:
    """The memory that can be had without swapping now, in bytes; half of all if unknown."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return memory_bytes() // 2
    found = next(line for line in lines if line.startswith("MemAvailable:"))
    return int(found.split()[1]) << 10


def resident_bytes() -> int:
    """The memory that this process holds now, in bytes; 0 where the system does not say."""
    try:
        pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    model = next((line for line in lines if line.startswith("model name")), ": unknown")
    return model.split(":", 1)[1].strip()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
