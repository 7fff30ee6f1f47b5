"""The house: who may import whom, and how rooms are named.

Each contract of pyproject.toml is seen to break here on a violation that is planted in a copy of
the packages, so that a contract which forbids nothing does not go unnoticed.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from waiting import WITHIN_S

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocol", "signing", "federation", "node")
DISTRIBUTION = "schutznetz"
MAX_LINES = 400
VAGUE = frozenset({"util", "utils", "helper", "helpers", "manager", "common", "base", "misc"})

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS = [one["name"] for one in PROJECT["tool"]["importlinter"]["contracts"]]

ORDER, PURE, SODIUM, BARE = CONTRACTS
PLANTED = {
    ORDER: [
        ("signing/planted.py", "import federation.trust"),
        ("protocol/planted.py", "import node"),
    ],
    PURE: [("protocol/planted.py", "import socket"), ("protocol/planted.py", "import secrets")],
    SODIUM: [
        ("node/planted.py", "import nacl.signing"),
        ("federation/planted.py", "import ctypes"),
    ],
    BARE: [
        ("federation/planted.py", "import fastapi"),
        ("signing/planted.py", "import sqlalchemy"),
    ],
}
"""For each contract: where to put which line. No other contract minds it."""


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four packages and their contracts, apart from the checkout."""
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path) -> dict[str, bool]:
    """Whether each contract is kept by the packages in `folder`, by name."""
    program = "from importlinter.cli import lint_imports_command as run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, "--config", "pyproject.toml", "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=10 * WITHIN_S,
        check=False,
    )
    found = re.findall(r"^(.+) (KEPT|BROKEN)$", done.stdout, re.MULTILINE)
    assert {name for name, _ in found} == set(CONTRACTS), done.stdout + done.stderr
    kept = {name: verdict == "KEPT" for name, verdict in found}
    assert (done.returncode == 0) == all(kept.values())
    return kept


def test_every_contract_is_kept(copy):
    assert all(lint(copy).values())


def test_every_contract_has_a_violation_to_plant():
    assert set(PLANTED) == set(CONTRACTS)


@pytest.mark.parametrize(
    ("contract", "place", "line"),
    [(name, *one) for name, planted in PLANTED.items() for one in planted],
)
def test_a_planted_violation_breaks_its_contract_and_no_other(copy, contract, place, line):
    planted = copy / place
    planted.write_text(f'"""Planted."""\n\n{line}\n', encoding="utf-8")
    try:
        kept = lint(copy)
    finally:
        planted.unlink()
    assert [name for name, is_kept in kept.items() if not is_kept] == [contract]


def test_no_other_installed_distribution_provides_our_packages():
    providers = {
        (package, one.metadata["Name"])
        for one in metadata.distributions()
        for file in one.files or ()
        for package in PACKAGES
        if file.parts[0] in (package, f"{package}.py")
    }
    assert {name for _, name in providers} <= {DISTRIBUTION}


def test_the_packages_come_from_this_checkout():
    for package in PACKAGES:
        found = sys.modules.get(package) or __import__(package)
        assert Path(found.__file__ or "").parent == ROOT / package


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_and_named_after_what_it_does(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
    words = [
        part for name in path.relative_to(ROOT).with_suffix("").parts for part in name.split("_")
    ]
    assert not VAGUE & set(words)


def test_no_module_shadows_one_of_the_standard_library():
    # A script run by its path puts its own folder first on sys.path; pytest puts the checkout and
    # tests/ there. Modules deeper down are only ever reached through their package.
    tops = [ROOT, ROOT / "tests", *(ROOT / package for package in PACKAGES)]
    names = {path.stem for folder in tops for path in folder.glob("*.py")} | set(PACKAGES)
    assert names & sys.stdlib_module_names == set()


def test_every_package_of_the_wheel_is_under_contract():
    settings = PROJECT["tool"]["importlinter"]
    assert tuple(settings["root_packages"]) == PACKAGES
    assert tuple(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == PACKAGES
    assert not any(one.get("ignore_imports") for one in settings["contracts"])


def test_tests_are_no_packages():
    # A tests/unit/protocol/__init__.py would stand in for the real package.
    assert list((ROOT / "tests").rglob("__init__.py")) == []
