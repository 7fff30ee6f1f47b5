"""One OPRF key among several holders: any `threshold` of them evaluate, fewer learn nothing.

Shamir's sharing over the scalars, with Lagrange interpolation "in the exponent" (the 2HashTDH form
of Jarecki, Kiayias, Krawczyk and Xu, ePrint 2017/363). Every holder is an ordinary RFC 9497 server
under its own share: it does not need to know the others. The client verifies each share against the
holder's public key, which follows from the commitments in the signed circle descriptor, and then
combines. The outputs are those of the undivided key.

With threshold 1 every "share" is the whole key, and its holder can list every telephone number
without asking anyone: that is for tests and for a node's own use.

RFC 9497 covers one server; its batching together with several holders has no published proof of its
own (docs/threat-model.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    QuorumError,
    UnknownKeyError,
)
from protocol.limits import MAX_HOLDERS
from signing.oprf.elements import ORDER, SCALAR_BYTES, Element
from signing.oprf.group import Group, default_group
from signing.oprf.voprf import (
    Blinded,
    KeyPair,
    VerifiedEvaluation,
    load_key_pair,
    output_of,
)


@dataclass(frozen=True, repr=False)
class SplitKey:
    """What a dealer hands out.

    Attributes:
        shares: the key pair of each holder by its index, 1 to n. Each goes to its holder alone.
        commitments: Feldman's commitments to the polynomial, 32 bytes each, as many as the
            threshold; the first is the public key of the undivided key. Published.
    """

    shares: dict[int, KeyPair]
    commitments: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Say threshold and number of holders and nothing more."""
        return f"SplitKey({len(self.commitments)} of {len(self.shares)}, hidden)"


def lagrange_coefficients(indices: Sequence[int]) -> dict[int, bytes]:
    """Return by index the scalar that each share is weighed with, for the polynomial at 0.

    Args:
        indices: distinct indices of holders, 1 to `MAX_HOLDERS`, in any order.

    Raises:
        MalformedError: none at all, one twice, or one that is no whole number above 0. The share
            at 0 would be the key itself.
        LimitError: an index above `MAX_HOLDERS`.
    """
    if not indices:
        raise MalformedError("At least one share is needed.")
    for index in indices:
        _check_index(index)
    if len(set(indices)) != len(indices):
        raise MalformedError("The index of a share occurs twice.")
    coefficients = {}
    for i in indices:
        numerator = denominator = 1
        for j in indices:
            if j != i:
                numerator = numerator * j % ORDER
                denominator = denominator * (j - i) % ORDER
        coefficients[i] = _scalar(numerator * pow(denominator, -1, ORDER))
    return coefficients


def share_public_key(
    commitments: Sequence[bytes], index: int, *, group: Group | None = None
) -> bytes:
    """Return the public key of a holder's share: the sum of index^j * commitments[j].

    Args:
        commitments: the published commitments, as many as the threshold.
        index: the holder's, 1 to `MAX_HOLDERS`.
        group: the backend; `default_group` if absent, here and in every function of this module.

    Returns:
        32 bytes. Costs a multiplication per commitment: callers keep the result for the epoch.

    Raises:
        MalformedError: no commitments, one that is no element, or a bad index.
        LimitError: more commitments, or a higher index, than `MAX_HOLDERS`.
    """
    group = group or default_group()
    _check_index(index)
    _check_threshold(len(commitments))
    points = [group.decode_element(commitment) for commitment in commitments]
    position = _scalar(index)
    total = points[-1]
    for point in reversed(points[:-1]):
        total = group.add(group.multiply(position, total), point)
    return group.encode_element(total)


def verify_share(
    commitments: Sequence[bytes], index: int, private: bytes, *, group: Group | None = None
) -> KeyPair:
    """Return the key pair of a share that fits the commitments (Feldman's check, by its holder).

    Args:
        commitments: the published commitments.
        index: the holder's own.
        private: the share as the dealer delivered it, 32 bytes.
        group: the backend.

    Raises:
        BadSignatureError: the dealer gave this holder something else than it published.
        MalformedError: an argument is not of its form.
        LimitError: more commitments, or a higher index, than `MAX_HOLDERS`.
    """
    pair = load_key_pair(private, group=group)
    if pair.public != share_public_key(commitments, index, group=group):
        raise BadSignatureError(f"Share {index} does not fit the published commitments.")
    return pair


def combine(
    blinded: Blinded,
    evaluations: Mapping[int, VerifiedEvaluation],
    public_keys: Mapping[int, bytes],
    threshold: int,
    *,
    group: Group | None = None,
) -> list[bytes]:
    """Return the output for each input, 64 bytes each, from the answers of the holders.

    1. There are at least `threshold` answers, each of a holder whose public key is known.
    2. Every answer's proof held, for this request and under its holder's public key, also of those
       not needed. The proof itself was checked by `verify_evaluation`, once.
    3. The `threshold` answers of lowest index are weighed, summed and unblinded in one pass.

    Args:
        blinded: what every holder was asked.
        evaluations: what `verify_evaluation` made of each answer, by the holder's index.
        public_keys: by index, each from `share_public_key` over the signed circle descriptor,
            never from an answer.
        threshold: how many shares make the key: the number of commitments.
        group: the backend that made `blinded` and verified the answers.

    Raises:
        QuorumError: fewer answers than the threshold.
        UnknownKeyError: an answer of an index that has no public key.
        BadSignatureError: an answer passed under the key of another share; the text names it.
        MalformedError: a threshold or an index is not of its form, or an answer is one to another
            request; of an answer, the text names the index.
        LimitError: a threshold or an index above `MAX_HOLDERS`.
    """
    group = group or default_group()
    # 1
    _check_threshold(threshold)
    if len(evaluations) < threshold:
        raise QuorumError(f"{len(evaluations)} shares answered, and {threshold} are needed.")
    # 2
    for index, evaluation in evaluations.items():
        _check_index(index)
        if index not in public_keys:
            raise UnknownKeyError(f"Nobody vouches for share {index}.")
        _check_verified(index, public_keys[index], blinded, evaluation)
    # 3
    chosen = sorted(evaluations)[:threshold]
    coefficients = lagrange_coefficients(chosen)
    outputs = []
    for position, (private_input, blind_scalar) in enumerate(
        zip(blinded.inputs, blinded.scalars, strict=True)
    ):
        inverse = group.invert_scalar(blind_scalar)
        terms = [
            group.multiply(
                group.multiply_scalars(inverse, coefficients[index]),
                evaluations[index].points[position],
            )
            for index in chosen
        ]
        outputs.append(output_of(private_input, group.encode_element(_sum(group, terms))))
    return outputs


def split_key(
    private: bytes,
    threshold: int,
    holders: int,
    *,
    group: Group | None = None,
    _coefficients: Sequence[bytes] | None = None,
) -> SplitKey:
    """Return a key in shares, dealt by one who knows all of it: a *trusted dealer*.

    For tests, for demonstrations on one machine, and for a ceremony on an offline machine that is
    wiped afterwards. Whoever runs it has seen the key, and nobody can check that they forgot it;
    only a distributed key generation (C2SP COCKTAIL-DKG) does without this trust.

    Args:
        private: the key, 32 bytes, a scalar that is not zero.
        threshold: how many shares make the key.
        holders: how many shares there are, at most `MAX_HOLDERS`.
        group: the backend.
        _coefficients: the polynomial of a vector, without its constant; in tests only.

    Raises:
        MalformedError: not a key, a threshold below 1, or one above the number of holders.
        LimitError: more than `MAX_HOLDERS`.
    """
    group = group or default_group()
    _check_threshold(threshold)
    _check_index(holders)
    if threshold > holders:
        raise MalformedError("A threshold cannot exceed the number of holders.")
    drawn = _coefficients or [group.random_scalar() for _ in range(threshold - 1)]
    polynomial = [private, *drawn]
    shares = {}
    for index in range(1, holders + 1):
        position = _scalar(index)
        value = polynomial[-1]
        for coefficient in reversed(polynomial[:-1]):
            value = group.add_scalars(group.multiply_scalars(value, position), coefficient)
        shares[index] = load_key_pair(value, group=group)
    commitments = tuple(load_key_pair(value, group=group).public for value in polynomial)
    return SplitKey(shares, commitments)


def _check_verified(
    index: int, public_key: bytes, blinded: Blinded, evaluation: VerifiedEvaluation
) -> None:
    """Refuse an answer whose proof held for something else; nothing is taken on trust twice."""
    # `type`, for an answer whose proof nobody checked has elements as well.
    if type(evaluation) is not VerifiedEvaluation:
        raise MalformedError(f"Share {index}: its answer was not verified.")
    if evaluation.request != blinded.elements:
        raise MalformedError(f"Share {index}: the evaluation answers another request.")
    if evaluation.public_key != public_key:
        raise BadSignatureError(f"Share {index}: the proof held under the key of another share.")


def _sum(group: Group, terms: Sequence[Element]) -> Element:
    total = terms[0]
    for term in terms[1:]:
        total = group.add(total, term)
    return total


def _scalar(number: int) -> bytes:
    return (number % ORDER).to_bytes(SCALAR_BYTES, "little")


def _check_index(index: int) -> None:
    # `type`, for True is an int, and the same key of a dict as 1.
    if type(index) is not int or index < 1:
        raise MalformedError("The index of a share is a whole number above 0.")
    if index > MAX_HOLDERS:
        raise LimitError(f"A key has at most {MAX_HOLDERS} shares.")


def _check_threshold(threshold: int) -> None:
    if type(threshold) is not int or threshold < 1:
        raise MalformedError("A threshold is a whole number above 0.")
    if threshold > MAX_HOLDERS:
        raise LimitError(f"A key has at most {MAX_HOLDERS} shares.")
