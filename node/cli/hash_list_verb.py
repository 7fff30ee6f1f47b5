"""`flag --from`, as a person sees it: what is wrong with the list, what leaves, what was sent."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import typer

from node.cli.failures import ExitCode
from node.cli.hash_list import unit_of
from node.cli.hash_list_flagging import Judged, ListRemark, judge, send, settle
from node.cli.list_state import Done, ListState, digest_of_texts
from node.cli.output import note, progress, show, show_json
from node.cli.sending import FlaggerSender
from node.cli.sheet import Finding, confirm, show_leaving
from protocol.encoding import encode_json
from protocol.errors import FederationError

_MOST_SHOWN: Final = 50


def flag_list(
    path: Path,
    state_file: Path,
    finding: Finding,
    sender: FlaggerSender,
    *,
    strict: bool,
    skip_bad: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Checks a list, shows what would leave, asks, sends it, and tells what came of it.

    Args:
        path: of the list.
        state_file: how far it has been sent; made when it is needed.
        finding: what is said of all of it.
        sender: who signs, and where it goes.
        strict: leave out what could only be found as an exact copy.
        skip_bad: send the other rows where some are bad.
        yes: do not ask.
        as_json: print one document instead of text.

    Raises:
        typer.Exit: there was nothing to send, or some of it is left.
        SchutznetzError: the list or its state is none, or the node refused.
    """
    state = ListState(state_file, flagger=sender.flagger.name)
    about = digest_of_texts([sender.flagger.name, encode_json(finding).decode(), str(strict)])
    sent: list[Done] = []
    if state.pending() is not None:
        note("Something was signed before and its receipt is missing: it is sent again.")
        if (again := settle(state, sender)) is not None:
            sent.append(again)
    judged = judge(path, state, about, strict=strict)
    _show_remarks(judged, unit_of(path))
    stopped = bool(judged.counts["bad"]) and not skip_bad
    if stopped:
        note("Nothing was sent: correct the bad rows, or say --skip-bad to send the others.")
    elif judged.counts["to_send"]:
        show_leaving(
            finding,
            _contents(judged),
            stays="the list itself, its labels, and the pictures",
            to=sender.to,
            signed_by=sender.signed_by,
        )
        confirm("Send it?", yes=yes)
        try:
            with progress("Sending statements", judged.statements) as step:
                for done in send(path, judged, state, sender, about):
                    sent.append(done)
                    step()
        except FederationError:
            _show(path, judged, state_file, sent, who=sender.who, as_json=as_json)
            note("The same command goes on from there.")
            raise
    _show(path, judged, state_file, sent, who=sender.who, as_json=as_json)
    nothing = not judged.counts["to_send"] and not judged.counts["sent_before"]
    if stopped or nothing:
        raise typer.Exit(ExitCode.FAILED)


def _contents(judged: Judged) -> list[str]:
    columns = ", ".join(f"{count} {name}" for name, count in sorted(judged.columns.items()))
    statements = f"{judged.statements} statement{'' if judged.statements == 1 else 's'}"
    return [f"{columns}, of {judged.counts['to_send']} items in {statements}"]


def _show_remarks(judged: Judged, unit: str) -> None:
    for one in judged.remarks[:_MOST_SHOWN]:
        note(_in_words(one, unit))
    if (more := _remarked(judged) - _MOST_SHOWN) > 0:
        note(f"… and {more} more; --json names up to 10,000 of them.")


def _remarked(judged: Judged) -> int:
    # A bad row may have several faults; beyond what is kept they are not counted each.
    counted = sum(judged.counts[name] for name in ("exact_only", "left_out", "bad"))
    return max(counted, len(judged.remarks))


def _in_words(one: ListRemark, unit: str) -> str:
    label = f" ({one.label})" if one.label else ""
    column = f", column {one.column}" if one.column else ""
    return f"{one.word}: {unit} {one.line}{label}{column}: {one.sentence}"


def _show(
    path: Path,
    judged: Judged,
    state_file: Path,
    sent: Sequence[Done],
    *,
    who: str,
    as_json: bool,
) -> None:
    items = sum(one.batch.items for one in sent)
    if as_json:
        show_json(
            {
                "input": judged.digest,
                "state": str(state_file),
                "rows": judged.counts["rows"],
                "sent": items,
                "sent_before": judged.counts["sent_before"],
                "exact_only": judged.counts["exact_only"],
                "left_out": judged.counts["left_out"],
                "bad": judged.counts["bad"],
                "statements": [_statement(one) for one in sent],
                "remarks": [one._asdict() for one in judged.remarks],
            }
        )
        return
    for one in sent:
        unit = unit_of(path)
        show(
            f"statement {one.id}  {one.batch.items} items, {unit}s {one.batch.first} to "
            f"{one.batch.last}"
        )
    told = ", ".join(
        f"{judged.counts[name]} {words}"
        for name, words in (
            ("sent_before", "rows sent before"),
            ("exact_only", "with exact digests only"),
            ("left_out", "left out"),
            ("bad", "bad"),
        )
        if judged.counts[name]
    )
    show(f"{items} of {judged.counts['rows']} rows sent{f'; {told}' if told else ''}")
    if sent:
        show(f"  who has taken it up:  schutznetz status ID{who}")
        show(f"  to withdraw an item:  schutznetz retract ID --item N --reason wrong{who}")


def _statement(one: Done) -> dict[str, Any]:
    return {
        "id": one.id,
        "entry": one.index,
        "items": one.batch.items,
        "first": one.batch.first,
        "last": one.batch.last,
    }
