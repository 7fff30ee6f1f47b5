"""Kill -9 at every commit point in the life of a flag, at each node that has a part in it.

A commit of SQLite ends with one sync of the write-ahead log. A first run, in which nothing happens
to anybody, counts the syncs of a node from a flag's arrival until it is in the log, under a
checkpoint, with the witness, at the peers, in their indexes, and acknowledged. Then the node is
killed just before the first of them, just after it, before the second, and so on: "written and not
confirmed", and "confirmed and nothing done about it yet", which is also "nothing written" of the
next commit. Kills between the writes of one commit are `faults.machines`' part. Timers have commits
of their own, which fall between these: they are counted and killed at as well.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from faults import sign_ups
from faults.field import WITNESS, Field, until
from node.demo.cast import HOTLINE, PLATFORM_A
from witnesses import published_size

_LOOKS = 3


@dataclass(frozen=True)
class Role:
    """The part that a node has in what is done.

    Attributes:
        victim: name of the node.
        do: has it done, once; the answer may fail to come.
        finish: returns once nobody has anything left to do about what was done.
    """

    victim: str
    do: Callable[[Field], object]
    finish: Callable[[Field], None]


def kill_at_commits(role: Role, kills: int | None, field: Field, chance: random.Random) -> str:
    """Kills a node at its commit points, each time when the same is done again.

    Args:
        role: which node, and what is done.
        kills: how many of the points, evenly spread; None: all.
    """
    count = min(_count(field, role) for _ in range(_LOOKS if kills is None else 1))
    every = [(number, moment) for number in range(1, count + 1) for moment in ("before", "after")]
    chosen = every if kills is None or kills >= len(every) else list(_spread(every, kills))
    for number, moment in chosen:
        _kill(field, role, number, moment)
    what = "all of them tried" if chosen == every else f"{len(chosen)} of them tried"
    return f"{count} commits, so {len(every)} points before and after: {what}"


def _flag(field: Field) -> object:
    return field.flag(HOTLINE)


def _flag_is_over(field: Field) -> None:
    """Returns once what was flagged is published, taken over by everybody, and acknowledged."""
    field.settle()

    def is_over() -> bool:
        with field.hotline.store() as store, store.read() as transaction:
            size = transaction.logs.size(field.hotline.pinned.log_origin)
        last = next(reversed(field.said))
        told = field.hotline.acknowledged_by(last) >= {field.first.name, field.second.name}
        return told and published_size(field.hotline) >= size

    until(is_over, "the flag is published and acknowledged")


def _check_is_over(field: Field) -> None:
    """Returns at once: all that a check costs is done before its answer."""


ROLES = {
    "who is told": Role(HOTLINE, _flag, _flag_is_over),
    "who takes over": Role(PLATFORM_A, _flag, _flag_is_over),
    "who cosigns": Role(WITNESS, _flag, _flag_is_over),
    "who holds a key": Role(HOTLINE, sign_ups.check, _check_is_over),
}
"""Who has a part in the life of a flag, and in a sign-up check, by what the table calls it."""


def _count(field: Field, role: Role) -> int:
    """Returns how many syncs what is done costs the node, from the beginning to its last end."""
    if role.do is sign_ups.check:
        sign_ups.begin(field)
    field.settle()
    before = field.pages[role.victim].get("syncs")
    role.do(field)
    role.finish(field)
    return max(1, field.pages[role.victim].get("syncs") - before)


def _kill(field: Field, role: Role, number: int, moment: str) -> None:
    victim = role.victim
    page, process = field.pages[victim], field.nodes[victim].process
    assert process is not None
    page.die_at_sync(number, moment)
    role.do(field)
    # What this does not reach, the node's timers do.
    until(lambda: process.poll() is not None, "it dies")
    page.live()
    field.restart(victim)
    # Before anything is sent again: what was not acknowledged is there as a whole or not.
    halves = field.halves(victim)
    assert not halves, f"{len(halves)} statements are there in part, {moment} commit {number}"
    field.settle()
    missing = field.missing(victim)
    assert not missing, f"{len(missing)} statements are lost, {moment} commit {number}"
    if role.do is sign_ups.check:
        until(lambda: sign_ups.check(field).is_success, "sign-ups are checked")


def _spread(every: list[tuple[int, str]], kills: int) -> Iterator[tuple[int, str]]:
    """Gives so many points, evenly spread; the same ones whenever there are as many."""
    for number in range(kills):
        yield every[(2 * number + 1) * len(every) // (2 * kills)]
