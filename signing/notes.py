"""Checkpoints signed by a log, and the decision to believe one (C2SP signed-note, type 0x01).

What it is: the only place where a note signature is made or decided on. What it is not: a check of
the root. Whether the log of a believed checkpoint extends the one seen before is for
`protocol.merkle.verify_consistency` to show, and whether it holds the entries for `Frontier`.
"""

from collections.abc import Sequence
from dataclasses import replace

from protocol.checkpoint import (
    ED25519,
    Checkpoint,
    Note,
    NoteSignature,
    format_note,
    note_key_id,
    parse_checkpoint,
    parse_note,
)
from protocol.errors import MalformedError, RevokedError, SigningError, UnknownKeyError
from signing.keys import KeyUse, PublicKey, SigningKey


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey, *more: SigningKey) -> bytes:
    """Return the signed note of a checkpoint of the node's own log.

    The caller owes that the entries behind the checkpoint are durable, and that it never signed a
    checkpoint which contradicts this one: a signature here cannot be taken back.

    Args:
        checkpoint: without extension lines; its origin becomes the name of the key.
        key: the key of the log.
        more: further keys of the same log, while one takes the place of another: who knows only
            one of them believes the note by its line.

    Raises:
        MalformedError: the origin cannot be the name of a key.
        RuntimeError: a key is for another use, or there are extension lines.
    """
    keys = (key, *more)
    if any(one.use is not KeyUse.LOG for one in keys):
        raise RuntimeError("Only a key for the use `log` signs checkpoints.")
    if checkpoint.extensions:
        raise RuntimeError("Our own checkpoints have no extension lines (tlog-checkpoint).")
    name, text = checkpoint.origin, checkpoint.to_text()
    lines = tuple(
        NoteSignature(name, note_key_id(name, ED25519, one.public.raw), one.sign(text.encode()))
        for one in keys
    )
    return format_note(Note(text, lines))


def open_checkpoint(note_bytes: bytes, *, origin: str, key: PublicKey) -> Checkpoint:
    """Return the checkpoint that the log `origin` signed with `key`, as `open_signed` does."""
    return open_signed(note_bytes, origin=origin, keys=(key,))


def open_signed(note_bytes: bytes, *, origin: str, keys: Sequence[PublicKey]) -> Checkpoint:
    """Return the checkpoint that the log `origin` signed with at least one of its keys.

    1. The note is well-formed.
    2. At least one of its lines names one of the keys, and no two name the same; lines of other
       keys, such as cosignatures, are ignored.
    3. The signature of each such line fits the text, else the whole note is refused.
    4. The text is a checkpoint, and of this origin.

    Args:
        note_bytes: untrusted bytes.
        origin: the log that was asked, from its pinned descriptor.
        keys: of that log, from the same place.

    Raises:
        LimitError: the note or the log is greater than allowed.
        MalformedError: steps 1, 2 (two lines of one key) or 4.
        RevokedError: a key is not for logs.
        UnknownKeyError: step 2, no line of any of the keys.
        BadSignatureError: step 3.
    """
    if any(key.use is not KeyUse.LOG for key in keys):
        raise RevokedError("The key is not for the signing of checkpoints.")
    # Step 1
    note = parse_note(note_bytes)
    # Step 2
    signed = []
    for key in keys:
        known = (origin, note_key_id(origin, ED25519, key.raw))
        lines = [line for line in note.signatures if (line.name, line.key_id) == known]
        if len(lines) > 1:
            raise MalformedError("The note has two signatures of one key.")
        signed += [(key, line) for line in lines]
    if not signed:
        raise UnknownKeyError("The note has no signature of the log's key.")
    # Step 3
    for key, line in signed:
        key.verify(note.text.encode(), line.raw)
    # Step 4
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != origin:
        raise MalformedError("The checkpoint is of another log than the one that signed it.")
    return checkpoint


def drop_false_lines(note_bytes: bytes, *, origin: str, keys: Sequence[PublicKey]) -> bytes | None:
    """Return a note without the lines under the log's name that none of its keys has signed.

    Nothing protects the lines of a note: whoever hands one on can put a false one under a key that
    its first reader does not know, or knows no more, and that the next one does.

    Args:
        note_bytes: a well-formed note.
        origin: the log, whose name these lines carry; all other lines stay.
        keys: of that log, whenever they are or were valid.

    Returns:
        The note, with at most one line of each of these keys; None where there would be none.
    """
    note = parse_note(note_bytes)
    by_id = {note_key_id(origin, ED25519, key.raw): key for key in keys}
    kept: list[NoteSignature] = []
    for line in note.signatures:
        if line.name == origin:
            key = by_id.get(line.key_id)
            if key is None or not _holds(note, line, key):
                continue
            del by_id[line.key_id]
        kept.append(line)
    is_signed = any(line.name == origin for line in kept)
    return format_note(replace(note, signatures=tuple(kept))) if is_signed else None


def _holds(note: Note, line: NoteSignature, key: PublicKey) -> bool:
    try:
        key.verify(note.text.encode(), line.raw)
    except SigningError:
        return False
    return True
