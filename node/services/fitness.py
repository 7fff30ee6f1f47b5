"""What is worth matching: the gates that a statement has to pass before it is stored.

A pdq with too little detail would match innocent pictures, and an item that is there twice would
say nothing. Neither is taken in, whoever signed it (docs/protocol.md section 13.4).
"""

import numpy as np

from node.matching.degeneracy import degenerate
from node.storage.media import EXACT_KINDS
from protocol.errors import InvalidError
from protocol.limits import PDQ_MIN_QUALITY
from protocol.pdq import PDQ_BYTES, is_degenerate, parse_pdq
from protocol.statements import AccountBan, Avatar, MediaFlag, MediaItem, Statement


def check_gates(statement: Statement) -> None:
    """Returns if what a statement lists is worth matching (docs/protocol.md section 13.4).

    Raises:
        InvalidError: a pdq is of low quality, or of a nearly constant picture: it would match
            innocent pictures. Or an item is there twice: it would say nothing, and cost each
            look-up.
    """
    if isinstance(statement, AccountBan):
        check_avatar(statement.avatar)
    if not isinstance(statement, MediaFlag):
        return
    _check_repeats(statement)
    if not _has_unfit(statement):
        return
    unfit = next(at for at, one in enumerate(statement.items) if _has_unfit_pdq(one))
    where = f"items[{unfit}].pdq"
    if min(quality for _, quality in _pdqs_of(statement.items[unfit])) < PDQ_MIN_QUALITY:
        raise InvalidError(
            f"The quality of a pdq is below {PDQ_MIN_QUALITY}: send this item's exact "
            "digests alone.",
            where=where,
        )
    raise InvalidError(
        "A pdq is that of a nearly constant picture and would match innocent ones: "
        "send this item's exact digests alone.",
        where=where,
    )


def _pdqs_of(item: MediaItem) -> list[tuple[str, int]]:
    """Every pdq of an item, its frames' too, with its quality."""
    pairs = [(frame.pdq, frame.quality) for frame in item.frames]
    if item.pdq is not None and item.quality is not None:
        pairs.append((item.pdq, item.quality))
    return pairs


def _has_unfit(statement: MediaFlag) -> bool:
    """Whether an item has an unfit pdq; which, is only asked if so.

    A list has a thousand pictures in each statement: they are judged all at once.
    """
    items = statement.items
    texts = [item.pdq for item in items if item.pdq is not None]
    qualities = [item.quality for item in items if item.quality is not None]
    for frames in [item.frames for item in items if item.frames]:
        texts += [frame.pdq for frame in frames]
        qualities += [frame.quality for frame in frames]
    if not texts:
        return False
    # Hexadecimal of the right length, or the items would not exist.
    pdqs = np.frombuffer(bytes.fromhex("".join(texts)), np.uint8).reshape(-1, PDQ_BYTES)
    return min(qualities) < PDQ_MIN_QUALITY or bool(degenerate(pdqs).any())


def _has_unfit_pdq(item: MediaItem) -> bool:
    return any(
        quality < PDQ_MIN_QUALITY or is_degenerate(parse_pdq(pdq))
        for pdq, quality in _pdqs_of(item)
    )


def check_avatar(avatar: Avatar | None) -> None:
    """Returns if an avatar, where there is one, is worth matching; raises as `check_gates`."""
    if avatar is not None and (
        avatar.quality < PDQ_MIN_QUALITY or is_degenerate(parse_pdq(avatar.pdq))
    ):
        raise InvalidError(
            "The avatar has too little detail, and would be like innocent ones: leave it out.",
            where="avatar.pdq",
        )


def _check_repeats(statement: MediaFlag) -> None:
    if not any(_has_repeats(statement, kind) for kind in (*EXACT_KINDS, "pdq")):
        return
    met: set[tuple[str, str]] = set()
    for number, item in enumerate(statement.items):
        exact = {(kind, value) for kind in EXACT_KINDS if (value := getattr(item, kind))}
        if not met.isdisjoint(exact):
            raise InvalidError(
                "An earlier item has one of this item's exact digests: name a file once.",
                where=f"items[{number}]",
            )
        met |= exact
        if item.pdq is not None:
            if ("pdq", item.pdq) in met:
                raise InvalidError(
                    "An earlier item has the same pdq: send this item's exact digests alone.",
                    where=f"items[{number}]",
                )
            met.add(("pdq", item.pdq))


def _has_repeats(statement: MediaFlag, kind: str) -> bool:
    """Whether two items have the same value of one kind; which, is only asked if so."""
    values = [value for item in statement.items if (value := getattr(item, kind)) is not None]
    return len(set(values)) < len(values)
