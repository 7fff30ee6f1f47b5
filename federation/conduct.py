"""Conducting a ceremony: everybody is asked at once, and what they say is passed on.

The coordinator decides nothing and can change nothing, see `federation.ceremony`. A node that does
not answer is asked again later: what has been said is kept by the caller.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from federation.ceremony import holders_of
from federation.run import Run
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest, Plan
from protocol.errors import SchutznetzError

Asker = Callable[[CeremonyRequest], Awaitable[CeremonyAnswer]]
"""Asks one participant: `PeerClient.ceremony`, or this node itself."""


@dataclass(frozen=True)
class Heard:
    """What one participant answered, or why it did not.

    Attributes:
        answer: None where there was none.
        problem: one sentence, where there was none.
    """

    answer: CeremonyAnswer | None
    problem: str | None = None


@dataclass(frozen=True)
class Progress:
    """How a ceremony stands, after everybody was asked once.

    Attributes:
        id: of the ceremony.
        circle: whose next descriptor it is.
        state: ``waiting``, ``failed`` or ``published``.
        nodes: by name, how far it has come, or why it did not answer.
        moved: something was said that had not been said before.
        reason: why it failed.
        culprit: whose fault that was.
        statement: id of the published descriptor.
    """

    id: str
    circle: str
    state: str
    nodes: dict[str, str]
    moved: bool
    reason: str | None = None
    culprit: str | None = None
    statement: str | None = None


async def ask_all(request: CeremonyRequest, ask: Mapping[str, Asker]) -> dict[str, Heard]:
    """Returns what each participant answered; nobody waits for another."""

    async def one(asker: Asker) -> Heard:
        try:
            return Heard(await asker(request))
        except SchutznetzError as error:
            return Heard(None, str(error))

    heard = await asyncio.gather(*(one(asker) for asker in ask.values()))
    return dict(zip(ask, heard, strict=True))


def naming(culprit: str | None) -> str:
    """Returns whom somebody blames, in words that leave it to that one.

    What another node says of a fault is a claim: who reads it must see whose.
    """
    return f", naming {culprit}" if culprit else ""


def missing_admins(
    agreed: Sequence[str], plan: Plan, admins_before: Sequence[str], threshold_before: int
) -> int:
    """Returns how many more admins must agree: of this version, and of the one before."""
    now = plan.admin_threshold - len(set(plan.admins) & set(agreed))
    before = threshold_before - len(set(admins_before) & set(agreed))
    return max(now, before, 0)


def given_up(
    plan: Plan,
    heard: Mapping[str, Heard],
    admins_before: Sequence[str],
    threshold_before: int,
) -> tuple[str, str | None] | None:
    """Returns why a ceremony cannot come to anything any more, and whose fault that is.

    Without one holder it cannot; without an admin it can, while enough others are left.
    """
    lost = {
        name: one.answer
        for name, one in heard.items()
        if one.answer is not None and one.answer.state in ("refused", "failed")
    }
    left = [name for name in (*plan.admins, *admins_before) if name not in lost]
    for name, answer in lost.items():
        short = missing_admins(left, plan, admins_before, threshold_before) > 0
        if answer.state == "failed" or name in holders_of(plan) or short:
            what = "refused" if answer.state == "refused" else "ended it"
            why = answer.reason or "it did not say why."
            return f"{name} {what}{naming(answer.culprit)}: {why}", answer.culprit
    return None


class Board(Protocol):
    """Where a ceremony is kept: the coordinator's database."""

    def request(self, ceremony: str, heard: Mapping[str, Heard]) -> CeremonyRequest:
        """Returns what everybody is told next, given what all answered last."""

    def keep(self, ceremony: str, heard: Mapping[str, Heard]) -> Progress:
        """Keeps what everybody answered, and says how it stands."""


async def conduct(
    board: Board,
    ceremony: str,
    ask: Mapping[str, Asker],
    *,
    report: Callable[[Progress], None],
    wait_s: float | None,
    run: Run,
) -> Progress:
    """Returns how a ceremony stands when it has ended, or can go no further now.

    It may be ended at any point and begun again: the board remembers.

    Args:
        board: what has been said so far.
        ceremony: its id.
        ask: everybody who has a part in it, this node itself too.
        report: is told how it stands whenever that has changed.
        wait_s: seconds between two attempts while somebody is waited for; None: not to wait.
        run: takes work off the event loop.
    """
    heard: dict[str, Heard] = {}
    before: dict[str, str] | None = None
    while True:
        request = await run(board.request, ceremony, heard)
        heard = await ask_all(request, ask)
        progress = await run(board.keep, ceremony, heard)
        has_changed = progress.moved or progress.nodes != before
        if has_changed:
            report(progress)
        before = progress.nodes
        if progress.state == "failed":
            # Everybody who can be reached is told once; who cannot learns it when it is asked next.
            await ask_all(await run(board.request, ceremony, heard), ask)
        if progress.state != "waiting":
            return progress
        if not has_changed:
            if wait_s is None:
                return progress
            await asyncio.sleep(wait_s)
