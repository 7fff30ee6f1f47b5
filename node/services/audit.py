"""Who did what and when: never which value was looked up.

Acts that change something are written in the transaction that changes it. Media look-ups, of which
there are many, are gathered in memory and written every half second, and when the node stops: a
crash can lose the lines of the last half second, and no act.
"""

import threading
from collections.abc import Callable

import structlog

from node.services.ingest import Also
from node.storage.engine import Store
from node.storage.journal import AuditEntry
from node.storage.transaction import Transaction
from protocol.fields import StatementId

_log = structlog.get_logger("node.audit")
_FLUSH_EVERY_S = 0.5
_FLUSH_AT = 2_000
_MOST_WAITING = 100_000

Line = tuple[str, str, str | None, str | None, int]
_COLUMNS = ("actor", "action", "subject", "detail", "at")


class Audit:
    """Records and exports the audit."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._waiting: list[Line] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins to write gathered lines in the background."""
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Writes what is left and ends."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()

    def record(
        self, actor: str, action: str, *, subject: str | None = None, detail: str | None = None
    ) -> None:
        """Writes one line now."""
        with self._store.write() as transaction:
            transaction.journal.audit(
                actor, action, at=int(self._clock()), subject=subject, detail=detail
            )

    def with_statement(
        self, actor: str, action: str, *, subject: str | None = None, detail: str | None = None
    ) -> Also:
        """Returns what writes one line in the transaction that adds a statement.

        Args:
            actor: who wanted it.
            action: what was done.
            subject: what it was done to; None for the new statement itself.
            detail: more of it, never a value that was looked up.
        """

        def write(transaction: Transaction, statement_id: StatementId) -> None:
            at = int(self._clock())
            transaction.journal.audit(
                actor, action, at=at, subject=subject or statement_id, detail=detail
            )

        return write

    def note(
        self, actor: str, action: str, *, subject: str | None = None, detail: str | None = None
    ) -> None:
        """Gathers one line, to be written within half a second."""
        with self._lock:
            self._waiting.append((actor, action, subject, detail, int(self._clock())))
            if len(self._waiting) >= _FLUSH_AT:
                self._wake.set()

    def flush(self) -> None:
        """Writes the gathered lines.

        Raises:
            UnavailableError: the database does not answer; the lines are kept for the next time.
        """
        with self._lock:
            lines, self._waiting = self._waiting, []
        if not lines:
            return
        try:
            with self._store.write() as transaction:
                transaction.journal.audit_lines(
                    [dict(zip(_COLUMNS, line, strict=True)) for line in lines]
                )
        except BaseException:
            self._put_back(lines)
            raise

    def _put_back(self, lines: list[Line]) -> None:
        """Keeps what could not be written for the next time; a database long away loses some."""
        with self._lock:
            lines += self._waiting
            lost = len(lines) - _MOST_WAITING
            if lost > 0:
                del lines[_MOST_WAITING:]
                now = int(self._clock())
                lines.append(("node", "audit.lost", None, f"{lost} lines were lost", now))
            self._waiting = lines

    def export(self, after: int = 0, limit: int = 1_000) -> list[AuditEntry]:
        """Returns the lines behind a number, oldest first."""
        self.flush()
        with self._store.read() as transaction:
            return transaction.journal.audit_after(after, limit=limit)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(_FLUSH_EVERY_S)
            self._wake.clear()
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001  # the database may be away; lines are kept
                _log.warning("audit_waits", error=type(error).__name__)
