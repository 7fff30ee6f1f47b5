"""Sign-up checks when a holder that they need is down, spent, or asked by somebody else."""

from collections.abc import Iterator
from typing import Any

import pytest

from node.demo.cast import PLATFORM_A, PLATFORM_B
from nodes import CIRCLE, HOTLINE, Node, make_node, serving
from protocol.encoding import to_base64url
from protocol.errors import PeerRefusedError
from protocol.messages import OprfRequest
from signing.keys import KeyUse
from signing.oprf.voprf import blind
from three_nodes import Trio, open_trio
from waiting import keep_clear_of_midnight, wait_for

BATCH = 8
CHECKS_OF_B = 2
STRANGER = "stranger.example"


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Three nodes of their own, all of which a check needs; platform B may ask little."""
    keep_clear_of_midnight()
    with open_trio(
        tmp_path_factory.mktemp("circle"),
        budgets={PLATFORM_A: 5_000, PLATFORM_B: CHECKS_OF_B * BATCH},
        threshold=3,
    ) as made:
        yield made


def check(node: Node, *values: tuple[str, str]) -> Any:
    listed = [{"kind": kind, "value": value} for kind, value in values]
    return node.call("POST", "/v1/accounts/check", json={"identifiers": listed})


def ban(node: Node, *values: tuple[str, str]) -> Any:
    listed = [{"kind": kind, "value": value} for kind, value in values]
    asked = {
        "identifiers": listed,
        "category": "account.distribution",
        "reviewers": 2,
        "scope": "person",
        "purpose": "sign-up-check",
        "legal_basis": "gdpr-6-1-f",
        "expires_days": 30,
    }
    return node.call("POST", "/v1/accounts/ban", json=asked)


def two(number: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Identifiers of one person, as they were never asked about before."""
    return (("email", f"person{number}@example.org"), ("phone", f"+49 30 23125 {number:03}"))


def test_a_banned_account_is_found_again_by_one_identifier(trio: Trio) -> None:
    assert ban(trio.first, *two(1)).status_code == 201
    found = check(trio.first, ("email", "new@example.org"), two(1)[1]).json()
    assert found["decision"] == "review"
    assert [lead["kinds"] for lead in found["leads"]] == [["phone"]]


GOOD = to_base64url(blind([b"1" * 32]).elements[0])
NO_ELEMENT = b"\x02" + bytes(31)  # even and below the prime, and yet no element
BAD_REQUESTS: dict[str, tuple[dict[str, Any], int]] = {
    "the identity": ({"blinded": (to_base64url(bytes(32)),)}, 422),
    "an element above the prime": ({"blinded": (to_base64url(b"\xff" * 32),)}, 422),
    "a negative element": ({"blinded": (to_base64url(b"\x01" + bytes(31)),)}, 422),
    "no element of the group": ({"blinded": (to_base64url(NO_ELEMENT),)}, 422),
    "a good one, then a bad one": ({"blinded": (GOOD, to_base64url(bytes(32)))}, 422),
    "a buffer too short": ({"blinded": (GOOD[:-2],)}, 422),
    "a buffer too long": ({"blinded": (GOOD + "AA",)}, 422),
    "no base64url": ({"blinded": ("+" * 43,)}, 422),
    "bits that carry nothing": ({"blinded": ("A" * 42 + "B",)}, 422),
    "an empty list": ({"blinded": ()}, 422),
    "a list too long": ({"blinded": (GOOD,) * 65}, 422),
    "another epoch": ({"epoch": 2}, 404),
    "epoch 0": ({"epoch": 0}, 422),
    "an epoch that is no number": ({"epoch": "1"}, 422),
    "another circle": ({"circle": f"{HOTLINE}/other-1"}, 404),
}


@pytest.mark.parametrize("bad", BAD_REQUESTS, ids=lambda name: name.replace(" ", "-"))
def test_a_holder_refuses_what_is_no_question_in_one_of_our_words(trio: Trio, bad: str) -> None:
    changes, status = BAD_REQUESTS[bad]
    said: dict[str, Any] = {"circle": CIRCLE, "epoch": 1, "blinded": (GOOD,)} | changes
    asked = OprfRequest(**said)  # built without a check, as a hostile member does
    with pytest.raises(PeerRefusedError) as refused:
        trio.hotline.talk(lambda client: client.evaluate(asked), trio.first.key(KeyUse.REQUEST))
    assert refused.value.status == status
    assert not any(one in str(refused.value) for one in said["blinded"] if one)


def test_a_budget_that_is_used_up_is_said_in_words_and_nothing_is_answered_in_part(
    trio: Trio,
) -> None:
    for number in range(CHECKS_OF_B):
        assert check(trio.second, *two(number)).status_code == 200
    refused = check(trio.second, *two(1))
    assert refused.status_code == 429
    problem = refused.json()
    assert problem["type"] == "/problems/rate-limited"
    assert problem["detail"] == (
        "The circle's budget of this node for today is used up: nothing was decided."
    )
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    assert not {"decision", "leads"} & problem.keys()
    # A ban needs the circle as well, and makes no statement without it.
    size = trio.second.administer("GET", "/v1/admin/status")["log_size"]
    assert ban(trio.second, *two(2)).status_code == 429
    assert trio.second.administer("GET", "/v1/admin/status")["log_size"] == size


def test_a_restart_of_the_holder_refills_nothing(trio: Trio) -> None:
    for number in range(CHECKS_OF_B):
        check(trio.second, *two(20 + number))
    trio.hotline.kill()
    trio.hotline.start()
    trio.hotline.wait_until_ready()
    refused = check(trio.second, *two(30))
    assert refused.status_code == 429
    budget = refused.json()["budget"]
    # A restart may take longer than the minute lasts.
    assert 600 - CHECKS_OF_B * BATCH <= budget.pop("minute_left") <= 600
    assert budget == {"day_limit": CHECKS_OF_B * BATCH, "day_left": 0, "minute_limit": 600}


def test_one_members_budget_is_not_anothers(trio: Trio) -> None:
    assert check(trio.first, *two(3)).status_code == 200


def test_while_a_needed_holder_is_down_a_check_says_what_the_operator_declared_for_it(
    trio: Trio,
) -> None:
    trio.hotline.kill()
    refused = check(trio.first, *two(1))
    assert refused.status_code == 503
    problem = refused.json()
    assert problem["type"] == "/problems/unavailable"
    assert problem["fail_mode"] == "closed"
    assert problem["detail"].endswith("the operator's rule for it: keep it back.")
    assert not {"decision", "leads"} & problem.keys()
    assert ban(trio.first, *two(4)).status_code == 503
    # Pictures need no circle.
    assert trio.first.decision(md5="00" * 16) == "none"
    # Once it is back, so are the checks, without a restart of anybody else.
    trio.hotline.start()
    trio.hotline.wait_until_ready()
    # A holder that has failed is left alone for a moment, also where it is needed.
    wait_for(lambda: check(trio.first, *two(1)).status_code == 200, "checks are back")
    assert check(trio.first, *two(1)).json()["decision"] == "review"


def test_an_operator_who_declares_open_is_told_so(trio: Trio) -> None:
    trio.first.stop()
    trio.first.environ["SCHUTZNETZ_CHECK_FAIL_MODE"] = "open"
    trio.hotline.kill()
    trio.first.start()
    trio.first.wait_until_ready()
    passed = check(trio.first, *two(1))
    assert passed.status_code == 200
    answer = passed.json()
    assert (answer["decision"], answer["leads"], answer["unavailable"]) == ("none", [], True)
    assert "check it later" in answer["why"][0]
    # A ban is never half made.
    assert ban(trio.first, *two(4)).status_code == 503
    trio.hotline.start()
    trio.hotline.wait_until_ready()


def test_a_node_that_is_no_member_is_refused(
    trio: Trio, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = make_node(tmp_path_factory.mktemp("stranger") / STRANGER, STRANGER)
    trio.hotline.pin(stranger)
    elements = blind([b"1" * 32]).elements
    asked = OprfRequest(circle=CIRCLE, epoch=1, blinded=tuple(map(to_base64url, elements)))
    key = stranger.key(KeyUse.REQUEST)
    with pytest.raises(PeerRefusedError, match="holds no share") as refused:
        trio.hotline.talk(lambda client: client.evaluate(asked), key)
    assert refused.value.status == 404  # as of a circle that there is not
    # Its own platform is told that it has no circle to ask.
    with serving(stranger):
        stranger.pin(trio.hotline, authority=True)
        assert check(stranger, *two(1)).status_code == 503
    trio.hotline.administer("DELETE", f"/v1/admin/peers/{STRANGER}")


def is_answered(node: Node) -> bool:
    """Whether its circle answers it, whatever its operator has declared for when it does not."""
    answer = check(node, *two(5))
    return answer.status_code == 200 and not answer.json()["unavailable"]


def test_a_frozen_member_is_refused(trio: Trio) -> None:
    trio.hotline.administer("POST", f"/v1/admin/peers/{PLATFORM_A}/freeze")
    assert not is_answered(trio.first)
    trio.hotline.administer("POST", f"/v1/admin/peers/{PLATFORM_A}/thaw")
    # A holder that has failed is left alone for a moment, also where it is needed.
    wait_for(lambda: is_answered(trio.first), "the member is answered")
    assert trio.first.peer(HOTLINE)["state"] == "active"
