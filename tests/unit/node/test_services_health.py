"""What keeps a node from doing its work is said in sentences."""

import pytest

from desks import Desk
from node.services.directory import descriptor_of
from node.services.health import Health
from protocol.encoding import parse_time
from protocol.errors import UnavailableError
from worlds import HOTLINE


@pytest.fixture
def health(desk: Desk) -> Health:
    with desk.world.store.read() as transaction:
        own = transaction.peers.get(HOTLINE)
    assert own is not None
    return Health(desk.world.store, desk.policy, descriptor_of(own), clock=desk.clock)


def test_a_node_that_can_do_its_work_has_nothing_to_say(health: Health) -> None:
    assert health.reasons() == []


def test_a_policy_that_is_not_understood_is_named(desk: Desk, health: Health) -> None:
    desk.set_policy("[operator]\nno_such_key = 1\n")
    desk.world.clock.tick(2)
    (reason,) = health.reasons()
    assert "policy file is not in force" in reason
    assert "no_such_key" in reason


def test_keys_and_descriptor_that_have_ended_are_named(desk: Desk, health: Health) -> None:
    end = parse_time(health._descriptor.expires)
    desk.world.clock.now = end - 1
    assert health.reasons() == []
    desk.world.clock.now = end
    assert health.reasons() == [
        "The node's descriptor has expired: peers refuse it.",
        "Keys have expired: log, request, statement.",
    ]


def test_a_database_that_does_not_answer_is_named(desk: Desk, health: Health) -> None:
    class Away:
        def check(self) -> None:
            raise UnavailableError("The database does not answer.")

    health._store = Away()  # type: ignore[assignment]  # the one method that is asked for
    assert health.reasons() == ["The database does not answer."]
