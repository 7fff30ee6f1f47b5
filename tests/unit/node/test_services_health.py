"""What keeps a node from doing its work is said in sentences."""

import pytest

from desks import Desk
from node.services.health import WARN_DAYS, Health
from protocol.encoding import parse_time
from protocol.errors import UnavailableError
from simulator import DAY_S


@pytest.fixture
def health(desk: Desk) -> Health:
    return Health(desk.world.store, desk.policy, desk.peers.own, clock=desk.clock)


def test_a_node_that_can_do_its_work_has_nothing_to_say(health: Health) -> None:
    assert health.reasons() == []


def test_a_policy_that_is_not_understood_is_named(desk: Desk, health: Health) -> None:
    desk.set_policy("[operator]\nno_such_key = 1\n")
    desk.world.clock.tick(2)
    (reason,) = health.reasons()
    assert "policy file is not in force" in reason
    assert "no_such_key" in reason


def test_keys_and_descriptor_that_have_ended_are_named(desk: Desk, health: Health) -> None:
    end = parse_time(desk.peers.own().expires)
    desk.world.clock.now = end - 1
    assert health.reasons() == []
    desk.world.clock.now = end
    assert health.reasons() == [
        f"{what} has expired: peers refuse it."
        for what in (
            "The node's descriptor",
            "The node's log key",
            "The node's request key",
            "The node's statement key",
        )
    ]


def test_what_ends_within_a_month_is_named_with_what_to_do(desk: Desk, health: Health) -> None:
    end = parse_time(desk.peers.own().expires)
    desk.world.clock.now = end - (WARN_DAYS + 1) * DAY_S
    assert health.warnings() == []
    desk.world.clock.now = end - WARN_DAYS * DAY_S
    assert health.reasons() == []
    warnings = health.warnings()
    assert len(warnings) == 4
    assert warnings[0] == (
        f"The node's descriptor ends in {WARN_DAYS} days: schutznetz node key renew DIR"
    )
    assert warnings[1].endswith("schutznetz node key rotate DIR --use log")
    desk.world.clock.now = end
    assert health.warnings() == []


def test_a_database_that_does_not_answer_is_named(desk: Desk, health: Health) -> None:
    class Away:
        def check(self) -> None:
            raise UnavailableError("The database does not answer.")

    health._store = Away()  # type: ignore[assignment]  # the one method that is asked for
    assert health.reasons() == ["The database does not answer."]
