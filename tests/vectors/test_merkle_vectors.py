"""Proof probes of transparency-dev/merkle, most of which must fail."""

from base64 import b64decode
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from protocol.errors import ProofError
from protocol.merkle import verify_consistency, verify_inclusion
from vectors.shared import load_vectors

VECTORS = load_vectors("rfc6962_merkle_proof_vectors.json")
INCLUSION = VECTORS["inclusion"]
CONSISTENCY = VECTORS["consistency"]


def name_of(vector: dict[str, Any]) -> str:
    return vector["name"].removesuffix(".json")


def outcome_of(vector: dict[str, Any]) -> AbstractContextManager[Any]:
    return pytest.raises(ProofError) if vector["wantErr"] else nullcontext()


def proof_of(vector: dict[str, Any]) -> list[bytes]:
    return [b64decode(item) for item in vector["proof"] or ()]


def test_the_file_has_all_probes():
    assert (len(INCLUSION), len(CONSISTENCY)) == (98, 98)
    assert sum(not vector["wantErr"] for vector in INCLUSION + CONSISTENCY) == 12


@pytest.mark.parametrize("vector", INCLUSION, ids=name_of)
def test_an_inclusion_probe_has_its_stated_outcome(vector):
    leaf, root = b64decode(vector["leafHash"]), b64decode(vector["root"])
    with outcome_of(vector):
        verify_inclusion(vector["leafIdx"], vector["treeSize"], leaf, proof_of(vector), root)


@pytest.mark.parametrize("vector", CONSISTENCY, ids=name_of)
def test_a_consistency_probe_has_its_stated_outcome(vector):
    old_root, new_root = b64decode(vector["root1"]), b64decode(vector["root2"])
    with outcome_of(vector):
        verify_consistency(vector["size1"], vector["size2"], old_root, new_root, proof_of(vector))
