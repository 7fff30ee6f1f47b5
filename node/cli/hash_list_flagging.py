"""`flag --from`: a list of media hashes judged row by row, signed in statements of 1000, and sent.

The list is read twice: once to judge every row, before anything is sent, and once to send what was
found fit. In between one byte is kept for each row, and sixteen for each media hash.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from node.cli.conversation import submit
from node.cli.hash_list import COLUMNS, Row, read_rows
from node.cli.list_state import Batch, Done, ListState, digest_of, joined
from node.cli.sending import FlaggerSender
from node.matching.exact import ExactIndex
from protocol.envelope import parse_envelope
from protocol.errors import ConflictError, PeerRefusedError
from protocol.limits import MAX_ITEMS, MAX_SUBMISSION_AGE_S, PDQ_MIN_QUALITY
from protocol.pdq import is_degenerate, parse_pdq
from protocol.statements import MediaItem

MOST_TOLD: Final = 10_000
"""Remarks that are kept of one list; all are counted."""

_EXACT: Final = ("sha256", "sha1", "md5")
_SENT, _EXACT_ONLY, _LEFT_OUT, _BAD, _EARLIER = range(5)
_ONLY_EXACT: Final = "only exact copies will be found"


class ListRemark(NamedTuple):
    """What a flagger should know about a row, in words.

    Attributes:
        line: of the row.
        column: where in it, if it is about one cell.
        label: what the list calls the row.
        sentence: in words, with no value of the row.
        word: what becomes of it: ``bad``, ``left out`` or ``exact only``.
    """

    line: int
    column: str
    label: str
    sentence: str
    word: str


@dataclass
class Judged:
    """What is to be done with each row of a list.

    Attributes:
        digest: SHA-256 of the list.
        verdicts: one byte for each row, in their order.
        remarks: about rows that are not simply sent, the first `MOST_TOLD`.
        counts: rows by what becomes of them: ``rows``, ``to_send``, ``exact_only``, ``left_out``,
            ``bad`` and ``sent_before``.
        columns: media hashes to send, by column.
    """

    digest: str
    verdicts: bytearray = field(default_factory=bytearray)
    remarks: list[ListRemark] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    columns: Counter[str] = field(default_factory=Counter)

    @property
    def statements(self) -> int:
        """In how many statements the rows go."""
        return -(-self.counts["to_send"] // MAX_ITEMS)

    def note(self, row: Row, word: str, sentence: str, column: str = "") -> None:
        """Remembers a remark, while there is room."""
        if len(self.remarks) < MOST_TOLD:
            self.remarks.append(ListRemark(row.line, column, row.label, sentence, word))


def judge(path: Path, state: ListState, about: str, *, strict: bool) -> Judged:
    """Returns what is to be done with each row of a list; nothing is sent.

    A file that an earlier row names, or an earlier list did, adds nothing and is left out. A pdq
    that is not fit for matching, or stands in an earlier row, leaves the row its exact digests.

    Args:
        path: of the list.
        state: what was sent before.
        about: as `Batch` has it.
        strict: leave out what would be sent under its exact digests alone.

    Raises:
        InvalidError: it is no list.
        ConflictError: it was begun with something else said about it.
    """
    digest = digest_of(path)
    judged = Judged(digest)
    upto = state.upto(digest, about)
    seen = ExactIndex()
    for row in read_rows(path):
        judged.counts["rows"] += 1
        if row.line <= upto:
            verdict = _EARLIER
            judged.counts["sent_before"] += 1
        elif row.item is None:
            verdict = _BAD
            judged.counts["bad"] += 1
            for fault in row.faults:
                judged.note(row, "bad", fault.sentence, fault.column)
        else:
            verdict = _judge_item(row, row.item, judged, seen, state, strict=strict)
        judged.verdicts.append(verdict)
    return judged


def _judge_item(
    row: Row, item: MediaItem, judged: Judged, seen: ExactIndex, state: ListState, *, strict: bool
) -> int:
    exact = [state.mark(kind, value) for kind, value in hashes_of(item) if kind != "pdq"]
    why = _known(exact, seen, state, "names the same file as")
    if why is None:
        unfit = _unfit(item)
        pdq = [] if item.pdq is None or unfit else [state.mark("pdq", item.pdq)]
        unfit = unfit or _known(pdq, seen, state, "has the same pdq as")
        if unfit is None or (exact and not strict):
            if unfit is not None:
                judged.note(row, "exact only", f"{unfit}: {_ONLY_EXACT}")
                judged.counts["exact_only"] += 1
            marks = [*exact, *(pdq if unfit is None else [])]
            seen.add([row.line] * len(marks), marks)
            judged.counts["to_send"] += 1
            judged.columns.update(
                kind for kind, _ in hashes_of(item) if kind != "pdq" or unfit is None
            )
            return _SENT if unfit is None else _EXACT_ONLY
        why = unfit
    judged.note(row, "left out", why)
    judged.counts["left_out"] += 1
    return _LEFT_OUT


def _known(marks: list[bytes], seen: ExactIndex, state: ListState, what: str) -> str | None:
    """Says which earlier row has one of these media hashes, if one has."""
    lines = [line for mark in marks for line in seen.find(mark)]
    if lines:
        return f"it {what} line {min(lines)}"
    return f"it {what} one that was sent before" if any(map(state.has, marks)) else None


def _unfit(item: MediaItem) -> str | None:
    """Says why a pdq must not be matched by, if so (docs/protocol.md section 13.4)."""
    if item.pdq is None or item.quality is None:
        return None
    if item.quality < PDQ_MIN_QUALITY:
        return f"the quality of its pdq is below {PDQ_MIN_QUALITY}"
    if is_degenerate(parse_pdq(item.pdq)):
        return "its pdq is that of a nearly constant picture"
    return None


def hashes_of(item: MediaItem) -> list[tuple[str, str]]:
    """Returns the media hashes of an item, each with its kind."""
    return [
        (kind, value)
        for kind in COLUMNS
        if kind != "quality" and (value := getattr(item, kind)) is not None
    ]


def send(
    path: Path,
    judged: Judged,
    state: ListState,
    sender: FlaggerSender,
    about: str,
    *,
    clock: Callable[[], float] = time.time,
) -> Iterator[Done]:
    """Sends what was judged fit, and gives each statement as the node acknowledges it.

    Raises:
        ProtocolError: the finding is not one that a statement can carry; nothing was sent.
        FederationError: one did not arrive; the same call goes on from there.
        ConflictError: the list is another one by now.
    """
    for items, batch in _batches(path, judged, state, about):
        envelope = sender.sign(items, int(clock()))
        # Before it is sent, so that a crash from here on leaves the bytes that were sent.
        state.prepare(batch, envelope)
        yield _submit(state, sender, batch, envelope)


def settle(
    state: ListState, sender: FlaggerSender, *, clock: Callable[[], float] = time.time
) -> Done | None:
    """Submits again what was signed before an interruption, if there is something.

    Raises:
        FederationError: it did not arrive.
    """
    left = state.pending()
    if left is None:
        return None
    batch, envelope = left
    try:
        return _submit(state, sender, batch, envelope)
    except PeerRefusedError:
        # The node would know it by now. It does not, and takes nothing that was signed so long ago:
        # its rows are signed anew.
        if clock() - _signed_at(state.pending_path) < MAX_SUBMISSION_AGE_S:
            raise
        state.drop_pending()
        return None


def _signed_at(path: Path) -> float:
    return path.stat().st_mtime


def _submit(state: ListState, sender: FlaggerSender, batch: Batch, envelope: bytes) -> Done:
    expected = parse_envelope(envelope).statement_id
    (receipt,) = submit(sender.flagger, [envelope])
    if receipt.id != expected:
        raise ConflictError("The node acknowledged another statement than it was sent.")
    done = Done(batch, receipt.id, receipt.index)
    state.acknowledge(done)
    return done


def _batches(
    path: Path, judged: Judged, state: ListState, about: str
) -> Iterator[tuple[list[MediaItem], Batch]]:
    """Gives the rows that are to be sent, in statements; the last line of each is done with."""
    items: list[MediaItem] = []
    marks: list[bytes] = []
    first = last = 0

    def batch() -> Batch:
        return Batch(judged.digest, about, first, last, len(items), joined(marks))

    if digest_of(path) != judged.digest:
        raise ConflictError(f"{path}: it has changed since it was checked.")
    for row, verdict in zip(read_rows(path), judged.verdicts, strict=True):
        if verdict not in {_SENT, _EXACT_ONLY}:
            continue
        assert row.item is not None
        item = row.item
        if verdict == _EXACT_ONLY:
            item = msgspec.structs.replace(item, pdq=None, quality=None)
        first, last = first or row.line, row.line
        items.append(item)
        marks += [state.mark(kind, value) for kind, value in hashes_of(item)]
        if len(items) == MAX_ITEMS:
            yield items, batch()
            items, marks, first = [], [], 0
    if items:
        yield items, batch()
