"""Joining a network of nodes: an invite, a request, fingerprints that people type, and a time.

An invite lets somebody apply, once, and proves nothing about who. Nobody is pinned before an
operator has typed the fingerprint that the newcomer's operator read out; what is said of that is a
statement, which the other members read (docs/protocol.md section 7.8).
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from federation.chains import Version, open_chain
from federation.descriptors import pin
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.keys import NodeKeys
from node.services.newcomers import is_waiting
from node.services.once import Once
from node.services.peers import Peers, PeerState
from node.storage.engine import Store
from node.storage.joining import InviteRecord, JoinRequestRecord, MembershipRecord
from protocol.descriptors import fingerprint_of, parse_fingerprint
from protocol.encoding import encode_json, format_time, parse_time
from protocol.errors import ConflictError, InvalidError, NotFoundError, RateLimitedError
from protocol.joining import Invite
from protocol.limits import MAX_INVITE_S, MAX_PEER_REQUEST_BYTES
from protocol.memberships import Membership
from protocol.messages import JoinRequest, Receipt, parse_message
from signing.envelopes import Verified, new_nonce, sign_statement, verify_envelope
from signing.keys import PublicKey

How = Literal["telephone", "in-person", "other"]
"""How a fingerprint was compared."""

_DAY_S = 86_400
_MOST_INVITES = 64


@dataclass(frozen=True)
class Applicant:
    """A newcomer that has applied here, and that nobody has compared yet.

    Attributes:
        name: of the node.
        url: where it says that it answers.
        circle: that the invite was for.
        received: when it applied (Unix time).
    """

    name: str
    url: str
    circle: str | None
    received: int


@dataclass(frozen=True)
class Standing:
    """How a member stands.

    Attributes:
        name: of the node.
        is_newcomer: what it says waits.
        until: how long at least (Unix time), of a newcomer.
        said: what each member said last about it.
    """

    name: str
    is_newcomer: bool
    until: int | None
    said: tuple[MembershipRecord, ...]


class Joining:
    """Invites newcomers, takes their requests, and says what was compared."""

    def __init__(
        self,
        store: Store,
        peers: Peers,
        author: Author,
        audit: Audit,
        keys: NodeKeys,
        *,
        name: str,
        newcomer_days: int,
        clock: Callable[[], float],
    ) -> None:
        """Works in the name of the node.

        Args:
            store: the database.
            peers: pins.
            author: signs what was compared.
            audit: of what was done.
            keys: of the node; the statement key signs invites.
            name: of this node.
            newcomer_days: how long what a newcomer says waits.
            clock: Unix time in seconds.
        """
        self._store = store
        self._peers = peers
        self._author = author
        self._audit = audit
        self._keys = keys
        self._name = name
        self._days = newcomer_days
        self._clock = clock

    def invite(self, *, circle: str | None = None, for_s: int = MAX_INVITE_S) -> bytes:
        """Returns a new invite, signed: good once, and for so many seconds.

        Raises:
            LimitError: it would be good for more than three days.
            RateLimitedError: 64 invites are good already.
        """
        now = int(self._clock())
        own = self._peers.node(self._name)
        invite = Invite(
            issuer=self._name,
            nonce=new_nonce(),
            issued=format_time(now),
            audience=("peers",),
            url=own.url,
            fingerprint=own.fingerprint,
            code=new_nonce(),
            expires=format_time(now + for_s),
            circle=circle,
        )
        signed = sign_statement(invite, self._keys.statement)
        with self._store.write() as transaction:
            if transaction.joining.open_invites(now) >= _MOST_INVITES:
                raise RateLimitedError(
                    f"{_MOST_INVITES} invites are good already: wait until one ends.",
                    retry_after_s=MAX_INVITE_S,
                )
            transaction.joining.add_invite(
                InviteRecord(_digest(invite.code), circle, now, now + for_s)
            )
            transaction.journal.audit(
                "operator", "member.invite", at=now, subject=self._name, detail=circle
            )
        return signed

    def applicant(self, request: JoinRequest) -> tuple[Version, PublicKey]:
        """Returns who applies, and the key that has to have signed the request.

        Raises:
            NotFoundError: no invite that is good has this code.
            ProtocolError, SigningError: the descriptors are not believed.
            ConflictError: a node of this name is pinned, or is this one.
        """
        now = int(self._clock())
        with self._store.read() as transaction:
            # First what costs nothing: a stranger without a code has no signature verified.
            self._good(transaction.joining.invite(_digest(request.code)), now)
        chain = open_chain([one.encode() for one in request.descriptors], now=now)
        latest = chain[-1]
        with self._store.read() as transaction:
            if transaction.peers.get(latest.descriptor.issuer) is not None:
                raise ConflictError("A node of this name is a member already.")
        return latest, pin(latest.descriptor, chain[0].id, authority=False).request_key

    def apply(self, request: JoinRequest, once: Once) -> None:
        """Stores a request whose signature holds, and uses up its invite.

        Raises:
            As `applicant`, and `ReplayedError` where the request was here before.
        """
        latest, _key = self.applicant(request)
        now = int(self._clock())
        name = latest.descriptor.issuer
        code = _digest(request.code)
        with self._store.write() as transaction:
            once.use(transaction)
            invite = self._good(transaction.joining.invite(code), now)
            transaction.joining.use_invite(code, name)
            transaction.joining.put_request(
                JoinRequestRecord(name, encode_json(request), invite.circle, now)
            )
            transaction.journal.audit("node", "member.request", at=now, subject=name, detail=None)

    def _good(self, invite: InviteRecord | None, now: int) -> InviteRecord:
        # One sentence for every cause: whether a code once existed is nobody's business.
        if invite is None or invite.expires < now or invite.used_by is not None:
            raise NotFoundError("No invite that is good has this code.")
        return invite

    def applicants(self) -> list[Applicant]:
        """Returns who has applied and waits for a person to compare the fingerprint."""
        with self._store.read() as transaction:
            found = transaction.joining.requests()
        return [
            Applicant(
                one.name,
                _chain_of(one, int(self._clock()))[-1].descriptor.url,
                one.circle,
                one.received,
            )
            for one in found
        ]

    def accept(self, name: str, fingerprint: str, how: How) -> PeerState:
        """Pins an applicant as a newcomer, once the fingerprint fits that the operator typed.

        Raises:
            NotFoundError: no such node has applied.
            ProtocolError, SigningError, InvalidError, ConflictError: as `Peers.add`.
        """
        with self._store.read() as transaction:
            found = [one for one in transaction.joining.requests() if one.name == name]
        if not found:
            raise NotFoundError("No node of this name has applied.")
        now = int(self._clock())
        chain = _chain_of(found[0], now)
        if parse_fingerprint(fingerprint) != fingerprint_of(chain[0].id):
            raise InvalidError(
                "The fingerprint is not that of the node that applied. Compare it again over the "
                "telephone; if it still differs, do not take it in.",
                where="fingerprint",
            )
        # Before the pin: a crash between the two leaves no member whose words count at once.
        with self._store.write() as transaction:
            transaction.joining.set_newcomer(name, now + self._days * _DAY_S)
        peer = self._peers.add(
            chain[0].envelope,
            fingerprint,
            authority=False,
            later=[one.envelope for one in chain[1:]],
        )
        self.say(name, "verified", how=how)
        with self._store.write() as transaction:
            transaction.joining.drop_request(name)
        return peer

    def refuse(self, name: str) -> None:
        """Forgets a request to join.

        Raises:
            NotFoundError: no such node has applied.
        """
        with self._store.write() as transaction:
            if name not in {one.name for one in transaction.joining.requests()}:
                raise NotFoundError("No node of this name has applied.")
            transaction.joining.drop_request(name)
            transaction.journal.audit(
                "operator", "member.refuse", at=int(self._clock()), subject=name, detail=None
            )

    def begin_as_newcomer(self, name: str) -> None:
        """Has what a pinned node says wait, as that of one that applied here."""
        with self._store.write() as transaction:
            transaction.joining.set_newcomer(name, int(self._clock()) + self._days * _DAY_S)

    def compare(self, name: str, typed: str) -> None:
        """Returns if a fingerprint that was typed is that of a pinned node.

        Raises:
            NotFoundError: none of this name is pinned.
            MalformedError, InvalidError: it has a typing error, or is that of another node.
        """
        if parse_fingerprint(typed) != self._peers.node(name).fingerprint:
            raise InvalidError(
                "That is not the fingerprint under which the node is pinned here.",
                where="fingerprint",
            )

    def say(
        self,
        name: str,
        event: Literal["verified", "admitted", "left", "expelled"],
        *,
        how: How | None = None,
    ) -> Receipt:
        """Tells all members about one of them, or that this node leaves.

        Raises:
            NotFoundError: none of this name is pinned.
            ProtocolError: such a thing is not said about this node.
        """
        node = self._peers.node(name)
        receipt = self._author.issue(
            Membership,
            also=self._audit.with_statement("operator", f"member.{event}", subject=name),
            node=name,
            fingerprint=node.fingerprint,
            event=event,
            at=format_time(int(self._clock())),
            how=how,
        )
        if event == "expelled":
            self._peers.freeze(name)
        return receipt

    def members(self) -> list[Standing]:
        """Returns how every pinned node stands, and what members said about it."""
        now = int(self._clock())
        with self._store.read() as transaction:
            newcomers = transaction.joining.newcomers()
            said = transaction.joining.memberships()
            return [
                Standing(
                    one.name,
                    one.name in newcomers and is_waiting(transaction, one.name, newcomers, now=now),
                    newcomers.get(one.name),
                    tuple(each for each in said if each.node == one.name),
                )
                for one in transaction.peers.all()
                if one.name != self._name
            ]

    def read_invite(self, data: bytes) -> Invite:
        """Returns an invite of a node that is pinned here.

        Raises:
            ProtocolError, SigningError: it is none, or not signed by that node.
            InvalidError: it is over.
        """

        def find(statement: object, keyid: str) -> PublicKey | None:
            assert isinstance(statement, Invite)
            keys = self._peers.node(statement.issuer).statement_keys
            return next((one.key for one in keys if one.key.kid == keyid), None)

        verified: Verified = verify_envelope(data, find, kinds={Invite.KIND: Invite})
        invite = verified.statement
        assert isinstance(invite, Invite)
        if parse_time(invite.expires) < int(self._clock()):
            raise InvalidError("The invite is over: ask for another one.", where="expires")
        return invite

    def request(self, invite: Invite) -> JoinRequest:
        """Returns what this node applies with."""
        with self._store.read() as transaction:
            chain = transaction.descriptors.after(self._name, 0, limit=16)
        return JoinRequest(code=invite.code, descriptors=tuple(one.body.decode() for one in chain))


def _digest(code: str) -> bytes:
    return hashlib.sha256(b"schutznetz/invite/v1\0" + code.encode()).digest()


def _chain_of(record: JoinRequestRecord, now: int) -> list[Version]:
    request = parse_message(JoinRequest, record.descriptors, max_bytes=MAX_PEER_REQUEST_BYTES)
    return open_chain([one.encode() for one in request.descriptors], now=now)
