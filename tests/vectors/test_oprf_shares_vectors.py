"""Our own vectors: the key of RFC 9497 A.1.2 shared 3 of 5, on both backends."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest

from protocol.errors import BadSignatureError
from signing.oprf import shares, voprf
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import load_group

HERE = Path(__file__).parent
VECTOR = json.loads((HERE / "own_regression_vectors.json").read_text())["toprf"]
RFC = json.loads((HERE / "rfc9497_ristretto255_vectors.json").read_text())["modes"][1]
GROUPS = [group for group in (load_group(), PyNaClGroup()) if group is not None]
HOLDERS = {int(index): share for index, share in VECTOR["shares"].items()}


@pytest.fixture(params=GROUPS, ids=[group.name for group in GROUPS])
def group(request):
    return request.param


@pytest.fixture
def blinded(group):
    return voprf.blind(unhex(VECTOR["inputs"]), group=group, _scalars=unhex(VECTOR["blinds"]))


def unhex(texts):
    return tuple(map(bytes.fromhex, texts))


def answers():
    return {
        index: voprf.Evaluation(unhex(share["evaluated"]), bytes.fromhex(share["proof"]))
        for index, share in HOLDERS.items()
    }


def verified(group, blinded, indices):
    keys, given = public_keys(), answers()
    return {
        index: voprf.verify_evaluation(keys[index], blinded, given[index], group=group)
        for index in indices
    }


def public_keys():
    return {index: bytes.fromhex(share["pk"]) for index, share in HOLDERS.items()}


def test_the_outputs_are_those_of_the_rfc():
    vector = next(v for v in RFC["vectors"] if v["batch"] == 2)
    assert VECTOR["group_sk"] == RFC["sk"]
    assert VECTOR["inputs"] == vector["input"]
    assert VECTOR["output_for_any_3_shares"] == vector["output"]


def test_the_dealer_gives_the_shares_and_commitments_of_the_vector(group):
    split = shares.split_key(
        bytes.fromhex(VECTOR["group_sk"]),
        VECTOR["t"],
        VECTOR["n"],
        group=group,
        _coefficients=unhex(VECTOR["coefficients"]),
    )
    assert split.commitments == unhex(VECTOR["feldman_commitments"])
    assert split.commitments[0].hex() == VECTOR["group_pk"]
    assert {i: pair.private.hex() for i, pair in split.shares.items()} == {
        i: share["sk"] for i, share in HOLDERS.items()
    }
    for index, share in HOLDERS.items():
        public = shares.share_public_key(split.commitments, index, group=group)
        assert public.hex() == share["pk"]


def test_every_holder_answers_as_in_the_vector(group, blinded):
    assert blinded.elements == unhex(VECTOR["blinded"])
    for index, share in HOLDERS.items():
        pair = voprf.load_key_pair(bytes.fromhex(share["sk"]), group=group)
        nonce = bytes.fromhex(share["proof_nonce"])
        evaluation = voprf.evaluate(pair, blinded.elements, group=group, _nonce=nonce)
        assert evaluation == answers()[index]


@pytest.mark.parametrize("indices", VECTOR["lagrange_at_0"])
def test_lagrange_coefficients_are_those_of_the_vector(indices):
    coefficients = shares.lagrange_coefficients([int(index) for index in indices.split(",")])
    expected = VECTOR["lagrange_at_0"][indices]
    assert {str(index): scalar.hex() for index, scalar in coefficients.items()} == expected


@pytest.mark.parametrize("indices", list(itertools.combinations(HOLDERS, VECTOR["t"])), ids=str)
def test_every_three_of_five_give_the_output_of_the_rfc(group, blinded, indices):
    chosen = verified(group, blinded, indices)
    outputs = shares.combine(blinded, chosen, public_keys(), VECTOR["t"], group=group)
    assert tuple(outputs) == unhex(VECTOR["output_for_any_3_shares"])


def test_two_of_five_do_not_give_the_output(group, blinded):
    chosen = verified(group, blinded, (1, 2))
    outputs = shares.combine(blinded, chosen, public_keys(), 2, group=group)
    assert not set(outputs) & set(unhex(VECTOR["output_for_any_3_shares"]))


@pytest.mark.parametrize("liar", HOLDERS)
def test_a_wrong_share_does_not_pass_under_the_key_that_the_commitments_give(group, blinded, liar):
    other = answers()[liar % 5 + 1]
    lie = dataclasses.replace(answers()[liar], elements=other.elements)
    with pytest.raises(BadSignatureError):
        voprf.verify_evaluation(public_keys()[liar], blinded, lie, group=group)


@pytest.mark.parametrize("liar", HOLDERS)
def test_an_answer_that_passed_under_another_share_is_named(group, blinded, liar):
    given = verified(group, blinded, HOLDERS)
    given[liar] = given[liar % 5 + 1]
    with pytest.raises(BadSignatureError, match=f"Share {liar}"):
        shares.combine(blinded, given, public_keys(), VECTOR["t"], group=group)
