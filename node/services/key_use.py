"""Which of this node's keys are in use, while one takes another's place.

A new key is announced with a new version of the descriptor, and signs nothing before the peers have
heard of it: what they cannot verify they would refuse. All processes of a node and its commands
come to the same answer, since it follows from the database: a version is *in use* when every peer
that is active has taken it over, or when an old key has less than a day left. Checkpoints are the
exception: they carry a line of every key of the log that is valid, so that everybody finds one, and
so do cosignatures.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from federation.descriptors import PinnedNode, StatementKey, newest, pin, valid_at
from node.services.directory import pinned
from node.services.keys import NodeKeys, find_key
from node.services.log import OwnLog
from node.services.successions import as_version
from node.storage.descriptors import DescriptorRecord
from node.storage.engine import Store
from node.storage.transaction import Transaction
from protocol.errors import KeystoreError
from signing.keys import PublicKey, SigningKey

LEFT_S: Final = 86_400
"""How long before its end an old key gives way, whether or not every peer has heard."""


class KeysInUse:
    """Puts the keys in use in their places; asked by every process, about once a second."""

    def __init__(
        self,
        store: Store,
        keys: NodeKeys,
        log: OwnLog,
        *,
        directory: Path,
        name: str,
        passphrase: Callable[[], bytes],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._keys = keys
        self._log = log
        self._directory = directory
        self._name = name
        self._passphrase = passphrase
        self._clock = clock
        self._opened = {
            one.kid: one for one in (keys.request, keys.log, keys.witness, keys.statement)
        }

    def refresh(self) -> None:
        """The keys in use stand where whoever signs looks for them.

        Raises:
            KeystoreError: the file of a key that the descriptor names is not here, or does not
                open; the keys that were in use stay so.
        """
        now = int(self._clock())
        with self._store.read() as transaction:
            latest = transaction.descriptors.latest(self._name)
            used = transaction.descriptors.told().get(self._name, 1)
            behind = self._behind(transaction, now)
        assert latest is not None  # `node init` stored it
        node = _pin(latest)
        if used < latest.version and (
            all(version >= latest.version for version in behind.values())
            or self._must_switch(node, now)
        ):
            used = self._begin(latest.version, now)
        source = latest if used == latest.version else self._stored(used)
        self._put(node, _pin(source), now)

    def waiting_for(self) -> list[str]:
        """Returns the peers that have not heard yet of the latest version of the descriptor."""
        with self._store.read() as transaction:
            latest = transaction.descriptors.version(self._name)
            behind = self._behind(transaction, int(self._clock()))
        return sorted(name for name, version in behind.items() if version < latest)

    def signing(self) -> frozenset[str]:
        """Returns the ids of the keys that sign now."""
        keys = self._keys
        used = (
            *(keys.request, keys.log, keys.witness, keys.statement),
            *(*keys.other_logs, *keys.other_witnesses),
        )
        return frozenset(one.kid for one in used)

    def in_use(self) -> int:
        """Returns the version of the descriptor whose keys sign."""
        with self._store.read() as transaction:
            return transaction.descriptors.told().get(self._name, 1)

    def _behind(self, transaction: Transaction, now: int) -> dict[str, int]:
        """Returns which version each active peer has taken over."""
        told = transaction.descriptors.told()
        return {
            one.name: told.get(one.name, 1)
            for one in transaction.peers.all()
            if one.name != self._name and one.state == "active" and pinned(one).expires > now
        }

    def _must_switch(self, node: PinnedNode, now: int) -> bool:
        """Whether a key in use has ended by the latest descriptor, or is about to."""
        for key, among in (
            (self._keys.request, node.request_keys),
            (self._keys.statement, node.statement_keys),
        ):
            left = [
                one.not_after for one in among if one.key.kid == key.kid and one.revoked is None
            ]
            if not left or left[0] - LEFT_S <= now:
                return True
        return False

    def _begin(self, version: int, now: int) -> int:
        with self._store.write() as transaction:
            # Another process may have been quicker, or a command may have installed a later one.
            if transaction.descriptors.told().get(self._name, 1) < version:
                transaction.descriptors.set_told(self._name, version)
                transaction.journal.audit(
                    "node", "key.begin", at=now, subject=self._name, detail=f"version {version}"
                )
        return version

    def _stored(self, version: int) -> DescriptorRecord:
        with self._store.read() as transaction:
            found = transaction.descriptors.at(self._name, version)
        assert found is not None  # none is ever deleted
        return found

    def _put(self, node: PinnedNode, used: PinnedNode, now: int) -> None:
        keys = self._keys
        keys.request = self._choose(keys.request, used.request_keys, node.request_keys, now)
        keys.statement = self._choose(keys.statement, used.statement_keys, node.statement_keys, now)
        witnesses = [self._open(one.key) for one in valid_at(node.witness_keys, now)]
        if witnesses:
            keys.witness = self._open(newest(valid_at(node.witness_keys, now)).key)
            keys.other_witnesses = tuple(one for one in witnesses if one.kid != keys.witness.kid)
        logs = [self._open(one.key) for one in valid_at(node.log_keys, now)]
        if logs:
            keys.log = self._open(newest(valid_at(node.log_keys, now)).key)
            keys.other_logs = tuple(one for one in logs if one.kid != keys.log.kid)
            self._log.sign_with(keys.log, *keys.other_logs)

    def _choose(
        self,
        before: SigningKey,
        used: tuple[StatementKey, ...],
        latest: tuple[StatementKey, ...],
        now: int,
    ) -> SigningKey:
        """Returns the newest key of the version in use that the latest one still lets sign."""
        valid = _still_valid(used, latest, now) or _still_valid(latest, latest, now)
        return self._open(newest(valid).key) if valid else before

    def _open(self, key: PublicKey) -> SigningKey:
        if key.kid not in self._opened:
            found = find_key(self._directory, key, self._passphrase())
            if found is None:
                raise KeystoreError(
                    f"The key for the use {key.use.value!r} that the node's descriptor names is "
                    "not in the folder of keys."
                )
            self._opened[key.kid] = found
        return self._opened[key.kid]


def _still_valid(
    used: Iterable[StatementKey], latest: Iterable[StatementKey], now: int
) -> list[StatementKey]:
    kids = {one.key.kid for one in valid_at(latest, now) if one.revoked is None}
    return [one for one in valid_at(used, now) if one.key.kid in kids]


def _pin(record: DescriptorRecord) -> PinnedNode:
    return pin(as_version(record).descriptor, record.id, authority=False)
