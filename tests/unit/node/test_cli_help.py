"""What the command imports, how quickly it speaks, and that its reference says the same."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from node.cli.main import build
from node.cli.reference import reference

REPOSITORY = Path(__file__).resolve().parents[3]
SERVER = ("fastapi", "starlette", "uvicorn", "sqlalchemy", "sqlmodel", "alembic", "apscheduler")
HEAVY = (*SERVER, "numpy", "PIL", "pdqhash", "httpx", "rich", "nacl", "msgspec")
FLAGGER = (
    "node.cli.gather",
    "node.cli.assess",
    "node.cli.sheet",
    "node.cli.sending",
    "node.cli.conversation",
    "node.cli.cards",
    "node.cli.passphrases",
    "node.matching.pool",
    "signing.keystore",
)


def loaded_by(program):
    """Returns the names of the modules that a program loads, in a fresh interpreter."""
    code = f"import json, sys\n{program}\nprint(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return json.loads(ran.stdout.splitlines()[-1])


def leaves(command, path="schutznetz"):
    inner = getattr(command, "commands", None)
    if not inner:
        yield path, command
        return
    for name, one in inner.items():
        yield from leaves(one, f"{path} {name}")


VERBS = dict(leaves(typer.main.get_command(build())))


@pytest.mark.parametrize("verb", ["[]", "['flag']", "['node', 'peer', 'add']"])
def test_help_loads_neither_the_server_nor_anything_else_that_is_slow(verb):
    loaded = loaded_by(f"from node.cli.main import main\nmain([*{verb}, '--help'])")
    assert not [name for name in HEAVY if name in loaded]


def test_what_a_flagger_uses_needs_no_server_and_no_database():
    loaded = loaded_by(f"import {', '.join(('node.cli.main', *FLAGGER))}")
    assert not [name for name in SERVER if name in loaded]


def test_the_parts_of_the_server_are_called_by_these_names():
    """Guards the two tests above: a library that was renamed would slip through them."""
    loaded = loaded_by("import node.serve, node.cli.gather, node.matching.pixels, httpx, rich")
    assert [name for name in HEAVY if name not in loaded] == []


def cost_s(*arguments):
    """Time of the processor that the interpreter takes with these arguments."""
    # what measures coverage would be measured as well
    environ = {one: text for one, text in os.environ.items() if not one.startswith("COV")}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=True, cwd=REPOSITORY, env=environ
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_costs_less_than_200_ms():
    """Or, on a slower machine, than so many starts of an interpreter that does nothing there.

    Time of the processor, and the cheapest of several tries: others may be at work on it.
    """
    helping, nothing = [], []
    for _ in range(10):
        helping.append(cost_s("-c", "from node.cli.main import run; run()", "--help"))
        nothing.append(cost_s("-c", "pass"))
        if min(helping) < max(0.2, 20 * min(nothing)):
            break
    assert min(helping) < max(0.2, 20 * min(nothing))


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_can_answer_in_json(path):
    if path == "schutznetz node serve":
        return  # it prints no result; its log is JSON already
    flags = {flag for param in VERBS[path].params for flag in param.opts}
    assert "--json" in flags


@pytest.mark.parametrize("path", VERBS)
def test_every_option_says_what_it_is_for(path):
    assert VERBS[path].help
    assert [one.name for one in VERBS[path].params if not getattr(one, "help", None)] == []


def test_the_reference_is_what_the_command_says():
    written = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m node.cli.reference > docs/cli.md"


@pytest.mark.parametrize("path", VERBS)
def test_every_verb_and_every_option_stand_in_the_reference(path):
    written = (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
    _, found, section = written.partition(f"\n## {path}\n")
    assert found
    section = section.partition("\n## ")[0]
    named = [flag for param in VERBS[path].params for flag in param.opts if flag.startswith("-")]
    assert [flag for flag in named if flag not in section] == []


def test_the_reference_survives_another_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERMINAL_WIDTH", "40")
    assert reference() == (REPOSITORY / "docs" / "cli.md").read_text(encoding="utf-8")
