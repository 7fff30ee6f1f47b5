"""Names that look alike share a hint; names that do not, and other platforms, do not."""

import json
from pathlib import Path

import pytest

from protocol.identifiers import IdentifierKind, NormalisedIdentifier, normalise
from protocol.identifiers.lookalike import MIN_CHARS, SCHEME, look_alike

SCOPE = "example.social"
VECTORS = json.loads(
    (Path(__file__).parents[2] / "vectors" / "lookalike-v1.json").read_text("utf-8")
)["vectors"]


def of(name: str, scope: str = SCOPE) -> NormalisedIdentifier | None:
    return look_alike(normalise("username", name, scope=scope))


@pytest.mark.parametrize("vector", VECTORS, ids=lambda one: ascii(one["name"]))
def test_a_frozen_name_gives_its_frozen_answer(vector: dict[str, str | None]) -> None:
    name = vector["name"]
    assert name is not None
    found = of(name)
    assert (None if found is None else found.value.partition("/")[2]) == vector["shared"]


def test_what_is_shared_is_of_its_own_scheme_and_stays_on_the_platform() -> None:
    found = of("anna.max")
    assert found is not None
    assert (found.kind, found.scheme) == (IdentifierKind.USERNAME, SCHEME)
    assert found.value.startswith(f"{SCOPE}/")
    assert of("anna.max", "other.example") != found


def test_the_answer_looks_like_itself_and_a_short_one_is_none() -> None:
    for vector in VECTORS:
        if vector["shared"] is not None:
            assert len(vector["shared"]) >= MIN_CHARS
    assert "anna" not in repr(of("anna.max"))
