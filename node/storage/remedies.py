"""What was acted on here and for whom; and of own statements, what others made good or erased."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, update

from node.storage.remedy_rows import DeedRow, ErasureProofRow, RemedyAnswerRow
from node.storage.sql import add_to, table, upsert

_DEED = table(DeedRow)
_ANSWER = table(RemedyAnswerRow)
_PROOF = table(ErasureProofRow)
_CHUNK = 400
_NOWHERE = -1


class Deed(NamedTuple):
    """One decision about one item for one client; `reference` is what the client calls the upload.

    An empty reference stands for all those that came without one, an empty rule for none.
    """

    log_index: int
    item: int
    client: int
    decision: str
    rule: str
    reference: str


@dataclass(frozen=True)
class DeedCount:
    """How often a deed was done, when first and when last."""

    deed: Deed
    count: int
    first: int
    last: int


@dataclass(frozen=True)
class RemedyAnswer:
    """A node's latest word about a statement that was taken back."""

    node: str
    cause: str
    outcome: str
    issued: int
    log_index: int


@dataclass(frozen=True)
class ErasureProof:
    """A node's proof that it has deleted a body; the statement itself stands at `log_index`."""

    node: str
    erased: int
    issued: int
    log_index: int


class RemedyRepository:
    """Deeds, answers and proofs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_deeds(self, times: Mapping[Deed, int], *, at: int) -> None:
        """Counts deeds; one write also where there is nothing to count."""
        if not times:
            self._connection.execute(
                update(_DEED).where(_DEED.c.log_index == _NOWHERE).values(last=at)
            )
            return
        rows = [
            one._asdict() | {"count": count, "first": at, "last": at}
            for one, count in sorted(times.items())
        ]
        for part in _parts(rows):
            add_to(self._connection, _DEED, part, counter="count", last="last")

    def count_references(self, places: Collection[tuple[int, int]]) -> dict[tuple[int, int], int]:
        """Returns how many references are kept of each of these (log_index, item)."""
        found = {}
        for part in _parts(sorted({index for index, _ in places})):
            rows = self._connection.execute(
                select(_DEED.c.log_index, _DEED.c.item, func.count().label("kept"))
                .where(_DEED.c.log_index.in_(part), _DEED.c.reference != "")
                .group_by(_DEED.c.log_index, _DEED.c.item)
            )
            found.update({(row.log_index, row.item): row.kept for row in rows})
        return found

    def deeds(
        self, log_index: int, items: Collection[int], decisions: Sequence[str], *, limit: int
    ) -> list[DeedCount]:
        """Returns what was done because of items of a statement, the latest first."""
        found = self._connection.execute(
            select(_DEED)
            .where(
                _DEED.c.log_index == log_index,
                _DEED.c.item.in_(sorted(items)),
                _DEED.c.decision.in_(list(decisions)),
            )
            .order_by(_DEED.c.last.desc(), _DEED.c.client, _DEED.c.reference)
            .limit(limit)
        )
        return [
            DeedCount(
                Deed(*(row[name] for name in Deed._fields)), row["count"], row["first"], row["last"]
            )
            for row in found.mappings()
        ]

    def clients(self, log_index: int, items: Collection[int], decisions: Sequence[str]) -> set[int]:
        """Returns the clients for whom something was done because of items of a statement."""
        found = self._connection.execute(
            select(_DEED.c.client)
            .where(
                _DEED.c.log_index == log_index,
                _DEED.c.item.in_(sorted(items)),
                _DEED.c.decision.in_(list(decisions)),
            )
            .distinct()
        )
        return {row.client for row in found}

    def forget_deeds(self, *, before: int) -> None:
        """Deletes deeds that were last done before a time."""
        self._connection.execute(delete(_DEED).where(_DEED.c.last < before))

    def put_answer(self, target_index: int, answer: RemedyAnswer) -> None:
        """Keeps what a node says about a statement and its cause, unless a later word is here."""
        which = (_ANSWER.c.node == answer.node) & (_ANSWER.c.cause == answer.cause)
        if self._is_newest(_ANSWER, target_index, which, answer.issued):
            upsert(self._connection, _ANSWER, {"target_index": target_index, **vars(answer)})

    def answers(self, target_index: int) -> dict[str, list[RemedyAnswer]]:
        """Returns what nodes said of a statement, by name."""
        found: dict[str, list[RemedyAnswer]] = {}
        for row in self._connection.execute(
            select(_ANSWER).where(_ANSWER.c.target_index == target_index)
        ):
            answer = RemedyAnswer(row.node, row.cause, row.outcome, row.issued, row.log_index)
            found.setdefault(row.node, []).append(answer)
        return found

    def put_proof(self, target_index: int, proof: ErasureProof) -> None:
        """Keeps a node's proof, unless a later one is here."""
        if self._is_newest(_PROOF, target_index, _PROOF.c.node == proof.node, proof.issued):
            upsert(self._connection, _PROOF, {"target_index": target_index, **vars(proof)})

    def proofs(self, target_index: int) -> dict[str, ErasureProof]:
        """Returns the proofs that nodes gave of erasing a statement, by name."""
        found = self._connection.execute(
            select(_PROOF).where(_PROOF.c.target_index == target_index)
        )
        return {
            row.node: ErasureProof(row.node, row.erased, row.issued, row.log_index) for row in found
        }

    def _is_newest(
        self, rows: Table, target_index: int, which: ColumnElement[bool], issued: int
    ) -> bool:
        known = self._connection.execute(
            select(rows.c.issued).where(rows.c.target_index == target_index, which)
        ).scalar()
        return known is None or known <= issued


def _parts(values: Sequence[Any]) -> "Iterator[Sequence[Any]]":
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))
