"""The operator's allow list: what passes whatever any list says of it. It never leaves the node."""

from collections.abc import Callable

from node.storage.engine import Store
from node.storage.gates import Allowed
from protocol.errors import InvalidError, NotFoundError
from protocol.limits import MAX_TEXT_CHARS, PDQ_BITS, PDQ_MATCH_DISTANCE
from protocol.pdq import is_degenerate, parse_pdq

MAX_ALLOWED = 10_000
"""Entries of the list; each look-up that finds something goes through all of them."""

MAX_ALLOWED_DAYS = 731
"""Longest time for which something is allowed without another look."""

_SECONDS_PER_DAY = 86_400
_DIGEST_HEX = PDQ_BITS // 4


class AllowList:
    """Adds, lists and removes."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def add(
        self, kind: str, value: str, *, radius: int, reason: str, days: int, actor: str
    ) -> Allowed:
        """Lets pass what lies within `radius` bits of a pdq, or one file by its SHA-256.

        SHA-1 and MD5 are not taken: whoever makes two files with one digest would have the harmless
        one allowed.

        Args:
            kind: ``pdq`` or ``sha256``.
            value: 64 lower-case hexadecimal digits.
            radius: 0 to 31 bits; 0 for a digest.
            reason: why, for whoever looks at the list later.
            days: for how long.
            actor: who says so.

        Raises:
            InvalidError: one of these is not as it should be, or the list is full.
        """
        self._check(kind, value, radius=radius, reason=reason, days=days)
        now = int(self._clock())
        entry = Allowed(
            0,
            kind,
            bytes.fromhex(value),
            radius,
            reason.strip(),
            added=now,
            added_by=actor,
            ends=now + days * _SECONDS_PER_DAY,
        )
        with self._store.write() as transaction:
            if len(transaction.gates.allowed()) >= MAX_ALLOWED:
                raise InvalidError(f"The allow list has {MAX_ALLOWED} entries: remove some.")
            number = transaction.gates.allow(entry)
            transaction.gates.changed()
            transaction.journal.audit(
                actor,
                "allow.add",
                at=now,
                subject=str(number),
                detail=f"kind={kind} radius={radius} days={days}",
            )
            return next(one for one in transaction.gates.allowed() if one.number == number)

    def list(self) -> list[Allowed]:
        """Returns the list, what has ended lately too."""
        with self._store.read() as transaction:
            return transaction.gates.allowed()

    def remove(self, number: int, *, actor: str) -> None:
        """Takes an entry from the list.

        Raises:
            NotFoundError: there is none of this number.
        """
        with self._store.write() as transaction:
            if not transaction.gates.disallow(number):
                raise NotFoundError("The allow list has no entry of this number.")
            transaction.gates.changed()
            transaction.journal.audit(
                actor, "allow.remove", at=int(self._clock()), subject=str(number), detail=None
            )

    def _check(self, kind: str, value: str, *, radius: int, reason: str, days: int) -> None:
        if kind not in {"pdq", "sha256"}:
            raise InvalidError("What is allowed is a pdq or a sha256.", where="kind")
        if len(value) != _DIGEST_HEX or not set(value) <= set("0123456789abcdef"):
            raise InvalidError("It has 64 lower-case hexadecimal digits.", where="value")
        if not 0 <= radius <= (PDQ_MATCH_DISTANCE if kind == "pdq" else 0):
            raise InvalidError(
                f"A radius is 0 to {PDQ_MATCH_DISTANCE} bits, and 0 for a digest.", where="radius"
            )
        if kind == "pdq" and is_degenerate(parse_pdq(value)):
            raise InvalidError(
                "This is the pdq of a nearly constant picture, and would let others pass: allow "
                "the file by its SHA-256.",
                where="value",
            )
        if not 0 < len(reason.strip()) <= MAX_TEXT_CHARS:
            raise InvalidError(f"Say why, in {MAX_TEXT_CHARS} characters or less.", where="reason")
        if not 1 <= days <= MAX_ALLOWED_DAYS:
            raise InvalidError(f"It lasts 1 to {MAX_ALLOWED_DAYS} days.", where="days")
