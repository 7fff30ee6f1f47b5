"""A circle's key changes while sign-ups are checked: one holder leaves, one joins, none fails.

Six processes: five hold the first key, 3 of 5. The key is dealt here, and the versions are signed
by the admins' own keys: how nodes do both themselves is in test_ceremonies.py.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from node.demo.cast import HOTLINE, keep_share
from node.services.directory import StoredDirectory
from nodes import CIRCLE, DAY_S, Node, header, introduce, make_node, serving
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, parse_time, to_base64url
from protocol.fields import StatementId
from protocol.succession import Change, next_descriptor
from signing.envelopes import add_signature, new_nonce, sign_statement
from signing.keys import KeyUse
from signing.oprf.shares import split_key
from signing.oprf.voprf import generate_key
from waiting import wait_for

PLATFORM, THIRD, FOURTH, LEAVER, JOINER = (f"holder-{at}.example" for at in range(2, 7))
FIRST = (HOTLINE, PLATFORM, THIRD, FOURTH, LEAVER)
SECOND = (HOTLINE, PLATFORM, THIRD, FOURTH, JOINER)
ADMINS = FIRST[:3]
ELEMENTS = 10**6
LEAST_ARRIVES_WITHIN_S = 8
"""From a version's issue to the instant at which all nodes have to act on it, at the least."""

RENEWED = "+49 30 23125 001"
LEFT_BEHIND = "+49 30 23125 002"


@dataclass
class Ring:
    """Six nodes that run, and the latest version of their circle.

    Attributes:
        arrives_within_s: from a version's issue to the instant at which all nodes have to act on
            it: as long as all of them took to start, which is several times what they need.
    """

    nodes: dict[str, Node]
    arrives_within_s: int = LEAST_ARRIVES_WITHIN_S
    latest: tuple[StatementId, CircleDescriptor] | None = None

    @property
    def platform(self) -> Node:
        return self.nodes[PLATFORM]

    def key(self, number: int, holders: Sequence[str], begins: int) -> Epoch:
        """A new key, 3 of 5, whose shares lie where their holders look for them."""
        split = split_key(generate_key().private, 3, len(holders))
        for index, name in enumerate(holders, 1):
            share = split.shares[index].private
            keep_share(self.nodes[name].directory, CIRCLE, number, share)
        return Epoch(
            epoch=number,
            not_before=format_time(begins),
            not_after=format_time(begins + 30 * DAY_S),
            threshold=3,
            commitments=tuple(map(to_base64url, split.commitments)),
            holders=tuple(Holder(index=at, node=name) for at, name in enumerate(holders, 1)),
        )

    def publish(self, new: CircleDescriptor) -> None:
        """Has the first two admins sign a version; the hotline takes it in and tells the others."""
        envelope = sign_statement(new, self.nodes[ADMINS[0]].key(KeyUse.STATEMENT))
        envelope = add_signature(envelope, self.nodes[ADMINS[1]].key(KeyUse.STATEMENT))
        with self.nodes[HOTLINE].services() as services:
            receipt = services.ingest.submit(envelope, caller=HOTLINE)
        self.latest = (StatementId(receipt.id), new)

    def follow(self, change: Change) -> None:
        assert self.latest is not None
        current_id, current = self.latest
        now, nonce = int(time.time()), new_nonce()
        self.publish(
            next_descriptor(current, current_id, change, issuer=HOTLINE, nonce=nonce, now=now)
        )

    def arrived(self, version: int, *names: str) -> None:
        """Waits until the nodes act on a version of the circle."""
        for name in names:
            with self.nodes[name].store() as store:

                def knows() -> bool:
                    with store.read() as transaction:
                        found = StoredDirectory(transaction).circle(CIRCLE)
                    return found is not None and found.version == version

                wait_for(knows, f"version {version} reaches {name}")


def member(name: str) -> Member:
    return Member(node=name, budget_per_day=ELEMENTS, burst_per_minute=ELEMENTS)


def check(node: Node, phone: str) -> str:
    asked = {"identifiers": [{"kind": "phone", "value": phone}]}
    return str(node.ask("POST", "/v1/accounts/check", json=asked)["decision"])


def ban(node: Node, phone: str) -> str:
    asked: Mapping[str, Any] = {
        "identifiers": [{"kind": "phone", "value": phone}],
        "category": "account.distribution",
        "reviewers": 2,
        "scope": "person",
        "purpose": "sign-up-check",
        "legal_basis": "gdpr-6-1-f",
        "expires_days": 90,
    }
    return str(node.ask("POST", "/v1/accounts/ban", json=asked)["id"])


@dataclass
class SignUps:
    """Checks of one banned account, one after another, until they are told to end."""

    node: Node
    stop: threading.Event = field(default_factory=threading.Event)
    answers: list[str] = field(default_factory=list)

    def run(self) -> None:
        while not self.stop.is_set():
            asked = {"identifiers": [{"kind": "phone", "value": RENEWED}]}
            answer = self.node.call("POST", "/v1/accounts/check", json=asked)
            found = answer.json()
            self.answers.append(
                found["decision"] if answer.is_success else f"{answer.status_code} {answer.text}"
            )
            self.stop.wait(0.05)

    def go_on(self, when: str) -> None:
        """Returns once some more checks were answered."""
        count = len(self.answers)
        wait_for(lambda: len(self.answers) > count + 2, f"sign-ups are checked {when}")


@contextmanager
def checking(node: Node) -> Iterator[SignUps]:
    """Checks sign-ups at a node all the time while the block runs."""
    made = SignUps(node)
    thread = threading.Thread(target=made.run)
    thread.start()
    try:
        yield made
    finally:
        made.stop.set()
        thread.join()


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Ring]:
    chosen = {
        "poll_interval_s": 3_600,
        "expire_interval_s": 0.5,
        "oprf_budget_per_day": 100_000,
        "oprf_burst_per_minute": 100_000,
    }
    names = (*FIRST, JOINER)
    with ThreadPoolExecutor(3) as pool:
        nodes = pool.map(lambda one: make_node(tmp_path / one, one, settings=chosen), names)
    made = Ring({node.name: node for node in nodes})
    introduce(*made.nodes.values())
    now = int(time.time())
    made.publish(
        CircleDescriptor(
            **header(HOTLINE, audience=(f"circle:{CIRCLE}",)),
            circle=CIRCLE,
            version=1,
            members=tuple(map(member, FIRST)),
            admins=ADMINS,
            admin_threshold=2,
            epochs=(made.key(1, FIRST, now - 1),),
        )
    )
    began = time.monotonic()
    with serving(made.nodes[HOTLINE]), serving(*(made.nodes[one] for one in names[1:])):
        made.arrived(1, *FIRST)
        made.arrives_within_s = max(LEAST_ARRIVES_WITHIN_S, int(time.monotonic() - began))
        with made.platform.services() as services:
            services.circles.join(CIRCLE)
        yield made


def test_one_holder_leaves_one_joins_and_no_check_fails_meanwhile(ring: Ring) -> None:
    platform, joiner = ring.platform, ring.nodes[JOINER]
    old = {phone: ban(platform, phone) for phone in (RENEWED, LEFT_BEHIND)}
    wait_for(lambda: ring.nodes[HOTLINE].state(old[LEFT_BEHIND]) == "active", "the bans arrive")
    # Who is no member has neither the circle nor the bans.
    assert joiner.state(old[RENEWED]) is None
    with checking(platform) as sign_ups:
        begins = int(time.time()) + ring.arrives_within_s
        new = ring.key(2, SECOND, begins)
        ring.follow(Change(members=[member(JOINER)], leaves=[LEAVER], epoch=new))
        ring.arrived(2, *SECOND)
        assert time.time() < begins, "the machine is too slow for this test"
        ring.nodes[LEAVER].kill()
        # The new member verified the chain from version 1, and got what was said before its time.
        with joiner.services() as services:
            services.circles.join(CIRCLE)
        wait_for(lambda: joiner.state(old[LEFT_BEHIND]) == "active", "the joiner has the bans")
        assert [check(joiner, phone) for phone in old] == ["review", "review"]
        sign_ups.go_on("while the old key is in force")
        wait_for(lambda: time.time() > begins, "the new key begins")
        sign_ups.go_on("under both keys")
        body = {"identifiers": [{"kind": "phone", "value": RENEWED}]}
        again = platform.ask("POST", f"/v1/statements/{old[RENEWED]}/reissue", json=body)
        assert not again.get("duplicate")
        assert platform.ask("POST", f"/v1/statements/{old[RENEWED]}/reissue", json=body) == {
            **again,
            "duplicate": True,
        }
        wait_for(lambda: joiner.state(again["id"]) == "active", "the new ban arrives")
        assert [check(joiner, phone) for phone in old] == ["review", "review"]
        # The old key is closed earlier than it would end.
        ring.follow(Change(ends={1: int(time.time()) + ring.arrives_within_s}))
        assert ring.latest is not None
        ends = parse_time(ring.latest[1].epochs[0].not_after)
        ring.arrived(3, *SECOND)
        assert time.time() < ends, "the machine is too slow for this test"
        for node in (ring.nodes[name] for name in SECOND):
            for one in old.values():
                wait_for(lambda: node.state(one) == "expired", f"{node.name} forgets")  # noqa: B023  # called before the next one
            assert node.state(again["id"]) == "active"
        for node in (platform, joiner):
            assert [check(node, phone) for phone in old] == ["review", "none"]
        sign_ups.go_on("under the new key alone")
    assert set(sign_ups.answers) == {"review"}
