import asyncio
import itertools
import json
from types import SimpleNamespace

import pytest

from federation import circle as module
from federation.circle import Panel
from federation.holders import FAILURES, Holders
from protocol.circles import Epoch, Holder
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    PeerMisbehavedError,
    PeerUnreachableError,
    QuorumError,
    RateLimitedError,
    UnavailableError,
)
from protocol.messages import OprfAnswer
from signing.oprf.fingerprints import fingerprint_input
from signing.oprf.group import default_group
from signing.oprf.shares import share_public_key, split_key
from signing.oprf.voprf import (
    Blinded,
    Evaluation,
    derive_key_pair,
    evaluate_unblinded,
    verify_evaluation,
)
from simulator import DAY_S, NOW, Peer
from waiting import WITHIN_S

KEY = derive_key_pair(bytes(32), b"circle")
INPUTS = [fingerprint_input("email", "email-v1", f"user{at}@example.com") for at in range(3)]
EXPECTED = [evaluate_unblinded(KEY, one)[:32] for one in INPUTS]


class Patient(Holders):
    """Asks nobody more because the machine is slow."""

    def hedge_s(self, indices, size):
        return WITHIN_S


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
        panel = Panel("hotline.example/minors-1", self.epoch, holders=Patient())
        return asyncio.run(
            panel.fingerprint(
                inputs,
                holders | (also or {}),
                misbehaved=self.accused.append,
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


class Slow:
    """Has a holder answer only once it is let, and says when it was asked."""

    def __init__(self, circle, index):
        self.honest = circle.peers[index].evaluate
        self.asked, self.go = asyncio.Event(), asyncio.Event()
        circle.peers[index].evaluate = self.evaluate

    async def evaluate(self, request):
        self.asked.set()
        await self.go.wait()
        return await self.honest(request)


def panel_of(circle):
    """The same panel for several questions, on one loop; waits 20 ms before it asks one more."""

    class Impatient(Holders):
        def hedge_s(self, indices, size):
            return 0.02

    panel = Panel("hotline.example/minors-1", circle.epoch, holders=Impatient())

    def ask(inputs=INPUTS):
        return panel.fingerprint(
            inputs,
            {index: peer.evaluate for index, peer in circle.peers.items()},
            misbehaved=circle.accused.append,
            run=asyncio.to_thread,
        )

    return panel, ask


async def settled(panel):
    """Waits until no question of an earlier check is on its way."""
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*panel._late, return_exceptions=True)


def test_for_a_holder_that_takes_too_long_one_more_is_asked():
    circle = Circle(2, 4)

    async def story():
        slow = Slow(circle, 1)
        panel, ask = panel_of(circle)
        assert await ask() == EXPECTED
        assert slow.asked.is_set()
        # The question that still waits says enough: the next check does not begin with it.
        assert panel.holders.choose([1, 2, 3], threshold=2, size=8)[0][-1] == 1

    asyncio.run(story())


def test_a_late_answer_is_still_verified_and_a_lie_in_it_told():
    circle = Circle(2, 3)
    circle.twist(1, TWISTS["another proof"])

    async def story():
        slow = Slow(circle, 1)
        panel, ask = panel_of(circle)
        assert await ask() == EXPECTED
        assert not circle.accused
        slow.go.set()
        await settled(panel)
        assert len(circle.accused) == 1

    asyncio.run(story())


def test_an_answer_that_never_comes_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.01)
    circle = Circle(1, 2)

    async def story():
        slow = Slow(circle, 1)
        panel, ask = panel_of(circle)
        for _ in range(3):
            assert await ask(INPUTS[:1]) == EXPECTED[:1]
            slow.asked.clear()
        await settled(panel)
        assert not panel._late

    asyncio.run(story())


def test_a_holder_that_keeps_failing_is_tried_beside_the_others_and_delays_nobody():
    circle = Circle(2, 4)
    circle.peers[1].stalled = True

    async def story():
        panel, ask = panel_of(circle)
        for _ in range(FAILURES):
            panel.holders.failed(1, panel.holders.ask(1))
        circle.peers[1].stalled = False
        panel.holders._of[1].rests_until = 0.0
        slow = Slow(circle, 1)
        assert await ask() == EXPECTED
        assert slow.asked.is_set()
        slow.go.set()
        await settled(panel)
        assert not panel.holders.failing()

    asyncio.run(story())


def test_a_caller_that_gives_up_leaves_no_question_behind(monkeypatch):
    monkeypatch.setattr(module, "GRACE_S", 0.01)
    circle = Circle(2, 2)

    async def story():
        Slow(circle, 1), Slow(circle, 2)
        panel, ask = panel_of(circle)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await ask()
        await settled(panel)

    asyncio.run(story())


@pytest.mark.parametrize("indices", list(itertools.combinations(range(1, 6), 3)), ids=str)
def test_every_three_of_five_give_the_same_fingerprints(indices):
    circle = Circle(3, 5)
    circle.peers = {index: circle.peers[index] for index in indices}
    assert circle.ask(INPUTS) == EXPECTED


def test_where_a_lie_cannot_be_noted_its_answer_is_not_used_either():
    circle = Circle(2, 3)
    circle.twist(1, TWISTS["another proof"])

    def away(lie):
        raise UnavailableError("The database does not answer.")

    circle.accused = SimpleNamespace(append=away)
    assert circle.ask(INPUTS) == EXPECTED


def test_the_evidence_of_a_lie_shows_it_to_anyone_who_has_nothing_else():
    circle = Circle(2, 3)
    circle.twist(1, TWISTS["another proof"])
    circle.ask(INPUTS)
    (lie,) = circle.accused
    shown = json.loads(lie.evidence("ab" * 32))
    assert shown["descriptor"] == "ab" * 32
    assert shown["holder"] == {"index": 1, "node": "holder1.example"}
    commitments = [from_base64url(one) for one in shown["commitments"]]
    key = share_public_key(commitments, shown["holder"]["index"])
    assert to_base64url(key) == shown["public_key"]
    elements = tuple(from_base64url(one) for one in shown["request"]["blinded"])
    asked = Blinded((), (), elements, tuple(map(default_group().decode_element, elements)))
    answer = Evaluation(
        tuple(from_base64url(one) for one in shown["answer"]["evaluated"]),
        from_base64url(shown["answer"]["proof"]),
    )
    with pytest.raises(BadSignatureError):
        verify_evaluation(key, asked, answer)


def test_below_the_threshold_there_is_no_fingerprint():
    circle = Circle(2, 3)
    circle.peers[2].stalled = circle.peers[3].stalled = True
    # The one good answer may still be on its way when it is clear that it will not do.
    with pytest.raises(QuorumError, match=r"[01] of 2") as caught:
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
    (lie,) = circle.accused
    assert lie.node == "holder1.example"
    assert lie.message.startswith("Holder 1 of the circle's key")


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
    (lie,) = circle.accused
    everything = repr(circle.accused) + lie.evidence("0" * 64).decode()
    assert not any(to_base64url(value) in everything for value in values)
    assert "example.com" not in everything
