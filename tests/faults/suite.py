"""The fault suite: real nodes, one fault after the other, and a verdict after each.

``python -m faults.suite`` runs it (with the project's and this folder's parent on the path): a
bounded part with one fault of each kind, or all of them again and again for as long as one says.
It prints a table and writes what it found as JSON, from which docs/faults.md is made. Where root
may make network namespaces every node is a host of its own, and the run says so.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

from faults import commits, ends, hostile, machines
from faults.field import Field, open_field
from faults.hosts import IN_NAMESPACE, can_make_namespaces, open_hosts, run_in_hub
from faults.shim import compile_shim
from liars import open_lines

_BOUNDED = {
    "kill -9 at every commit: who is told": 1,
    "disk full": 1,
    "fsync fails": 1,
    "clock set back by a day": 1,
    "partition: everyone alone": 1,
    "TLS certificate ends": 1,
    "peer equivocates": 1,
    "peer sends tiny messages": 1,
    "one huge message": 1,
}
"""What happens in the bounded part, and at how many points; the other faults take the long one."""

_SOAK_POINTS = 8
_BOUNDED_MESSAGES = 2_000
_ALL_MESSAGES = 1_000_000


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: in the table.
        happen: does it, and returns what there is to say of it.
    """

    name: str
    happen: Callable[[Field, random.Random], str]


@dataclass
class Row:
    """What became of one kind of fault.

    Attributes:
        name: of the fault.
        tried: how often it happened.
        survived: how often everything was right afterwards.
        lost: acknowledged statements that some honest node lacked.
        half: statements of which a part was somewhere.
        seconds: that all of it took.
        note: about the last time.
        problems: what was not right.
    """

    name: str
    tried: int = 0
    survived: int = 0
    lost: int = 0
    half: int = 0
    seconds: float = 0.0
    note: str = ""
    problems: list[str] = field(default_factory=list)


def faults(stage: hostile.Stage, *, kills: int | None, bounded: bool) -> list[Fault]:
    """Returns the kinds of fault, in the order in which they happen.

    Args:
        stage: of the liars.
        kills: at how many commit points of each part in the work; None: all.
        bounded: one of each kind only.
    """

    commit = {
        f"kill -9 at every commit: {name}": partial(commits.kill_at_commits, role)
        for name, role in commits.ROLES.items()
    }
    machine = {
        **commit,
        "kill -9 while statements are handed in": machines.kill_who_is_told,
        "kill -9 while statements are pulled": machines.kill_who_pulls,
        "disk full": machines.fill_the_disk,
        "fsync fails": machines.fail_syncs,
        "fsync fails, then kill -9": machines.fail_syncs_and_kill,
        "clock an hour ahead, an hour behind": machines.skew_a_clock,
        "clock set back by a day": machines.set_a_clock_back,
        "clock set back by a day, after kill -9": machines.restart_after_a_wrong_clock,
        "partition: everyone alone": machines.part_everyone,
        "partition: one against two": machines.part_one,
        "kill -9 in a partition": machines.kill_in_a_partition,
        "TLS certificate ends": ends.let_a_certificate_end,
        "a node's keys end": ends.let_a_nodes_keys_end,
        "a flagger's key ends": ends.let_a_flaggers_key_end,
        "a circle's key ends": ends.let_a_circles_key_end,
    }
    liar = {
        "peer equivocates": hostile.equivocate,
        "peer truncates its log": hostile.truncate,
        "peer replays checkpoint and request": hostile.replay,
        "peer stalls, floods, breaks off, drips": hostile.answer_badly,
        "peer sends tiny messages": hostile.send_tiny_messages,
        "one huge message": hostile.send_one_huge_message,
        "peer's descriptor ends": hostile.let_a_descriptor_end,
    }
    points: Mapping[str, int | None] = (
        _BOUNDED
        if bounded
        else dict.fromkeys([*machine, *liar], _SOAK_POINTS) | dict.fromkeys(commit, kills)
    )
    return [
        Fault(name, partial(happen, points[name]))
        for name, happen in machine.items()
        if name in points
    ] + [Fault(name, partial(happen, stage)) for name, happen in liar.items() if name in points]


def try_one(world: Field, fault: Fault, row: Row, chance: random.Random) -> None:
    """Has a fault happen once, and adds to its row what became of it."""
    start = time.monotonic()
    row.tried += 1
    wrong = len(row.problems)
    try:
        row.note = fault.happen(world, chance)
    except Exception as error:  # noqa: BLE001  # whatever it was, the fault was not survived
        row.problems.append(f"{type(error).__name__}: {error}")
    revive(world)
    try:
        world.settle()
    except Exception as error:  # noqa: BLE001  # likewise
        row.problems.append(f"{type(error).__name__}: {error}")
    verdict = world.judge()
    row.lost += verdict.lost
    row.half += verdict.half
    row.problems += [f"fsck of {name}: {found}" for name, found in verdict.unsound.items()]
    row.survived += verdict.survived and len(row.problems) == wrong
    row.seconds = round(row.seconds + time.monotonic() - start, 1)


def revive(world: Field) -> None:
    """Takes every fault away, and starts the nodes that died of one."""
    world.hosts.heal()
    world.terminator.renew()
    for name, node in world.nodes.items():
        world.pages[name].live()
        world.pages[name].set_clock(0)
        (node.directory / "ballast").unlink(missing_ok=True)
        if node.process is None or node.process.poll() is not None:
            world.restart(name)


def run(
    *,
    seconds: float,
    seed: int,
    kills: int | None,
    only: str,
    without: list[str],
    bounded: bool,
    tell: Callable[[dict[str, object]], None],
) -> dict[str, object]:
    """Runs the suite; returns the document that says how it went, and tells it after each fault."""
    chance = random.Random(seed)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="schutznetz-faults-") as made, open_lines() as lines:
        folder = Path(made)
        hosts = open_hosts(lines)
        stage = (
            hostile.Stage(lines, 2.0, _BOUNDED_MESSAGES)
            if bounded
            else hostile.Stage(lines, max(5.0, 3 * seconds), _ALL_MESSAGES)
        )
        chosen = [
            one
            for one in faults(stage, kills=kills, bounded=bounded)
            if only in one.name and not any(part in one.name for part in without)
        ]
        rows = {one.name: Row(one.name) for one in chosen}

        def found(world: Field) -> dict[str, object]:
            return {
                "hosts": hosts.kind,
                "nodes": len(world.nodes),
                "seed": seed,
                "seconds": round(time.monotonic() - begin, 1),
                "acknowledged": sum(one.acknowledged for one in world.said.values()),
                "tried": sum(row.tried for row in rows.values()),
                "survived": sum(row.survived for row in rows.values()),
                "lost": sum(row.lost for row in rows.values()),
                "faults": [asdict(row) for row in rows.values() if row.tried],
            }

        with closing(hosts), open_field(folder, hosts, compile_shim(folder)) as world:
            for number in range(1_000_000):
                for fault in chosen:
                    if number and time.monotonic() - begin > seconds:
                        break
                    try_one(world, fault, rows[fault.name], chance)
                    _tell(rows[fault.name])
                    tell(found(world))
                if bounded or time.monotonic() - begin > seconds:
                    break
            document = found(world)
    return document


def _tell(row: Row) -> None:
    said = "; ".join(row.problems) if row.problems else row.note
    print(
        f"{row.name}: {row.survived} of {row.tried} survived, {row.lost} lost, "
        f"{row.seconds:.1f} s. {said}",
        flush=True,
    )


def main() -> int:
    """Runs as the command says; returns 0 if every fault was survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bounded", action="store_true", help="one of each kind, about a minute")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long, otherwise")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--kills", type=int, help="at so many commit points each, not at all")
    parser.add_argument("--only", default="", help="faults whose name has this in it")
    parser.add_argument(
        "--without", action="append", default=[], help="no faults whose name has this in it"
    )
    parser.add_argument("--json", type=Path, help="file for what was found")
    parser.add_argument("--loopback", action="store_true", help="even where namespaces could be")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(143))  # and clean up
    if IN_NAMESPACE not in os.environ and not asked.loopback and can_make_namespaces():
        return run_in_hub([sys.executable, "-m", "faults.suite", *sys.argv[1:]], dict(os.environ))

    def keep(found: dict[str, object]) -> None:
        if asked.json:
            asked.json.write_text(json.dumps(found, indent=1) + "\n")

    found = run(
        seconds=asked.seconds,
        seed=asked.seed,
        kills=asked.kills,
        only=asked.only,
        without=asked.without,
        bounded=asked.bounded,
        tell=keep,
    )
    print(
        f"{found['nodes']} nodes on {found['hosts']}, {found['seconds']} s: "
        f"{found['tried']} faults tried, {found['survived']} survived, "
        f"{found['acknowledged']} statements acknowledged, {found['lost']} lost"
    )
    return 0 if found["tried"] == found["survived"] else 1


if __name__ == "__main__":
    sys.exit(main())
