"""Questions about uploads, and what the desk that was asked remembers of them."""

from desks import PLATFORM_PROGRAM, Desk, picture
from node.services.judging import MediaResult
from node.services.lookups import Lookups, MatchAnswer, MediaQuery
from protocol.messages import Receipt
from simulator import media_flag
from worlds import ANNA


def ask(
    desk: Desk, *queries: MediaQuery, surface: str = "public", process: Lookups | None = None
) -> MatchAnswer:
    lookups = process or desk.lookups
    return lookups.match(queries, surface=surface, client=PLATFORM_PROGRAM)


def ask_one(desk: Desk, surface: str = "public", **hashes: object) -> MediaResult:
    query = MediaQuery(**hashes)  # type: ignore[arg-type]  # the test's own hashes
    return ask(desk, query, surface=surface).results[0]


def acted(desk: Desk, receipt: Receipt) -> int:
    with desk.world.store.read() as transaction:
        return transaction.journal.matches(receipt.index)


def open_remedies(desk: Desk) -> list[tuple[str, tuple[int, ...]]]:
    return [(one.statement, one.items) for one in desk.remedies.open()]


def flag(desk: Desk, number: int = 0, *, by: str = ANNA, **changes: object) -> Receipt:
    values: dict[str, object] = {"items": (picture(),)}
    return desk.world.submit(media_flag(by, number, **(values | changes)))
