"""A node in memory: it verifies and keeps statements as a real one does, without a database."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from federation.descriptors import PinnedNode
from federation.misconduct import Contradiction
from federation.sync import Pulled
from federation.trust import Target, Trusted, verify_statement
from protocol.circles import CircleDescriptor
from protocol.errors import ProtocolError, SigningError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.messages import SetAside
from protocol.statements import Accredit, Dispute, MediaFlag, Revocation, Statement
from simulator import NOW, Peer


@dataclass
class MemoryNode:
    """What a node knows and keeps, in memory: a `Directory` and a `Replica`.

    Attributes:
        nodes: pinned, by name.
        taken: statements that were believed, in order.
        cursors: state and checkpoint of each peer's log.
        frozen: node, message and evidence of every contradiction.
        places: where a statement stands in a node's log, by node and id.
        mirrors: entries of each peer's log, in their order.
        shown: what proves the last contradiction to anybody.
        fail_after: how many more calls of `take` are committed before one fails; None: all.
    """

    nodes: dict[str, PinnedNode] = field(default_factory=dict)
    taken: dict[StatementId, Trusted] = field(default_factory=dict)
    cursors: dict[str, tuple[Frontier, bytes | None]] = field(default_factory=dict)
    frozen: list[tuple[str, str, bytes]] = field(default_factory=list)
    places: dict[tuple[str, StatementId], int] = field(default_factory=dict)
    mirrors: dict[str, list[StatementId]] = field(default_factory=dict)
    fail_after: int | None = None
    shown: Contradiction | None = None

    def know(self, *peers: Peer, authority: bool = False) -> None:
        for peer in peers:
            self.nodes[peer.name] = peer.pinned(authority=authority)

    def freeze(self, name: str) -> None:
        self.nodes[name] = replace(self.nodes[name], state="frozen")

    def believe(self, data: bytes, *, now: int = NOW) -> Trusted:
        trusted = verify_statement(data, self, now=now)
        self.taken[trusted.verified.id] = trusted
        return trusted

    def _statements(self, kind: type[Statement]) -> list[tuple[StatementId, Any]]:
        everything = [(one, known.verified.statement) for one, known in self.taken.items()]
        return [(one, statement) for one, statement in everything if isinstance(statement, kind)]

    def node(self, name: str) -> PinnedNode | None:
        return self.nodes.get(name)

    def accreditations(self, flagger: str) -> Sequence[Accredit]:
        found = [one for _, one in self._statements(Accredit) if one.flagger == flagger]
        return list({one.key: one for one in sorted(found, key=lambda one: one.issued)}.values())

    def target(self, statement: StatementId) -> Target | None:
        if statement not in self.taken:
            return None
        found = self.taken[statement].verified.statement
        items = len(found.items) if isinstance(found, MediaFlag) else 1
        return Target(found.issuer, found.KIND, items)

    def stands_before(self, statement: StatementId, node: str, mark: Revocation) -> bool:
        return self.places.get((node, statement), mark.size) < mark.size

    def may_read(self, reader: str, statement: StatementId) -> bool:
        if statement not in self.taken:
            return False
        known = self.taken[statement]
        named = {f"node:{known.organisation}"}.union(known.verified.statement.audience)
        circles = [self.circle(one[7:]) for one in named if one.startswith("circle:")]
        members = [one.node for circle in circles if circle is not None for one in circle.members]
        return reader in members or not named.isdisjoint({"peers", f"node:{reader}"})

    def dispute_target(self, dispute: StatementId) -> str | None:
        found = dict(self._statements(Dispute)).get(dispute)
        return found.target if found else None

    def _circles(self, name: str) -> list[tuple[StatementId, CircleDescriptor]]:
        found = [pair for pair in self._statements(CircleDescriptor) if pair[1].circle == name]
        return sorted(found, key=lambda pair: pair[1].version)

    def circle(self, name: str) -> CircleDescriptor | None:
        found = self._circles(name)
        return found[-1][1] if found else None

    def circle_version(
        self, name: str, version: int
    ) -> tuple[StatementId, CircleDescriptor] | None:
        return next((pair for pair in self._circles(name) if pair[1].version == version), None)

    def cursor(self, origin: str) -> tuple[Frontier, bytes | None]:
        return self.cursors.get(origin, (Frontier.EMPTY, None))

    def missing(self, ids: Sequence[StatementId]) -> set[StatementId]:
        return {one for one in ids if one not in self.taken}

    def wanted(self) -> Sequence[StatementId]:
        return ()

    def take(
        self,
        origin: str,
        pulled: Sequence[Pulled],
        frontier: Frontier,
        checkpoint: bytes | None,
        entries: Sequence[StatementId] = (),
    ) -> Sequence[SetAside]:
        self.mirrors.setdefault(origin, []).extend(entries)
        if self.fail_after is not None:
            self.fail_after -= 1
            if self.fail_after < 0:
                raise RuntimeError("killed before the commit")
        set_aside = []
        for one in pulled:
            if one.has_no_body:
                continue
            try:
                if one.envelope is None:
                    set_aside.append(SetAside(id=one.id, reason=one.problem or "no envelope"))
                else:
                    self.believe(one.envelope)
            except (ProtocolError, SigningError) as error:
                set_aside.append(SetAside(id=one.id, reason=str(error)))
        self.cursors[origin] = (frontier, checkpoint)
        return set_aside

    def still_refused(self, set_aside: Sequence[SetAside]) -> Sequence[SetAside]:
        return [one for one in set_aside if StatementId(one.id) not in self.taken]

    def entries(self, origin: str) -> Sequence[StatementId]:
        return self.mirrors.get(origin, [])

    def misbehaved(
        self, node: str, message: str, evidence: bytes, shown: Contradiction | None = None
    ) -> None:
        self.shown = shown
        self.frozen.append((node, message, evidence))
        self.freeze(node)
