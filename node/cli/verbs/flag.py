"""`flag`: hash pictures here, show what would leave, sign it, and hand it to a node."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from node.cli import options
from node.cli.failures import ExitCode
from node.cli.output import note, progress, show, show_json

if TYPE_CHECKING:
    from node.cli.assess import Assessment, Chosen
    from node.cli.sending import Sender
    from node.cli.sheet import Finding

_MOST_LISTED: Final = 50
_YEAR: Final = 365


def register(app: options.Group) -> None:
    """Adds the verb to the command."""
    app.command("flag")(flag)


def flag(
    *,
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Pictures and films, or folders of them.", metavar="FILES", show_default=False
        ),
    ] = None,
    category: options.Category,
    reviewers: options.Reviewers,
    node: options.NodeUrl = None,
    key: options.KeyFile = None,
    passphrase_file: options.PassphraseFile = None,
    api_key_file: options.ApiKeyFile = None,
    from_list: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="A list of media hashes instead of files: .csv, .jsonl or .parquet.",
            metavar="LIST",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Where to keep how far a list has been sent; LIST.state unless said.",
            metavar="FILE",
            show_default=False,
        ),
    ] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Send the rest of a list that has bad rows.")
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Leave out what could only be found as an exact copy."),
    ] = False,
    issuer_code: Annotated[
        str | None, typer.Option(help="Your own classification, such as A1.", metavar="CODE")
    ] = None,
    flags: Annotated[
        list[str] | None,
        typer.Option(
            "--flag", help="Remark such as generative_ai; may be repeated.", metavar="WORD"
        ),
    ] = None,
    surface: Annotated[
        list[options.SurfaceName] | None,
        typer.Option(
            help="Apply it there only: public, hosted or private; may be repeated.", metavar="WHERE"
        ),
    ] = None,
    jurisdiction: Annotated[
        list[str] | None,
        typer.Option(
            help="Apply it in this country only, such as DE; may be repeated.", metavar="COUNTRY"
        ),
    ] = None,
    purpose: Annotated[
        str, typer.Option(help="What others may use it for.", metavar="CODE")
    ] = "removal",
    legal_basis: Annotated[
        str | None,
        typer.Option(
            help="Ground for sharing it; dsa-art-22 unless said, with an API key dsa-art-16.",
            metavar="CODE",
        ),
    ] = None,
    review_days: Annotated[
        int, typer.Option(help="Days until you look at it again.", metavar="DAYS", min=1, max=731)
    ] = _YEAR,
    audience: options.Audience = options.PEERS,
    workers: options.Workers = options.WORKERS,
    interval_ms: options.FrameInterval = options.INTERVAL_MS,
    yes: options.Yes = False,
    as_json: options.Json = False,
) -> None:
    """Sign and send media hashes of pictures and films, or of a list.

    The files stay on this computer. What leaves it is shown, and you are asked.
    """
    from node.cli.assess import assess
    from node.cli.gather import find_pictures, hash_pictures
    from node.cli.sheet import (
        Finding,
        batches,
        check_category,
        confirm,
        show_remarks,
        show_sheet,
    )
    from protocol.categories import CategoryKind

    check_category(category, CategoryKind.MEDIA)
    _check_source(files, from_list, key)
    found = find_pictures(files or [])
    finding = Finding(
        category=category,
        reviewers=reviewers,
        purpose=purpose,
        legal_basis=legal_basis or ("dsa-art-22" if key is not None else "dsa-art-16"),
        review_days=review_days,
        issuer_code=issuer_code,
        flags=tuple(flags or ()),
        surfaces=tuple(one.value for one in surface or ()),
        jurisdictions=tuple(jurisdiction or ()),
        audience=tuple(audience),
    )
    sender = _sender(finding, key, node, passphrase_file, api_key_file)
    if from_list is not None:
        from node.cli.hash_list_verb import flag_list
        from node.cli.sending import FlaggerSender

        assert isinstance(sender, FlaggerSender)
        flag_list(
            from_list,
            state or from_list.with_name(f"{from_list.name}.state"),
            finding,
            sender,
            strict=strict,
            skip_bad=skip_bad,
            yes=yes,
            as_json=as_json,
        )
        return
    read = hash_pictures(found, workers=workers, interval_ms=interval_ms)
    assessment = assess(read, strict=strict)
    show_remarks(assessment)
    if not assessment.chosen:
        note("There is nothing to send.")
        raise typer.Exit(ExitCode.FAILED)
    show_sheet(assessment, finding, to=sender.to, signed_by=sender.signed_by)
    confirm("Send it?", yes=yes)
    parts = batches(assessment.chosen)
    ids: list[str] = []
    try:
        with progress("Sending statements", len(parts)) as step:
            for statement_id in sender.send(parts):
                ids.append(statement_id)
                step()
    finally:
        # What was sent before something failed stands, and must be told.
        _show(assessment, parts, ids, who=sender.who, as_json=as_json)
    if assessment.unreadable:
        raise typer.Exit(ExitCode.FAILED)


def _check_source(files: list[Path] | None, from_list: Path | None, key: Path | None) -> None:
    from node.cli.hash_list import is_known_kind

    if bool(files) == (from_list is not None):
        raise typer.BadParameter("name either files or a list", param_hint="FILES or --from")
    if from_list is None:
        return
    if key is None:
        raise typer.BadParameter("a list is signed by a flagger: say --key", param_hint="--from")
    if not is_known_kind(from_list) or not from_list.is_file():
        raise typer.BadParameter(
            "there is no such list; its name ends in .csv, .jsonl or .parquet",
            param_hint="--from",
        )


def _sender(
    finding: "Finding",
    key: Path | None,
    node: str | None,
    passphrase_file: Path | None,
    api_key_file: Path | None,
) -> "Sender":
    """Returns how the pictures get to the node: by a flagger, or else by the node's platform."""
    from node.cli.sending import FlaggerSender, PlatformSender

    options.check_who(key, api_key_file)
    if key is not None:
        from node.cli.conversation import open_flagger

        return FlaggerSender(open_flagger(key, node, passphrase_file), finding, key_file=key)
    from node.cli.own_node import Platform
    from node.cli.passphrases import read_api_key

    url = node or options.OWN_NODE
    platform = Platform(url, read_api_key(api_key_file))
    return PlatformSender(platform, finding, url=url, api_key_file=api_key_file)


def _show(
    assessment: "Assessment",
    parts: "Sequence[Sequence[Chosen]]",
    ids: Sequence[str],
    *,
    who: str,
    as_json: bool,
) -> None:
    if as_json:
        statements = [
            {
                "id": statement_id,
                "items": [{"item": at, "file": one.name} for at, one in enumerate(part)],
            }
            for statement_id, part in zip(ids, parts, strict=False)
        ]
        not_sent = [
            {"file": remark.name, "why": remark.sentence}
            for remark in (*assessment.unreadable, *assessment.left_out)
        ]
        limited = [{"file": one.name, "why": one.sentence} for one in assessment.limited]
        show_json({"statements": statements, "exact_only": limited, "not_sent": not_sent})
        return
    for statement_id, part in zip(ids, parts, strict=False):
        show(f"statement {statement_id}")
        for at, one in enumerate(part[:_MOST_LISTED]):
            show(f"  item {at}  {one.name}")
        if len(part) > _MOST_LISTED:
            show(f"  … items {_MOST_LISTED} to {len(part) - 1}, in the order of the files")
        show("  who has taken it up:  " + f"schutznetz status {statement_id}{who}")
        show("  to withdraw it:       " + f"schutznetz retract {statement_id} --reason wrong{who}")
