"""What may happen to the machines that honest nodes run on, and to the network between them."""

import os
import random
import time
from contextlib import suppress
from pathlib import Path

from faults.field import NAMES, Field, until
from faults.shim import KINDS
from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B
from protocol.errors import UnavailableError

DAY_S = 86_400
_DIES_WITHIN_S = 6.0
_LASTS_S = 1.5
_BALLAST = 64 << 10
_POLLS = 3


def kill_who_is_told(points: int, field: Field, chance: random.Random) -> str:
    """Kill -9 at commit points of the node that flaggers hand their statements to."""
    return _kill(field, chance, points, HOTLINE)


def kill_who_pulls(points: int, field: Field, chance: random.Random) -> str:
    """Kill -9 at commit points of a node that takes over what another one has."""
    return _kill(field, chance, points, PLATFORM_A)


def _kill(field: Field, chance: random.Random, points: int, victim: str) -> str:
    """Kills a node before some of the operations that two flags, a retract and an erase cost it."""
    page = field.pages[victim]
    before = page.get("operations")
    field.act_out(HOTLINE)
    until(lambda: not field.missing(victim), f"{victim} holds everything")
    count = max(points, page.get("operations") - before)
    died = dict.fromkeys(KINDS.values(), 0)
    for number in range(points):
        # One in each part of the work, so that few points still lie everywhere.
        low, high = 1 + number * count // points, (number + 1) * count // points
        page.die_at(chance.randint(low, max(low, high)))
        field.act_out(HOTLINE)
        with suppress(UnavailableError):
            process = field.nodes[victim].process
            assert process is not None
            until(lambda p=process: p.poll() is not None, "it dies", at_most_s=_DIES_WITHIN_S)
            died[KINDS[page.get("died_before")]] += 1
        page.live()
        field.restart(victim)
        # Before anything is sent again: what was not acknowledged is there as a whole or not.
        halves = field.halves(victim)
        assert not halves, f"{len(halves)} statements are there in part"
    said = ", ".join(f"{times} before a {kind}" for kind, times in died.items() if times)
    return f"{count} operations, killed {said}"


def fill_the_disk(points: int, field: Field, chance: random.Random) -> str:
    """A full disk; what cannot be kept must not be acknowledged, and space cures it."""
    if not field.own_disk:
        page = field.pages[PLATFORM_B]
        page.set("failing_writes", -1)
        acknowledged = _while_it_lasts(field, PLATFORM_B)
        page.live()
        _still_runs(field, PLATFORM_B)
        return f"writes refused {page.get('failed_writes')} times, {acknowledged} receipts given"
    ballast = field.second.directory / "ballast"
    size = _fill(ballast)
    acknowledged = _while_it_lasts(field, PLATFORM_B)
    ballast.unlink()
    _still_runs(field, PLATFORM_B)
    return f"{size >> 10} KiB of ballast on a disk of its own, {acknowledged} receipts given"


def _fill(ballast: Path) -> int:
    size = 0
    with ballast.open("wb", buffering=0) as file:
        for piece in (_BALLAST, 1 << 10, 1):
            with suppress(OSError):
                while written := file.write(bytes(piece)):
                    size += written
    return size


def fail_syncs(points: int, field: Field, chance: random.Random) -> str:
    """The disk does not confirm: no receipt may be given, and the node goes on when it does."""
    page = field.pages[HOTLINE]
    page.set("failing_syncs", -1)
    acknowledged = _while_it_lasts(field, HOTLINE)
    assert not acknowledged, f"{acknowledged} receipts over what is not on the disk"
    page.live()
    _still_runs(field, HOTLINE)
    return f"{page.get('failed_syncs')} syncs failed, {acknowledged} receipts given"


def fail_syncs_and_kill(points: int, field: Field, chance: random.Random) -> str:
    """The same, and the process is killed: what it wrote unconfirmed is there as a whole or not."""
    page = field.pages[HOTLINE]
    page.set("failing_syncs", -1)
    field.act_out(HOTLINE)
    field.hotline.kill()
    page.live()
    field.restart(HOTLINE)
    halves = field.halves(HOTLINE)
    assert not halves, f"{len(halves)} statements are there in part"
    return f"{page.get('failed_syncs')} syncs failed by then"


def skew_a_clock(points: int, field: Field, chance: random.Random) -> str:
    """A clock an hour ahead, then an hour behind: refused by the others, and back in the end."""
    for ahead_s in (3_600, -3_600):
        field.pages[PLATFORM_A].set_clock(ahead_s)
        field.flag(HOTLINE)
        field.flag(PLATFORM_B)
        until(
            lambda: not field.missing(HOTLINE) | field.missing(PLATFORM_B),
            "the others go on without it",
        )
    field.pages[PLATFORM_A].set_clock(0)
    return "the others went on without it"


def set_a_clock_back(points: int, field: Field, chance: random.Random) -> str:
    """A clock is a day ahead and is set right: what the clock does by itself goes on at once."""
    page = field.pages[PLATFORM_A]
    page.set_clock(DAY_S)
    _one_poll(field)
    page.set_clock(0)
    _polls_on(field)
    return "polled on"


def restart_after_a_wrong_clock(points: int, field: Field, chance: random.Random) -> str:
    """The same, and the process is killed while it is wrong: its lease must not outlive it."""
    page = field.pages[PLATFORM_A]
    page.set_clock(DAY_S)
    field.restart(PLATFORM_A)
    _one_poll(field)
    field.first.kill()
    page.set_clock(0)
    field.restart(PLATFORM_A)
    _polls_on(field)
    return "polled on"


def _one_poll(field: Field) -> None:
    """Returns when the node's timers have run under the clock that it has now."""
    page = field.pages[PLATFORM_A]
    before = page.get("operations")
    until(lambda: page.get("operations") > before + 10, "the node's timers run")


def _polls_on(field: Field) -> None:
    """Returns when the node has looked at its peers again and again, with nobody poking it."""
    field.settle()
    seen: set[int] = set()

    def has_polled() -> bool:
        seen.add(field.first.peer(HOTLINE)["synced"])
        return len(seen) > _POLLS

    until(has_polled, "the node polls")


def part_everyone(points: int, field: Field, chance: random.Random) -> str:
    """Nobody hears anybody; all go on taking statements, and have each other's afterwards."""
    field.hosts.part(*([name] for name in NAMES))
    with field.traffic():
        _pause(_LASTS_S)
    field.hosts.heal()
    return "every node took statements alone"


def part_one(points: int, field: Field, chance: random.Random) -> str:
    """One node is cut off from the other two, which go on together."""
    alone = chance.choice(NAMES)
    field.hosts.part([alone], [one for one in NAMES if one != alone])
    with field.traffic():
        _pause(_LASTS_S)
    field.hosts.heal()
    return "one against two"


def kill_in_a_partition(points: int, field: Field, chance: random.Random) -> str:
    """A node takes statements while it is cut off, and dies before anybody has heard of them.

    It has a witness, and takes nothing in after its start before that has said what it knows.
    """
    field.hosts.part(*([name] for name in NAMES))
    with field.traffic(HOTLINE):
        _pause(_LASTS_S / 2)
    field.hotline.kill()
    field.hosts.heal()
    field.restart(HOTLINE)
    return "what it had acknowledged alone was not lost"


def _while_it_lasts(field: Field, home: str) -> int:
    """Has flaggers go on while something fails; returns how many receipts the node gave."""
    before = _receipts(field, home)
    with field.traffic():
        _pause(_LASTS_S)
    return _receipts(field, home) - before


def _receipts(field: Field, home: str) -> int:
    return sum(one.acknowledged for one in field.said.values() if one.home == home)


def _still_runs(field: Field, name: str) -> None:
    process = field.nodes[name].process
    assert process is not None
    assert process.poll() is None, "the node's process ended"


def _pause(seconds: float) -> None:
    """Lets a fault last; nothing happens whose end could be waited for."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, "the fault has lasted")


def resident_bytes(pid: int) -> int:
    """Memory that a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
