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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from protocol.errors import (
    BadSignatureError,
    KeygenError,
    LimitError,
    MalformedError,
    ProtocolError,
    UnknownKeyError,
)
from protocol.limits import MAX_HOLDERS
from signing.dkg.ciphersuite import (
    CIPHERSUITE,
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
from signing.oprf.elements import SCALAR_BYTES, Element
from signing.oprf.group import Group, default_group
from signing.oprf.voprf import KeyPair, load_key_pair

COORDINATOR: Final = 0
"""`KeygenError.culprit` when something was not passed on as it was sent."""


@dataclass(frozen=True, repr=False)
class Session:
    """What all participants agree on before round 1.

    Attributes:
        context: 64 bytes that no other session has, bound to the participants and their order.
        threshold: how many shares make the key.
        publics: the static public keys, 32 bytes each; participant i's is `publics[i - 1]`.
    """

    context: bytes
    threshold: int
    publics: tuple[bytes, ...]

    def __repr__(self) -> str:
        """Say threshold and number of participants and nothing more."""
        return f"Session({self.threshold} of {len(self.publics)}, hidden)"


@dataclass(frozen=True, repr=False)
class Seat:
    """A participant's place in a session. Made by `take_seat` and nowhere else.

    Attributes:
        session: what all agreed on.
        index: the participant's own, 1 to n.
        static: its key pair for this session; the private half is secret.
    """

    session: Session
    index: int
    static: KeyPair

    def __repr__(self) -> str:
        """Say which place it is and nothing more."""
        return f"Seat({self.index} of {len(self.session.publics)}, hidden)"


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


def open_session(
    session_id: bytes, threshold: int, publics: Sequence[bytes], *, group: Group | None = None
) -> Session:
    """Return the session, with the context that the specification recommends ("Setup").

    Args:
        session_id: what no other session of these participants has.
        threshold: 1 to the number of participants.
        publics: each participant's static public key, in the order that all agreed on.
        group: the backend; `default_group` if absent, here and in every function of this module.

    Raises:
        MalformedError: a threshold out of range, or no participants.
        LimitError: more than `MAX_HOLDERS` participants.
        KeygenError: a static key is none, or is there twice; of two, the later is named.
    """
    group = group or default_group()
    count = len(publics)
    if type(threshold) is not int or not 1 <= threshold <= count:
        raise MalformedError("A threshold is 1 to the number of participants.")
    if count > MAX_HOLDERS:
        raise LimitError(f"A key is generated by at most {MAX_HOLDERS} participants.")
    for index, public in enumerate(publics, start=1):
        with _blaming(index):
            group.decode_element(public)
            if public in publics[: index - 1]:
                raise MalformedError("A static key is that of another participant.")
    context = hashlib.sha512(
        b"COCKTAIL-DKG-CONTEXT"
        + len(session_id).to_bytes(8, "big")
        + session_id
        + len(CIPHERSUITE).to_bytes(8, "big")
        + CIPHERSUITE
        + count.to_bytes(4, "little")
        + b"".join(publics)
    ).digest()
    return Session(context, threshold, tuple(publics))


def take_seat(session: Session, static: KeyPair) -> Seat:
    """Return the place in the session that belongs to this key pair.

    Raises:
        UnknownKeyError: the key pair is nobody's in this session.
    """
    if static.public not in session.publics:
        raise UnknownKeyError("This key pair is no participant's of this key generation.")
    return Seat(session, session.publics.index(static.public) + 1, static)


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
        with _blaming(sender):
            # 2
            commitment = parse_commitment(
                message,
                threshold=session.threshold,
                participants=len(session.publics),
                group=group,
            )
            # 3
            statement = _proven(session, commitment.coefficients, commitment.ephemeral)
            verify_signature(commitment.coefficients[0], commitment.proof, statement, group=group)
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
    publics = seat.session.publics
    if len(signatures) != len(publics):
        raise KeygenError("Not every participant's signature was passed on.", culprit=COORDINATOR)
    for signer, (public, signature) in enumerate(zip(publics, signatures, strict=True), start=1):
        with _blaming(signer):
            verify_signature(public, signature, candidate.transcript, group=group)
    digest = hashlib.sha512(candidate.transcript).digest()
    return Generated(candidate.share, candidate.commitments, digest)


@contextmanager
def _blaming(index: int) -> Iterator[None]:
    """Whatever is wrong inside is said together with whose fault it is."""
    try:
        yield
    except (ProtocolError, BadSignatureError) as error:
        raise KeygenError(f"Participant {index}: {error}", culprit=index) from error


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
