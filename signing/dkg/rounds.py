"""The three rounds of COCKTAIL-DKG, as functions from bytes to values.

::

    every participant i of n                      passed on by whoever coordinates
    session = open_session(id, t, publics)
    seat = take_seat(session, static)
    message = commit(seat)
                                     -- message -->
                                     <-- all n messages --
    candidate = receive(seat, messages, own=message)
    signature = certify(seat, candidate)
                                     -- signature -->
                                     <-- all n signatures --
    generated = conclude(seat, candidate, signatures)

Round 1 leaves no secret behind: polynomial and ephemeral key are gone when `commit` returns, and
all that a participant keeps until the end is its static key pair and the bytes that it sent. So it
can stop anywhere and go on: `receive` and `certify` give the same for the same bytes. What it must
never do is to send a second, different message of round 1 in the same session.

A static key pair is for one session. Whoever has it, and the messages, has the share.

Python cannot wipe `bytes`; secrets live until their objects are freed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.errors import (
    BadSignatureError,
    KeygenError,
    MalformedError,
)
from signing.dkg.ciphersuite import (
    Channel,
    seal,
    sign,
    unseal,
    verify_signature,
)
from signing.dkg.messages import (
    Commitment,
    encode_commitment,
    encode_transcript,
    parse_commitment,
)
from signing.dkg.polynomials import add_points, evaluate, evaluate_points, is_share_of
from signing.dkg.sessions import COORDINATOR, Seat, Session, blaming
from signing.oprf.elements import SCALAR_BYTES, Element
from signing.oprf.group import Group, default_group
from signing.oprf.voprf import KeyPair, load_key_pair


@dataclass(frozen=True, repr=False)
class Candidate:
    """A share that fits, and is of no use until everybody has certified the same transcript.

    Attributes:
        share: the participant's share and its public key; secret.
        commitments: to the polynomial that all made together, as many as the threshold; the first
            is the public key of the undivided key.
        payloads: what each participant sent along with the share, in their order.
        transcript: T of the specification; public.
    """

    share: KeyPair
    commitments: tuple[bytes, ...]
    payloads: tuple[bytes, ...]
    transcript: bytes

    def __repr__(self) -> str:
        """Say what it is and nothing more."""
        return "Candidate(hidden)"


@dataclass(frozen=True, repr=False)
class Generated:
    """What a key generation gives one participant. Made by `conclude` and nowhere else.

    Attributes:
        share: its share and the share's public key; the private half is secret.
        commitments: as many as the threshold, 32 bytes each; the first is the public key. What
            `signing.oprf.shares` takes, and what a circle descriptor publishes.
        transcript_digest: SHA-512 of the transcript that all participants signed.
    """

    share: KeyPair
    commitments: tuple[bytes, ...]
    transcript_digest: bytes

    def __repr__(self) -> str:
        """Say what it is and nothing more."""
        return "Generated(hidden)"


class Witnessed(NamedTuple):
    """What everybody may know of a finished key generation: as in `Generated`, without a share."""

    commitments: tuple[bytes, ...]
    transcript_digest: bytes


def commit(
    seat: Seat,
    *,
    payload: bytes = b"",
    group: Group | None = None,
    _scalars: Sequence[bytes] | None = None,
) -> bytes:
    """Return this participant's message of round 1. The caller keeps it before it sends it.

    Args:
        seat: from `take_seat`.
        payload: what every recipient shall find with its share.
        group: the backend.
        _scalars: coefficients and ephemeral secret of a vector; in tests only. The same ones in
            two sessions give shares away.
    """
    group = group or default_group()
    session, static = seat.session, seat.static
    scalars = _scalars or [group.random_scalar() for _ in range(session.threshold + 1)]
    polynomial = [load_key_pair(scalar, group=group) for scalar in scalars[:-1]]
    ephemeral = load_key_pair(scalars[-1], group=group)

    coefficients = tuple(pair.public for pair in polynomial)
    statement = _proven(session, coefficients, ephemeral.public)
    proof = sign(polynomial[0], statement, group=group)
    ciphertexts = []
    for recipient, public in enumerate(session.publics, start=1):
        share = evaluate(group, [pair.private for pair in polynomial], recipient)
        point = group.decode_element(public)
        shared = _agree(group, ephemeral.private, point) + _agree(group, static.private, point)
        channel = Channel(ephemeral.public, static.public, public, session.context)
        ciphertexts.append(seal(shared, channel, share + payload))
    return encode_commitment(coefficients, proof, ephemeral.public, tuple(ciphertexts))


def receive(
    seat: Seat,
    messages: Sequence[bytes],
    *,
    own: bytes,
    extension: bytes = b"",
    group: Group | None = None,
) -> Candidate:
    """Return the share that all messages of round 1 together give this participant (round 2).

    1. There is one message for each participant, and this one's own came back unchanged.
    2. Every message is of its form, with exactly as many commitments as the threshold.
    3. Every proof of possession holds.
    4. Every share for this participant opens, is a scalar, and fits its sender's commitments.
    5. The sum of the shares fits the sum of the commitments.

    Args:
        seat: from `take_seat`.
        messages: everybody's message of round 1, in the order of the participants.
        own: what this participant sent.
        extension: what else all certify that they have seen alike; may be empty.
        group: the backend.

    Raises:
        KeygenError: a step fails. The culprit is the sender of the message at fault, or
            `COORDINATOR` in step 1.
    """
    group = group or default_group()
    session = seat.session
    # 1
    if len(messages) != len(session.publics):
        raise KeygenError("Not every participant's message was passed on.", culprit=COORDINATOR)
    if messages[seat.index - 1] != own:
        raise KeygenError("Another message came back than was sent.", culprit=COORDINATOR)
    commitments = []
    shares = []
    payloads = []
    for sender, message in enumerate(messages, start=1):
        with blaming(sender):
            # 2, 3
            commitment = _read(session, message, group)
            # 4
            share, payload = _open_share(seat, sender, commitment, group)
        commitments.append(commitment)
        shares.append(share)
        payloads.append(payload)
    # 5
    totals = add_points(group, [commitment.points for commitment in commitments])
    total = shares[0]
    for share in shares[1:]:
        total = group.add_scalars(total, share)
    pair = _final_pair(group, total, totals, seat.index)
    transcript = encode_transcript(
        session.context, session.threshold, session.publics, commitments, extension
    )
    encoded = tuple(map(group.encode_element, totals))
    return Candidate(pair, encoded, tuple(payloads), transcript)


def certify(seat: Seat, candidate: Candidate, *, group: Group | None = None) -> bytes:
    """Return this participant's signature over the transcript that it saw (round 3)."""
    return sign(seat.static, candidate.transcript, group=group or default_group())


def conclude(
    seat: Seat,
    candidate: Candidate,
    signatures: Sequence[bytes],
    *,
    group: Group | None = None,
) -> Generated:
    """Return the result, now that every participant has signed the same transcript (round 3).

    Args:
        seat: from `take_seat`.
        candidate: from `receive`.
        signatures: everybody's, in the order of the participants.
        group: the backend.

    Raises:
        KeygenError: a signature is missing, or does not hold over this participant's transcript.
            Its signer is named: it signed badly, or it was shown other messages, which comparing
            what the two of them received tells.
    """
    group = group or default_group()
    digest = _verify_all(seat.session, candidate.transcript, signatures, group)
    return Generated(candidate.share, candidate.commitments, digest)


def witness(
    session: Session,
    messages: Sequence[bytes],
    signatures: Sequence[bytes],
    *,
    extension: bytes = b"",
    group: Group | None = None,
) -> Witnessed:
    """Return what the key generation came to, for somebody who takes no part in it.

    That the shares fit, only those can tell who have one; that they do, each has signed.

    Args:
        session: from `open_session`.
        messages: everybody's message of round 1, in the order of the participants.
        signatures: everybody's signature of round 3, in the same order.
        extension: as the participants have it.
        group: the backend.

    Raises:
        KeygenError: as `receive` in its steps 1 to 3, and as `conclude`.
    """
    group = group or default_group()
    if len(messages) != len(session.publics):
        raise KeygenError("Not every participant's message was passed on.", culprit=COORDINATOR)
    commitments = []
    for sender, message in enumerate(messages, start=1):
        with blaming(sender):
            commitments.append(_read(session, message, group))
    totals = add_points(group, [commitment.points for commitment in commitments])
    transcript = encode_transcript(
        session.context, session.threshold, session.publics, commitments, extension
    )
    digest = _verify_all(session, transcript, signatures, group)
    return Witnessed(tuple(map(group.encode_element, totals)), digest)


def _read(session: Session, message: bytes, group: Group) -> Commitment:
    """Return a message of round 1 whose form and proof of possession hold."""
    commitment = parse_commitment(
        message, threshold=session.threshold, participants=len(session.publics), group=group
    )
    statement = _proven(session, commitment.coefficients, commitment.ephemeral)
    verify_signature(commitment.coefficients[0], commitment.proof, statement, group=group)
    return commitment


def _verify_all(
    session: Session, transcript: bytes, signatures: Sequence[bytes], group: Group
) -> bytes:
    """Return the digest of a transcript that every participant has signed."""
    if len(signatures) != len(session.publics):
        raise KeygenError("Not every participant's signature was passed on.", culprit=COORDINATOR)
    for signer, (public, signature) in enumerate(
        zip(session.publics, signatures, strict=True), start=1
    ):
        with blaming(signer):
            verify_signature(public, signature, transcript, group=group)
    return hashlib.sha512(transcript).digest()


def _proven(session: Session, coefficients: tuple[bytes, ...], ephemeral: bytes) -> bytes:
    """Return what the proof of possession signs: ``context || C || E``."""
    return session.context + b"".join(coefficients) + ephemeral


def _agree(group: Group, private: bytes, point: Element) -> bytes:
    """Return a Diffie-Hellman secret, as the encoding of an element."""
    return group.encode_element(group.multiply(private, point))


def _open_share(
    seat: Seat, sender: int, commitment: Commitment, group: Group
) -> tuple[bytes, bytes]:
    """Return share and payload of one sender, the share verified (steps 3.1 to 3.4 of round 2)."""
    session, static = seat.session, seat.static
    public = session.publics[sender - 1]
    shared = b"".join(
        _agree(group, static.private, group.decode_element(point))
        for point in (commitment.ephemeral, public)
    )
    channel = Channel(commitment.ephemeral, public, static.public, session.context)
    plaintext = unseal(shared, channel, commitment.ciphertexts[seat.index - 1])
    share = group.decode_scalar(plaintext[:SCALAR_BYTES])
    try:
        fits = is_share_of(group, share, commitment.points, seat.index)
    except MalformedError:
        # The identity came up: a share of zero, or commitments that cancel out at this index.
        # Neither happens by chance.
        fits = False
    if not fits:
        raise BadSignatureError("The share does not fit the commitments.")
    return share, plaintext[SCALAR_BYTES:]


def _final_pair(group: Group, total: bytes, totals: Sequence[Element], index: int) -> KeyPair:
    """Return the share's key pair, if it fits; it must, after every single share did."""
    try:
        pair = load_key_pair(total, group=group)
        expected = group.encode_element(evaluate_points(group, totals, index))
    except MalformedError as error:
        raise KeygenError("The shares of several participants cancel out.") from error
    if pair.public != expected:
        raise KeygenError("The sum of the shares does not fit the sum of the commitments.")
    return pair
