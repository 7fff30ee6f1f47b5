"""The answers of the v1 schemes never change: a changed answer is a silently missed match."""

import json
from collections import Counter
from pathlib import Path

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import IdentifierKind, normalise
from vectors import make_identifiers_v1

TEXT = Path(__file__).with_name("identifiers-v1.json").read_text("ascii")
VECTORS = json.loads(TEXT)
NAMES = {"kind", "raw", "region", "scope"}


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda v: f"{v['kind']}-{v['value']}")
def test_a_frozen_spelling_gives_its_frozen_answer(vector):
    found = normalise(**{name: vector[name] for name in NAMES & vector.keys()})
    assert (found.scheme, found.value) == (vector["scheme"], vector["value"])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: ascii(v["raw"][:40]))
def test_a_frozen_refusal_stays_a_refusal(vector):
    assert vector["outcome"] == "MalformedError"
    with pytest.raises(MalformedError, match=r"\.$") as refusal:
        normalise(**{name: vector[name] for name in NAMES & vector.keys()})
    assert len(vector["raw"]) < 8 or vector["raw"] not in str(refusal.value)


def test_every_kind_has_a_dozen_accepted_vectors_and_some_refused_ones():
    accepted = Counter(vector["kind"] for vector in VECTORS["accepted"])
    refused = Counter(vector["kind"] for vector in VECTORS["refused"])
    for kind in IdentifierKind:
        assert accepted[kind] >= 12
        assert refused[kind] >= 10


def test_the_file_is_what_its_script_writes():
    assert make_identifiers_v1.render(make_identifiers_v1.document()) == TEXT
