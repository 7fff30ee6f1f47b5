"""Two hundred bans and checks at one platform: every byte that leaves its node is searched.

Whatever the node sends passes a relay that keeps it, and afterwards its logs, the files of its
database (the write-ahead log among them) and everything it put into its temporary folder are
searched as well: for the identifiers as they were typed, for their normalised forms, and for the
unblinded elements of the group, in every form in which they could stand there. The search is shown
to find each of them where it is planted.
"""

import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B
from node.demo.ports import free_port
from node.demo.wire import Wire
from node.services.keys import save_share
from nodes import CIRCLE, Node, introduce, make_node, serving
from protocol.circles import Stretch
from protocol.encoding import to_base64url
from protocol.identifiers import NormalisedIdentifier, normalise
from signing.oprf.fingerprints import fingerprint_input
from signing.oprf.group import default_group
from signing.oprf.stretch import Stretcher
from signing.oprf.transcripts import hash_to_group
from three_nodes import join_circle

BANS = 100
CHECKS = 100
MANY = 100_000
WORD = 8  # bytes compared at once; no trace is shorter
SETTINGS = {
    "poll_interval_s": 1,
    "oprf_budget_per_day": MANY,
    "oprf_burst_per_minute": MANY,
}
STRETCH = Stretch(kinds=("phone",), memory_kib=64, passes=1, salt=to_base64url(b"salt of one test"))


STRETCHER = Stretcher(1)


@dataclass
class Person:
    """Somebody who signs up: what they typed, by kind."""

    typed: dict[str, str]

    @property
    def asked(self) -> list[dict[str, str]]:
        return [{"kind": kind, "value": value} for kind, value in self.typed.items()]

    def normalised(self) -> list[NormalisedIdentifier]:
        return [normalise(kind, value, region="DE") for kind, value in self.typed.items()]

    def traces(self) -> dict[str, set[bytes]]:
        """Every value that must not leave, by what it is."""
        found: dict[str, set[bytes]] = {"typed": set(), "normalised": set(), "unblinded": set()}
        for text in self.typed.values():
            found["typed"] |= {text.encode(), text.lower().encode()}
        for one in self.normalised():
            plain = fingerprint_input(one.kind.value, one.scheme, one.value)
            inputs = {plain, STRETCHER.stretch(one.kind.value, plain, STRETCH, wait_s=60)}
            found["normalised"] |= {one.value.encode(), base64.b64encode(one.value.encode())}
            found["normalised"] |= {form for each in inputs for form in forms(each)}
            for each in inputs:
                found["unblinded"] |= forms(unblinded(each))
        return found


def forms(value: bytes) -> set[bytes]:
    """How bytes can stand in a message, a log or a database."""
    plain = base64.b64encode(value).rstrip(b"=")[:-1]  # its last character depends on what follows
    text = {plain, plain.translate(bytes.maketrans(b"+/", b"-_"))}
    return {value, value.hex().encode(), value.hex().upper().encode(), *text}


def unblinded(value: bytes) -> bytes:
    """The element that an input becomes before it is blinded."""
    group = default_group()
    return group.encode_element(hash_to_group(group, value))


def searched(left: dict[str, bytes], people: list[Person]) -> set[tuple[str, str]]:
    """Where something of these people stands, and what it is."""
    whats: dict[bytes, set[tuple[bytes, str]]] = {}
    for one in people:
        for what, values in one.traces().items():
            for value in values:
                whats.setdefault(value[:WORD], set()).add((value, what))
    # Every place of a text is compared with the beginnings of all values at once.
    beginnings = np.unique(np.frombuffer(b"".join(whats), np.uint64))
    found = set()
    for where, text in left.items():
        for shift in range(WORD):
            words = np.frombuffer(text[shift : len(text) - (len(text) - shift) % WORD], np.uint64)
            for at in np.flatnonzero(np.isin(words, beginnings)):
                begin = shift + int(at) * WORD
                for value, what in whats[text[begin : begin + WORD]]:
                    if text[begin : begin + len(value)] == value:
                        found.add((where, what))
    return found


def person(number: int) -> Person:
    tag = secrets.token_hex(6)
    return Person(
        {
            "email": f"Mallory.{tag}@Example.org",
            # Drama numbers end here: these are ten digits behind a code that nobody has.
            "phone": f"+49 30 23125{number:03d}",
            "device": f"6f9619ff-8b86-4d01-b42d-{tag}",
        }
    )


@dataclass
class Run:
    """What a run has left behind, by where it was found, and who took part in it."""

    left: dict[str, bytes]
    people: list[Person]
    answers: list[Any]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("sign-ups")
    temporary = place / "temporary"
    temporary.mkdir()
    names = (HOTLINE, PLATFORM_A, PLATFORM_B)
    with ExitStack() as stack:
        wire = Wire()
        stack.callback(wire.close)
        nodes = [made(place, name, wire) for name in names]
        platform = nodes[1]
        platform.environ |= {"TMPDIR": str(temporary), "SCHUTZNETZ_LOG_LEVEL": "debug"}
        introduce(*nodes)
        deal(nodes)
        stack.enter_context(serving(nodes[0]))
        stack.enter_context(serving(*nodes[1:]))
        for node in nodes[1:]:
            join_circle(node)
        people = [person(number) for number in range(BANS + CHECKS // 2)]
        answers = sign_ups(platform, people)
        left = {
            str(path.relative_to(place)): path.read_bytes()
            for folder in (platform.directory, temporary)
            for path in folder.rglob("*")
            if path.is_file()
        }
        left |= {f"wire {at}": bytes(one) for at, one in enumerate(wire.carried())}
    left["its log at the end"] = platform.log.read_bytes()
    return Run(left, people, answers)


def made(place: Path, name: str, wire: Wire) -> Node:
    port = free_port()
    url = f"http://127.0.0.1:{wire.relay_to(port)}"
    return make_node(place / name, name, port=port, url=url, settings=SETTINGS)


def deal(nodes: list[Node]) -> None:
    """A key of two of three, whose shares lie at all three."""
    budgets = dict.fromkeys((PLATFORM_A, PLATFORM_B), MANY)
    with nodes[0].services() as services:
        _receipt, shares = services.circles.deal(
            CIRCLE.partition("/")[2],
            budgets,
            30,
            holders=[node.name for node in nodes],
            threshold=2,
            stretch=STRETCH,
            burst_per_minute=MANY,
        )
    for node in nodes[1:]:
        passphrase = (node.directory / "secrets" / "passphrase").read_bytes().strip()
        save_share(node.directory, CIRCLE, 1, shares[node.name], passphrase)


def sign_ups(platform: Node, people: list[Person]) -> list[Any]:
    """Bans the first hundred; checks fifty of them, and fifty whom nobody banned."""
    banned, others = people[:BANS], people[BANS:]

    def ban(one: Person) -> Any:
        return platform.ask("POST", "/v1/accounts/ban", json=ban_of(one))

    def check(one: Person) -> Any:
        asked = {"identifiers": one.asked, "region": "DE"}
        return platform.ask("POST", "/v1/accounts/check", json=asked)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ban, banned))
        return list(pool.map(check, [*banned[: CHECKS // 2], *others]))


def ban_of(one: Person) -> dict[str, Any]:
    return {
        "identifiers": one.asked,
        "region": "DE",
        "category": "account.grooming",
        "reviewers": 2,
        "scope": "account",
        "purpose": "prevention",
        "legal_basis": "terms",
        "expires_days": 100,
    }


def test_the_checks_of_the_run_found_whom_they_should(run: Run) -> None:
    decisions = [answer["decision"] for answer in run.answers]
    assert set(decisions[: CHECKS // 2]) == {"review"}
    assert set(decisions[CHECKS // 2 :]) == {"none"}


def test_no_identifier_no_normal_form_and_no_unblinded_element_leaves_the_node(run: Run) -> None:
    assert searched(run.left, run.people) == set()


def test_the_run_left_something_of_each_kind_to_be_searched(run: Run) -> None:
    assert any(
        where.startswith("wire") and b"/federation/v1/oprf" in text
        for where, text in run.left.items()
    )
    assert any(where.endswith("node.db-wal") and text for where, text in run.left.items())
    assert b"account" in run.left["its log at the end"] or b"/v1/" in run.left["its log at the end"]


@pytest.mark.parametrize("what", ["typed", "normalised", "unblinded"])
def test_the_search_finds_every_trace_wherever_it_is_planted(run: Run, what: str) -> None:
    one = run.people[-1]
    where, text = max(run.left.items(), key=lambda item: len(item[1]))
    for value in one.traces()[what]:
        planted = {where: text[:1000] + value + text[1000:]}
        assert (where, what) in searched(planted, [one])
