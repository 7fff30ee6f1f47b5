"""What is read of pinned nodes, and of the statements of theirs that were set aside."""

from dataclasses import dataclass

from sqlalchemy import RowMapping

from protocol.fields import StatementId


@dataclass(frozen=True)
class PeerRecord:
    """A pinned node. Times are Unix seconds."""

    name: str
    descriptor: bytes
    descriptor_id: StatementId
    fingerprint: str
    request_keyid: str
    authority: bool
    state: str
    added: int
    synced: int | None = None
    problem: str | None = None
    acked_size: int = 0
    acked_at: int | None = None


@dataclass(frozen=True, repr=False)
class SetAsideRecord:
    """A statement that was not accepted, and why."""

    id: StatementId
    origin: str
    reason: str
    retry: bool
    seen: int
    envelope: bytes | None
    waits_for: str | None = None
    quiet: bool = False


def set_aside_of(row: RowMapping) -> SetAsideRecord:
    """Returns the statement that a row holds."""
    return SetAsideRecord(
        id=StatementId(row["id"].hex()),
        origin=row["origin"],
        reason=row["reason"],
        retry=row["retry"],
        seen=row["seen"],
        envelope=row["envelope"],
        waits_for=row["waits_for"],
        quiet=row["quiet"],
    )


def peer_of(row: RowMapping) -> PeerRecord:
    """Returns the node that a row holds."""
    values = dict(row)
    values["descriptor_id"] = StatementId(values["descriptor_id"].hex())
    return PeerRecord(**values)
