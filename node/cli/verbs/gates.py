"""`node quarantine`, `node allow` and `node sources`: what keeps lists healthy."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import options
from node.cli.output import note, show, show_json, show_table

if TYPE_CHECKING:
    from node.storage.gates import Allowed

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_ACTOR: Final = "operator"

Item = Annotated[int, typer.Option(help="Number of the item, from 0.", metavar="N", min=0, max=999)]


def register(app: options.Group) -> None:
    """Adds the verbs to the group."""
    verbs = options.group("Entries that match suspiciously often.")
    verbs.command("list")(list_quarantine)
    verbs.command("confirm")(confirm)
    verbs.command("reject")(reject)
    app.add_typer(verbs, name="quarantine")
    verbs = options.group("What passes, whatever any list says.")
    verbs.command("add")(add)
    verbs.command("list")(list_allowed)
    verbs.command("remove")(remove)
    app.add_typer(verbs, name="allow")
    app.command("sources")(sources)


def list_quarantine(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List entries that lead to review at most, and those that were rejected."""
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.quarantines.list()
    if as_json:
        show_json({"entries": [asdict(one) for one in found]})
        return
    for one in found:
        show(f"{one.statement} item {one.item}")
        often = f"{one.matches} matches in an hour, {one.lookups} look-ups; before: {one.usual}"
        show(f"    {one.state} since {one.since} ({one.reason}): {often}")
        show(f"    {one.issuer}, {one.category or 'erased'}")
    if not found:
        show("Nothing is in quarantine.")


def confirm(
    directory: options.NodeFolder,
    statement: options.StatementId,
    item: Item = 0,
    as_json: options.Json = False,
) -> None:
    """Let an entry act again: a person has looked, and it is right."""
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        entry = services.quarantines.confirm(statement, item, actor=_ACTOR)
    if as_json:
        show_json(asdict(entry))
    else:
        show("It acts again, and is left alone until it matches far more than it does now.")


def reject(
    directory: options.NodeFolder,
    statement: options.StatementId,
    item: Item = 0,
    as_json: options.Json = False,
) -> None:
    """Turn an entry off at this node: a person has looked, and it is wrong.

    Any entry of a media-flag may be rejected, whether or not it is in quarantine.
    """
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        entry = services.quarantines.reject(statement, item, actor=_ACTOR)
    contest = f"schutznetz dispute {statement} --item {item} --reason not-a-match"
    if as_json:
        show_json({**asdict(entry), "dispute": contest})
        return
    show("It answers nothing at this node any more. What it led to here is among the remedies.")
    show("Others still act on it. To contest it for all of them:")
    show(f"    {contest}")


def add(
    directory: options.NodeFolder,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="Pictures to let pass: by digest and by pdq.", metavar="[FILES]"),
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why, for whoever asks later.", metavar="TEXT")],
    pdq: Annotated[
        str | None, typer.Option("--pdq-file", help="File with a pdq.", metavar="FILE")
    ] = None,
    radius: Annotated[
        int, typer.Option(help="How many of 256 bits may differ.", metavar="N", min=0, max=31)
    ] = 8,
    days: Annotated[int, typer.Option(help="For how long.", metavar="N", min=1, max=731)] = 365,
    as_json: options.Json = False,
) -> None:
    """Let pictures pass, whatever any list says.

    A file passes by its SHA-256, and what resembles it within the radius by its pdq.
    """
    from node.app import open_services
    from node.cli.passphrases import node_environment

    wanted = _wanted(files or [], pdq, radius)
    with open_services(directory, environ=node_environment()) as services:
        made = [
            services.allow_list.add(
                kind, value, radius=bits, reason=reason, days=days, actor=_ACTOR
            )
            for kind, value, bits in wanted
        ]
    if as_json:
        show_json({"entries": _allowed_json(made)})
        return
    for one in made:
        show(f"Number {one.number} of the allow list: {_what(one)}.")


def _wanted(files: list[Path], pdq: str | None, radius: int) -> list[tuple[str, str, int]]:
    """Returns (kind, value, radius) of all that is to pass."""
    wanted: list[tuple[str, str, int]] = []
    if pdq is not None:
        # In a file, since a pdq on the command line would be seen in the list of processes.
        value = Path(pdq).read_text(encoding="ascii", errors="replace").strip()
        if not _HEX.fullmatch(value):
            raise typer.BadParameter("a pdq is 64 lower-case digits", param_hint="--pdq-file")
        wanted.append(("pdq", value, radius))
    if files:
        wanted += _of_files(files, radius)
    if not wanted:
        raise typer.BadParameter("name pictures, or a pdq with --pdq-file")
    return wanted


def _of_files(files: list[Path], radius: int) -> Iterable[tuple[str, str, int]]:
    from node.cli.gather import find_pictures, hash_pictures
    from protocol.limits import PDQ_MIN_QUALITY
    from protocol.pdq import Pdq, is_degenerate

    for one in hash_pictures(find_pictures(files), workers=1):
        if one.hashes is None:
            raise typer.BadParameter(f"{one.name}: {one.problem}", param_hint="FILES")
        yield "sha256", one.hashes.sha256, 0
        pdq, quality = getattr(one.hashes, "pdq", None), getattr(one.hashes, "quality", 0)
        if pdq is None or quality < PDQ_MIN_QUALITY or is_degenerate(Pdq(pdq)):
            note(f"{one.name}: nothing to compare in it; it passes by its digest alone.")
            continue
        yield "pdq", pdq.hex(), radius


def list_allowed(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """List what passes; pdqs and digests themselves are not shown."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.allow_list.list()
    rows = _allowed_json(found)
    if as_json:
        show_json({"entries": rows})
        return
    table = [
        (one["number"], one["kind"], one["radius"], one["ends"], one["added_by"], one["reason"])
        for one in rows
    ]
    show_table(("number", "kind", "radius", "until", "by", "why"), table)


def remove(
    directory: options.NodeFolder,
    number: Annotated[
        int, typer.Argument(help="Number of the entry, as listed.", metavar="NUMBER", min=1)
    ],
    as_json: options.Json = False,
) -> None:
    """Take an entry from the allow list."""
    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        services.allow_list.remove(number, actor=_ACTOR)
    if as_json:
        show_json({"number": number, "removed": True})
    else:
        show(f"Number {number} lets nothing pass any more.")


def sources(directory: options.NodeFolder, as_json: options.Json = False) -> None:
    """Show how each organisation's list does here.

    Shadow matches are those of entries that are counted and do not act.
    """
    from dataclasses import asdict

    from node.app import open_services
    from node.cli.passphrases import node_environment

    with open_services(directory, environ=node_environment()) as services:
        found = services.sources.list()
    if as_json:
        show_json({"sources": [asdict(one) for one in found]})
        return
    header = ("organisation", "acts", "entries", "matches", "shadow", "confirmed", "refuted")
    show_table(
        header,
        [
            (
                one.organisation,
                f"{one.enabled_share} %",
                one.entries,
                one.matches,
                one.shadow_matches,
                one.confirmed,
                one.refuted,
            )
            for one in found
        ],
    )


def _what(one: "Allowed") -> str:
    return f"a pdq with a radius of {one.radius} bits" if one.kind == "pdq" else "a SHA-256"


def _allowed_json(found: "Iterable[Allowed]") -> list[dict[str, Any]]:
    from protocol.encoding import format_time

    return [
        {
            "number": one.number,
            "kind": one.kind,
            "radius": one.radius,
            "reason": one.reason,
            "added": format_time(one.added),
            "added_by": one.added_by,
            "ends": format_time(one.ends),
        }
        for one in found
    ]
