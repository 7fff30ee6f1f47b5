"""Plans and ceremonies in plain words, and as JSON."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from node.cli.output import note, show, show_fields

if TYPE_CHECKING:
    from federation.conduct import Progress
    from node.services.ceremonies import CeremonyState
    from protocol.ceremonies import Plan

SHORT = 12
"""Characters of an id that are shown: enough to tell the ceremonies of one node apart."""


def show_ceremony(found: "CeremonyState") -> None:
    """Shows the whole plan, who has said what, and what to beware of."""
    plan = found.plan
    show(f"ceremony {found.id[:SHORT]}: {plan.circle}, version {plan.version}")
    show(f"  {found.state}{_because(found.reason)}")
    fields: list[tuple[str, object]] = [
        ("conducted by", plan.coordinator),
        ("open until", plan.expires),
        ("admins", f"{plan.admin_threshold} of {', '.join(plan.admins)}"),
        ("members", ""),
    ]
    show_fields(fields)
    for member in plan.members:
        party = f", shares the budget of {member.party}" if member.party else ""
        burst = f"{member.burst_per_minute} a minute"
        show(f"  {member.node}  {member.budget_per_day} identifiers a day, {burst}{party}")
    for epoch in plan.epochs:
        show(f"key {epoch.epoch} is kept, until {epoch.not_after}")
    if plan.generate is not None:
        _show_key(plan)
    if found.said:
        show("so far")
        for node, steps in sorted(found.said.items()):
            show(f"  {node}  {', '.join(steps)}")
    for warning in found.warnings:
        note(f"Beware: {warning}")


def ceremony_json(found: "CeremonyState") -> dict[str, Any]:
    """Returns the same for programs."""
    from protocol.ceremonies import encode_plan
    from protocol.encoding import parse_json
    from protocol.limits import MAX_ENVELOPE_BYTES

    return {
        "ceremony": found.id,
        "state": found.state,
        "reason": found.reason,
        "culprit": found.culprit,
        "warnings": list(found.warnings),
        "said": {node: list(steps) for node, steps in found.said.items()},
        "plan": parse_json(encode_plan(found.plan), max_bytes=MAX_ENVELOPE_BYTES),
    }


def show_progress(progress: "Progress") -> None:
    """Shows how a ceremony stands, one line for each node."""
    for node, state in progress.nodes.items():
        note(f"  {node}  {state}")


def time_of(unix_s: float) -> str:
    """Returns hour, minute and second, for a line of progress."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%H:%M:%S")


def _show_key(plan: "Plan") -> None:
    new = plan.generate
    assert new is not None
    show(f"key {new.epoch} is made, from {new.not_before} until {new.not_after}")
    show(f"  {new.threshold} of {', '.join(one.node for one in new.holders)} must answer")
    if new.stretch is not None:
        kinds = ", ".join(new.stretch.kinds)
        show(f"  {kinds} stretched: {new.stretch.memory_kib} KiB, {new.stretch.passes} passes")


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""
