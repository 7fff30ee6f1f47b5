"""RFC 9497 appendix A.1 (ristretto255-SHA512) on both backends: modes OPRF and VOPRF."""

import json
from pathlib import Path

import pytest

from signing.oprf import transcripts, voprf
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import load_group

VECTORS = json.loads((Path(__file__).parent / "rfc9497_ristretto255_vectors.json").read_text())
MODES = {mode["name"]: mode for mode in VECTORS["modes"]}
GROUPS = [group for group in (load_group(), PyNaClGroup()) if group is not None]


@pytest.fixture(params=GROUPS, ids=[group.name for group in GROUPS])
def group(request):
    return request.param


def unhex(texts):
    return tuple(map(bytes.fromhex, texts))


def derive(mode, group):
    key = voprf.derive_key_pair(
        bytes.fromhex(mode["seed"]), bytes.fromhex(mode["key_info"]), group=group
    )
    assert key.private.hex() == mode["sk"]
    return key


def test_the_hash_to_group_domain_is_that_of_the_appendix():
    domain = b"HashToGroup-" + transcripts.CONTEXT
    assert domain.hex() == MODES["VOPRF"]["group_dst"]


@pytest.mark.parametrize("vector", MODES["VOPRF"]["vectors"], ids=lambda v: f"batch-{v['batch']}")
def test_mode_voprf_gives_every_figure_of_the_appendix(group, vector):
    key = derive(MODES["VOPRF"], group)
    assert key.public.hex() == MODES["VOPRF"]["pk"]
    inputs, scalars = unhex(vector["input"]), unhex(vector["blind"])
    assert len(inputs) == vector["batch"]

    blinded = voprf.blind(inputs, group=group, _scalars=scalars)
    assert blinded.elements == unhex(vector["blinded_element"])

    nonce = bytes.fromhex(vector["proof_r"])
    evaluation = voprf.evaluate(key, blinded.elements, group=group, _nonce=nonce)
    assert evaluation.elements == unhex(vector["evaluation_element"])
    assert evaluation.proof.hex() == vector["proof"]

    verified = voprf.verify_evaluation(key.public, blinded, evaluation, group=group)
    outputs = unhex(vector["output"])
    assert tuple(voprf.finalize(blinded, verified, group=group)) == outputs
    for private_input, output in zip(inputs, outputs, strict=True):
        assert voprf.evaluate_unblinded(key, private_input, group=group) == output


@pytest.mark.parametrize("vector", MODES["OPRF"]["vectors"], ids=lambda v: v["input"][0][:8])
def test_mode_oprf_gives_the_elements_and_outputs_of_the_appendix(group, vector, monkeypatch):
    # The modes differ in the context string, and in the proof, which mode OPRF does not have.
    monkeypatch.setattr(transcripts, "CONTEXT", b"OPRFV1-\x00-ristretto255-SHA512")
    key = derive(MODES["OPRF"], group)
    inputs = unhex(vector["input"])
    blinded = voprf.blind(inputs, group=group, _scalars=unhex(vector["blind"]))
    assert blinded.elements == unhex(vector["blinded_element"])
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    assert evaluation.elements == unhex(vector["evaluation_element"])
    verified = voprf.verify_evaluation(key.public, blinded, evaluation, group=group)
    assert tuple(voprf.finalize(blinded, verified, group=group)) == unhex(vector["output"])
