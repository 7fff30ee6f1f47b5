"""Circles made by several nodes over HTTP: 2 of 3, 3 of 5, a crash in the middle, and a liar."""

import itertools
import time
from collections.abc import Iterator
from typing import Any

import pytest

from federation.ceremony import read_confirmations
from federation.conduct import Progress
from node.services.ceremony_plans import Wish, first_plan
from node.services.directory import StoredDirectory
from nodes import Node, introduce, make_node, serving
from protocol.ceremonies import Commitment, Confirmation, parse_plan
from protocol.circles import Epoch
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.envelope import parse_envelope
from protocol.messages import OprfRequest
from protocol.statements import parse_as
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from signing.oprf import shares, voprf
from waiting import wait_for

LABEL = "ring-1"


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Node]]:
    """Five nodes that know one another and serve."""
    place = tmp_path_factory.mktemp("ring")
    names = [f"holder-{at}.example" for at in range(1, 6)]
    made = [make_node(place / one, one, settings={"poll_interval_s": 3_600}) for one in names]
    introduce(*made)
    with serving(*made):
        yield made


def propose(first: Node, others: list[Node], *, threshold: int) -> str:
    with first.services() as services:
        members = {node.name: 1_000 for node in (first, *others)}
        wish = Wish(members=members, days=30, threshold=threshold)
        plan = first_plan(LABEL, wish, name=first.name, now=int(time.time()))
        return services.coordination.propose(plan)


def go_on(first: Node, ceremony: str) -> Progress:
    """As far as it goes without waiting, from the coordinator's command."""
    with first.services() as services:
        return services.conductor.conduct(ceremony, report=lambda _: None, wait_s=None)


def confirm(ceremony: str, *nodes: Node) -> None:
    for node in nodes:
        with node.services() as services:
            services.ceremonies.confirm(ceremony)


def state(node: Node, ceremony: str) -> str:
    with node.services() as services:
        return services.ceremonies.get(ceremony).state


def epoch_of(node: Node) -> Epoch:
    with node.store() as store, store.read() as transaction:
        circle = StoredDirectory(transaction).circle(f"{node.name}/{LABEL}")
    assert circle is not None
    return circle.epochs[0]


def test_every_subset_of_three_of_five_answers_alike_over_http(nodes):
    first, others = nodes[0], nodes[1:]
    ceremony = propose(first, others, threshold=3)
    assert go_on(first, ceremony).state == "waiting"
    # Nobody has looked yet: nothing but the proposal is there.
    assert {state(node, ceremony) for node in others} == {"unconfirmed"}
    confirm(ceremony, *others)
    done = go_on(first, ceremony)
    assert (done.state, done.reason) == ("published", None)
    for node in nodes:
        with node.services() as services:
            wait_for(
                lambda at=services: at.ceremonies.get(ceremony).state == "published",
                "the descriptor arrives",
            )
    epoch = epoch_of(first)
    assert epoch.transcript is not None
    # The running processes answer under their new shares; nobody started them anew.
    commitments = [from_base64url(one) for one in epoch.commitments]
    publics = {at: shares.share_public_key(commitments, at) for at in range(1, 6)}
    blinded = voprf.blind([b"somebody"])
    asked = OprfRequest(
        circle=f"{first.name}/{LABEL}",
        epoch=1,
        blinded=tuple(map(to_base64url, blinded.elements)),
    )
    verified = {}
    for holder, node in zip(epoch.holders, nodes, strict=True):
        asker = others[0] if node is first else first
        answer = node.talk(lambda client: client.evaluate(asked), asker.key(KeyUse.REQUEST))
        evaluation = voprf.Evaluation(
            tuple(from_base64url(one) for one in answer.evaluated), from_base64url(answer.proof)
        )
        at = holder.index
        verified[at] = voprf.verify_evaluation(publics[at], blinded, evaluation)
    outputs = {
        shares.combine(blinded, {at: verified[at] for at in chosen}, publics, 3)[0]
        for chosen in itertools.combinations(verified, 3)
    }
    assert len(outputs) == 1


def test_a_holder_that_is_killed_in_the_middle_goes_on_where_it_was(nodes):
    first, second, third = nodes[1:4]
    ceremony = propose(first, [second, third], threshold=2)
    go_on(first, ceremony)
    confirm(ceremony, second)
    go_on(first, ceremony)
    confirm(ceremony, third)
    second.kill()
    # Round 1 can begin, for all have confirmed, as soon as the last word of the third is heard.
    waiting = go_on(first, ceremony)
    assert waiting.state == "waiting"
    assert waiting.nodes[second.name].startswith("no answer")
    assert state(third, ceremony) == "committed"
    said = parts(third, ceremony)
    second.start()
    second.wait_until_ready()
    assert go_on(first, ceremony).state == "published"
    # What had been said before was said again, byte for byte.
    assert parts(third, ceremony).items() >= said.items()
    for node in (first, second, third):
        assert not list((node.directory / "keys").glob("ceremony-*"))


def test_a_holder_that_lies_is_named_to_everybody_and_the_evidence_kept(nodes):
    first, second, liar = nodes[2:]
    ceremony = propose(first, [second, liar], threshold=2)
    go_on(first, ceremony)
    confirm(ceremony, second, liar)
    lie(liar, ceremony, first, second, liar)
    done = go_on(first, ceremony)
    assert (done.state, done.culprit) == ("failed", liar.name)
    assert done.reason is not None
    assert liar.name in done.reason
    for node in (first, second, liar):
        assert state(node, ceremony) == "failed"
        assert not list((node.directory / "keys").glob("ceremony-*"))
    with first.store() as store, store.read() as transaction:
        (_message, body) = transaction.peers.evidence(liar.name)[0]
    assert parse_as(Commitment, parse_envelope(body).payload).issuer == liar.name


def parts(node: Node, ceremony: str) -> dict[Any, bytes]:
    with node.store() as store, store.read() as transaction:
        return transaction.ceremonies.parts(ceremony)


def session_of(ceremony: str, *holders: Node) -> str:
    """What every holder can compute from all confirmations."""
    said = [parts(one, ceremony)[one.name, Confirmation.KIND] for one in holders]
    with holders[0].store() as store, store.read() as transaction:
        plan = parse_plan(transaction.ceremonies.get(ceremony).plan)
        roll = read_confirmations(plan, ceremony, said, StoredDirectory(transaction).node)
    assert roll.session is not None
    return roll.session.context.hex()


def lie(liar: Node, ceremony: str, *holders: Node) -> None:
    """In round 1 the liar is going to send bytes of its own making, duly signed."""
    fake = sign_statement(
        Commitment(
            issuer=liar.name,
            nonce="A" * 22,
            issued=format_time(int(time.time())),
            audience=("peers",),
            ceremony=ceremony,
            session=session_of(ceremony, *holders),
            message=to_base64url(bytes(range(200))),
        ),
        liar.key(KeyUse.STATEMENT),
    )
    with liar.store() as store, store.write() as transaction:
        transaction.ceremonies.put_part(ceremony, liar.name, Commitment.KIND, fake)
