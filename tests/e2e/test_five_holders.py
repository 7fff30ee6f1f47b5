"""Five holders as processes, 3 of 5: any three will do, and n - t may be down, slow or lying."""

import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from five_holders import BETWEEN, Quintet, open_quintet
from node.services.clients import Client
from nodes import CIRCLE
from protocol.circles import CircleDescriptor, Epoch
from protocol.errors import SchutznetzError
from protocol.identifiers import normalise
from waiting import WITHIN_S, wait_for

EMAIL = normalise("email", "offender@example.com")
BODY = {"identifiers": [{"kind": "email", "value": "offender@example.com"}]}
CHECKS = 30


@pytest.fixture(scope="module")
def quintet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quintet]:
    with open_quintet(tmp_path_factory.mktemp("five")) as made:
        yield made


@pytest.fixture
def client(quintet: Quintet) -> Client:
    return quintet.services.clients.authenticate(quintet.platform.made.api_key)


def key_of(quintet: Quintet) -> tuple[CircleDescriptor, Epoch]:
    descriptor = quintet.services.circles.descriptor(CIRCLE)
    return descriptor, descriptor.epochs[0]


def only(epoch: Epoch, indices: Any) -> Epoch:
    """The epoch as one would see it who knows these holders alone."""
    holders = tuple(one for one in epoch.holders if one.index in indices)
    return replace(epoch, holders=holders)


def test_every_three_of_five_give_the_same_fingerprint(quintet: Quintet) -> None:
    descriptor, epoch = key_of(quintet)
    found = {
        tuple(quintet.services.asking.ask_circle(descriptor, only(epoch, indices), [EMAIL]))
        for indices in itertools.combinations(range(1, 6), 3)
    }
    assert len(found) == 1


def test_a_holder_that_hangs_slows_a_check_by_one_hedge_and_not_by_its_time_out(
    quintet: Quintet, client: Client
) -> None:
    for _ in range(10):
        quintet.services.accounts.check([("email", "warm@example.com")], client=client)
    hung = quintet.holders[2].process
    assert hung is not None
    os.kill(hung.pid, signal.SIGSTOP)
    try:
        taken = []
        for number in range(CHECKS):
            began = time.monotonic()
            quintet.services.accounts.check([("email", f"u{number}@example.com")], client=client)
            taken.append(time.monotonic() - began)
    finally:
        os.kill(hung.pid, signal.SIGCONT)
    # One check may have met it first; every later one asks it last, and then not at all.
    assert sorted(taken)[-2] < quintet.services.settings.account_check_deadline_s / 2


def test_a_holder_that_lies_is_named_with_evidence_and_asked_no_more(quintet: Quintet) -> None:
    descriptor, epoch = key_of(quintet)
    with quintet.platform_with() as asker:
        honest = asker.services.asking.ask_circle(descriptor, epoch, [EMAIL])
        quintet.between.lies = True
        # Nobody of these four was measured, so it is among the first three.
        fresh = only(epoch, (1, BETWEEN, 3, 4))
        assert asker.services.asking.ask_circle(descriptor, fresh, [EMAIL]) == honest
        # Its answer may come behind those of the others: it is looked at all the same.
        name = quintet.holders[BETWEEN].name
        wait_for(
            lambda: [one.node for one in asker.services.circles.frozen_holders()] == [name],
            "the liar is named",
        )
        seen = quintet.between.seen
        for _ in range(5):
            assert asker.services.asking.ask_circle(descriptor, epoch, [EMAIL]) == honest
        assert quintet.between.seen == seen
        with asker.services.store.read() as transaction:
            ((message, body),) = transaction.peers.evidence(name)
        assert "gave a proof that does not hold" in message
        assert json.loads(body)["holder"] == {"index": BETWEEN, "node": name}
        # Another process of the same node knows it as well, until the operator thaws it.
        with quintet.platform_with() as other:
            assert other.services.asking.ask_circle(descriptor, epoch, [EMAIL]) == honest
            assert quintet.between.seen == seen
            quintet.between.lies = False
            other.services.circles.thaw_holder(CIRCLE, name)
            assert other.services.asking.ask_circle(descriptor, fresh, [EMAIL]) == honest
            wait_for(lambda: quintet.between.seen > seen, "it is asked again")


def test_two_of_five_may_die_while_checks_are_made_and_no_check_fails(
    quintet: Quintet, client: Client
) -> None:
    banned = [("email", "offender@example.com")]
    with quintet.surface() as surface:
        body = {
            **BODY,
            "category": "account.distribution",
            "reviewers": 2,
            "scope": "person",
            "purpose": "sign-up-check",
            "legal_basis": "gdpr-6-1-f",
            "expires_days": 30,
        }
        made = surface.post("/v1/accounts/ban", json=body)
        assert made.status_code == 201, made.text
    decisions: list[str] = []
    failures: list[SchutznetzError] = []
    go_on = threading.Event()

    def check_again_and_again() -> None:
        for number in range(CHECKS):
            asked = banned if number % 2 else [("email", f"other{number}@example.com")]
            try:
                decisions.append(quintet.services.accounts.check(asked, client=client).decision)
            except SchutznetzError as error:
                failures.append(error)
            if number == CHECKS // 4:
                go_on.set()

    loads = [threading.Thread(target=check_again_and_again) for _ in range(2)]
    for load in loads:
        load.start()
    assert go_on.wait(WITHIN_S)
    for index in (3, 4):
        quintet.holders[index].kill()
    for load in loads:
        load.join()
    assert failures == []
    assert sorted(decisions) == ["none"] * CHECKS + ["review"] * CHECKS


def test_below_the_threshold_the_answer_comes_in_time_and_says_what_was_declared(
    quintet: Quintet,
) -> None:
    """Two are dead, and a third one hangs."""
    for index in (3, 4):
        quintet.holders[index].kill()
    hung = quintet.holders[5].process
    assert hung is not None
    os.kill(hung.pid, signal.SIGSTOP)
    try:
        for mode in ("closed", "open"):
            with (
                quintet.platform_with(
                    account_check_deadline_s=1, check_fail_mode=mode, metrics_enabled=True
                ) as asker,
                asker.surface() as surface,
            ):
                began = time.monotonic()
                answer = surface.post("/v1/accounts/check", json=BODY)
                # After the deadline of a second, and not when the one that hangs is given up.
                assert time.monotonic() - began < asker.services.settings.peer_timeout_s / 2
                if mode == "closed":
                    assert answer.status_code == 503
                    assert answer.json()["fail_mode"] == "closed"
                    assert int(answer.headers["Retry-After"]) > 0
                else:
                    assert answer.status_code == 200
                    said = answer.json()
                    assert (said["decision"], said["unavailable"]) == ("none", True)
                details = [line.detail for line in asker.services.audit.export()]
                assert details[-1] == "identifiers=1 unavailable"
    finally:
        os.kill(hung.pid, signal.SIGCONT)
