"""Fetches the pictures of `schutznetz bench variants` into a folder, by the names of packages.

    python benchmarks/fetch_pictures.py DIR

None of them is shipped with this project. benchmarks/pictures.json lists each with the package
that has it, where it stands in there, its licence and where the package says so, and its SHA-256:
another release may have other files, and these are left out and counted. Packages come from
Debian (`apt-get download`), npm (`npm pack`) and PyPI (`pip download`), with whatever sources the
machine is set up for.

GCompris keeps its pictures in Qt resource files; how these are laid out is in Qt's rcc manual and
in the comments of `walk`.
"""

import hashlib
import json
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = Path(__file__).parent / "pictures.json"

_FOLDER: Final = 2
_COMPRESSED: Final = 1 | 4  # zlib, zstd; pictures are stored as they are
_HEADER: Final = struct.Struct(">4s4I")
_NODE_BYTES: Final = 22


def fetch(target: Path) -> tuple[int, int]:
    """The pictures are in `target`; returns how many, and how many of the list are not.

    Args:
        target: a folder, made if it is not there.
    """
    target.mkdir(parents=True, exist_ok=True)
    manifest = json.loads(MANIFEST.read_text("utf-8"))
    kept = 0
    with tempfile.TemporaryDirectory(prefix="schutznetz-pictures-") as place:
        for package, told in sorted(manifest["packages"].items()):
            root = Path(place) / package.replace("/", "+")
            root.mkdir()
            unpacked = _UNPACKED[told["registry"]](package, told["version"], root)
            for one in manifest["pictures"]:
                if one["package"] == package:
                    kept += _copy(one, unpacked, target)
    return kept, len(manifest["pictures"]) - kept


def walk(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Gives path and bytes of each file of a Qt resource file that is not compressed.

    Format 3: a tree of nodes (offset of the name, flags, then either count and number of the first
    child, or language and offset of the data, then a time), 22 bytes each, big-endian.
    """
    magic, _version, tree, contents, names = _HEADER.unpack_from(data)
    if magic != b"qres":
        raise SystemExit("not a Qt resource file")

    def descend(number: int, prefix: str) -> Iterator[tuple[str, bytes]]:
        at = tree + number * _NODE_BYTES
        name_at, flags = struct.unpack_from(">IH", data, at)
        (length,) = struct.unpack_from(">H", data, names + name_at)
        start = names + name_at + 6  # length and hash before it
        path = f"{prefix}/{data[start : start + 2 * length].decode('utf-16-be')}"
        if flags & _FOLDER:
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from descend(child, path)
        elif not flags & _COMPRESSED:
            (offset,) = struct.unpack_from(">I", data, at + 10)
            (size,) = struct.unpack_from(">I", data, contents + offset)
            begin = contents + offset + 4
            yield path, data[begin : begin + size]

    yield from descend(0, "")


def _debian(package: str, _version: str, root: Path) -> Path:
    # An archive keeps one version for each release of Debian: what it has is taken, and compared.
    subprocess.run(["apt-get", "download", "-q", package], cwd=root, check=True)
    (archive,) = root.glob("*.deb")
    subprocess.run(["dpkg-deb", "-x", archive, root / "files"], check=True)
    return root / "files"


def _npm(package: str, version: str, root: Path) -> Path:
    subprocess.run(["npm", "pack", "--silent", f"{package}@{version}"], cwd=root, check=True)
    (archive,) = root.glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(root / "files", filter="data")
    return root / "files"


def _pypi(package: str, version: str, root: Path) -> Path:
    fetch_wheel = ["pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
    wanted = ["--dest", str(root), f"{package}=={version}"]
    subprocess.run([sys.executable, "-m", *fetch_wheel, *wanted], check=True)
    (archive,) = root.glob("*.whl")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(root / "files")
    return root / "files"


_UNPACKED: Final = {"debian": _debian, "npm": _npm, "pypi": _pypi}


def _copy(one: dict[str, Any], unpacked: Path, target: Path) -> bool:
    """Whether the picture was there, and is what it was."""
    source = unpacked / one["file"]
    data = source.read_bytes() if source.is_file() else b""
    if data and "member" in one:
        data = dict(walk(data)).get(one["member"], b"")
    if hashlib.sha256(data).hexdigest() != one["sha256"]:
        return False
    (target / one["name"]).write_bytes(data)
    return True


if __name__ == "__main__":
    fetched, missing = fetch(Path(sys.argv[1]))
    sys.stdout.write(f"{fetched} pictures, {missing} of the list are others or not there\n")
