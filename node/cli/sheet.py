"""The summary sheet: exactly what is about to leave this computer, for a person to agree to."""

from collections.abc import Sequence
from dataclasses import dataclass

import typer

from node.cli.assess import Assessment, Chosen
from node.cli.output import ask, note
from protocol.categories import CategoryKind, builtin_vocabulary
from protocol.limits import MAX_ITEMS


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
    """Returns the pictures in as few statements as they fit in."""
    return [chosen[at : at + MAX_ITEMS] for at in range(0, len(chosen), MAX_ITEMS)]


def show_remarks(assessment: Assessment) -> None:
    """Says in words what becomes of each file that is not simply sent."""
    for word, remark in assessment.remarks():
        note(f"{word}: {remark.name}: {remark.sentence}")


def show_sheet(assessment: Assessment, finding: Finding, *, to: str, signed_by: str) -> None:
    """Shows what leaves this computer, and what does not."""
    with_pdq = sum(1 for one in assessment.chosen if one.item.pdq is not None)
    without = len(assessment.chosen) - with_pdq
    title = check_category(finding.category, CategoryKind.MEDIA)
    note("What leaves this computer, and nothing else:")
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
        (
            "media hashes",
            f"pdq with quality, sha256, sha1 and md5 of {_pictures(with_pdq)}" * bool(with_pdq),
        ),
        ("", f"sha256, sha1 and md5 of {_pictures(without)}" * bool(without)),
    ):
        if value:
            note(f"  {name.ljust(15)}  {value}")
    note("What stays here: the pictures, their names, and where they lie.")


def confirm(question: str, *, yes: bool) -> None:
    """Returns if the answer is yes.

    Raises:
        typer.Abort: it is not, or there is nobody to answer.
    """
    if not yes and ask(f"{question} [y/N]:").lower() not in {"y", "yes"}:
        raise typer.Abort


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"
