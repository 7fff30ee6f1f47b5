"""What a check knows of circles and nodes: worked out once, and never older than the database."""

from collections.abc import Callable

import pytest

from desks import Desk
from node.services.epochs import Standing, Standings
from protocol.errors import UnavailableError
from simulator import DAY_S, NOW
from worlds import CIRCLE, PLATFORM

THIRD = "third.example"


def joined(desk: Desk) -> Standings:
    desk.join_circle()
    return Standings(desk.world.store)


def test_while_nothing_changes_it_is_the_same(either_desk: Desk) -> None:
    standings = joined(either_desk)
    first = standings.now()
    with either_desk.world.store.write() as transaction:
        transaction.journal.audit("node", "x", at=NOW, subject=None, detail=None)
    assert standings.now() is first
    assert [circle.circle for circle, _ in first.keys(NOW)] == [CIRCLE]
    assert PLATFORM in first.nodes


def freeze_holder(desk: Desk) -> None:
    with desk.world.store.write() as transaction:
        assert transaction.trust.freeze_holder(CIRCLE, PLATFORM, since=NOW, message="lied")


def contradict(desk: Desk) -> None:
    with desk.world.store.write() as transaction:
        transaction.trust.contradict_circle(CIRCLE, contradicted=True)


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        pytest.param(freeze_holder, lambda s: (CIRCLE, PLATFORM) in s.frozen, id="a frozen holder"),
        pytest.param(contradict, lambda s: s.contradicted == (CIRCLE,), id="a contradiction"),
        pytest.param(
            lambda desk: desk.peers.freeze(PLATFORM),
            lambda s: PLATFORM not in s.nodes,
            id="a frozen node",
        ),
        pytest.param(
            lambda desk: desk.peers.remove(PLATFORM),
            lambda s: PLATFORM not in s.nodes,
            id="a removed node",
        ),
        pytest.param(
            lambda desk: desk.world.know(THIRD),
            lambda s: THIRD in s.nodes,
            id="a new node",
        ),
    ],
)
def test_what_changes_is_seen_with_the_next_question(
    desk: Desk, change: Callable[[Desk], object], seen: Callable[[Standing], bool]
) -> None:
    standings = joined(desk)
    assert not seen(standings.now())
    change(desk)
    assert seen(standings.now())


def test_a_key_begins_and_ends_by_the_clock_though_nothing_changes(desk: Desk) -> None:
    standing = joined(desk).now()
    (_, epoch) = standing.confirmed[0]
    assert standing.keys(NOW)
    with pytest.raises(UnavailableError, match="no circle with a current key"):
        standing.keys(NOW + 400 * DAY_S)
    assert epoch.epoch == 1
