"""One key among several holders."""

import pytest

from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    QuorumError,
    UnknownKeyError,
)
from signing.oprf import shares, voprf

KEY = voprf.derive_key_pair(b"\x09" * 32, b"shares")


def ask(split, blinded, indices):
    return {i: verified(split.shares[i], blinded) for i in indices}


def verified(pair, blinded):
    answer = voprf.evaluate(pair, blinded.elements)
    return voprf.verify_evaluation(pair.public, blinded, answer)


def public_keys(split):
    return {i: shares.share_public_key(split.commitments, i) for i in split.shares}


@pytest.fixture
def split():
    return shares.split_key(KEY.private, 2, 3)


@pytest.fixture
def blinded():
    return voprf.blind([b"one", b"two"])


def test_threshold_one_equals_a_plain_finalise(blinded):
    split = shares.split_key(KEY.private, 1, 1)
    assert split.commitments == (KEY.public,)
    assert split.shares[1] == KEY
    answers = ask(split, blinded, [1])
    expected = voprf.finalize(blinded, answers[1])
    assert shares.combine(blinded, answers, {1: KEY.public}, 1) == expected


def test_answers_beyond_the_threshold_change_nothing(split, blinded):
    expected = [voprf.evaluate_unblinded(KEY, text) for text in blinded.inputs]
    for indices in ([1, 2], [3, 1], [1, 2, 3]):
        answers = ask(split, blinded, indices)
        assert shares.combine(blinded, answers, public_keys(split), 2) == expected


def test_fewer_answers_than_the_threshold_are_refused(split, blinded):
    with pytest.raises(QuorumError, match="1 shares answered, and 2 are needed"):
        shares.combine(blinded, ask(split, blinded, [1]), public_keys(split), 2)


def test_an_answer_verified_under_another_share_is_named_even_if_it_was_not_needed(split, blinded):
    answers = ask(split, blinded, [1, 2])
    answers[3] = answers[1]
    with pytest.raises(BadSignatureError, match="Share 3"):
        shares.combine(blinded, answers, public_keys(split), 2)


def test_an_answer_to_another_request_is_named(split, blinded):
    answers = ask(split, blinded, [1, 2])
    answers[2] = verified(split.shares[2], voprf.blind(blinded.inputs))
    with pytest.raises(MalformedError, match="Share 2: the evaluation answers another request"):
        shares.combine(blinded, answers, public_keys(split), 2)


def test_an_answer_whose_proof_nobody_checked_is_refused(split, blinded):
    answers = ask(split, blinded, [1, 2])
    answers[2] = voprf.evaluate(split.shares[2], blinded.elements)
    with pytest.raises(MalformedError, match="Share 2: its answer was not verified"):
        shares.combine(blinded, answers, public_keys(split), 2)


def test_a_share_that_nobody_vouches_for_is_refused(split, blinded):
    answers = ask(split, blinded, [1, 2, 3])
    known = public_keys(split)
    del known[3]
    with pytest.raises(UnknownKeyError, match="share 3"):
        shares.combine(blinded, answers, known, 2)


@pytest.mark.parametrize("index", [0, -1, True, "1", 1.0, None], ids=repr)
def test_an_index_is_a_whole_number_above_zero(split, blinded, index):
    answer = ask(split, blinded, [1])[1]
    with pytest.raises(MalformedError, match="index"):
        shares.combine(blinded, {index: answer}, {index: KEY.public}, 1)
    with pytest.raises(MalformedError, match="index"):
        shares.lagrange_coefficients([2, index])
    with pytest.raises(MalformedError, match="index"):
        shares.share_public_key(split.commitments, index)


@pytest.mark.parametrize("threshold", [0, -1, True, "1", None], ids=repr)
def test_a_threshold_is_a_whole_number_above_zero(split, blinded, threshold):
    with pytest.raises(MalformedError, match="threshold"):
        shares.combine(blinded, ask(split, blinded, [1]), public_keys(split), threshold)
    with pytest.raises(MalformedError, match="threshold"):
        shares.split_key(KEY.private, threshold, 3)


def test_an_index_occurs_once():
    with pytest.raises(MalformedError, match="twice"):
        shares.lagrange_coefficients([1, 2, 1])


def test_interpolation_needs_a_share():
    with pytest.raises(MalformedError, match="At least one"):
        shares.lagrange_coefficients([])


def test_holders_are_limited(split, blinded):
    with pytest.raises(LimitError, match="at most 32"):
        shares.split_key(KEY.private, 2, 33)
    with pytest.raises(LimitError, match="at most 32"):
        shares.lagrange_coefficients([33])
    with pytest.raises(LimitError, match="at most 32"):
        shares.combine(blinded, {}, {}, 33)
    with pytest.raises(LimitError, match="at most 32"):
        shares.share_public_key([KEY.public] * 33, 1)


def test_the_largest_circle_works(blinded):
    split = shares.split_key(KEY.private, 32, 32)
    answers = ask(split, blinded, split.shares)
    expected = [voprf.evaluate_unblinded(KEY, text) for text in blinded.inputs]
    keys = {i: pair.public for i, pair in split.shares.items()}
    assert shares.combine(blinded, answers, keys, 32) == expected


def test_a_key_is_not_split_for_more_than_its_holders():
    with pytest.raises(MalformedError, match="exceed"):
        shares.split_key(KEY.private, 4, 3)


@pytest.mark.parametrize("bad", [bytes(32), b"\xff" * 32, bytes(31), None], ids=repr)
def test_what_is_no_key_is_not_split(bad):
    with pytest.raises(MalformedError):
        shares.split_key(bad, 2, 3)


@pytest.mark.parametrize("bad", [[], [bytes(32)], [b"\xff" * 32], [None]], ids=repr)
def test_commitments_are_elements(bad):
    with pytest.raises(MalformedError):
        shares.share_public_key(bad, 1)


def test_a_holder_accepts_the_share_that_was_committed_to(split):
    for index, pair in split.shares.items():
        assert shares.verify_share(split.commitments, index, pair.private) == pair


def test_a_holder_refuses_a_share_that_was_not_committed_to(split):
    with pytest.raises(BadSignatureError, match="Share 2"):
        shares.verify_share(split.commitments, 2, split.shares[1].private)


def test_two_splits_of_one_key_differ(split):
    other = shares.split_key(KEY.private, 2, 3)
    assert other.commitments[0] == split.commitments[0]
    assert other.commitments[1] != split.commitments[1]


def test_a_split_key_shows_nothing_of_itself(split):
    assert repr(split) == "SplitKey(2 of 3, hidden)"
