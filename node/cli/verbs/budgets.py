"""`node circle usage` and `node circle budget`: who asked how much, and what one could list."""

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from node.cli import options
from node.cli.output import show, show_fields, show_json, show_table

if TYPE_CHECKING:
    from federation.exposure import Attack
    from node.services.budgets import Usage
    from protocol.circles import CircleDescriptor, Epoch

_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEAR_DAYS: Final = 365.25
_HOUR_DAYS: Final = 1 / 24

CircleName = Annotated[
    str,
    typer.Argument(
        help="Whole name of the circle, such as hotline.example/de-minors-1.", metavar="NAME"
    ),
]


def usage(
    directory: options.NodeFolder,
    day: Annotated[
        str | None,
        typer.Option(
            help="Day in UTC, such as 2026-11-22; today unless said.",
            metavar="DAY",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show how much each member had evaluated here; what it asked about, nobody can know."""
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from node.services.budgets import day_of

    if day is not None and not _DAY.fullmatch(day):
        raise typer.BadParameter("a day is written like 2026-11-22", param_hint="--day")
    with open_services(directory, environ=node_environment()) as services:
        day = day or day_of(int(services.clock()))
        found = services.budgets.usage(day)
    if as_json:
        show_json({"day": day, "budgets": [usage_json(one) for one in found]})
        return
    show_usage(found)
    if not found:
        show("This node holds no share of a circle's key.")


def usage_json(one: "Usage") -> dict[str, Any]:
    """Returns a usage as `--json` prints it."""
    return {**asdict(one), "left": one.left}


def show_usage(found: "list[Usage]") -> None:
    """Prints a line for each party, and for each node of one that has several."""
    rows: list[tuple[object, ...]] = []
    for one in found:
        allowed = one.allowed
        limits = ("-", "-") if allowed is None else (allowed.per_day, allowed.per_minute)
        share = f"{one.alarm} % and more" if one.alarm else ""
        rows.append((one.circle, one.party, one.used, one.left, *limits, share))
        if set(one.members) - {one.party}:
            rows += [("", f"  {node}", used, "", "", "", "") for node, used in one.members.items()]
    if rows:
        show_table(("circle", "party", "used", "left", "a day", "a minute", "reached"), rows)


def budget(directory: options.NodeFolder, name: CircleName, as_json: options.Json = False) -> None:
    """Reckon what could be listed of a circle: by whom, and in how many years."""
    from federation.exposure import attacks_on
    from node.app import open_services
    from node.cli.passphrases import node_environment
    from protocol.encoding import parse_time
    from signing.oprf.stretch import seconds_of

    with open_services(directory, environ=node_environment()) as services:
        circle = services.circles.descriptor(name)
        now = services.clock()
    current = [one for one in circle.epochs if parse_time(one.not_before) <= now]
    epoch = max(current or circle.epochs, key=lambda one: one.epoch)
    stretch = epoch.stretch
    stretch_s = 0.0 if stretch is None else seconds_of(stretch.memory_kib, stretch.passes)
    found = attacks_on(circle, epoch)
    reckoned = reckon(circle, epoch, found, stretch_s)
    if as_json:
        show_json(reckoned)
    else:
        _show_budget(reckoned)


def reckon(
    circle: "CircleDescriptor", epoch: "Epoch", attacks: "list[Attack]", stretch_s: float
) -> dict[str, Any]:
    """Returns what `--json` prints: days for each attacker, core-days for whoever has the key."""
    from federation.exposure import (
        EMAIL_ADDRESSES,
        GERMAN_MOBILE_NUMBERS,
        core_days_to_list,
        days_to_list,
    )

    counts = {"phone": GERMAN_MOBILE_NUMBERS, "email": EMAIL_ADDRESSES}
    kinds = () if epoch.stretch is None else epoch.stretch.kinds
    return {
        "circle": circle.circle,
        "epoch": epoch.epoch,
        "holders": len(epoch.holders),
        "threshold": epoch.threshold,
        "identifiers": counts,
        "stretched": list(kinds),
        "stretch_ms": round(stretch_s * 1000, 1),
        "attacks": [
            asdict(one)
            | {
                "days": {
                    kind: None if one.per_day is None else _finite(days_to_list(count, one.per_day))
                    for kind, count in counts.items()
                }
            }
            for one in attacks
        ],
        "core_days_with_the_key": {
            kind: core_days_to_list(count, stretch_s=stretch_s if kind in kinds else 0.0)
            for kind, count in counts.items()
        },
        "core_days_with_the_key_unstretched": {
            kind: core_days_to_list(count) for kind, count in counts.items()
        },
    }


def span(days: float | None) -> str:
    """Returns a time in the unit that a person would use; None is never."""
    if days is None:
        return "never"
    for unit, length in (("years", _YEAR_DAYS), ("days", 1.0)):
        if days >= 2 * length:
            return (
                f"{days / length:,.0f} {unit}"
                if days >= 10 * length
                else f"{days / length:.1f} {unit}"
            )
    return f"{days / _HOUR_DAYS:.0f} hours"


def _finite(days: float) -> float | None:
    return None if days == float("inf") else days


def _show_budget(found: dict[str, Any]) -> None:
    counts = found["identifiers"]
    show_fields(
        [
            ("circle", found["circle"]),
            ("key", f"epoch {found['epoch']}, {found['threshold']} of {found['holders']} holders"),
        ]
    )
    show()
    show("Asking the holders, within the budgets of the descriptor:")
    header = (
        "who",
        "evaluations a day",
        f"all {counts['phone']:,} German mobile numbers",
        f"{counts['email']:,} e-mail addresses",
    )
    show_table(header, [_attack_row(one) for one in found["attacks"]])
    first = found["attacks"][0]
    if first["per_day"] is not None:
        show()
        needs = span(first["days"]["phone"])
        show(f"{first['who'].capitalize()} needs {needs} for all German mobile numbers.")
    show()
    show(f"With {found['threshold']} shares, asking nobody, on one core:")
    with_key, bare = found["core_days_with_the_key"], found["core_days_with_the_key_unstretched"]
    for kind, words in (("phone", "German mobile numbers"), ("email", "e-mail addresses")):
        text = f"  {words}: {span(with_key[kind])}"
        if kind in found["stretched"]:
            text += f" (stretched, {found['stretch_ms']:.0f} ms each here; else {span(bare[kind])})"
        show(text)


def _attack_row(one: dict[str, Any]) -> tuple[object, ...]:
    if one["per_day"] is None:
        return (one["who"], "no limit: they have the key", "see below", "see below")
    days = one["days"]
    return (one["who"], f"{one['per_day']:,}", span(days["phone"]), span(days["email"]))
