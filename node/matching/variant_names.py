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

VariantFamily = Literal["mirror", "rotation", "border", "banner", "crop", "combined"]
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
    "border-trimmed-mirrored",
    "border-trimmed-turned-90",
    "border-trimmed-turned-180",
    "border-trimmed-turned-270",
    "border-trimmed-mirrored-turned-90",
    "border-trimmed-mirrored-turned-180",
    "border-trimmed-mirrored-turned-270",
    "banner-trimmed-mirrored",
    "banner-trimmed-turned-90",
    "banner-trimmed-turned-180",
    "banner-trimmed-turned-270",
    "banner-trimmed-mirrored-turned-90",
    "banner-trimmed-mirrored-turned-180",
    "banner-trimmed-mirrored-turned-270",
    "banner-covered-mirrored",
    "extended-mirrored",
    "cropped-mirrored",
]
"""What was done to the upload before it was compared, in this order; turns are clockwise."""

FAMILIES: Final[tuple[VariantFamily, ...]] = get_args(VariantFamily)
"""All families, in the order in which a worker is told of them."""

NAMES: Final[tuple[VariantName, ...]] = get_args(VariantName)
"""All variants."""

_SINGLE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
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


def _families_of(name: str) -> frozenset[str]:
    """Those of what was done first and of how the rest was turned; both together need a third."""
    if name in _SINGLE:
        return _SINGLE[name]
    first = next(one for one in _SINGLE if name.startswith(f"{one}-"))
    return _SINGLE[first] | _SINGLE[name.removeprefix(f"{first}-")] | {"combined"}


VARIANTS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {name: _families_of(name) for name in NAMES}
)
"""The families that all have to be asked for before a variant counts."""

DIHEDRAL: Final[tuple[VariantName, ...]] = NAMES[:7]
"""The seven variants that turn or mirror, and change nothing else."""

MAX_VARIANTS: Final = 104
"""Variants of one upload; all families together make at most 101, without `combined` 36."""


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
