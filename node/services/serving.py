"""Envelopes for peers: the exact bytes, to their audience only."""

from collections.abc import Callable, Sequence

from node.services.directory import StoredDirectory
from node.storage.engine import Store
from node.storage.statements import StatementRecord
from protocol.fields import StatementId
from protocol.limits import MAX_PEER_RESPONSE_BYTES
from protocol.messages import EnvelopeAnswer, Envelopes

_OVERHEAD_BYTES = 160
_ESCAPES = 1.1  # a JSON text inside a JSON string: every quotation mark gains a backslash


class Serving:
    """Answers peers that ask for statements by id."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def envelopes(self, ids: Sequence[str], *, reader: str) -> Envelopes:
        """Returns the statements asked for, as far as one answer holds, and why some have no body.

        Args:
            ids: statement ids, at most `limits.MAX_ENVELOPES_PER_REQUEST`.
            reader: name of the node that asks, as its signature showed.
        """
        answers: list[EnvelopeAnswer] = []
        room = MAX_PEER_RESPONSE_BYTES // 2
        now = int(self._clock())
        with self._store.read() as transaction:
            records = transaction.statements.by_ids(ids)
            directory = StoredDirectory(transaction)
            for one in ids:
                record = records.get(StatementId(one))
                answer = _without_body(one, record, reader, directory, now)
                if answer is None:
                    assert record is not None
                    index = record.log_index
                    body = transaction.statements.envelopes([index])[index]
                    answer = EnvelopeAnswer(id=one, state="present", envelope=body.decode())
                    room -= int(len(body) * _ESCAPES)
                room -= _OVERHEAD_BYTES
                if room < 0 and answers:
                    break
                answers.append(answer)
        return Envelopes(envelopes=tuple(answers))


def _without_body(
    statement_id: str,
    record: StatementRecord | None,
    reader: str,
    directory: StoredDirectory,
    now: int,
) -> EnvelopeAnswer | None:
    if record is None:
        return EnvelopeAnswer(id=statement_id, state="unknown")
    if not directory.includes(directory.audience(record), reader):
        return EnvelopeAnswer(id=statement_id, state="withheld")
    if record.state == "erased":
        return EnvelopeAnswer(id=statement_id, state="erased")
    # What has ended goes to nobody, also before the job that deletes it has run.
    if record.state == "expired" or (record.ends is not None and record.ends <= now):
        return EnvelopeAnswer(id=statement_id, state="expired")
    return None


def audience_of(record: StatementRecord, directory: StoredDirectory) -> tuple[str, ...]:
    """Returns who may have a stored statement."""
    return directory.audience(record)
