"""The command, called in the tests' own process: its coverage is measured, and no start is paid."""

import contextlib
import io
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from PIL import Image

from node.cli.main import main

COMMAND = str(Path(sys.executable).with_name("schutznetz"))
"""The command as it is installed, for tests that type it."""

PICTURES = Path(__file__).resolve().parents[1] / "node" / "demo_pictures"
PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True)
class Called:
    """What a call of the command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def call(*arguments: object, stdin: str = "", env: Mapping[str, str] | None = None) -> Called:
    """Runs the command with these arguments in this process, with nobody at the terminal."""
    out, err = io.StringIO(), io.StringIO()
    kept = {name: text for name, text in os.environ.items() if not name.startswith("SCHUTZNETZ_")}
    kept["SCHUTZNETZ_HASH_WORKERS"] = "1"
    with (
        mock.patch.dict(os.environ, kept | dict(env or {}), clear=True),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main([str(one) for one in arguments])
    assert "Traceback" not in err.getvalue()
    return Called(code, out.getvalue(), err.getvalue())


def copy_pictures(folder: Path) -> Path:
    """Returns a folder of five photographs, one of them twice, and a picture of one colour."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for path in PICTURES.glob("*.jpg"):
        shutil.copy(path, pictures)
    shutil.copy(pictures / "cat.jpg", pictures / "cat again.jpg")
    Image.new("RGB", (64, 64), "green").save(pictures / "green.png")
    return pictures


def secret_file(folder: Path, text: str = PASSPHRASE) -> Path:
    """Returns a file that only its owner may read."""
    path = folder / "passphrase"
    path.touch(mode=0o600)
    path.write_text(f"{text}\n", encoding="utf-8")
    return path
