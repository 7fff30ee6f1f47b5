"""After a theft: as of where a key is revoked, what it has said, and taking that back in bulk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from node.services.audit import Audit
from node.services.authoring import Author
from node.services.directory import pinned
from node.services.flaggers import Flaggers
from node.services.log import OwnLog
from node.storage.engine import Store
from node.storage.revocations import SaidRecord
from protocol.encoding import format_time
from protocol.errors import InvalidError, NotFoundError
from protocol.fields import organisation_of
from protocol.messages import Receipt
from protocol.statements import AccountBan, MediaFlag, Retract, Revocation

Reason = Literal["compromised", "lost", "misused", "other"]
"""Why a key is revoked."""

_PAGE = 500
_TARGETS = frozenset({MediaFlag.KIND, AccountBan.KIND})


@dataclass(frozen=True)
class Said:
    """A statement that a key has signed, for who looks through them.

    Attributes:
        statement: what is known of it.
        void: it does not count, since its key was revoked as of before it.
    """

    statement: SaidRecord
    void: bool

    @property
    def can_be_retracted(self) -> bool:
        """Whether it still matches, or might."""
        return (
            not self.void and self.statement.kind in _TARGETS and self.statement.state == "active"
        )


class Revocations:
    """Ends keys of this node and of its flaggers, and cleans up behind them."""

    def __init__(
        self,
        store: Store,
        log: OwnLog,
        author: Author,
        audit: Audit,
        flaggers: Flaggers,
        *,
        name: str,
        published: Callable[[], int | None],
        clock: Callable[[], float],
    ) -> None:
        """Works in the name of the node.

        Args:
            store: the database.
            log: of this node.
            author: signs for the node.
            audit: of what was done.
            flaggers: of this node.
            name: of this node.
            published: size of the newest checkpoint that carries the cosignatures which the node
                asks for; None where it asks for none.
            clock: Unix time in seconds.
        """
        self._store = store
        self._log = log
        self._author = author
        self._audit = audit
        self._flaggers = flaggers
        self._name = name
        self._published = published
        self._clock = clock

    def mark(self, reason: Reason, *, since: int | None = None) -> Revocation:
        """Returns as of where a key is revoked.

        Args:
            reason: why.
            since: when it was stolen (Unix seconds); None for now. What was in the log by then
                stays, but where the node asks for cosignatures, no more than what carries them.

        Raises:
            InvalidError: that time lies ahead.
        """
        now = int(self._clock())
        at = now if since is None else since
        if at > now:
            raise InvalidError("A key is revoked as of now or earlier.", where="since")
        with self._store.read() as transaction:
            size = transaction.revocations.received_by(at)
        published = self._published()
        if published is not None:
            size = min(size, published)
        return Revocation(at=format_time(at), log=self._log.origin, size=size, reason=reason)

    def revoke_flagger(
        self, name: str, mark: Revocation, *, keyid: str | None = None
    ) -> list[Receipt]:
        """Revokes a flagger's keys, or one of them, as of a place in this node's log.

        Raises:
            NotFoundError: there is no such flagger, or no such key.
        """
        return list(self._flaggers.set_status(name, "revoked", keyid=keyid, revoked=mark))

    def review(
        self, issuer: str, *, keyid: str | None = None, since: int = 0, after: int = -1
    ) -> list[Said]:
        """Returns what an issuer of this node's has said, with one of its keys or with any.

        Args:
            issuer: this node, or one of its flaggers.
            keyid: of one key; None for all.
            since: when it was taken in at the earliest (Unix seconds).
            after: behind this place in the log: a page holds 500.

        Raises:
            NotFoundError: it is neither this node nor one of its flaggers.
        """
        keyids = [keyid] if keyid is not None else self._keyids(issuer)
        with self._store.read() as transaction:
            page = transaction.revocations.said_by(
                issuer, keyids, since=since, after=after, limit=_PAGE
            )
            void = transaction.revocations.among_void(one.log_index for one in page)
        return [Said(one, one.log_index in void) for one in page]

    def retract(
        self, issuer: str, *, keyid: str | None = None, since: int = 0
    ) -> Iterator[Receipt]:
        """Takes back what an issuer has said and what still counts, one statement after the other.

        Begun again after an interruption, it goes on: what was taken back is passed over.

        Raises:
            NotFoundError: as `review`.
        """
        after = -1
        while page := self.review(issuer, keyid=keyid, since=since, after=after):
            after = page[-1].statement.log_index
            for one in page:
                if one.can_be_retracted:
                    yield self._author.issue(
                        Retract,
                        also=self._audit.with_statement(
                            "operator", "key.retract", subject=one.statement.id, detail=issuer
                        ),
                        target=one.statement.id,
                        reason="wrong",
                    )

    def _keyids(self, issuer: str) -> list[str]:
        if organisation_of(issuer) != self._name:
            raise NotFoundError("This is neither this node nor a flagger of it.")
        if issuer == self._name:
            return self._own_keyids()
        found = [one.keyid for one in self._flaggers.list() if one.name == issuer]
        if not found:
            raise NotFoundError("There is no flagger of this name.")
        return found

    def _own_keyids(self) -> list[str]:
        with self._store.read() as transaction:
            record = transaction.peers.get(self._name)
        assert record is not None  # `node init` stored it
        return [one.key.kid for one in pinned(record).statement_keys]
