"""The tables, as SQLModel classes (docs/adr/0005). They declare; repositories read and write.

What was signed is kept byte for byte in `EnvelopeRow`; every other column is an index over it.
`StatementRow` is the log itself: its key is the place in the node's Merkle log, without gaps.
Times are Unix seconds. Statement ids, digests, pdqs and fingerprints are raw bytes.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, text
from sqlmodel import Field, SQLModel

EXACT_KINDS = ("sha256", "sha1", "md5")
"""Kinds of media hash that only the very same file has."""

IS_EXACT = text(f"kind IN ({', '.join(map(repr, EXACT_KINDS))})")
"""That a media hash is such a digest: word for word what the index over them was made with.

A database uses a partial index only for a question that repeats its condition, with its values.
"""


def _big(*, primary_key: bool = False, index: bool = False) -> Column[int]:
    return Column(
        BigInteger, primary_key=primary_key, autoincrement=False, index=index, nullable=False
    )


def _number() -> Column[int]:
    # SQLite counts up only in a column of exactly the type INTEGER, which has 64 bits there.
    return Column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)


def _bytes(
    *, primary_key: bool = False, unique: bool = False, index: bool = False, nullable: bool = False
) -> Column[bytes]:
    return Column(
        LargeBinary, primary_key=primary_key, unique=unique, index=index, nullable=nullable
    )


class StatementRow(SQLModel, table=True):
    """One accepted statement: an entry of the node's log, and an index over its body."""

    __tablename__ = "statement"

    log_index: int = Field(sa_column=_big(primary_key=True))
    id: bytes = Field(sa_column=_bytes(unique=True))
    kind: str
    issuer: str = Field(index=True)
    keyid: str
    issued: int = Field(sa_column=_big())
    ends: int | None = Field(default=None, sa_column=Column(BigInteger, index=True))
    target_index: int | None = Field(default=None, sa_column=Column(BigInteger, index=True))
    audience: str
    received: int = Field(sa_column=_big())
    received_from: str
    state: str
    category: str | None = None
    issuer_code: str | None = None
    flags: str = ""
    surfaces: str = ""
    jurisdictions: str = ""
    items: int = 0


class EnvelopeRow(SQLModel, table=True):
    """The exact bytes of a statement's envelope; gone once it is erased or expired."""

    __tablename__ = "envelope"

    log_index: int = Field(sa_column=_big(primary_key=True))
    body: bytes = Field(sa_column=_bytes())


class MediaHashRow(SQLModel, table=True):
    """One media hash of one item. `slot` counts the hashes of a statement.

    Only exact digests are looked for by value here. Were the pdqs in that index too, each would be
    written to a random place in it, which is most of what a list of a million would cost.

    A frame of a film stands `at_ms` milliseconds from the film's begin.
    """

    __tablename__ = "media_hash"
    __table_args__ = (
        Index("ix_media_hash_digest", "value", sqlite_where=IS_EXACT, postgresql_where=IS_EXACT),
    )

    log_index: int = Field(sa_column=_big(primary_key=True))
    slot: int = Field(primary_key=True)
    item: int
    kind: str
    value: bytes = Field(sa_column=_bytes())
    active: bool = True
    at_ms: int | None = Field(default=None, sa_column=Column(BigInteger))


class FingerprintRow(SQLModel, table=True):
    """One fingerprint of a banned account."""

    __tablename__ = "fingerprint"

    log_index: int = Field(sa_column=_big(primary_key=True))
    slot: int = Field(primary_key=True)
    kind: str
    circle: str
    epoch: int
    scheme: str
    value: bytes = Field(sa_column=_bytes(index=True))


class AvatarRow(SQLModel, table=True):
    """The pdq of a banned account's avatar."""

    __tablename__ = "avatar"

    log_index: int = Field(sa_column=_big(primary_key=True))
    pdq: bytes = Field(sa_column=_bytes())


class DisputeRow(SQLModel, table=True):
    """A dispute and what became of it; `items` empty means the whole statement."""

    __tablename__ = "dispute"

    log_index: int = Field(sa_column=_big(primary_key=True))
    target_index: int = Field(sa_column=_big(index=True))
    items: str
    state: str


class FeedbackRowRow(SQLModel, table=True):
    """What one organisation reported of one item for one day; a later report replaces it.

    The category is that of the target, whose own is forgotten with its body.
    """

    __tablename__ = "feedback"

    target_index: int = Field(sa_column=_big(primary_key=True))
    reporter: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    item: int = Field(primary_key=True)
    confirmed: int
    refuted: int
    unreviewed: int
    category: str | None = None
    issued: int | None = Field(default=None, sa_column=Column(BigInteger))


class LogRow(SQLModel, table=True):
    """How far a log is known: the node's own, and each peer's as far as it was verified."""

    __tablename__ = "log"

    origin: str = Field(primary_key=True)
    size: int = Field(sa_column=_big())
    frontier: bytes = Field(sa_column=_bytes())
    checkpoint: bytes | None = Field(default=None, sa_column=_bytes(nullable=True))


class PeerRow(SQLModel, table=True):
    """A node that the operator has pinned; the node itself is one of them."""

    __tablename__ = "peer"

    name: str = Field(primary_key=True)
    descriptor: bytes = Field(sa_column=_bytes())
    descriptor_id: bytes = Field(sa_column=_bytes())
    fingerprint: str
    request_keyid: str = Field(index=True, unique=True)
    authority: bool
    state: str
    added: int = Field(sa_column=_big())
    synced: int | None = Field(default=None, sa_column=Column(BigInteger))
    problem: str | None = None
    acked_size: int = Field(default=0, sa_column=_big())
    acked_at: int | None = Field(default=None, sa_column=Column(BigInteger))


class PeerRefusalRow(SQLModel, table=True):
    """A statement of ours that a peer says it set aside."""

    __tablename__ = "peer_refusal"

    peer: str = Field(primary_key=True)
    id: bytes = Field(sa_column=_bytes(primary_key=True))
    reason: str


class SetAsideRow(SQLModel, table=True):
    """A statement from a peer that was not accepted, why, and its bytes where a retry may help.

    `waits_for` names what would cure it. A quiet one is about a statement that is rightly not here.
    """

    __tablename__ = "set_aside"

    id: bytes = Field(sa_column=_bytes(primary_key=True))
    origin: str = Field(primary_key=True)
    reason: str
    retry: bool
    seen: int = Field(sa_column=_big(index=True))
    tried: int = Field(sa_column=_big())
    waits_for: str | None = Field(default=None, index=True)
    quiet: bool = False
    envelope: bytes | None = Field(default=None, sa_column=_bytes(nullable=True))


class SkippedRow(SQLModel, table=True):
    """A statement of a peer's log whose body, that peer says, is not for us or is gone.

    What one peer says of a statement is no reason not to ask another for it.
    """

    __tablename__ = "skipped"

    id: bytes = Field(sa_column=_bytes(primary_key=True))
    origin: str = Field(primary_key=True)
    state: str


class EvidenceRow(SQLModel, table=True):
    """What shows that a peer broke the protocol."""

    __tablename__ = "evidence"

    number: int | None = Field(default=None, sa_column=_number())
    peer: str
    message: str
    body: bytes = Field(sa_column=_bytes())
    at: int = Field(sa_column=_big())


class AccreditationRow(SQLModel, table=True):
    """The latest accreditation of one flagger's key; the statement itself holds the rest."""

    __tablename__ = "accreditation"

    flagger: str = Field(primary_key=True)
    keyid: str = Field(primary_key=True)
    log_index: int = Field(sa_column=_big())
    issued: int = Field(sa_column=_big())


class CeremonyRow(SQLModel, table=True):
    """A ceremony that this node takes part in, or coordinates: its plan, and how far it is."""

    __tablename__ = "ceremony"

    id: bytes = Field(sa_column=_bytes(primary_key=True))
    circle: str = Field(index=True)
    version: int
    coordinator: str
    plan: bytes = Field(sa_column=_bytes())
    state: str
    reason: str | None = None
    culprit: str | None = None
    at: int = Field(sa_column=_big())
    session: bytes | None = Field(default=None, sa_column=_bytes(nullable=True))
    shown: bytes | None = Field(default=None, sa_column=_bytes(nullable=True))
    epoch: bytes | None = Field(default=None, sa_column=_bytes(nullable=True))
    descriptor: bytes | None = Field(default=None, sa_column=_bytes(nullable=True))


class CeremonyPartRow(SQLModel, table=True):
    """What one node has said in a ceremony, byte for byte."""

    __tablename__ = "ceremony_part"

    ceremony: bytes = Field(sa_column=_bytes(primary_key=True))
    node: str = Field(primary_key=True)
    step: str = Field(primary_key=True)
    body: bytes = Field(sa_column=_bytes())


class ClientRow(SQLModel, table=True):
    """A program of the operator's own that may call this node; its key only as a digest."""

    __tablename__ = "client"

    number: int | None = Field(default=None, sa_column=_number())
    name: str = Field(unique=True)
    token_digest: bytes = Field(sa_column=_bytes(unique=True))
    scopes: str
    created: int = Field(sa_column=_big())
    revoked: int | None = Field(default=None, sa_column=Column(BigInteger))


class NonceRow(SQLModel, table=True):
    """A request nonce that was used: a second use is a replay."""

    __tablename__ = "nonce"

    keyid: str = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    at: int = Field(sa_column=_big(index=True))


class AuditRow(SQLModel, table=True):
    """Who did what when; never the value that was looked up."""

    __tablename__ = "audit"

    number: int | None = Field(default=None, sa_column=_number())
    at: int = Field(sa_column=_big())
    actor: str
    action: str
    subject: str | None = None
    detail: str | None = None


class BudgetRow(SQLModel, table=True):
    """Elements that a node had evaluated on one day, from the budget of one party."""

    __tablename__ = "budget"

    circle: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    party: str = Field(primary_key=True)
    member: str = Field(primary_key=True)
    used: int = Field(sa_column=_big())
    recent: str  # of the last minute, as "second:elements,second:elements"
    alarm: int  # per cent of the party's budget that the operator was last told of


class OprfPaidRow(SQLModel, table=True):
    """A request that was paid for lately: the same again costs nothing. No answer is kept."""

    __tablename__ = "oprf_paid"

    digest: bytes = Field(sa_column=_bytes(primary_key=True))
    at: int = Field(sa_column=_big(index=True))


class MatchRow(SQLModel, table=True):
    """How often an item was met here with one decision, and when last: what was acted on."""

    __tablename__ = "match_count"

    log_index: int = Field(sa_column=_big(primary_key=True))
    item: int = Field(primary_key=True)
    decision: str = Field(primary_key=True)
    count: int = Field(sa_column=_big())
    last: int = Field(sa_column=_big())


class RemedyRow(SQLModel, table=True):
    """A task to undo what was done on the strength of an entry that has been taken back."""

    __tablename__ = "remedy"

    number: int | None = Field(default=None, sa_column=_number())
    log_index: int = Field(sa_column=_big(index=True))
    items: str
    reason: str
    since: int = Field(sa_column=_big())
    done: int | None = Field(default=None, sa_column=Column(BigInteger))
    done_by: str | None = None
    note: str | None = None


class StreamRow(SQLModel, table=True):
    """A stream that a client has watched: whose it is, and the strongest decision so far."""

    __tablename__ = "stream"

    id: bytes = Field(sa_column=_bytes(primary_key=True))
    client: int = Field(sa_column=_big())
    surface: str
    opened: int = Field(sa_column=_big())
    seen: int = Field(sa_column=_big(index=True))
    hits: int = Field(default=0, sa_column=_big())
    decision: str = "none"


class StreamHitRow(SQLModel, table=True):
    """A frame of a stream that resembled a flagged one: of the frame only its time is kept."""

    __tablename__ = "stream_hit"

    stream: bytes = Field(sa_column=_bytes(primary_key=True))
    at_ms: int = Field(sa_column=_big(primary_key=True))
    log_index: int = Field(sa_column=_big(primary_key=True))
    slot: int = Field(primary_key=True)
    distance: int


class LeaseRow(SQLModel, table=True):
    """Which process may run a job, and until when."""

    __tablename__ = "lease"

    name: str = Field(primary_key=True)
    holder: str
    until: int = Field(sa_column=_big())
