"""The summary sheet: exactly what is about to leave this computer, for a person to agree to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import typer

from node.cli.assess import Assessment, Chosen
from node.cli.output import ask, note
from protocol.categories import CategoryKind, builtin_vocabulary
from protocol.limits import MAX_FRAMES_PER_STATEMENT, MAX_ITEMS

T = TypeVar("T")


@dataclass(frozen=True)
class Finding:
    """What is said about all pictures of one call, as the protocol words it.

    Attributes:
        category: id from the vocabulary.
        reviewers: how many people have looked.
        purpose: what others may use it for.
        legal_basis: the ground for sharing it.
        review_days: until the issuer looks at it again.
        issuer_code: the issuer's own classification, if any.
        flags: beside the category.
        surfaces: where it may be applied; empty is everywhere.
        jurisdictions: likewise.
        audience: who may read it.
    """

    category: str
    reviewers: int
    purpose: str
    legal_basis: str
    review_days: int
    issuer_code: str | None = None
    flags: tuple[str, ...] = ()
    surfaces: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    audience: tuple[str, ...] = ("peers",)


def check_category(category: str, kind: CategoryKind) -> str:
    """Returns the title of a category.

    Args:
        category: as it was typed.
        kind: what it is to be said of.

    Raises:
        typer.BadParameter: the vocabulary has no such category for this.
    """
    vocabulary = builtin_vocabulary()
    known = vocabulary.get(category)
    if known.known and known.kind in {kind, CategoryKind.BOTH}:
        return known.title
    fitting = [one.id for one in vocabulary.categories if one.kind in {kind, CategoryKind.BOTH}]
    raise typer.BadParameter(
        f"there is no category of this name for it; there are: {', '.join(fitting)}",
        param_hint="--category",
    )


def batches(chosen: Sequence[Chosen]) -> list[Sequence[Chosen]]:
    """Returns the pictures and films, in their order, in as few statements as they fit in."""
    return in_parts(chosen, frames=lambda one: len(one.item.frames))


def in_parts(all_of: Sequence[T], *, frames: Callable[[T], int]) -> list[Sequence[T]]:
    """Returns items in parts as large as a statement or a look-up may be.

    Args:
        all_of: the items, in an order that is kept.
        frames: how many frames of a film one has.
    """
    parts: list[list[T]] = []
    held = 0
    for one in all_of:
        held += frames(one)
        if not parts or len(parts[-1]) == MAX_ITEMS or held > MAX_FRAMES_PER_STATEMENT:
            parts.append([])
            held = frames(one)
        parts[-1].append(one)
    return list(parts)


def show_remarks(assessment: Assessment) -> None:
    """Says in words what becomes of each file that is not simply sent."""
    for word, remark in assessment.remarks():
        note(f"{word}: {remark.name}: {remark.sentence}")


def show_sheet(assessment: Assessment, finding: Finding, *, to: str, signed_by: str) -> None:
    """Shows what leaves this computer, and what does not."""
    with_pdq = sum(1 for one in assessment.chosen if one.item.pdq is not None)
    films = [one.item for one in assessment.chosen if one.item.frames]
    frames = sum(len(one.frames) for one in films)
    without = len(assessment.chosen) - with_pdq - len(films)
    what = "the pictures and films" if films else "the pictures"
    show_leaving(
        finding,
        (
            f"pdq with quality, sha256, sha1 and md5 of {_count(with_pdq, 'picture')}"
            * bool(with_pdq),
            f"{frames} frames of {_count(len(films), 'film')}, each with pdq, quality and time; "
            "and their sha256, sha1 and md5" * bool(films),
            f"sha256, sha1 and md5 of {_count(without, 'file')}" * bool(without),
        ),
        stays=f"{what}, their names, and where they lie",
        to=to,
        signed_by=signed_by,
    )


def show_leaving(
    finding: Finding, hashes: Sequence[str], *, stays: str, to: str, signed_by: str
) -> None:
    """Shows what is said of the media hashes, how many there are, and what stays.

    Args:
        finding: what is said.
        hashes: lines about the media hashes; empty ones are left out.
        stays: what does not leave this computer, in words.
        to: address of the node.
        signed_by: whose key signs, in words.
    """
    title = check_category(finding.category, CategoryKind.MEDIA)
    note("What leaves this computer, and nothing else:")
    told = [one for one in hashes if one]
    for name, value in (
        ("to", to),
        ("signed by", signed_by),
        ("readers", ", ".join(finding.audience)),
        ("category", f"{finding.category} ({title})"),
        ("own code", finding.issuer_code),
        ("flags", ", ".join(finding.flags)),
        ("looked at by", f"{finding.reviewers} {'person' if finding.reviewers == 1 else 'people'}"),
        ("purpose", finding.purpose),
        ("legal basis", finding.legal_basis),
        ("only for", ", ".join((*finding.surfaces, *finding.jurisdictions))),
        ("looked at again", f"within {finding.review_days} days"),
        *(("" if at else "media hashes", line) for at, line in enumerate(told)),
    ):
        if value:
            note(f"  {name.ljust(15)}  {value}")
    note(f"What stays here: {stays}.")


def confirm(question: str, *, yes: bool) -> None:
    """Returns if the answer is yes.

    Raises:
        typer.Abort: it is not, or there is nobody to answer.
    """
    if not yes and ask(f"{question} [y/N]:").lower() not in {"y", "yes"}:
        raise typer.Abort


def _count(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
