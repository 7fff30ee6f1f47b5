"""What the effects of statements left in a node's database."""

from node.storage.statements import StatementRecord
from protocol.messages import Receipt
from simulator import NOW
from worlds import World, items


def record(world: World, receipt: Receipt) -> StatementRecord:
    with world.store.read() as transaction:
        found = transaction.statements.by_id(receipt.id)
    assert found is not None
    return found


def matching_items(world: World, receipt: Receipt) -> set[int]:
    """The items of a media-flag that a look-up can still meet, by pdq and by exact digest."""
    digests = [bytes.fromhex(one.sha256 or "") for one in items(3)]
    with world.store.read() as transaction:
        by_pdq = {one.item for one in transaction.media.pdqs_from(receipt.index, limit=100)}
        by_digest = {one.item for one in transaction.media.with_values(digests)}
    assert by_pdq == by_digest
    return by_pdq


def meet(world: World, receipt: Receipt, decisions: dict[int, str]) -> None:
    """Has items of a statement met here, with these decisions."""
    with world.store.write() as transaction:
        for item, decision in decisions.items():
            transaction.journal.count_match(receipt.index, item, decision, at=NOW)


def remedies(world: World) -> list[tuple[int, tuple[int, ...], str]]:
    with world.store.read() as transaction:
        found = transaction.journal.remedies(open_only=True, limit=100)
    return [(one.log_index, one.items, one.reason) for one in found]
