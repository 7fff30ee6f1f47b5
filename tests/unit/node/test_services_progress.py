"""What an issuer sees of taking something back: who has it, what they say, and who is late."""

import pytest

from desks import Desk
from protocol.errors import MalformedError, RevokedError, SigningError
from protocol.messages import PeerStatus
from protocol.statements import Erased, Remedied
from simulator import DAY_S, fields, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, erase, items, retract

THIRD = "third.example"
FROM_ISSUER = {"audience": (f"node:{HOTLINE}",)}


def remedied(target: str, cause: str, outcome: str, number: int, **changes: object) -> Remedied:
    said = {"target": target, "cause": cause, "outcome": outcome} | FROM_ISSUER
    return Remedied(**fields(PLATFORM, number) | said | changes)  # type: ignore[arg-type]


def erased(target: str, cause: str, number: int, **changes: object) -> Erased:
    said = {
        "target": target,
        "cause": cause,
        "erased": "2026-11-22T10:00:00Z",
        "places": ("body", "index"),
    }
    return Erased(**fields(PLATFORM, number) | FROM_ISSUER | said | changes)  # type: ignore[arg-type]


def flag(desk: Desk, number: int = 1, **changes: object) -> str:
    return desk.world.submit(media_flag(ANNA, number, items=items(1), **changes)).id


def at_platform(desk: Desk, statement: str) -> PeerStatus:
    (one,) = desk.flags.status(statement).peers
    return one


def days(desk: Desk, count: int) -> None:
    desk.world.clock.tick(count * DAY_S)


def test_of_a_statement_that_stands_nothing_is_owed(desk: Desk) -> None:
    statement = flag(desk)
    days(desk, 30)
    one = at_platform(desk, statement)
    assert (one.withdrawal, one.outcome, one.late_since) == (None, None, None)


def test_who_does_not_answer_in_time_is_late(desk: Desk) -> None:
    statement = flag(desk)
    desk.world.submit(retract(statement, by=ANNA))
    days(desk, 7)
    assert at_platform(desk, statement).late_since is None
    desk.world.clock.tick(1)
    one = at_platform(desk, statement)
    assert (one.withdrawal, one.late_since) == ("pending", "2026-11-29T10:00:00Z")


@pytest.mark.parametrize(
    ("outcome", "late"),
    [("not-acted", False), ("restored", False), ("settled", False), ("restoring", True)],
)
def test_an_answer_is_shown_and_one_that_is_under_way_is_none(
    either_desk: Desk, outcome: str, late: bool
) -> None:
    desk = either_desk
    statement = flag(desk)
    cause = desk.world.submit(retract(statement, by=ANNA)).id
    desk.world.submit(remedied(statement, cause, outcome, 50))
    one = at_platform(desk, statement)
    assert (one.outcome, one.outcome_at) == (outcome, "2026-11-22T10:00:00Z")
    days(desk, 8)
    assert (at_platform(desk, statement).late_since is not None) is late


def test_an_answer_to_an_earlier_withdrawal_answers_no_later_one(desk: Desk) -> None:
    statement = desk.world.submit(media_flag(ANNA, 1, items=items(2))).id
    first = desk.world.submit(retract(statement, by=ANNA, items=(0,))).id
    desk.world.submit(remedied(statement, first, "settled", 50))
    second = desk.world.submit(retract(statement, by=ANNA, items=(1,))).id
    days(desk, 8)
    assert at_platform(desk, statement).late_since is not None
    late = {"issued": "2026-11-30T10:00:00Z"}
    desk.world.submit(remedied(statement, second, "settled", 51, **late))
    assert at_platform(desk, statement).late_since is None


def test_the_latest_word_counts_in_whatever_order_they_come(desk: Desk) -> None:
    statement = flag(desk)
    cause = desk.world.submit(retract(statement, by=ANNA)).id
    desk.world.submit(remedied(statement, cause, "restored", 50, issued="2026-11-22T09:59:00Z"))
    desk.world.submit(remedied(statement, cause, "restoring", 51, issued="2026-11-22T09:00:00Z"))
    assert at_platform(desk, statement).outcome == "restored"


def test_an_erasure_asks_for_a_proof_whatever_its_reason(either_desk: Desk) -> None:
    desk = either_desk
    statement = flag(desk)
    cause = desk.world.submit(erase(statement, by=ANNA, reason="retention")).id
    assert desk.erasures.get(statement).missing == (PLATFORM,)
    days(desk, 8)
    assert at_platform(desk, statement).late_since is not None
    issued = {"issued": "2026-11-30T10:00:00Z"}
    proof = desk.world.submit(erased(statement, cause, 50, **issued)).id
    one = at_platform(desk, statement)
    assert (one.proof, one.erased, one.late_since) == (proof, "2026-11-22T10:00:00Z", None)
    found = desk.erasures.get(statement)
    assert found.missing == ()
    assert [(one.node, one.id) for one in found.proofs] == [(PLATFORM, proof)]
    assert '"payloadType":"application/vnd.schutznetz.erased.v1+json"' in found.proofs[0].envelope


def test_who_is_late_is_listed_over_all_statements(either_desk: Desk) -> None:
    desk = either_desk
    desk.world.know(THIRD)
    first, second = flag(desk), flag(desk, 2, audience=(f"node:{THIRD}",))
    theirs = desk.world.submit(media_flag(PLATFORM, 3, items=items(1))).id
    cause = desk.world.submit(retract(first, by=HOTLINE)).id
    desk.world.submit(erase(second, by=ANNA))
    desk.world.submit(retract(theirs, by=PLATFORM))
    desk.world.submit(remedied(first, cause, "settled", 50))
    assert desk.erasures.late() == []
    days(desk, 8)
    found = [(one.node, one.statement) for one in desk.erasures.late()]
    assert sorted(found) == sorted([(THIRD, first), (THIRD, second)])


def test_what_a_node_answers_is_for_the_issuer_alone(desk: Desk) -> None:
    desk.world.know(THIRD)
    statement = flag(desk)
    cause = desk.world.submit(retract(statement, by=ANNA)).id
    answer = desk.world.submit(remedied(statement, cause, "restored", 50)).id
    for reader, state in ((THIRD, "withheld"), (PLATFORM, "present")):
        (one,) = desk.serving.envelopes([answer], reader=reader).envelopes
        assert one.state == state
    for name in ("peers", f"node:{THIRD}"):
        audience = (f"node:{HOTLINE}", name)
        with pytest.raises(MalformedError, match="nobody else"):
            desk.world.submit(remedied(statement, cause, "restored", 51, audience=audience))


def test_who_may_not_read_a_statement_answers_nothing_about_it(desk: Desk) -> None:
    desk.world.know(THIRD)
    statement = flag(desk, audience=(f"node:{THIRD}",))
    cause = desk.world.submit(erase(statement, by=ANNA)).id
    for said in (remedied(statement, cause, "settled", 50), erased(statement, cause, 51)):
        with pytest.raises(RevokedError, match="not addressed"):
            desk.world.submit(said)


def test_a_flagger_answers_for_nobody(desk: Desk) -> None:
    statement = flag(desk)
    cause = desk.world.submit(retract(statement, by=ANNA)).id
    with pytest.raises(SigningError, match="nodes, not for flaggers"):
        desk.world.submit(remedied(statement, cause, "settled", 50, issuer=ANNA))


def test_a_peer_cannot_fill_the_table_with_answers_to_what_nobody_asked(desk: Desk) -> None:
    statement, other = flag(desk), flag(desk, 2)
    for number, cause in enumerate(("ab" * 32, other, statement), 50):
        desk.world.submit(remedied(statement, cause, "restored", number))
    assert desk.world.contents()["remedy_answer"] == []
    assert at_platform(desk, statement).outcome is None
