"""Cosignatures of witnesses on checkpoints (C2SP tlog-cosignature, type 0x04).

What it is: the only place where a cosignature is made or decided on. What it is not: the decision
to cosign, which is `node.services.witnessing`'s, or how many cosignatures are enough, which a
`protocol.witness_policy.WitnessPolicy` says.
"""

from collections.abc import Collection, Mapping
from typing import Final

from protocol.checkpoint import COSIGNATURE, Note, NoteKey, NoteSignature, note_key_id
from protocol.errors import BadSignatureError, MalformedError
from signing.keys import SIGNATURE_BYTES, KeyUse, PublicKey, SigningKey

_TIME_BYTES: Final = 8
_MAX_TIME: Final = 2**63 - 1


def witness_name(node: str) -> str:
    """Return the name under which a node cosigns: its own, and ``/witness``."""
    return f"{node}/witness"


def witness_note_key(node: str, key: PublicKey) -> NoteKey:
    """Return a node's witness key as policy files name it.

    Raises:
        MalformedError: the name cannot be that of a key.
        RuntimeError: the key is for another use.
    """
    if key.use is not KeyUse.WITNESS:
        raise RuntimeError("Only a key for the use `witness` cosigns.")
    return NoteKey(witness_name(node), COSIGNATURE, key.raw)


def cosign(text: str, key: SigningKey, *, name: str, now: int) -> NoteSignature:
    """Return the cosignature on a checkpoint.

    The caller owes that it has verified the checkpoint, that it extends the one that this key
    cosigned last for the origin, and that this is durable: a cosignature cannot be taken back.

    Args:
        text: of the checkpoint, with its last newline.
        key: the node's witness key.
        name: under which it cosigns.
        now: Unix time in seconds.

    Raises:
        MalformedError: the name cannot be that of a key.
        RuntimeError: the key is for another use.
    """
    if key.use is not KeyUse.WITNESS:
        raise RuntimeError("Only a key for the use `witness` cosigns.")
    key_id = note_key_id(name, COSIGNATURE, key.public.raw)
    raw = now.to_bytes(_TIME_BYTES, "big") + key.sign(_message(text, now))
    return NoteSignature(name, key_id, raw)


def verify_cosignatures(note: Note, keys: Collection[NoteKey]) -> Mapping[NoteKey, int]:
    """Return which of `keys` have cosigned a note, and when (Unix time in seconds).

    1. Lines of other keys are ignored.
    2. No key has two lines.
    3. Every line of one of `keys` holds, else the whole note is refused (signed-note).

    Args:
        note: parsed, nothing in it believed.
        keys: of type `COSIGNATURE`, from the reader's own policy.

    Raises:
        MalformedError: step 2, or a key that is none.
        BadSignatureError: step 3.
    """
    by_name = {(key.name, key.key_id): key for key in keys}
    found: dict[NoteKey, int] = {}
    for line in note.signatures:
        # Step 1
        key = by_name.get((line.name, line.key_id))
        if key is None:
            continue
        # Step 2
        if key in found:
            raise MalformedError("The note has two cosignatures of one key.")
        # Step 3
        found[key] = _verify(note.text, line, key)
    return found


def _verify(text: str, line: NoteSignature, key: NoteKey) -> int:
    if key.algorithm != COSIGNATURE:
        raise MalformedError("The key of a witness has the signature type 0x04.")
    if len(line.raw) != _TIME_BYTES + SIGNATURE_BYTES:
        raise BadSignatureError(f"A cosignature has {_TIME_BYTES + SIGNATURE_BYTES} bytes.")
    time = int.from_bytes(line.raw[:_TIME_BYTES], "big")
    # Zero is for subtrees: it would not say that this was the largest log seen by then.
    if not 0 < time <= _MAX_TIME:
        raise BadSignatureError("A cosignature has a time of its own.")
    PublicKey(KeyUse.WITNESS, key.public_key).verify(_message(text, time), line.raw[_TIME_BYTES:])
    return time


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
