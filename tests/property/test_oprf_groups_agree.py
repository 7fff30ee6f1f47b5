"""The two backends of the group are one function."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import MalformedError
from signing.oprf import shares, voprf
from signing.oprf.elements import ORDER, PRIME
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import load_group

GROUPS = [group for group in (load_group(), PyNaClGroup()) if group is not None]

uniform = st.binary(min_size=64, max_size=64)
scalars = st.integers(0, ORDER - 1).map(lambda number: number.to_bytes(32, "little"))
near_the_edges = st.one_of(
    st.integers(0, 64),
    st.integers(ORDER - 64, ORDER + 64),
    st.integers(PRIME - 64, PRIME + 64),
    st.integers(2**255 - 64, 2**255 + 64),
).map(lambda number: number.to_bytes(32, "little"))
encodings = st.one_of(st.binary(min_size=32, max_size=32), near_the_edges)


def outcome(function, *arguments):
    """Bytes that come out, or the refusal."""
    try:
        return function(*arguments)
    except MalformedError:
        return "refused"


def all_equal(values):
    return all(value == values[0] for value in values)


@given(encodings)
@settings(deadline=None, max_examples=300)
def test_backends_agree_on_which_bytes_are_an_element(encoded):
    def decode(group):
        return group.encode_element(group.decode_element(encoded))

    results = [outcome(decode, group) for group in GROUPS]
    assert all_equal(results)
    assert results[0] in ("refused", encoded)  # there is one encoding only


@given(encodings)
@settings(deadline=None)
def test_backends_agree_on_which_bytes_are_a_scalar(encoded):
    assert all_equal([outcome(group.decode_scalar, encoded) for group in GROUPS])


@given(uniform, uniform, scalars)
@settings(deadline=None, max_examples=150)
def test_backends_agree_on_every_element_operation(first, second, scalar):
    def compute(group):
        left, right = group.element_from_uniform(first), group.element_from_uniform(second)
        decoded = group.decode_element(group.encode_element(left))
        steps = [
            left,
            group.add(left, right),
            group.multiply(scalar, right),
            group.multiply(scalar, decoded),
            group.add(group.multiply(scalar, decoded), right),
            group.multiply_base(scalar),
        ]
        return [group.encode_element(step) for step in steps]

    assert all_equal([outcome(compute, group) for group in GROUPS])


@given(uniform, scalars, scalars)
@settings(deadline=None)
def test_backends_agree_on_every_scalar_operation_and_with_arithmetic(wide, left, right):
    a, b = int.from_bytes(left, "little"), int.from_bytes(right, "little")
    for group in GROUPS:
        results = [
            group.reduce_scalar(wide),
            group.multiply_scalars(left, right),
            group.add_scalars(left, right),
            group.subtract_scalars(left, right),
        ]
        numbers = [int.from_bytes(result, "little") for result in results]
        wide_number = int.from_bytes(wide, "little")
        assert numbers == [n % ORDER for n in (wide_number, a * b, a + b, a - b)]
        inverse = outcome(group.invert_scalar, left)
        assert inverse == (pow(a, -1, ORDER).to_bytes(32, "little") if a else "refused")


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=4),
    st.binary(min_size=32, max_size=32),
    st.integers(1, 4).flatmap(lambda t: st.tuples(st.just(t), st.integers(t, 5))),
    st.data(),
)
@settings(deadline=None, max_examples=25)
def test_any_threshold_of_any_holders_on_either_backend_gives_the_undivided_output(
    inputs, seed, size, data
):
    threshold, holders = size
    key = voprf.derive_key_pair(seed, b"", group=GROUPS[0])
    split = shares.split_key(key.private, threshold, holders, group=GROUPS[0])
    chosen = data.draw(
        st.lists(st.integers(1, holders), min_size=threshold, max_size=holders, unique=True)
    )
    client = data.draw(st.sampled_from(GROUPS))
    blinded = voprf.blind(inputs, group=client)
    keys = {i: shares.share_public_key(split.commitments, i, group=client) for i in chosen}
    answers = {}
    for index in chosen:
        answer = voprf.evaluate(
            split.shares[index], blinded.elements, group=data.draw(st.sampled_from(GROUPS))
        )
        answers[index] = voprf.verify_evaluation(keys[index], blinded, answer, group=client)
    outputs = shares.combine(blinded, answers, keys, threshold, group=client)
    assert outputs == [voprf.evaluate_unblinded(key, text, group=GROUPS[-1]) for text in inputs]


@given(st.binary(max_size=100), st.binary(max_size=100))
@settings(deadline=None)
def test_any_bytes_as_an_answer_are_refused_with_our_own_errors(element, proof):
    blinded = voprf.blind([b"a"])
    key = voprf.load_key_pair((5).to_bytes(32, "little"))
    try:
        voprf.verify_evaluation(key.public, blinded, voprf.Evaluation((element,), proof))
    except MalformedError:
        return
    raise AssertionError("random bytes were accepted")
