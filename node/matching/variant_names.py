"""What an upload may be beside what was flagged: families of variants, and each of them, by name.

A rule of the policy asks for families; an answer names the variant by which an entry was found.
Only names stand here, so that policy and API need no NumPy; node.matching.variants computes them.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta

from protocol.pdq import PDQ_BYTES, Pdq

PLAIN: Final = "plain"
"""The upload as it is, which is always compared."""

VariantFamily = Literal["mirror", "rotation", "border", "banner", "crop"]
"""What a rule may ask for."""

VariantName = Literal[
    "mirrored",
    "turned-90",
    "turned-180",
    "turned-270",
    "mirrored-turned-90",
    "mirrored-turned-180",
    "mirrored-turned-270",
    "border-trimmed",
    "banner-trimmed",
    "banner-covered",
    "extended",
    "cropped",
]
"""What was done to the upload before it was compared; turns are clockwise, after the mirroring."""

FAMILIES: Final[tuple[VariantFamily, ...]] = get_args(VariantFamily)
"""All families, in the order in which a worker is told of them."""

NAMES: Final[tuple[VariantName, ...]] = get_args(VariantName)
"""All variants."""

VARIANTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "mirrored": frozenset({"mirror"}),
        "turned-90": frozenset({"rotation"}),
        "turned-180": frozenset({"rotation"}),
        "turned-270": frozenset({"rotation"}),
        "mirrored-turned-90": frozenset({"mirror", "rotation"}),
        "mirrored-turned-180": frozenset({"mirror", "rotation"}),
        "mirrored-turned-270": frozenset({"mirror", "rotation"}),
        "border-trimmed": frozenset({"border"}),
        "banner-trimmed": frozenset({"banner"}),
        "banner-covered": frozenset({"banner"}),
        "extended": frozenset({"crop"}),
        "cropped": frozenset({"crop"}),
    }
)
"""The families that all have to be asked for before a variant counts."""

DIHEDRAL: Final[tuple[VariantName, ...]] = NAMES[:7]
"""The seven variants that turn or mirror, and change nothing else."""

MAX_VARIANTS: Final = 40
"""Variants of one upload; all families together make at most 36."""


MAX_VARIANTS_AT_ONCE: Final = 4_000
"""Variants of all uploads of one look-up."""


@dataclass(frozen=True)
class VariantPdq:
    """One variant of a picture. The `repr` holds neither pdq nor quality.

    Attributes:
        name: which; several may have the same name, such as two guesses where a border ends.
        pdq: 32 bytes.
        quality: of that pdq, 0 to 100.
    """

    name: VariantName
    pdq: Annotated[Pdq, Meta(min_length=PDQ_BYTES, max_length=PDQ_BYTES)] = field(repr=False)
    quality: Annotated[int, Meta(ge=0, le=100)] = field(repr=False)


def is_asked_for(variant: str, families: Collection[str]) -> bool:
    """Whether the families that are asked for include a variant; the plain one always is."""
    return variant == PLAIN or VARIANTS[variant] <= set(families)
