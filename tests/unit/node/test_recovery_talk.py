"""What a restored node lacks comes back whatever some of its peers serve, or how slowly."""

import asyncio
from collections.abc import Callable, Mapping
from types import SimpleNamespace

import pytest

from desks import Desk
from federation.descriptors import PinnedNode
from node import recovery_talk as module
from node.recovery_talk import RecoveryTalk
from node.services.recovery import LOST, Recovery
from node.services.standing import Standing
from protocol.checkpoint import Checkpoint
from protocol.envelope import Envelope, Signature, encode_envelope, parse_envelope
from protocol.errors import PeerUnreachableError, ProofError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import EnvelopeAnswer, Envelopes, OwnLogAnswer
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import Peer, make_key, media_flag
from worlds import ANNA, HOTLINE, Clock

ORIGIN = f"{HOTLINE}/log/1"
NAMES = ("first.example", "second.example", "third.example")


class Keeper:
    """A peer that has this node's log, and serves it in its own manner."""

    def __init__(
        self,
        entries: list[StatementId],
        bodies: Mapping[StatementId, bytes],
        spend: Callable[[float], object],
    ) -> None:
        self.spend = spend
        self.entries = entries
        self.bodies = bodies
        self.page = len(entries)
        self.asked = 0
        self.wait_s = 0.0

    async def own_log(self, start: int, limit: int) -> OwnLogAnswer:
        self.asked += 1
        page = tuple(self.entries[start : start + min(limit, self.page)])
        return OwnLogAnswer(origin=ORIGIN, size=len(self.entries), start=start, entries=page)

    async def envelopes(self, ids: tuple[StatementId, ...]) -> Envelopes:
        self.asked += 1
        self.spend(self.wait_s)
        if not self.bodies:
            raise PeerUnreachableError("It is gone.")
        return Envelopes(envelopes=tuple(map(self._answer, ids)))

    def _answer(self, one: StatementId) -> EnvelopeAnswer:
        body = self.bodies.get(one)
        if body is None:
            return EnvelopeAnswer(id=one, state="erased")
        return EnvelopeAnswer(id=one, state="present", envelope=body.decode())


class Restored:
    """A node that lacks some flags, and the peers that it asks, in this order."""

    def __init__(self, desk: Desk, count: int) -> None:
        world = desk.world
        self.desk = desk
        self.stopwatch = Clock(0.0)
        self.log = world.log
        envelopes = [world.sign(media_flag(ANNA, 500 + number)) for number in range(count)]
        self.bodies = {parse_envelope(one).statement_id: one for one in envelopes}
        with world.store.read() as transaction:
            before = transaction.statements.entries(0, 100)
        self.whole = [*before, *self.bodies]
        root = Frontier.EMPTY.append(bytes.fromhex(one) for one in self.whole).root()
        self.target = Checkpoint(ORIGIN, len(self.whole), root)
        standing = Standing(world.store, world.log, name=HOTLINE, clock=desk.clock)
        standing.judge([sign_checkpoint(self.target, make_key(KeyUse.LOG, HOTLINE))])
        self.recovery = Recovery(
            world.store, world.log, name=HOTLINE, settle=world.ingest.settle, clock=desk.clock
        )

    def keeper(self, change: Callable[[bytes], bytes] = bytes) -> Keeper:
        bodies = {one: change(body) for one, body in self.bodies.items()}
        return Keeper(self.whole, bodies, self.stopwatch.tick)

    def recover(self, *keepers: Keeper) -> None:
        asked = dict(zip(NAMES, keepers, strict=False))
        nodes = [Peer(name).pinned() for name in asked]

        def client_of(node: PinnedNode) -> Keeper:
            return asked[node.name]

        talk = RecoveryTalk(self.recovery, size=self.log.size, peers=nodes, client_of=client_of)
        asyncio.run(talk.recover(nodes[0], self.target))

    def lost(self) -> int:
        with self.desk.world.store.read() as transaction:
            found = transaction.statements.by_indices(range(1, len(self.whole)))
        assert len(found) == len(self.bodies)
        return sum(one.kind == LOST for one in found.values())


@pytest.fixture
def restored(desk: Desk) -> Restored:
    return Restored(desk, 5)


def with_another_signature(envelope: bytes) -> bytes:
    whole = parse_envelope(envelope)
    (right,) = whole.signatures
    return encode_envelope(
        Envelope(whole.payload_type, whole.payload, (Signature(right.keyid, bytes(64)),))
    )


def test_a_peer_that_spoils_the_signatures_loses_nothing_that_another_has(
    restored: Restored,
) -> None:
    restored.recover(restored.keeper(with_another_signature), restored.keeper())
    assert restored.lost() == 0


def test_a_spoiled_body_is_given_up_only_once_everybody_was_asked(restored: Restored) -> None:
    keepers = [restored.keeper(with_another_signature) for _ in range(3)]
    restored.recover(*keepers)
    assert restored.lost() == 5
    assert all(one.asked for one in keepers)


def test_each_body_may_come_from_another_peer(restored: Restored) -> None:
    keepers = [restored.keeper() for _ in range(3)]
    for at, keeper in enumerate(keepers):
        keeper.bodies = {
            one: body for place, (one, body) in enumerate(keeper.bodies.items()) if place % 3 == at
        }
    restored.recover(*keepers)
    assert restored.lost() == 0


def test_a_peer_that_is_gone_and_one_that_was_not_asked_yet_make_no_difference(
    restored: Restored,
) -> None:
    gone = restored.keeper()
    gone.bodies = {}
    restored.recover(gone, restored.keeper())
    assert restored.lost() == 0


def test_a_peer_that_serves_entries_singly_is_left_at_once(restored: Restored) -> None:
    slow = restored.keeper()
    slow.page = 1
    with pytest.raises(ProofError, match="less"):
        restored.recover(slow)
    assert slow.asked == 1
    assert restored.log.size() == 1


def test_whoever_was_slow_is_asked_last(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("protocol.limits.MAX_ENVELOPES_PER_REQUEST", 2)
    restored = Restored(desk, 6)
    slow, quick = restored.keeper(), restored.keeper()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=restored.stopwatch))
    slow.wait_s, quick.wait_s = 1.0, 0.0
    restored.recover(slow, quick)
    assert restored.lost() == 0
    # Once for the entries, once for bodies, before the other was known to be quicker.
    assert slow.asked == 2
