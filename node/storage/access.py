"""Clients and their keys, request nonces, and the lease of the process that runs jobs."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from node.storage.access_rows import RequestCountRow
from node.storage.rows import ClientRow, LeaseRow, NonceRow
from node.storage.sql import add_to, insert_new, join_list, split_list, table, upsert
from protocol.errors import ConflictError

_CLIENT = table(ClientRow)
_NONCE = table(NonceRow)
_LEASE = table(LeaseRow)
_REQUESTS = table(RequestCountRow)

# Built once: every sign-up check passes here, and to build one takes longer than to execute it.
_BY_DIGEST = select(_CLIENT).where(_CLIENT.c.token_digest == bindparam("digest"))


@dataclass(frozen=True)
class ClientRecord:
    """A program that may call this node."""

    number: int
    name: str
    scopes: frozenset[str]
    created: int
    revoked: int | None


class AccessRepository:
    """Who may call, how often, and which process runs the jobs."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add_client(self, name: str, digest: bytes, scopes: frozenset[str], *, now: int) -> int:
        """Stores a client under the digest of its key; returns its number.

        Raises:
            ConflictError: the name is taken.
        """
        try:
            done = self._connection.execute(
                insert(_CLIENT).values(
                    name=name, token_digest=digest, scopes=join_list(sorted(scopes)), created=now
                )
            )
        except IntegrityError:
            raise ConflictError("There is a client of this name already.") from None
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def client_with(self, digest: bytes) -> ClientRecord | None:
        """Returns the client whose key has this digest."""
        row = self._connection.execute(_BY_DIGEST, {"digest": digest}).first()
        return None if row is None else _client(row)

    def clients(self) -> list[ClientRecord]:
        """Returns every client, revoked ones too."""
        found = self._connection.execute(select(_CLIENT).order_by(_CLIENT.c.number))
        return [_client(row) for row in found]

    def revoke_client(self, number: int, *, now: int) -> bool:
        """Ends a client's access; returns whether there was such a client with access."""
        done = self._connection.execute(
            update(_CLIENT)
            .where(_CLIENT.c.number == number, _CLIENT.c.revoked.is_(None))
            .values(revoked=now)
        )
        return done.rowcount == 1

    def use_nonce(self, keyid: str, nonce: str, *, now: int) -> bool:
        """Remembers a request nonce; returns False if it was used before."""
        return insert_new(self._connection, _NONCE, {"keyid": keyid, "nonce": nonce, "at": now})

    def count_requests(self, keyid: str, minute: int, times: int) -> int:
        """Counts requests of a key in a minute; returns how many there were altogether."""
        add_to(
            self._connection,
            _REQUESTS,
            [{"keyid": keyid, "minute": minute, "count": times, "last": minute}],
            counter="count",
            last="last",
        )
        found = self._connection.execute(
            select(_REQUESTS.c["count"]).where(
                _REQUESTS.c.keyid == keyid, _REQUESTS.c.minute == minute
            )
        )
        return int(found.scalar_one())

    def forget_requests(self, *, before: int) -> None:
        """Deletes the counts of minutes before one."""
        self._connection.execute(delete(_REQUESTS).where(_REQUESTS.c.minute < before))

    def forget_nonces(self, *, before: int) -> None:
        """Deletes nonces that are too old to be replayed."""
        self._connection.execute(delete(_NONCE).where(_NONCE.c.at < before))

    def hold_lease(self, name: str, holder: str, *, now: int, until: int) -> bool:
        """Takes or renews a lease; returns False while another holder has it.

        A lease that lasts longer than two of this length was taken under a clock that has been put
        back since, and counts no more: its holder may be gone, and its end may be a year away.
        """
        row = self._connection.execute(select(_LEASE).where(_LEASE.c.name == name)).first()
        longest = now + 2 * (until - now)
        if row is not None and row.holder != holder and now < row.until <= longest:
            return False
        upsert(self._connection, _LEASE, {"name": name, "holder": holder, "until": until})
        return True

    def drop_lease(self, name: str, holder: str) -> None:
        """Gives a lease back, so that another process need not wait for its end."""
        self._connection.execute(
            delete(_LEASE).where(_LEASE.c.name == name, _LEASE.c.holder == holder)
        )


def _client(row: Any) -> ClientRecord:
    return ClientRecord(
        row.number, row.name, frozenset(split_list(row.scopes)), row.created, row.revoked
    )
