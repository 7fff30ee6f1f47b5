"""The protocol between one client and one server."""

import dataclasses

import pytest

from protocol.errors import BadSignatureError, LimitError, MalformedError
from protocol.limits import MAX_OPRF_ELEMENTS
from signing.oprf import group_sodium, voprf
from signing.oprf.elements import ORDER
from signing.oprf.group_pynacl import PyNaClGroup

GROUPS = [group for group in (group_sodium.load_group(), PyNaClGroup()) if group is not None]
KEY_SEED = b"\x07" * 32


@pytest.fixture(params=GROUPS, ids=[group.name for group in GROUPS])
def group(request):
    return request.param


@pytest.fixture
def key(group):
    return voprf.derive_key_pair(KEY_SEED, b"test", group=group)


def flip(data, bit):
    return (int.from_bytes(data, "little") ^ 1 << bit).to_bytes(len(data), "little")


def test_client_and_server_compute_what_the_key_holder_computes_alone(group, key):
    inputs = [b"", b"one", b"x" * 65535]
    blinded = voprf.blind(inputs, group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    verified = voprf.verify_evaluation(key.public, blinded, evaluation, group=group)
    outputs = voprf.finalize(blinded, verified, group=group)
    assert outputs == [voprf.evaluate_unblinded(key, text, group=group) for text in inputs]
    assert {len(output) for output in outputs} == {voprf.OUTPUT_BYTES}


def test_the_default_group_serves_where_none_is_named():
    key = voprf.generate_key()
    blinded = voprf.blind([b"a"])
    verified = voprf.verify_evaluation(key.public, blinded, voprf.evaluate(key, blinded.elements))
    assert voprf.finalize(blinded, verified) == [voprf.evaluate_unblinded(key, b"a")]
    assert voprf.load_key_pair(key.private) == key
    assert voprf.derive_key_pair(KEY_SEED, b"") != key


def test_the_greatest_batch_is_served(group, key):
    blinded = voprf.blind([b"same"] * MAX_OPRF_ELEMENTS, group=group)
    assert len(set(blinded.elements)) == MAX_OPRF_ELEMENTS  # each input has its own blind
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    verified = voprf.verify_evaluation(key.public, blinded, evaluation, group=group)
    assert len(set(voprf.finalize(blinded, verified, group=group))) == 1


def test_a_batch_beyond_the_limit_is_refused_on_both_sides(group, key):
    count = MAX_OPRF_ELEMENTS + 1
    with pytest.raises(LimitError, match="at most 64"):
        voprf.blind([b"a"] * count, group=group)
    with pytest.raises(LimitError, match="at most 64"):
        voprf.evaluate(key, [key.public] * count, group=group)


def test_an_empty_batch_is_refused_on_both_sides(group, key):
    with pytest.raises(MalformedError, match="at least one"):
        voprf.blind([], group=group)
    with pytest.raises(MalformedError, match="at least one"):
        voprf.evaluate(key, [], group=group)


def test_an_input_is_bytes_and_not_too_long(group):
    with pytest.raises(LimitError, match="65535"):
        voprf.blind([b"a", b"x" * 65536], group=group)
    with pytest.raises(MalformedError, match="as bytes"):
        voprf.blind(["text"], group=group)


@pytest.mark.parametrize(
    "bad", [bytes(32), b"\xff" * 32, bytes(31), bytes(33), None, "a"], ids=repr
)
def test_a_server_refuses_what_is_no_element(group, key, bad):
    with pytest.raises(MalformedError):
        voprf.evaluate(key, [key.public, bad], group=group)
    with pytest.raises(MalformedError):
        voprf.receive([key.public, bad], group=group)


def test_what_was_received_and_found_good_is_evaluated_alike(group, key):
    blinded = voprf.blind([b"one", b"two"], group=group)
    received = voprf.receive(blinded.elements, group=group)
    evaluation = voprf.evaluate(key, received, group=group)
    voprf.verify_evaluation(key.public, blinded, evaluation, group=group)
    assert evaluation.elements == voprf.evaluate(key, blinded.elements, group=group).elements
    assert repr(received) == "Received(2 elements, hidden)"


@pytest.mark.parametrize(
    "bad", [bytes(32), ORDER.to_bytes(32, "little"), bytes(31), bytearray(32), None], ids=repr
)
def test_what_is_no_private_key_is_refused(group, bad):
    with pytest.raises(MalformedError):
        voprf.load_key_pair(bad, group=group)


@pytest.mark.parametrize("bad", [b"", bytes(31), bytes(33), "a" * 32], ids=repr)
def test_a_seed_has_32_bytes(group, bad):
    with pytest.raises(MalformedError):
        voprf.derive_key_pair(bad, b"", group=group)


def test_info_of_a_key_is_limited(group):
    with pytest.raises(LimitError, match="65535"):
        voprf.derive_key_pair(KEY_SEED, b"x" * 65536, group=group)


class ZeroFirst(PyNaClGroup):
    """A group whose reduction gives zero a number of times, as no seed ever will."""

    def __init__(self, zeros):
        super().__init__()
        self.zeros = zeros

    def reduce_scalar(self, uniform):
        self.zeros -= 1
        return bytes(32) if self.zeros >= 0 else super().reduce_scalar(uniform)


def test_key_derivation_counts_on_after_zero_and_gives_up_after_256():
    plain = voprf.derive_key_pair(KEY_SEED, b"", group=PyNaClGroup())
    counted = voprf.derive_key_pair(KEY_SEED, b"", group=ZeroFirst(255))
    assert counted != plain
    with pytest.raises(MalformedError, match="No key"):
        voprf.derive_key_pair(KEY_SEED, b"", group=ZeroFirst(256))


def test_a_proof_with_any_bit_flipped_is_refused(group, key):
    blinded = voprf.blind([b"a", b"b"], group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    bits = range(512) if group.name == "libsodium" else range(0, 512, 17)
    for bit in bits:
        forged = dataclasses.replace(evaluation, proof=flip(evaluation.proof, bit))
        with pytest.raises((BadSignatureError, MalformedError)):
            voprf.verify_evaluation(key.public, blinded, forged, group=group)


def test_an_element_with_any_bit_flipped_is_refused(group, key):
    blinded = voprf.blind([b"a", b"b"], group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    bits = range(256) if group.name == "libsodium" else range(0, 256, 17)
    for bit in bits:
        elements = (evaluation.elements[0], flip(evaluation.elements[1], bit))
        forged = dataclasses.replace(evaluation, elements=elements)
        with pytest.raises((BadSignatureError, MalformedError)):
            voprf.verify_evaluation(key.public, blinded, forged, group=group)


def test_an_answer_under_another_key_is_refused(group, key):
    other = voprf.generate_key(group=group)
    blinded = voprf.blind([b"a"], group=group)
    evaluation = voprf.evaluate(other, blinded.elements, group=group)
    with pytest.raises(BadSignatureError, match="does not hold"):
        voprf.verify_evaluation(key.public, blinded, evaluation, group=group)


def test_answers_in_another_order_are_refused(group, key):
    blinded = voprf.blind([b"a", b"b"], group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    swapped = dataclasses.replace(evaluation, elements=evaluation.elements[::-1])
    with pytest.raises(BadSignatureError, match="does not hold"):
        voprf.verify_evaluation(key.public, blinded, swapped, group=group)


@pytest.mark.parametrize("half", [0, 1], ids=["challenge", "response"])
def test_a_proof_with_a_zero_scalar_is_refused_as_a_bad_proof(group, key, half):
    blinded = voprf.blind([b"a"], group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    parts = [evaluation.proof[:32], evaluation.proof[32:]]
    parts[half] = bytes(32)
    forged = dataclasses.replace(evaluation, proof=b"".join(parts))
    with pytest.raises(BadSignatureError, match="does not hold"):
        voprf.verify_evaluation(key.public, blinded, forged, group=group)


@pytest.mark.parametrize("half", [0, 1], ids=["challenge", "response"])
def test_a_proof_scalar_has_one_encoding(group, key, half):
    blinded = voprf.blind([b"a"], group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    parts = [evaluation.proof[:32], evaluation.proof[32:]]
    parts[half] = (int.from_bytes(parts[half], "little") + ORDER).to_bytes(32, "little")
    forged = dataclasses.replace(evaluation, proof=b"".join(parts))
    with pytest.raises(MalformedError, match="order"):
        voprf.verify_evaluation(key.public, blinded, forged, group=group)


def test_an_answer_of_another_form_is_refused(group, key):
    blinded = voprf.blind([b"a", b"b"], group=group)
    good = voprf.evaluate(key, blinded.elements, group=group)
    for elements in ((), good.elements[:1], (*good.elements, good.elements[0])):
        with pytest.raises(MalformedError, match="as many elements"):
            voprf.verify_evaluation(
                key.public, blinded, dataclasses.replace(good, elements=elements), group=group
            )
    for proof in (b"", good.proof[:-1], good.proof + b"\0", bytearray(good.proof), None):
        with pytest.raises(MalformedError, match="bytes"):
            voprf.verify_evaluation(
                key.public, blinded, dataclasses.replace(good, proof=proof), group=group
            )
    for public_key in (bytes(32), b"\xff" * 32, key.public[:-1], None):
        with pytest.raises(MalformedError):
            voprf.verify_evaluation(public_key, blinded, good, group=group)


def test_an_evaluation_finalises_only_its_own_request(group, key):
    first, second = (voprf.blind([b"a"], group=group) for _ in range(2))
    evaluation = voprf.evaluate(key, first.elements, group=group)
    verified = voprf.verify_evaluation(key.public, first, evaluation, group=group)
    with pytest.raises(MalformedError, match="another request"):
        voprf.finalize(second, verified, group=group)


def test_two_proofs_of_the_same_batch_share_no_nonce(group, key):
    blinded = voprf.blind([b"a"], group=group)
    first, second = (voprf.evaluate(key, blinded.elements, group=group) for _ in range(2))
    assert first.elements == second.elements
    assert first.proof[:32] != second.proof[:32]
    assert first.proof[32:] != second.proof[32:]


def test_a_backend_refuses_what_another_blinded():
    if len(GROUPS) == 1:
        return  # one backend has nobody to mix with
    one, other = GROUPS
    key = voprf.generate_key(group=one)
    blinded = voprf.blind([b"a"], group=one)
    evaluation = voprf.evaluate(key, blinded.elements, group=other)
    with pytest.raises(BadSignatureError):
        voprf.verify_evaluation(key.public, blinded, evaluation, group=other)
    voprf.verify_evaluation(key.public, blinded, evaluation, group=one)


def test_no_repr_shows_a_key_an_input_or_an_element(group, key):
    blinded = voprf.blind([b"+493023125000"], group=group)
    evaluation = voprf.evaluate(key, blinded.elements, group=group)
    verified = voprf.verify_evaluation(key.public, blinded, evaluation, group=group)
    assert repr(key) == "KeyPair(hidden)"
    assert repr(blinded) == "Blinded(1 inputs, hidden)"
    assert repr(evaluation) == "Evaluation(1 elements, hidden)"
    assert repr(verified) == "VerifiedEvaluation(1 elements, hidden)"
