import asyncio

import pytest

from federation.circle import fingerprint
from protocol.circles import Epoch, Holder
from protocol.encoding import format_time, to_base64url
from protocol.errors import (
    LimitError,
    MalformedError,
    PeerMisbehavedError,
    PeerUnreachableError,
    QuorumError,
    RateLimitedError,
)
from protocol.messages import OprfAnswer
from signing.oprf.fingerprints import fingerprint_input
from signing.oprf.shares import split_key
from signing.oprf.voprf import derive_key_pair, evaluate_unblinded
from simulator import DAY_S, NOW, Peer

KEY = derive_key_pair(bytes(32), b"circle")
INPUTS = [fingerprint_input("email", "email-v1", f"user{at}@example.com") for at in range(3)]
EXPECTED = [evaluate_unblinded(KEY, one)[:32] for one in INPUTS]


class Circle:
    """A circle of simulated holders, t of n."""

    def __init__(self, threshold, holders):
        split = split_key(KEY.private, threshold, holders)
        self.peers = {
            index: Peer(f"holder{index}.example", share=(index, share))
            for index, share in split.shares.items()
        }
        self.epoch = Epoch(
            epoch=3,
            not_before=format_time(NOW),
            not_after=format_time(NOW + DAY_S),
            threshold=threshold,
            commitments=tuple(map(to_base64url, split.commitments)),
            holders=tuple(Holder(index=at, node=peer.name) for at, peer in self.peers.items()),
        )
        self.asked = []
        self.accused = []

    def ask(self, inputs, *, also=None):
        def asker(index, peer):
            async def evaluate(request):
                self.asked.append((index, request))
                return await peer.evaluate(request)

            return evaluate

        holders = {index: asker(index, peer) for index, peer in self.peers.items()}
        return asyncio.run(
            fingerprint(
                inputs,
                self.epoch,
                holders | (also or {}),
                circle="hotline.example/minors-1",
                misbehaved=lambda *accusation: self.accused.append(accusation),
                run=asyncio.to_thread,
            )
        )

    def twist(self, index, change):
        """Lets a holder answer something else than it should."""
        honest = self.peers[index].evaluate

        async def evaluate(request):
            return change(await honest(request))

        self.peers[index].evaluate = evaluate


def changed(**values):
    return lambda answer: OprfAnswer(
        **(
            {
                "index": answer.index,
                "epoch": answer.epoch,
                "evaluated": answer.evaluated,
                "proof": answer.proof,
            }
            | values
        )
    )


@pytest.mark.parametrize(("threshold", "holders"), [(1, 1), (1, 3), (2, 3), (3, 5), (5, 5)])
def test_any_circle_of_one_key_gives_the_same_fingerprints(threshold, holders):
    circle = Circle(threshold, holders)
    assert circle.ask(INPUTS) == EXPECTED
    assert [index for index, _ in circle.asked] == list(range(1, threshold + 1))


@pytest.mark.parametrize(("count", "sent"), [(1, 1), (2, 8), (8, 8), (9, 64), (64, 64)])
def test_a_request_tells_little_about_how_many_were_asked_for(count, sent):
    circle = Circle(1, 1)
    inputs = [fingerprint_input("phone", "phone-v1", f"+49302312500{at}") for at in range(count)]
    assert len(circle.ask(inputs)) == count
    ((_, request),) = circle.asked
    assert len(set(request.blinded)) == sent
    assert (request.circle, request.epoch) == ("hotline.example/minors-1", 3)


def test_the_same_input_is_never_sent_twice_in_one_form():
    circle = Circle(1, 1)
    circle.ask(INPUTS[:1])
    circle.ask(INPUTS[:1])
    first, second = (request for _, request in circle.asked)
    assert first.blinded != second.blinded


def test_for_nothing_nobody_is_asked():
    circle = Circle(1, 1)
    assert circle.ask([]) == []
    assert not circle.asked


def test_more_than_a_request_holds_is_refused():
    with pytest.raises(LimitError, match="64"):
        Circle(1, 1).ask(INPUTS * 22)


def test_for_a_holder_that_fails_the_next_one_is_asked():
    circle = Circle(2, 4)
    circle.peers[1].stalled = circle.peers[3].stalled = True
    assert circle.ask(INPUTS) == EXPECTED
    assert {index for index, _ in circle.asked} == {1, 2, 3, 4}
    assert not circle.accused


def test_below_the_threshold_there_is_no_fingerprint():
    circle = Circle(2, 3)
    circle.peers[2].stalled = circle.peers[3].stalled = True
    with pytest.raises(QuorumError, match="1 of 2") as caught:
        circle.ask(INPUTS)
    assert isinstance(caught.value.__cause__, PeerUnreachableError)


def test_too_few_holders_are_not_asked_at_all():
    circle = Circle(2, 3)
    del circle.peers[1], circle.peers[2]
    with pytest.raises(QuorumError, match="0 of 2"):
        circle.ask(INPUTS)
    assert not circle.asked


def test_a_holder_in_the_same_process_may_refuse_too():
    circle = Circle(1, 2)

    async def spent(request):
        raise RateLimitedError("The budget is spent.", retry_after_s=60)

    circle.peers[1].evaluate = spent
    assert circle.ask(INPUTS) == EXPECTED


def test_only_holders_of_the_epoch_are_asked():
    async def stranger(request):
        pytest.fail("a stranger was asked")

    circle = Circle(1, 1)
    circle.peers[1].stalled = True
    with pytest.raises(QuorumError):
        circle.ask(INPUTS, also={9: stranger})


TWISTS = {
    "another proof": changed(proof=to_base64url(bytes(64))),
    "no base64": changed(proof="?"),
    "an element too few": lambda answer: changed(evaluated=answer.evaluated[1:])(answer),
    "elements swapped": lambda answer: changed(evaluated=answer.evaluated[::-1])(answer),
    "no element": changed(evaluated=(to_base64url(b"\xff" * 32),) * 8),
    "another share": changed(index=2),
    "another epoch": changed(epoch=2),
}


@pytest.mark.parametrize("twist", TWISTS.values(), ids=TWISTS)
def test_a_holder_that_lies_is_named_and_the_answer_made_without_it(twist):
    circle = Circle(2, 3)
    circle.twist(1, twist)
    assert circle.ask(INPUTS) == EXPECTED
    ((node, message, evidence),) = circle.accused
    assert node == "holder1.example"
    assert message.startswith("Holder 1 of the circle's key")
    request, _, answer = evidence.partition(b"\n")
    assert b'"blinded"' in request
    assert b'"proof"' in answer


def test_a_share_of_another_key_is_a_lie():
    circle = Circle(1, 1)
    circle.peers[1].share = (1, derive_key_pair(bytes(32), b"another"))
    with pytest.raises(QuorumError) as caught:
        circle.ask(INPUTS)
    assert isinstance(caught.value.__cause__, PeerMisbehavedError)
    assert len(circle.accused) == 1


def test_commitments_that_are_no_elements_are_refused():
    circle = Circle(1, 1)
    values = {name: getattr(circle.epoch, name) for name in circle.epoch.__struct_fields__}
    circle.epoch = Epoch(**(values | {"commitments": (to_base64url(b"\xff" * 32),)}))
    with pytest.raises(MalformedError):
        circle.ask(INPUTS)


def test_no_accusation_reveals_an_input_or_a_fingerprint():
    circle = Circle(1, 2)
    circle.twist(1, TWISTS["another proof"])
    values = circle.ask(INPUTS)
    everything = repr(circle.accused)
    assert not any(to_base64url(value) in everything for value in values)
    assert "example.com" not in everything
