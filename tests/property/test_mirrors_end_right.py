"""Whatever mirrors do, in any order: what is kept is the origin's log, and no honest one is blamed."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.mirrors import Turn, sync_by_mirrors
from federation.misconduct import Contradiction
from protocol.fields import StatementId
from protocol.messages import EnvelopeAnswer
from simulator import Peer, media_flag
from unit.federation.memory_node import MemoryNode

ORIGIN = "hotline.example"
LOG = f"{ORIGIN}/log/1"
NOBODY = StatementId("00" * 32)


@dataclass
class Reader(MemoryNode):
    """A node that reads by way of mirrors, and asks again for what it lacks."""

    forged: bytes = b""
    is_convicted: bool = False

    def wanted(self) -> Sequence[StatementId]:
        return [one for one in self.entries(LOG) if one not in self.taken][:256]

    def misbehaved(
        self, node: str, message: str, evidence: bytes, shown: Contradiction | None = None
    ) -> None:
        if shown is not None:
            self.is_convicted = True
            super().misbehaved(node, message, evidence, shown)


def _late(mirror: Peer, log: Peer) -> None:
    log.rewind(len(log.log) // 2)


def _stalled(mirror: Peer, log: Peer) -> None:
    mirror.stalled = True


def _tired(mirror: Peer, log: Peer) -> None:
    mirror.patience, mirror.bodies = 3, 1


def _bodiless(mirror: Peer, log: Peer) -> None:
    mirror.held.clear()


def _wrong_entry(mirror: Peer, log: Peer) -> None:
    log.replayed = log.note()
    log.log[-1:] = [NOBODY] * bool(log.log)


def _left_out(mirror: Peer, log: Peer) -> None:
    log.replayed = log.note()
    del log.log[:1]


def _other_body(mirror: Peer, log: Peer) -> None:
    for first, second in zip(log.log, log.log[1:], strict=False):
        text = mirror.held[second].decode()
        mirror.lies[first] = EnvelopeAnswer(id=first, state="present", envelope=text)


def _garbage(mirror: Peer, log: Peer) -> None:
    log.replayed = b"a note"


def _honest(mirror: Peer, log: Peer) -> None:
    """Serves what it was given."""


POOR: tuple[Callable[[Peer, Peer], None], ...] = (_late, _stalled, _tired, _bodiless)
LYING = (_wrong_entry, _left_out, _other_body, _garbage)
MANNERS = st.sampled_from((_honest, *POOR, *LYING))
ROUNDS = st.lists(
    st.tuples(st.integers(0, 4), st.lists(MANNERS, min_size=1, max_size=4)),
    min_size=1,
    max_size=3,
)


def _mirrors(origin: Peer, manners: Sequence[Callable[[Peer, Peer], None]]) -> dict[str, Peer]:
    found = {}
    for at, manner in enumerate(manners):
        log = replace(origin, log=list(origin.log))
        mirror = Peer(f"mirror-{at}.example", mirrored=log, held=dict(origin.held))
        manner(mirror, log)
        found[mirror.name] = mirror
    return found


def _read(reader: Reader, origin: Peer, mirrors: dict[str, Peer]) -> Sequence[Turn]:
    return asyncio.run(
        sync_by_mirrors(
            mirrors,
            origin.pinned(),
            lambda _name: reader,
            wrap=lambda source, _least: source,
            run=asyncio.to_thread,
        )
    )


@given(rounds=ROUNDS)
@settings(max_examples=40, deadline=None)
def test_what_is_kept_is_the_origins_log_and_who_is_blamed_has_lied(
    rounds: list[tuple[int, list[Callable[[Peer, Peer], None]]]],
) -> None:
    origin, reader = Peer(ORIGIN), Reader()
    reader.know(origin)
    for grown, manners in rounds:
        start = len(origin.log)
        origin.append(*(media_flag(ORIGIN, number) for number in range(start, start + grown)))
        turns = _read(reader, origin, _mirrors(origin, manners))
        kept = list(reader.entries(LOG))
        assert kept == origin.log[: len(kept)]
        if _honest in manners:
            assert kept == origin.log
            assert set(origin.log) <= set(reader.taken)
        for manner, turn in zip(manners, turns, strict=True):
            assert turn.lie is None or manner in LYING
        assert reader.frozen == []
