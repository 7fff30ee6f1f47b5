"""Polynomials over the scalars, and the same over their commitments (Feldman's sharing)."""

import hmac
from collections.abc import Sequence

from protocol.errors import KeygenError, MalformedError
from signing.oprf.elements import SCALAR_BYTES, Element
from signing.oprf.group import Group


def evaluate(group: Group, polynomial: Sequence[bytes], index: int) -> bytes:
    """Return the polynomial's value at `index` ("Algorithm 2: Secret Share Evaluation").

    Args:
        group: the backend.
        polynomial: coefficients, 32 bytes each, the constant first.
        index: a participant's, from 1.
    """
    position = index.to_bytes(SCALAR_BYTES, "little")
    value = polynomial[-1]
    for coefficient in reversed(polynomial[:-1]):
        value = group.add_scalars(group.multiply_scalars(value, position), coefficient)
    return value


def evaluate_points(group: Group, points: Sequence[Element], index: int) -> Element:
    """Return the sum of index^k * points[k].

    Raises:
        MalformedError: the identity came up, which no honest polynomial brings about.
    """
    position = index.to_bytes(SCALAR_BYTES, "little")
    total = points[-1]
    for point in reversed(points[:-1]):
        total = group.add(group.multiply(position, total), point)
    return total


def is_share_of(group: Group, share: bytes, points: Sequence[Element], index: int) -> bool:
    """Tell whether the share is the committed polynomial at `index` ("Algorithm 3").

    Raises:
        MalformedError: the share is zero, or the commitments cancel out at this index.
    """
    left = group.encode_element(group.multiply_base(share))
    right = group.encode_element(evaluate_points(group, points, index))
    return hmac.compare_digest(left, right)


def add_points(group: Group, polynomials: Sequence[Sequence[Element]]) -> list[Element]:
    """Return the commitments to the sum of all polynomials, coefficient by coefficient.

    Raises:
        KeygenError: a coefficient comes to nothing. Several participants must have worked
            together for that, and which ones cannot be told.
    """
    totals = []
    for points in zip(*polynomials, strict=True):
        total: Element | None = None
        for point in points:
            total = point if total is None else _add_or_none(group, total, point)
        if total is None:
            raise KeygenError("The commitments of several participants cancel out.")
        totals.append(total)
    return totals


def _add_or_none(group: Group, left: Element, right: Element) -> Element | None:
    """Return the sum; None for the identity, which a sum may pass through on its way."""
    try:
        return group.add(left, right)
    except MalformedError:
        return None
