"""Bans made again under a newer key, by who still lawfully holds the identifiers.

A fingerprint cannot be carried to another key, so the platform gives the identifiers once more.
They are compared with the ban under its old key, which has to run still, and are stored nowhere.
The old ban is not retracted: nodes that acted on it would be asked to restore somebody whom the
same organisation still bans. It is forgotten with its key; until then both are met and count once.
"""

from collections.abc import Callable, Sequence

from node.services.accounts import Accounts, AskCircles, with_look_alikes
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.clients import Client
from node.services.directory import StoredDirectory
from node.services.epochs import Key, current_keys, newest_key
from node.services.ingest import Also
from node.storage.engine import Store
from node.storage.statements import StatementRecord
from node.storage.transaction import Transaction
from protocol.encoding import from_base64url, to_base64url
from protocol.errors import ConflictError, InvalidError, NotFoundError
from protocol.fields import StatementId
from protocol.identifiers import NormalisedIdentifier
from protocol.messages import Receipt
from protocol.statements import AccountBan, Fingerprint


class Reissues:
    """Makes this node's bans again under the newest key."""

    def __init__(
        self,
        store: Store,
        author: Author,
        audit: Audit,
        accounts: Accounts,
        ask: AskCircles,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._author = author
        self._audit = audit
        self._accounts = accounts
        self._ask = ask
        self._name = name
        self._clock = clock

    def reissue(
        self,
        statement_id: str,
        identifiers: Sequence[tuple[str, str]],
        *,
        client: Client,
        region: str | None = None,
        username_scope: str | None = None,
    ) -> Receipt:
        """Makes one ban again, with all that it says and the end that it has.

        Again, or for a ban under the newest key, the answer is the ban that there is, and nothing
        is asked of the circle: so a run that broke off is simply run once more.

        Args:
            statement_id: of the ban.
            identifiers: (kind, value) of the account, or as many of them as are still held.
            client: who asks.
            region: country of telephone numbers without a country code.
            username_scope: platform whose user names are meant.

        Raises:
            NotFoundError: there is no such statement.
            InvalidError: it is no ban of this node's own, or an identifier, which `where` names, is
                not one of it.
            ConflictError: it is taken back, disputed or over, or its key is not in use any more.
            RateLimitedError, UnavailableError: as `Accounts.check`; nothing was decided.
        """
        now = int(self._clock())
        with self._store.read() as transaction:
            record = self._own(transaction, statement_id)
            after = transaction.accounts.successor(record.log_index)
            if after is not None:
                made = transaction.statements.by_indices([after])[after]
                return Receipt(id=made.id, index=made.log_index, duplicate=True)
            _check_active(transaction, record, now)
            ban = StoredDirectory(transaction).ban_at(record.log_index)
        newest = newest_key(self._store, now=now)
        made_with = {(one.circle, one.epoch) for one in ban.fingerprints}
        if made_with == {_name(newest)}:
            return Receipt(id=record.id, index=record.log_index, duplicate=True)
        keys = [one for one in current_keys(self._store, now=now) if {_name(one)} == made_with]
        if not keys:
            raise ConflictError(
                "The key that the ban is made with is not in use here any more: ban the account "
                "anew, if there still is a reason to."
            )
        given = self._accounts.normalised(identifiers, region, username_scope)
        wanted = with_look_alikes(given)
        old, new = self._ask([*keys, newest], wanted)
        _check_same(ban, given, old)
        return self._author.issue(
            AccountBan,
            also=self._link(record, client),
            audience=ban.audience,
            fingerprints=_fingerprints(newest, wanted, new),
            category=ban.category,
            basis=ban.basis,
            scope=ban.scope,
            purpose=ban.purpose,
            legal_basis=ban.legal_basis,
            expires=ban.expires,
            issuer_code=ban.issuer_code,
            jurisdictions=ban.jurisdictions,
            avatar=ban.avatar,
        )

    def _own(self, transaction: Transaction, statement_id: str) -> StatementRecord:
        record = transaction.statements.by_id(statement_id)
        if record is None:
            raise NotFoundError("There is no statement with this id in this node's log.")
        if record.kind != AccountBan.KIND or record.issuer != self._name:
            raise InvalidError("Only a ban that this node has issued can be made again by it.")
        return record

    def _link(self, record: StatementRecord, client: Client) -> Also:
        audited = self._audit.with_statement(client.name, "account.reissue", detail=record.id)

        def write(transaction: Transaction, statement_id: StatementId) -> None:
            made = transaction.statements.by_id(statement_id)
            assert made is not None
            if not transaction.accounts.link(record.log_index, made.log_index):
                raise ConflictError("The ban was made again in this moment, by another call.")
            audited(transaction, statement_id)

        return write


def _name(key: Key) -> tuple[str, int]:
    circle, epoch = key
    return circle.circle, epoch.epoch


def _check_active(transaction: Transaction, record: StatementRecord, now: int) -> None:
    if record.state != "active" or record.ends is None or record.ends <= now:
        raise ConflictError("The ban is taken back, erased or over: it is not made again.")
    if transaction.statements.open_disputes([record.log_index]):
        raise ConflictError("The ban is disputed: resolve that first.")


def _check_same(
    ban: AccountBan, given: Sequence[NormalisedIdentifier], values: Sequence[bytes]
) -> None:
    known = {(one.kind, one.scheme, from_base64url(one.value)) for one in ban.fingerprints}
    for number, (one, value) in enumerate(zip(given, values, strict=False)):
        if (one.kind.value, one.scheme, value) not in known:
            raise InvalidError(
                "The ban is not of an account with this identifier.",
                where=f"identifiers[{number}].value",
            )


def _fingerprints(
    key: Key, identifiers: Sequence[NormalisedIdentifier], values: Sequence[bytes]
) -> tuple[Fingerprint, ...]:
    circle, epoch = _name(key)
    return tuple(
        Fingerprint(
            kind=one.kind.value,
            circle=circle,
            epoch=epoch,
            scheme=one.scheme,
            value=to_base64url(value),
        )
        for one, value in zip(identifiers, values, strict=True)
    )
