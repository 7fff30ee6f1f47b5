"""Categories: a versioned vocabulary that is read from data, never an enumeration in code.

A statement names a category of ours; the issuer's own code travels beside it. A vocabulary says
what a category means, what it allows, and how NCMEC's and IWF's codes map onto it. A category that
no vocabulary here knows is kept and treated as review-only: an older node must neither drop what a
newer one says, nor act on what it does not understand.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from msgspec import Meta, Struct

from protocol import fields, limits
from protocol.encoding import convert, parse_json
from protocol.errors import MalformedError

MAX_VOCABULARY_BYTES = 1 << 20
"""Longest vocabulary that is read; INHOPE's schema is far below."""

ANY_CODE = "*"
"""Stands in a bridge for every code of that organisation."""

_Bridge = Annotated[tuple[fields.Text, ...], Meta(max_length=limits.MAX_LIST)]


class CategoryKind(StrEnum):
    """What a category can be said of."""

    MEDIA = "media"
    ACCOUNT = "account"
    BOTH = "both"


class Bridges(Struct, frozen=True, forbid_unknown_fields=True):
    """Codes of other organisations that mean this category.

    Attributes:
        ncmec: NCMEC's classes A1 to B2, names of its lists, or ``*``.
        iwf: IWF's categories A to C, or ``*``.
    """

    ncmec: _Bridge = ()
    iwf: _Bridge = ()


class Category(Struct, frozen=True, forbid_unknown_fields=True):
    """One category.

    Attributes:
        id: its name on the wire, such as ``csam.act.prepub``.
        kind: what it can be said of.
        title: a few words for a list, in English.
        definition: one sentence for the person who chooses, in English.
        review_only: a match leads to a person, whatever the policy says of others.
        ban_reason: may by itself be the reason to ban an account.
        remark: what else must be known; may be empty.
        bridges: codes of other organisations.
        self_production: chosen instead of the others where the issuer marks that the child made the
            material without an adult.
        known: False for what `Vocabulary.get` made up for an id that it does not hold.
    """

    id: fields.Category
    kind: CategoryKind
    title: fields.Text
    definition: fields.Text
    review_only: bool
    ban_reason: bool
    remark: Annotated[str, Meta(max_length=limits.MAX_TEXT_CHARS)] = ""
    bridges: Bridges = Bridges()
    self_production: bool = False
    known: bool = True


class Flag(Struct, frozen=True, forbid_unknown_fields=True):
    """A remark that stands beside a category, such as ``live_stream``.

    Attributes:
        id: its name on the wire.
        definition: one sentence for the person who chooses, in English.
    """

    id: fields.Flag
    definition: fields.Text


class Vocabulary(Struct, frozen=True, forbid_unknown_fields=True):
    """Categories and flags under one name and version.

    Attributes:
        name: such as ``schutznetz``.
        version: from 1; an id keeps its meaning in every later version.
        categories: ids are unique.
        flags: ids are unique.
    """

    name: fields.VocabularyName
    version: Annotated[int, Meta(ge=1)]
    categories: Annotated[tuple[Category, ...], Meta(max_length=limits.MAX_LIST)]
    flags: Annotated[tuple[Flag, ...], Meta(max_length=limits.MAX_LIST)] = ()

    def get(self, category_id: str) -> Category:
        """Returns the category of that id; for an unknown id one that is review-only, not `known`.

        An unknown category can be said of anything and is never a reason for a ban.
        """
        for category in self.categories:
            if category.id == category_id:
                return category
        return Category(
            id=category_id,
            kind=CategoryKind.BOTH,
            title="Unknown category",
            definition="No vocabulary of this node has this category; a person has to look at it.",
            review_only=True,
            ban_reason=False,
            known=False,
        )

    def from_ncmec(self, code: str, *, self_production: bool = False) -> tuple[Category, ...]:
        """Returns the categories that NCMEC's `code` may mean, in the order of the vocabulary.

        Args:
            code: ``A1``, ``A2``, ``B1``, ``B2`` or the name of a list, in any case.
            self_production: the entry is marked ``possibleSelfProduction``; then that category
                alone is returned, for whoever uploads it may be the victim.

        Returns:
            None, one or several: where it is several, a person chooses.
        """
        return tuple(
            category
            for category in self.categories
            if _means(category, category.bridges.ncmec, code, self_production=self_production)
        )

    def from_iwf(self, code: str, *, self_production: bool = False) -> tuple[Category, ...]:
        """Returns the categories that IWF's `code` may mean, in the order of the vocabulary.

        Args:
            code: ``A``, ``B`` or ``C``, in either case. IWF grades the act and not the age, so that
                each means several of ours.
            self_production: the entry is marked as self-generated.

        Returns:
            As `from_ncmec`.
        """
        return tuple(
            category
            for category in self.categories
            if _means(category, category.bridges.iwf, code, self_production=self_production)
        )


def _means(
    category: Category, bridge: tuple[str, ...], code: str, *, self_production: bool
) -> bool:
    codes = {known.upper() for known in bridge}
    return category.self_production == self_production and bool(codes & {ANY_CODE, code.upper()})


def parse_vocabulary(data: bytes) -> Vocabulary:
    """Returns the vocabulary in `data`, checked.

    Args:
        data: untrusted JSON of the form of vocabularies/schutznetz-1.json.

    Raises:
        LimitError: too long or too deep.
        MalformedError: not JSON, a field missing, unknown or of a wrong form, an id twice, or a
            category that says of itself that it is not known.
    """
    vocabulary = convert(parse_json(data, max_bytes=MAX_VOCABULARY_BYTES), Vocabulary)
    for entries in (vocabulary.categories, vocabulary.flags):
        if len({entry.id for entry in entries}) != len(entries):
            raise MalformedError("An id stands twice in one vocabulary.")
    if not all(category.known for category in vocabulary.categories):
        raise MalformedError("A vocabulary holds known categories only.", where="categories")
    return vocabulary


@lru_cache(maxsize=1)
def builtin_vocabulary() -> Vocabulary:
    """Returns the newest vocabulary that this code was released with.

    The file is packaged data, as much a part of the code as a table in a module, so reading it is
    no I/O on anything of a user's: it is the same on every call and on every machine.
    """
    from importlib import resources  # noqa: PLC0415  # 10 ms that no parser of statements needs

    return parse_vocabulary(
        resources.files("protocol").joinpath("vocabularies", "schutznetz-1.json").read_bytes()
    )
