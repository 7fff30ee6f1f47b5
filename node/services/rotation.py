"""New keys for this node: proposed here, signed where the root key is, installed here.

The root key need not be on the node's machine. A proposal is a file that holds what the root key
has signed last and what it is asked to sign now; `sign_proposal` reads it anywhere and needs no
node. Nothing of a proposal is in force before `Rotation.install`; until then its new key files lie
in the folder of keys and are used by nobody.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from federation.chains import Version
from federation.descriptors import follow, is_signed_by_root_of, parse_descriptor
from node.services.keys import find_key, later_key_file
from node.services.successions import advance, as_version
from node.storage.engine import Store
from node.storage.logs import LogRecord
from node.storage.transaction import Transaction
from protocol.descriptors import NodeDescriptor, NodeKey
from protocol.encoding import (
    convert,
    encode_json,
    format_time,
    from_base64url,
    parse_json,
    parse_time,
    to_base64url,
)
from protocol.errors import ConflictError, InvalidError, KeystoreError, MalformedError
from protocol.limits import MAX_DESCRIPTOR_BYTES, MAX_DESCRIPTORS, MAX_KEYS
from protocol.statements import Revocation, encode_statement, parse_as
from protocol.structs import Hidden
from signing.envelopes import add_signature, new_nonce, sign_statement
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.keystore import INTERACTIVE, Cost, save_key

KEY_DAYS: Final = 365
"""How long a new operational key may be used."""

DESCRIPTOR_DAYS: Final = 731
"""How long a descriptor is valid."""

OVERLAP_DAYS: Final = 14
"""How long an old key may still be used beside the one that takes its place."""

_DAY_S = 86_400
_ENDED_KEPT_S = 30 * _DAY_S
_FORMAT = "schutznetz-descriptor-proposal"


class Proposal(Hidden, frozen=True, kw_only=True):
    """A file for whoever has the root key: what was signed last, and what is to be signed now.

    Attributes:
        format: so that no other file is taken for one.
        current: envelope of the latest descriptor.
        next: payload of the one that is to come behind it, unsigned.
    """

    format: str
    current: str
    next: str


@dataclass(frozen=True)
class Difference:
    """What one descriptor changes of the one before, for a person who is to sign it.

    Attributes:
        name: of the node.
        version: of the new one.
        url: where the node is to answer.
        moved: whether that is another address than before.
        expires: end of the new descriptor.
        new: use and key id of each new key.
        shortened: use, key id and new end of each key that ends sooner.
        revoked: key id of each statement key that is revoked, and as of which size of the log.
        dropped: use and key id of each key that is named no longer.
        new_root: key id of another root key; None where it stays.
        log_origin: of another log than before; None where it stays.
    """

    name: str
    version: int
    url: str
    moved: bool
    expires: str
    new: tuple[tuple[str, str], ...]
    shortened: tuple[tuple[str, str, str], ...]
    revoked: tuple[tuple[str, int], ...]
    dropped: tuple[tuple[str, str], ...]
    new_root: str | None
    log_origin: str | None


class Rotation:
    """Makes this node's next descriptor, and takes it into use."""

    def __init__(
        self,
        store: Store,
        *,
        directory: Path,
        name: str,
        url: str,
        passphrase: Callable[[], bytes],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._directory = directory
        self._name = name
        self._url = url
        self._passphrase = passphrase
        self._clock = clock

    def propose(
        self,
        uses: Sequence[KeyUse],
        *,
        overlap_days: int = OVERLAP_DAYS,
        revoke: Mapping[str, Revocation] | None = None,
        cost: Cost = INTERACTIVE,
    ) -> bytes:
        """Makes new keys for some uses, and what the root key is to sign; nothing changes by it.

        Args:
            uses: for which there is to be a new key; none only renews the descriptor, under the
                address that the settings say.
            overlap_days: how long the old keys may still be used.
            revoke: by key id, keys that end now. A statement key says as of where; another one is
                named no longer.
            cost: of opening the new key files.

        Raises:
            InvalidError: the descriptor would hold more keys than it may.
            KeystoreError: a key file cannot be written.
        """
        now = int(self._clock())
        with self._store.read() as transaction:
            current, current_id, envelope = self._latest(transaction)
        made = [SigningKey.generate(use) for use in dict.fromkeys(uses)]
        revoked = dict(revoke or {})
        if unknown := revoked.keys() - {_kid(one) for one in current.keys}:
            raise InvalidError(f"The node's descriptor names no key {min(unknown)}.")
        kept = tuple(
            kept
            for one in current.keys
            if not _is_over(one, now)
            for kept in _kept(
                one, now, revoked.get(_kid(one)), overlap_days if one.use in uses else None
            )
        )
        if len(kept) + len(made) > MAX_KEYS:
            raise InvalidError(
                f"A descriptor holds {MAX_KEYS} keys: wait until old ones have ended for a month."
            )
        if current.version == MAX_DESCRIPTORS:
            raise InvalidError(
                f"A node has {MAX_DESCRIPTORS} descriptors at most: set it up anew under a new "
                "fingerprint."
            )
        following = msgspec.structs.replace(
            current,
            nonce=new_nonce(),
            issued=format_time(now),
            version=current.version + 1,
            previous=current_id,
            url=self._url,
            keys=(*kept, *(_new_key(key, now) for key in made)),
            expires=format_time(now + DESCRIPTOR_DAYS * _DAY_S),
        )
        proposal = encode_proposal(envelope, following)
        for key in made:
            path = later_key_file(self._directory, key.public)
            save_key(path, key, self._passphrase(), cost=cost)
        return proposal

    def install(self, data: bytes) -> NodeDescriptor:
        """Takes a signed descriptor into use; the peers hear of it from the running node.

        Raises:
            ProtocolError, SigningError: it does not follow from the latest one.
            ConflictError: that very version is installed already, or another one is.
            KeystoreError: the secret half of a key that it names is not here.
        """
        now = int(self._clock())
        with self._store.read() as transaction:
            current, current_id, _envelope = self._latest(transaction)
        hint, hinted_id = parse_descriptor(data)
        if hint.version <= current.version:
            with self._store.read() as transaction:
                known = transaction.descriptors.at(self._name, hint.version)
            if known is not None and known.id == hinted_id:
                raise ConflictError(f"Version {hint.version} is installed already.")
            raise ConflictError(
                f"Version {current.version} is installed: destroy this file, since two descriptors "
                "of one version would have the peers freeze this node."
            )
        new, new_id = follow(current, current_id, data, now=now)
        self._check_keys(new, now)
        with self._store.write() as transaction:
            if transaction.descriptors.version(self._name) != current.version:
                raise ConflictError("Another version was installed at the same time: look again.")
            record = transaction.peers.get(self._name)
            assert record is not None  # `node init` stored it
            advance(transaction, Version(new, new_id, data), record.descriptor_id, now=now)
            if new.log_origin != current.log_origin:
                # Barred under the old name, so nothing is appended there any more.
                entries = transaction.logs.get(current.log_origin).frontier
                transaction.logs.put(LogRecord(new.log_origin, entries, None))
            transaction.journal.audit(
                "operator",
                "key.install",
                at=now,
                subject=self._name,
                detail=f"version {new.version}",
            )
        return new

    def revoke(
        self, keyid: str, mark: Revocation, root: SigningKey, *, cost: Cost = INTERACTIVE
    ) -> NodeDescriptor:
        """Ends one of the node's keys at once, and puts a new one in its place.

        Args:
            keyid: of the key.
            mark: of a statement key, as of where; of another one, nothing.
            root: the root key.
            cost: of opening the new key's file.

        Raises:
            InvalidError: the node's descriptor names no such key, or it is revoked already.
            KeystoreError: it is not the root key, or a file cannot be written.
        """
        with self._store.read() as transaction:
            current = self._latest(transaction).descriptor
        found = [one for one in current.keys if _kid(one) == keyid]
        if not found or found[0].revoked is not None:
            raise InvalidError("The node's descriptor names no such key that is in force.")
        if current.root != to_base64url(root.public.raw):
            raise KeystoreError("This is not the root key of the node's latest descriptor.")
        proposal = self.propose([KeyUse(found[0].use)], revoke={keyid: mark}, cost=cost)
        return self.install(sign_proposal(proposal, root, now=int(self._clock())))

    def _latest(self, transaction: Transaction) -> Version:
        found = transaction.descriptors.latest(self._name)
        assert found is not None  # `node init` stored it
        return as_version(found)

    def _check_keys(self, new: NodeDescriptor, now: int) -> None:
        """Returns if the node can sign with every key that the descriptor lets it use."""
        for one in new.keys:
            if parse_time(one.not_after) <= now:
                continue
            key = PublicKey(KeyUse(one.use), from_base64url(one.key))
            if find_key(self._directory, key, self._passphrase()) is None:
                raise KeystoreError(
                    f"The secret half of a {one.use} key that it names is not in the folder of "
                    "keys: this proposal was made by another node, or its key file was deleted."
                )


def encode_proposal(current: bytes, following: NodeDescriptor) -> bytes:
    """Returns the file that goes to whoever has the root key.

    Args:
        current: envelope of the latest descriptor.
        following: what is to come behind it.
    """
    return encode_json(
        Proposal(
            format=_FORMAT, current=current.decode(), next=encode_statement(following).decode()
        )
    )


def parse_proposal(data: bytes) -> tuple[bytes, NodeDescriptor, NodeDescriptor]:
    """Returns the latest descriptor's envelope, what that says, and what is to come behind it.

    Raises:
        ProtocolError: it is no proposal, or the two do not belong together.
    """
    found = convert(parse_json(data, max_bytes=3 * MAX_DESCRIPTOR_BYTES), Proposal)
    if found.format != _FORMAT:
        raise MalformedError("This file is no proposal for a descriptor.")
    envelope = found.current.encode()
    current, current_id = parse_descriptor(envelope)
    following = parse_as(NodeDescriptor, found.next.encode())
    if (following.issuer, following.version, following.previous) != (
        current.issuer,
        current.version + 1,
        current_id,
    ):
        raise MalformedError("The proposal does not come behind the descriptor that it names.")
    return envelope, current, following


def difference(data: bytes, new_root: PublicKey | None = None) -> Difference:
    """Returns what a proposal would change; raises as `parse_proposal`."""
    _envelope, old, new = parse_proposal(data)
    before = {one.key: one for one in old.keys}
    after = {one.key: one for one in new.keys}
    root = new.root if new_root is None else to_base64url(new_root.raw)
    return Difference(
        name=new.issuer,
        version=new.version,
        url=new.url,
        moved=new.url != old.url,
        expires=new.expires,
        new=tuple((one.use, _kid(one)) for key, one in after.items() if key not in before),
        shortened=tuple(
            (one.use, _kid(one), one.not_after)
            for key, one in after.items()
            if key in before and one.not_after < before[key].not_after
        ),
        revoked=tuple(
            (_kid(one), one.revoked.size)
            for key, one in after.items()
            if one.revoked is not None and (key not in before or before[key].revoked is None)
        ),
        dropped=tuple((one.use, _kid(one)) for key, one in before.items() if key not in after),
        new_root=None if root == old.root else PublicKey(KeyUse.ROOT, from_base64url(root)).kid,
        log_origin=None if new.log_origin == old.log_origin else new.log_origin,
    )


def sign_proposal(
    data: bytes, root: SigningKey, *, new_root: SigningKey | None = None, now: int
) -> bytes:
    """Returns the signed descriptor, for `Rotation.install`.

    Args:
        data: the proposal.
        root: the root key that signed the latest descriptor.
        new_root: the one that takes its place; both sign.
        now: Unix time in seconds.

    Raises:
        ProtocolError: it is no proposal.
        SigningError: the latest descriptor is not signed by this root key, or the result would not
            be believed.
    """
    envelope, current, following = parse_proposal(data)
    if current.root != to_base64url(root.public.raw) or not is_signed_by_root_of(current, envelope):
        raise KeystoreError("This is not the root key of the node's latest descriptor.")
    if new_root is None:
        signed = sign_statement(following, root)
    else:
        public = to_base64url(new_root.public.raw)
        renewed = msgspec.structs.replace(following, root=public)
        signed = add_signature(sign_statement(renewed, new_root), root)
    # Whoever reads it does the same; what nobody would believe is not given out.
    follow(current, parse_descriptor(envelope)[1], signed, now=now)
    return signed


def _new_key(key: SigningKey, now: int) -> NodeKey:
    return NodeKey(
        use=key.use.value,  # type: ignore[arg-type]  # `propose` is given operational uses only
        key=to_base64url(key.public.raw),
        not_before=format_time(now),
        not_after=format_time(now + KEY_DAYS * _DAY_S),
    )


def _kept(
    key: NodeKey, now: int, revoked: Revocation | None, overlap_days: int | None
) -> list[NodeKey]:
    """Returns what the next descriptor says of a key; nothing where it names it no longer."""
    if revoked is None:
        return [key if overlap_days is None else _shortened(key, now + overlap_days * _DAY_S)]
    if key.use != KeyUse.STATEMENT.value:
        return []
    return [msgspec.structs.replace(key, revoked=revoked)]


def _shortened(key: NodeKey, end: int) -> NodeKey:
    """Returns a key that ends at `end`, unless it ends before."""
    return msgspec.structs.replace(key, not_after=min(key.not_after, format_time(end)))


def _is_over(key: NodeKey, now: int) -> bool:
    """Whether a key need not be named any more: nothing that it signed is verified later.

    Statements are, for as long as somebody keeps them: their keys stay.
    """
    return key.use != KeyUse.STATEMENT.value and parse_time(key.not_after) + _ENDED_KEPT_S < now


def _kid(key: NodeKey) -> str:
    return PublicKey(KeyUse(key.use), from_base64url(key.key)).kid
