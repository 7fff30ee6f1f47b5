"""Whether every statement is what its body says: id, signature, description, hashes, fingerprints.

Read a few statements at a time, so that neither memory nor a transaction grows with the log.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.services import effects
from node.services.directory import pinned
from node.services.fsck import Finding, Step
from node.storage.engine import Store
from node.storage.integrity import FingerprintLine, HashLine, StatementLine
from node.storage.statements import GONE
from node.storage.transaction import Transaction
from protocol.encoding import from_base64url, parse_time
from protocol.envelope import parse_envelope
from protocol.errors import ProtocolError, SigningError
from protocol.kinds import KINDS
from protocol.statements import (
    AccountBan,
    Accredit,
    MediaFlag,
    Resolve,
    Retract,
    Statement,
    parse_as,
)
from signing.envelopes import verify_envelope
from signing.keys import KeyUse, PublicKey

_PAGE: Final = 512
_PAGE_BYTES: Final = 4 << 20  # of bodies; what is made of them takes some ten times as much

_SENTENCES: Final = {
    "bodies": (
        "Every statement has the body that its id asks for, and none that is gone.",
        {
            "missing": "{} statements have lost their body",
            "other": "{} bodies are not what their ids say",
            "kept": "{} erased or expired statements still have a body, or hashes of it",
            "stray": "{} rows belong to no entry of the log",
        },
    ),
    "signatures": (
        "Every body is signed by whom it names, as far as the keys are known here.",
        {"wrong": "{} bodies are not signed as they should be"},
    ),
    "statements": (
        "Every statement is described as it was signed.",
        {"other": "{} statements are described otherwise than they were signed"},
    ),
    "items": (
        "Every media hash stands in a body, and every one of a body is here.",
        {"other": "{} statements have other media hashes than they say"},
    ),
    "accounts": (
        "Every fingerprint stands in a body, and every one of a body is here.",
        {"other": "{} bans have other fingerprints or avatars than they say"},
    ),
    "withdrawn": (
        "What was withdrawn matches no more, and nothing else was taken out.",
        {"other": "{} statements match though they were withdrawn, or do not though they were not"},
    ),
}
"""By check: what is said if all is well, and what of each kind of damage."""


class StatementsCheck:
    """Every row that was taken from a body agrees with it."""

    def __init__(self, store: Store, *, origin: str) -> None:
        self._store = store
        self._origin = origin

    def look(self, step: Step) -> Sequence[Finding]:
        """Compares everything with the bodies, from the log's first entry to its last."""
        with self._store.read() as transaction:
            size = transaction.logs.size(self._origin)
            keys = _Keys(transaction)
        damage = _Damage()
        start = 0
        while start < size:
            with self._store.read() as transaction:
                lines = transaction.integrity.lines(start, limit=_PAGE, max_bytes=_PAGE_BYTES)
                if not lines:
                    break
                _Page(transaction, lines, keys, damage).compare()
            # What was skipped is a gap in the log, which the check of its entries names.
            start = lines[-1].log_index + 1
            step(min(start, size), size)
        with self._store.read() as transaction:
            strays = transaction.integrity.strays(transaction.logs.size(self._origin))
        damage.note("bodies", "stray", -1, strays)
        return damage.findings(keys.unknown)


@dataclass
class _Damage:
    """How often each kind of damage was met, and where first."""

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    first: dict[tuple[str, str], int] = field(default_factory=dict)

    def note(self, check: str, kind: str, place: int, times: int = 1) -> None:
        if times:
            self.counts[check, kind] = self.counts.get((check, kind), 0) + times
            self.first.setdefault((check, kind), place)

    def findings(self, unknown: int) -> list[Finding]:
        return [self._finding(check, unknown) for check in _SENTENCES]

    def _finding(self, check: str, unknown: int) -> Finding:
        fine, kinds = _SENTENCES[check]
        said = [
            form.format(self.counts[check, kind]) + self._where(check, kind)
            for kind, form in kinds.items()
            if (check, kind) in self.counts
        ]
        if said:
            return Finding(check, ok=False, sentence="; ".join(said) + ".")
        if check == "signatures" and unknown:
            fine += f" Of {unknown} no key is known here any more."
        return Finding(check, ok=True, sentence=fine)

    def _where(self, check: str, kind: str) -> str:
        place = self.first[check, kind]
        return f" (first: entry {place})" if place >= 0 else ""


class _Keys:
    """Keys under which statements were signed: of the nodes that are pinned, and of flaggers.

    A flagger's key is learnt from the accreditation, which stands in the log before whatever rests
    on it.
    """

    def __init__(self, transaction: Transaction) -> None:
        self._known: dict[str, tuple[str, PublicKey]] = {}
        self.unknown = 0
        for record in transaction.peers.all():
            for one in pinned(record).statement_keys:
                self._known[one.key.kid] = record.name, one.key

    def learn(self, statement: Statement) -> None:
        """Takes over the key of a flagger that a node vouched for."""
        if isinstance(statement, Accredit):
            key = PublicKey(KeyUse.FLAGGER, from_base64url(statement.key))
            self._known[key.kid] = statement.flagger, key

    def is_signed(self, line: StatementLine, body: bytes) -> bool:
        """Whether a body is signed by its issuer, with the key that was noted; or cannot be told.

        Every signature under a key that is known has to hold.
        """
        if line.keyid not in self._known:
            self.unknown += 1
            return True
        owner, _ = self._known[line.keyid]

        def find(_statement: Statement, keyid: str) -> PublicKey | None:
            return self._known[keyid][1] if keyid in self._known else None

        try:
            verified = verify_envelope(body, find, kinds=KINDS)
        except (ProtocolError, SigningError):
            return False
        return owner == line.issuer and line.keyid in verified.keyids


class _Page:
    """A few statements with all that was taken from them."""

    def __init__(
        self, transaction: Transaction, lines: Sequence[StatementLine], keys: _Keys, damage: _Damage
    ) -> None:
        first, last = lines[0].log_index, lines[-1].log_index
        places = [one.log_index for one in lines]
        self._transaction = transaction
        self._lines = lines
        self._keys = keys
        self._damage = damage
        self._bodies = transaction.statements.envelopes(places)
        self._hashes = transaction.integrity.hashes(first, last)
        self._fingerprints = transaction.integrity.fingerprints(first, last)
        self._avatars = transaction.integrity.avatars(first, last)
        self._withdrawals: dict[int, list[int]] = {}
        for one in transaction.integrity.withdrawals(places):
            self._withdrawals.setdefault(one.target_index, []).append(one.log_index)
        strays = (self._hashes.keys() | self._fingerprints.keys() | self._avatars.keys()) - {
            *places
        }
        damage.note("bodies", "stray", -1, len(strays))

    def compare(self) -> None:
        for line in self._lines:
            body = self._bodies.get(line.log_index)
            if line.state in GONE:
                if body is not None or self._taken(line.log_index):
                    self._damage.note("bodies", "kept", line.log_index)
            elif body is None:
                self._damage.note("bodies", "missing", line.log_index)
            else:
                self._compare_one(line, body)

    def _taken(self, place: int) -> bool:
        return place in self._hashes or place in self._fingerprints or place in self._avatars

    def _compare_one(self, line: StatementLine, body: bytes) -> None:
        place = line.log_index
        try:
            envelope = parse_envelope(body)
            statement = parse_as(KINDS[envelope.kind], envelope.payload)
        except (ProtocolError, KeyError):
            self._damage.note("bodies", "other", place)
            return
        if envelope.statement_id != line.id.hex():
            self._damage.note("bodies", "other", place)
            return
        self._keys.learn(statement)
        rightness: dict[tuple[str, str], bool] = {
            ("signatures", "wrong"): self._keys.is_signed(line, body),
            ("statements", "other"): self._is_described(line, statement),
            ("items", "other"): self._has_hashes(place, statement),
            ("accounts", "other"): self._has_fingerprints(place, statement),
            ("withdrawn", "other"): self._is_withdrawn_rightly(line, statement),
        }
        for (check, kind), is_right in rightness.items():
            if not is_right:
                self._damage.note(check, kind, place)

    def _is_described(self, line: StatementLine, statement: Statement) -> bool:
        judged = statement if isinstance(statement, MediaFlag | AccountBan) else None
        return (
            (line.kind, line.issuer) == (statement.KIND, statement.issuer)
            and line.issued == parse_time(statement.issued)
            and line.ends == effects.end_of(statement)
            and line.items == effects.item_count(statement)
            and line.category == (None if judged is None else judged.category)
            and self._points_rightly(line, getattr(statement, "target", None))
        )

    def _points_rightly(self, line: StatementLine, target: str | None) -> bool:
        if line.target_index is None or target is None:
            return target is None and line.target_index is None
        found = self._transaction.statements.by_indices([line.target_index])
        return line.target_index in found and found[line.target_index].id == target

    def _has_hashes(self, place: int, statement: Statement) -> bool:
        expected = (
            effects.media_hashes(place, statement.items) if isinstance(statement, MediaFlag) else []
        )
        return [one.hash for one in self._hashes.get(place, [])] == expected

    def _has_fingerprints(self, place: int, statement: Statement) -> bool:
        found = self._fingerprints.get(place, [])
        avatar = self._avatars.get(place)
        if not isinstance(statement, AccountBan):
            return not found and avatar is None
        expected = [
            FingerprintLine(
                slot, one.kind, one.circle, one.epoch, one.scheme, from_base64url(one.value)
            )
            for slot, one in enumerate(statement.fingerprints)
        ]
        pdq = None if statement.avatar is None else bytes.fromhex(statement.avatar.pdq)
        return found == expected and avatar == pdq

    def _is_withdrawn_rightly(self, line: StatementLine, statement: Statement) -> bool:
        if not isinstance(statement, MediaFlag | AccountBan):
            return line.state == "active"
        count = effects.item_count(statement)
        withdrawn = self._withdrawn_items(line.log_index, count)
        state = "retracted" if withdrawn == set(range(count)) else "active"
        hashes: Iterable[HashLine] = self._hashes.get(line.log_index, [])
        return line.state == state and all(
            one.active == (one.hash.item not in withdrawn) for one in hashes
        )

    def _withdrawn_items(self, place: int, count: int) -> set[int]:
        """Returns which items of a statement count no more, by what stands here."""
        if self._transaction.revocations.among_void([place]):
            return set(range(count))
        found: set[int] = set()
        pointing = self._withdrawals.get(place, [])
        for body in self._transaction.statements.envelopes(pointing).values():
            items = self._items_of(body)
            if items is not None:
                found |= set(items) or set(range(count))
        return found

    def _items_of(self, body: bytes) -> tuple[int, ...] | None:
        """Returns which items a retract or an upheld dispute takes back, none for all of them."""
        try:
            envelope = parse_envelope(body)
            statement = parse_as(KINDS[envelope.kind], envelope.payload)
        except (ProtocolError, KeyError):
            return None  # it is named by itself when its own turn comes
        match statement:
            case Retract():
                return statement.items
            case Resolve(outcome="upheld"):
                return self._transaction.integrity.disputed_items(bytes.fromhex(statement.dispute))
            case _:
                return None
