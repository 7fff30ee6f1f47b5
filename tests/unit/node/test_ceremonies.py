"""Ceremonies among real nodes without a network: what comes of them, and who spoils them."""

import itertools
import secrets
import time
from functools import partial

import pytest
from msgspec.structs import replace

from node.demo.cast import CHEAP
from node.services import keys, participation
from node.services.ceremony_plans import NewKey, next_plan
from node.services.directory import StoredDirectory
from node.services.keys import open_keys
from protocol.ceremonies import CeremonyAnswer
from protocol.encoding import from_base64url
from protocol.errors import (
    ConflictError,
    MalformedError,
    NotAllowedError,
    UnavailableError,
)
from protocol.structs import ContradictionError
from protocol.succession import Change
from rings import Ring, new_epoch, open_ring
from signing.oprf import shares, voprf

PASS = "secrets/passphrase"


@pytest.fixture(scope="module", autouse=True)
def cheap_key_files():
    """What a passphrase costs is the business of tests/unit/signing/test_keystore.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "save_secret", partial(keys.save_secret, cost=CHEAP))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("ring")


@pytest.fixture(scope="module")
def opened(place):
    with open_ring(place, 3) as ring:
        yield ring


def circle_at(ring: Ring, name: str):
    with ring.services[name].store.read() as transaction:
        return StoredDirectory(transaction).circle(ring.circle)


def test_two_of_three_make_a_key_and_every_pair_gives_one_output(opened):
    ring = opened
    ceremony = ring.propose()
    waiting = ring.drive(ceremony)
    assert waiting.state == "waiting"
    ring.confirm(ceremony)
    done = ring.drive(ceremony)
    assert (done.state, done.reason) == ("published", None)
    circle = circle_at(ring, ring.names[0])
    (epoch,) = circle.epochs
    commitments = [from_base64url(one) for one in epoch.commitments]
    assert len(commitments) == 2
    pairs = {}
    for at, name in enumerate(ring.names, 1):
        directory = ring.nodes[name].directory
        keys = open_keys(directory, (directory / PASS).read_bytes().strip())
        share = keys.shares[ring.circle, 1]
        pairs[at] = shares.verify_share(commitments, at, share)
        assert not list((directory / "keys").glob("ceremony-*"))
    blinded = voprf.blind([b"somebody"])
    publics = {at: pair.public for at, pair in pairs.items()}
    outputs = {
        shares.combine(
            blinded,
            {
                at: voprf.verify_evaluation(
                    publics[at], blinded, voprf.evaluate(pairs[at], blinded.elements)
                )
                for at in chosen
            },
            publics,
            2,
        )[0]
        for chosen in itertools.combinations(pairs, 2)
    }
    assert len(outputs) == 1


def through(ring: Ring, ceremony: str) -> None:
    """Has everybody confirm a plan that they have heard of."""
    ring.drive(ceremony)
    ring.confirm(ceremony)


@pytest.fixture
def ring(opened, monkeypatch):
    """The same nodes; each test founds a circle of its own."""
    opened.between = None
    opened.down.clear()
    monkeypatch.setattr("rings.LABEL", f"ring-{secrets.token_hex(4)}")
    return opened


def test_whoever_is_asked_again_gives_the_same_bytes(ring):
    ceremony = ring.propose()
    through(ring, ceremony)
    heard = []

    async def listen(name, request, direct):
        first, second = await direct(request), await direct(request)
        assert first == second
        heard.append((name, first.commitment))
        return first

    ring.between = listen
    assert ring.drive(ceremony).state == "published"
    said = {pair for pair in heard if pair[1] is not None}
    assert len(said) == len(ring.names)


def test_a_plan_that_one_holder_refuses_fails_everywhere_in_its_name(ring):
    ceremony = ring.propose()
    ring.drive(ceremony)
    ring.confirm(ceremony, ring.names[1])
    ring.services[ring.names[2]].ceremonies.refuse(ceremony, "The budgets are too high.")
    done = ring.drive(ceremony)
    assert (done.state, done.culprit) == ("failed", ring.names[2])
    assert "The budgets are too high." in (done.reason or "")
    assert [ring.state(name, ceremony) for name in ring.names] == ["failed", "failed", "refused"]
    # It is over: another plan for the same version may be agreed to.
    again = ring.propose()
    through(ring, again)
    assert ring.drive(again).state == "published"


def test_a_node_agrees_to_one_plan_for_a_version_at_a_time(ring):
    first = ring.propose()
    ring.drive(first)
    ring.confirm(first, ring.names[1])
    with pytest.raises(ConflictError, match="Another ceremony for this version"):
        ring.propose()
    ring.first.ceremonies.refuse(first)
    second = ring.propose()
    ring.drive(second)
    with pytest.raises(ConflictError, match="refuse that one first"):
        ring.confirm(second, ring.names[1])
    ring.services[ring.names[1]].ceremonies.refuse(first)
    ring.confirm(second)
    assert ring.drive(second).state == "published"


def test_nothing_is_said_before_the_operator_has_confirmed(ring):
    ceremony = ring.propose()
    ring.drive(ceremony)
    answer = ring.services[ring.names[1]].participation.answer(
        ring.first.coordination.request(ceremony, {}), caller=ring.names[0]
    )
    assert answer == CeremonyAnswer(state="unconfirmed")
    with pytest.raises(NotAllowedError, match="the node that its plan names"):
        ring.services[ring.names[1]].participation.answer(
            ring.first.coordination.request(ceremony, {}), caller=ring.names[2]
        )


def changing(field, change):
    """A coordinator that shows the last node something else than the others."""

    def between(ring):
        async def pass_on(name, request, direct):
            if name == ring.names[2] and getattr(request, field):
                request = replace(request, **{field: change(getattr(request, field))})
            return await direct(request)

        return pass_on

    return between


@pytest.mark.parametrize(
    ("field", "change", "match"),
    [
        ("confirmations", lambda row: (row[0], row[0], row[2]), "passed on twice"),
        ("confirmations", lambda row: row[:2], "has not confirmed with a key"),
        ("commitments", lambda row: (row[1], row[0], row[2]), "in the place of"),
        ("commitments", lambda row: row[:2], "Not every holder's message"),
        ("commitments", lambda row: (row[0][:-9] + "AAAA" + row[0][-5:], *row[1:]), "believed"),
        ("certificates", lambda row: (row[1], row[0], row[2]), "in the place of"),
        ("descriptor", lambda text: text.replace(":100", ":900", 1), "not what was agreed on"),
        ("descriptor", lambda text: "{}", "not one"),
    ],
)
def test_what_a_coordinator_changes_ends_it(ring, field, change, match):
    ceremony = ring.propose(ring.plan(admin_threshold=3))
    through(ring, ceremony)
    ring.between = changing(field, change)(ring)
    done = ring.drive(ceremony)
    assert done.state == "failed"
    assert match in (done.reason or "")
    assert {ring.state(name, ceremony) for name in ring.names} <= {"failed", "signed"}
    assert circle_at(ring, ring.names[0]) is None


def test_a_crash_between_share_and_answer_gives_the_same_share_again(ring, monkeypatch):
    ceremony = ring.propose()
    through(ring, ceremony)
    crashed = []
    kept = participation.put_share

    def crash(directory, circle, epoch, share, passphrase):
        kept(directory, circle, epoch, share, passphrase)
        crashed.append(share)
        raise UnavailableError("The power went out.")

    monkeypatch.setattr(participation, "put_share", crash)
    assert ring.drive(ceremony).state == "waiting"
    assert len(set(crashed)) == 3
    monkeypatch.setattr(participation, "put_share", kept)
    assert ring.drive(ceremony).state == "published"
    shares_now = {
        open_keys(node.directory, (node.directory / PASS).read_bytes().strip()).shares[
            ring.circle, 1
        ]
        for node in ring.nodes.values()
    }
    assert shares_now == set(crashed)


def test_an_admin_without_a_share_sees_for_itself_what_it_signs(ring):
    names = ring.names
    plan = ring.plan(generate=new_epoch(names[:2], 2), admin_threshold=3)
    ceremony = ring.propose(plan)
    through(ring, ceremony)
    done = ring.drive(ceremony)
    assert (done.state, done.reason) == ("published", None)
    circle = circle_at(ring, names[0])
    assert [one.node for one in circle.epochs[0].holders] == list(names[:2])
    assert ring.state(names[2], ceremony) in ("signed", "published")


def test_a_circle_goes_on_without_one_admin_but_not_without_a_quorum(ring):
    plan = ring.plan(generate=new_epoch(ring.names[:2], 2), admin_threshold=2)
    ceremony = ring.propose(plan)
    through(ring, ceremony)
    ring.down.add(ring.names[2])
    assert ring.drive(ceremony).state == "published"


def test_the_next_version_brings_a_new_key_and_is_signed_by_the_admins_of_both(ring):
    ceremony = ring.propose()
    through(ring, ceremony)
    assert ring.drive(ceremony).state == "published"
    leaver = ring.names[2]
    second = next_plan(
        ring.first.coordination.latest(ring.circle),
        Change(leaves=(leaver,)),
        NewKey(days=30, overlap_days=7),
        name=ring.names[0],
        now=int(time.time()),
        open_days=3,
    )
    ceremony = ring.propose(second)
    ring.drive(ceremony)
    # No sync has brought version 1 to the others here; two of its three admins are enough.
    ring.confirm(ceremony, ring.names[1])
    done = ring.drive(ceremony)
    assert (done.state, done.reason) == ("published", None)
    circle = circle_at(ring, ring.names[0])
    assert [one.epoch for one in circle.epochs] == [1, 2]
    # Who leaves is asked too, as an admin of the version before, and holds no share of the new key.
    assert leaver in done.nodes
    assert [one.node for one in circle.epochs[1].holders] == list(ring.names[:2])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"generate": None}, "epochs"),
        ({"admins": ("stranger.example",)}, "admins"),
        ({"admin_threshold": 9}, "fewer admins"),
        ({"version": 2}, "previous"),
    ],
)
def test_a_plan_of_which_no_descriptor_can_come_is_refused(ring, changes, match):
    with pytest.raises(MalformedError, match=match):
        ring.propose(ring.plan(**changes))


def test_one_holder_is_refused_for_a_key_of_several_members(ring):
    with pytest.raises(ContradictionError, match="One holder alone"):
        ring.plan(generate=new_epoch(ring.names, 1))
