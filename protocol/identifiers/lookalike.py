"""lookalike-v1: what user names that look alike on one platform have in common.

``Anna_M4x`` and ``anna.max`` are two names, and often one person who was banned under the first. So
many names share one of these that it is a hint beside another identifier, and never a reason for
anything. It is a small, fixed table for Latin letters and what is most often put in their place,
and not the table of UTS #39: that has thousands of lines and changes with Unicode, and a changed
line is a silently missed hint.
"""

import re
import unicodedata
from typing import Final

from protocol.identifiers.kinds import IdentifierKind, NormalisedIdentifier

SCHEME: Final = "lookalike-v1"
"""Name of the rule; the kind stays ``username``."""

MIN_CHARS: Final = 4
"""Shortest result: too many names share a shorter one."""

_ALIKE: Final = str.maketrans(
    {
        # digits and signs for letters; i and l are one
        **dict(zip("0134578$@|i", "oleastbsall", strict=True)),
        # Cyrillic
        **dict(zip("аеоѕсрхуіјһԁԛԝѵ", "aeoscpxyljhdqwv", strict=True)),
        # Greek
        **dict(zip("αορνυικτχε", "aopvulktxe", strict=True)),
        # Latin letters that no decomposition takes apart
        **dict(zip("ıøłđħŧſ", "loldhts", strict=True)),
    }
)
_PAIRS: Final = (("rn", "m"), ("vv", "w"), ("cl", "d"))
_SEPARATORS: Final = re.compile(r"[._\-~·\s]+")
_REPEATED: Final = re.compile(r"(.)\1+")


def look_alike(username: NormalisedIdentifier) -> NormalisedIdentifier | None:
    """Returns what the names that look like this one share, on the same platform.

    1. The name is decomposed (NFKD), and combining marks are dropped.
    2. Each character is replaced by the one that it looks like.
    3. Full stops, low lines, hyphens, tildes and middle dots are dropped.
    4. ``rn`` becomes ``m``, ``vv`` ``w``, and ``cl`` ``d``, in this order.
    5. A character that is repeated stands once.

    Args:
        username: under ``username-v1``.

    Returns:
        It under `SCHEME`, or None where it has fewer than `MIN_CHARS` characters.
    """
    platform, _, name = username.value.partition("/")
    decomposed = unicodedata.normalize("NFKD", name)
    text = "".join(one for one in decomposed if not unicodedata.combining(one))
    text = _SEPARATORS.sub("", text.translate(_ALIKE))
    for pair, one in _PAIRS:
        text = text.replace(pair, one)
    text = _REPEATED.sub(r"\1", text)
    if len(text) < MIN_CHARS:
        return None
    return NormalisedIdentifier(IdentifierKind.USERNAME, SCHEME, f"{platform}/{text}")
