"""The simulation of docs/scale.md counts what the protocol says, and reaches everybody."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "simulate_scale.py"


@pytest.fixture(scope="module")
def scale() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulate_scale", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found  # dataclasses look there for their annotations
    spec.loader.exec_module(found)
    return found


def test_a_mesh_costs_a_poke_and_a_pull_for_each_pair_of_nodes(scale: ModuleType) -> None:
    measured = json.loads(scale.MESSAGES.read_text("utf-8"))
    found = scale.figure("mesh", 5, measured)
    origin = 4 * (1 + len(scale.FULL_PULL))
    echo = 4 * 4 * (1 + len(scale.SHORT_PULL))
    # Who hears of it from a neighbour before its own pull is over pulls the envelope twice.
    assert origin + echo <= found["requests"] <= origin + echo + 4 * 4


@pytest.mark.parametrize("design", ["mesh", "witnesses", "mirrors"])
def test_a_statement_reaches_everybody_and_the_same_seed_gives_the_same_figures(
    scale: ModuleType, design: str
) -> None:
    measured = json.loads(scale.MESSAGES.read_text("utf-8"))
    network = scale.build(design, 40)
    scale.spread(network, measured, 39)
    assert np.isfinite(network.has_at).all()
    assert len(network.told) == 40
    assert scale.figure(design, 40, measured) == scale.figure(design, 40, measured)


def test_nobody_follows_itself_and_the_mirrors_are_followed_by_everybody_else(
    scale: ModuleType,
) -> None:
    for design in scale.DESIGNS:
        network = scale.build(design, 30)
        assert all(one not in others for one, others in enumerate(network.followers))
    mirrors = round(30**0.5)
    leaves = scale.build("mirrors", 30).followers[mirrors:]
    assert all(len(set(others)) == 2 and max(others) < mirrors for others in leaves)
