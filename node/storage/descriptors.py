"""Descriptors of pinned nodes by version, their request keys, and who has heard of our own."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from node.storage.key_rows import DescriptorToldRow, NodeDescriptorRow, RequestKeyRow
from node.storage.rows import PeerRow
from node.storage.seen import Seen
from node.storage.sql import insert_new, table
from protocol.errors import ConflictError
from protocol.fields import StatementId

_DESCRIPTOR = table(NodeDescriptorRow)
_KEY = table(RequestKeyRow)
_TOLD = table(DescriptorToldRow)
_PEER = table(PeerRow)


@dataclass(frozen=True, repr=False)
class DescriptorRecord:
    """One version of a node's descriptor."""

    name: str
    version: int
    id: StatementId
    body: bytes


class DescriptorRepository:
    """What every pinned node has said about its keys; the node itself is one of them."""

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    def add(self, record: DescriptorRecord) -> None:
        """Stores a version, unless there is one of this number."""
        values = dict(vars(record))
        values["id"] = bytes.fromhex(record.id)
        insert_new(self._connection, _DESCRIPTOR, values)

    def latest(self, name: str) -> DescriptorRecord | None:
        """Returns the latest version of a node's descriptor."""
        row = self._connection.execute(
            select(_DESCRIPTOR)
            .where(_DESCRIPTOR.c.name == name)
            .order_by(_DESCRIPTOR.c.version.desc())
            .limit(1)
        ).first()
        return None if row is None else _descriptor(row)

    def version(self, name: str) -> int:
        """Returns the number of the latest version, 0 where the node is not pinned."""
        found = self._connection.execute(
            select(func.max(_DESCRIPTOR.c.version)).where(_DESCRIPTOR.c.name == name)
        ).scalar_one()
        return int(found or 0)

    def at(self, name: str, version: int) -> DescriptorRecord | None:
        """Returns one version of a node's descriptor."""
        row = self._connection.execute(
            select(_DESCRIPTOR).where(_DESCRIPTOR.c.name == name, _DESCRIPTOR.c.version == version)
        ).first()
        return None if row is None else _descriptor(row)

    def after(self, name: str, version: int, *, limit: int) -> list[DescriptorRecord]:
        """Returns the versions behind one, in their order."""
        found = self._connection.execute(
            select(_DESCRIPTOR)
            .where(_DESCRIPTOR.c.name == name, _DESCRIPTOR.c.version > version)
            .order_by(_DESCRIPTOR.c.version)
            .limit(limit)
        )
        return [_descriptor(row) for row in found]

    def advance(self, record: DescriptorRecord, keyids: Sequence[str]) -> None:
        """Goes on to the next version of a pinned node's descriptor.

        Args:
            record: the version.
            keyids: of the keys that sign the node's requests from now on, the newest last.

        Raises:
            ConflictError: as `set_request_keys`.
        """
        self.add(record)
        self.set_request_keys(record.name, keyids)
        try:
            self._connection.execute(
                update(_PEER)
                .where(_PEER.c.name == record.name)
                .values(descriptor=record.body, request_keyid=keyids[-1])
            )
            self._seen.forget("peer")
        except IntegrityError:
            raise ConflictError("Another node that is pinned has the same request key.") from None

    def set_request_keys(self, name: str, keyids: Collection[str]) -> None:
        """Says which keys sign the requests of a node from now on.

        Raises:
            ConflictError: one of them is that of another node. A descriptor shows nobody's
                possession of a key, so one of them claims the other's.
        """
        self._connection.execute(
            delete(_KEY).where(_KEY.c.name == name, _KEY.c.keyid.not_in(keyids))
        )
        here = set(
            self._connection.execute(select(_KEY.c.keyid).where(_KEY.c.name == name)).scalars()
        )
        new = [{"keyid": one, "name": name} for one in keyids if one not in here]
        try:
            if new:
                self._connection.execute(insert(_KEY), new)
        except IntegrityError:
            raise ConflictError("Another node that is pinned has the same request key.") from None

    def owner(self, keyid: str) -> str | None:
        """Returns the name of the node whose requests a key signs."""
        return self._connection.execute(
            select(_KEY.c.name).where(_KEY.c.keyid == keyid)
        ).scalar_one_or_none()

    def told(self) -> dict[str, int]:
        """Returns up to which version each peer knows this node's descriptor, where it is known."""
        found = self._connection.execute(select(_TOLD.c.name, _TOLD.c.version))
        return {row.name: row.version for row in found}

    def set_told(self, name: str, version: int) -> None:
        """Records up to which version a peer knows this node's descriptor."""
        self._mark(name, version=version)

    def pulled(self, name: str) -> int:
        """Returns when a peer was last asked for its descriptors (Unix seconds); 0: never."""
        found = self._connection.execute(
            select(_TOLD.c.pulled).where(_TOLD.c.name == name)
        ).scalar_one_or_none()
        return found or 0

    def set_pulled(self, name: str, at: int) -> None:
        """Records that a peer is asked for its descriptors now."""
        self._mark(name, pulled=at)

    def _mark(self, name: str, **values: int) -> None:
        first = {"name": name, "version": 1, "pulled": 0} | values
        if not insert_new(self._connection, _TOLD, first):
            self._connection.execute(update(_TOLD).where(_TOLD.c.name == name).values(**values))

    def forget(self, name: str) -> None:
        """Deletes everything about a node that is no longer pinned."""
        for one in (_DESCRIPTOR, _KEY, _TOLD):
            self._connection.execute(delete(one).where(one.c.name == name))


def latest_of(name: ColumnElement[str]) -> ScalarSelect[int]:
    """Returns the number of the latest version for a node's name, as part of a question."""
    return (
        select(func.max(_DESCRIPTOR.c.version)).where(_DESCRIPTOR.c.name == name).scalar_subquery()
    )


def owner_of(parameter: str) -> ScalarSelect[str]:
    """Returns whose requests the key with the id in a parameter signs, as part of a question."""
    return select(_KEY.c.name).where(_KEY.c.keyid == bindparam(parameter)).scalar_subquery()


def _descriptor(row: Row[tuple[object, ...]]) -> DescriptorRecord:
    return DescriptorRecord(row.name, row.version, StatementId(row.id.hex()), row.body)
