"""Bodies of requests and answers between nodes (docs/protocol.md section 6).

Every body is one JSON object; unknown keys are ignored, so that a later version can add some.
"""

from typing import Annotated, Literal, TypeVar

from msgspec import Meta

from protocol import limits
from protocol.encoding import convert, parse_json
from protocol.fields import (
    Bytes32,
    Bytes64,
    CircleName,
    Digest256,
    LogSize,
    NodeName,
    Nonce,
    Text,
    TimeField,
    Url,
)
from protocol.statements import Outcome
from protocol.structs import ContradictionError, Hidden


class Message(Hidden, frozen=True, kw_only=True, omit_defaults=True):
    """What all bodies have in common: nothing but being strict and frozen."""


Budget = Annotated[int, Meta(ge=0, le=limits.MAX_BUDGET)]
"""A number of elements."""


class WellKnown(Message, frozen=True, kw_only=True):
    """`GET /.well-known/schutznetz`: who answers here. Unsigned: it is for people."""

    name: NodeName
    url: Url
    fingerprint: Text
    protocol: Literal[1] = 1


class Descriptors(Message, frozen=True, kw_only=True):
    """Versions of one node's descriptor, in their order, as the texts of their envelopes."""

    descriptors: Annotated[
        tuple[Annotated[str, Meta(max_length=limits.MAX_DESCRIPTOR_BYTES)], ...],
        Meta(max_length=limits.MAX_DESCRIPTORS_PER_MESSAGE),
    ]


class JoinRequest(Message, frozen=True, kw_only=True):
    """Applies with an invite: the code, and the newcomer's descriptors from its first on."""

    code: Nonce
    descriptors: Annotated[
        tuple[Annotated[str, Meta(max_length=limits.MAX_DESCRIPTOR_BYTES)], ...],
        Meta(min_length=1, max_length=limits.MAX_DESCRIPTORS_PER_MESSAGE),
    ]


class EntriesRequest(Message, frozen=True, kw_only=True):
    """Asks for log entries from index `start` on, `limit` at most."""

    start: LogSize
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_ENTRIES_PER_REQUEST)]


class Entries(Message, frozen=True, kw_only=True):
    """Log entries (statement ids) from index `start` on."""

    start: LogSize
    entries: Annotated[tuple[Digest256, ...], Meta(max_length=limits.MAX_ENTRIES_PER_REQUEST)]


class EnvelopesRequest(Message, frozen=True, kw_only=True):
    """Asks for the envelopes of these statements."""

    ids: Annotated[
        tuple[Digest256, ...], Meta(min_length=1, max_length=limits.MAX_ENVELOPES_PER_REQUEST)
    ]


class EnvelopeAnswer(Message, frozen=True, kw_only=True):
    """One statement: its envelope as the bytes it came in, or why there is none.

    Attributes:
        id: as asked.
        state: ``present``; ``withheld``: the caller is not in its audience; ``erased``: by an
            `erase`; ``expired``: past its end; ``unknown``: not in this node's log.
        envelope: the exact text, where the state is ``present``.
    """

    id: Digest256
    state: Literal["present", "withheld", "erased", "expired", "unknown"]
    envelope: Annotated[str, Meta(max_length=limits.MAX_ENVELOPE_BYTES)] | None = None

    def __post_init__(self) -> None:
        if (self.state == "present") != (self.envelope is not None):
            raise ContradictionError("There is an envelope exactly when it is present.")


class Envelopes(Message, frozen=True, kw_only=True):
    """Answers in the order asked; fewer than asked where the answer would grow too long."""

    envelopes: Annotated[
        tuple[EnvelopeAnswer, ...], Meta(max_length=limits.MAX_ENVELOPES_PER_REQUEST)
    ]


class SetAside(Message, frozen=True, kw_only=True):
    """A statement that the peer did not take over, and why."""

    id: Digest256
    reason: Text


class Acknowledgement(Message, frozen=True, kw_only=True):
    """The caller has taken over the answering node's log up to `size`, but for what is set aside.

    `root` lets the node see at once if somebody showed the caller another log.
    """

    origin: Text
    size: LogSize
    root: Bytes32
    set_aside: Annotated[tuple[SetAside, ...], Meta(max_length=limits.MAX_LIST)] = ()


class Poke(Message, frozen=True, kw_only=True):
    """The caller's log has reached `size`: worth a sync."""

    origin: Text
    size: LogSize


class OwnLogRequest(Message, frozen=True, kw_only=True):
    """Asks a peer for the caller's own log as the peer took it over, from index `start` on."""

    start: LogSize
    limit: Annotated[int, Meta(ge=1, le=limits.MAX_ENTRIES_PER_REQUEST)]


class OwnLogAnswer(Message, frozen=True, kw_only=True):
    """The caller's own log: how far it was taken over, and the greatest checkpoint known of it.

    The checkpoint is the caller's own word, signed by it: nothing else here need be believed.
    """

    origin: Text
    size: LogSize
    start: LogSize
    entries: Annotated[tuple[Digest256, ...], Meta(max_length=limits.MAX_ENTRIES_PER_REQUEST)]
    checkpoint: Annotated[str, Meta(max_length=limits.MAX_NOTE_BYTES)] | None = None


class OprfRequest(Message, frozen=True, kw_only=True):
    """Asks for the evaluation of blinded elements (RFC 9497 section 3.3.2)."""

    circle: CircleName
    epoch: Annotated[int, Meta(ge=1, le=10**6)]
    blinded: Annotated[tuple[Bytes32, ...], Meta(min_length=1, max_length=limits.MAX_OPRF_ELEMENTS)]


class OprfAnswer(Message, frozen=True, kw_only=True):
    """Evaluated elements under the share with this index, and one proof for all of them."""

    index: Annotated[int, Meta(ge=1, le=255)]
    epoch: Annotated[int, Meta(ge=1, le=10**6)]
    evaluated: Annotated[
        tuple[Bytes32, ...], Meta(min_length=1, max_length=limits.MAX_OPRF_ELEMENTS)
    ]
    proof: Bytes64


class BudgetLeft(Message, frozen=True, kw_only=True):
    """What is left of a party's budget at one holder: member `budget` of its problem with 429.

    A batch that is larger than one of the limits is never evaluated: ask for a smaller one.
    """

    day_limit: Budget
    day_left: Budget
    minute_limit: Budget
    minute_left: Budget


class Receipt(Message, frozen=True, kw_only=True):
    """What a flagger gets for a statement: its id, and its place in the node's log."""

    id: Digest256
    index: LogSize
    duplicate: bool = False


Total = Annotated[int, Meta(ge=0, le=limits.MAX_JSON_INT)]
"""A sum of counts, over organisations and days: it may well exceed what one count can say."""


Reached = Literal["acknowledged", "pending", "set-aside"]
"""How far a statement has come at a peer."""


class PeerStatus(Message, frozen=True, kw_only=True):
    """Whether one peer has taken over a statement, and what came of taking it back there.

    Attributes:
        node: name of the peer.
        state: of the statement there.
        reason: why it was set aside.
        withdrawal: the same of the latest statement that takes it back for a reason that asks for
            remedy, or that erases it.
        outcome: what the peer says about that (docs/protocol.md section 4.11).
        outcome_at: when it said so.
        erased: when the peer deleted the body, by its own signed proof.
        proof: id of that proof.
        late_since: since when the peer owes an answer or a proof, by the issuer's own measure.
    """

    node: NodeName
    state: Reached
    reason: Text | None = None
    withdrawal: Reached | None = None
    outcome: Outcome | None = None
    outcome_at: TimeField | None = None
    erased: TimeField | None = None
    proof: Digest256 | None = None
    late_since: TimeField | None = None


class StatementStatus(Message, frozen=True, kw_only=True):
    """What became of one statement.

    `published` says whether a checkpoint that covers it carries the cosignatures which the node's
    witness policy asks for; where it is ``pending``, `missing` says how many lack at the least.
    """

    id: Digest256
    kind: Text
    index: LogSize
    state: Literal["active", "retracted", "disputed", "erased", "expired"]
    peers: Annotated[tuple[PeerStatus, ...], Meta(max_length=limits.MAX_ITEMS)] = ()
    matches: Total = 0
    confirmed: Total = 0
    refuted: Total = 0
    unreviewed: Total = 0
    published: Literal["published", "pending", "not-asked"] = "not-asked"
    missing: Annotated[int, Meta(ge=0, le=limits.MAX_LIST)] = 0


class StatementStatuses(Message, frozen=True, kw_only=True):
    """What became of a flagger's statements, newest first; `next` continues the list."""

    statements: Annotated[tuple[StatementStatus, ...], Meta(max_length=limits.MAX_ITEMS)]
    next: LogSize | None = None


M = TypeVar("M", bound=Message)


def parse_message(kind: type[M], data: bytes, *, max_bytes: int) -> M:
    """Returns the body of type `kind` that `data` holds.

    Raises:
        ProtocolError: anything that docs/protocol.md does not allow.
    """
    return convert(parse_json(data, max_bytes=max_bytes), kind)
