"""What a coordinator, a holder or a founder tries in a ceremony that the plan did not foresee."""

import secrets
import time
from functools import partial

import pytest
from msgspec.structs import replace

from node.demo.cast import CHEAP
from node.services import keys, participation
from node.services.ceremony_plans import say
from node.services.directory import StoredDirectory
from protocol.ceremonies import (
    CeremonyRequest,
    Certificate,
    Confirmation,
    ceremony_id,
    encode_plan,
    parse_plan,
)
from protocol.circles import Member, Stretch
from protocol.encoding import format_time
from protocol.envelope import parse_envelope
from protocol.errors import ConflictError, NotAllowedError, RateLimitedError
from protocol.limits import MAX_OPEN_CEREMONIES
from protocol.statements import parse_as
from rings import DAY_S, Ring, new_epoch, open_ring


@pytest.fixture(scope="module", autouse=True)
def cheap_key_files():
    """What a passphrase costs is the business of tests/unit/signing/test_keystore.py."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "save_secret", partial(keys.save_secret, cost=CHEAP))
        yield


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_ring(tmp_path_factory.mktemp("ring"), 3) as ring:
        yield ring


@pytest.fixture
def ring(opened, monkeypatch):
    """The same nodes; each test founds a circle of its own."""
    opened.between = None
    monkeypatch.setattr("rings.LABEL", f"ring-{secrets.token_hex(4)}")
    return opened


def through(ring: Ring, ceremony: str) -> None:
    """Has everybody confirm a plan that they have heard of."""
    ring.drive(ceremony)
    ring.confirm(ceremony)


def request_of(plan, **fields) -> CeremonyRequest:
    data = encode_plan(plan)
    return CeremonyRequest(ceremony=ceremony_id(data), plan=data.decode(), **fields)


def at_time(ring: Ring, monkeypatch, now: float) -> None:
    for services in ring.services.values():
        for one in (services.ceremonies, services.participation, services.coordination):
            monkeypatch.setattr(one, "_clock", lambda: now)
        monkeypatch.setattr(services.participation._ledger, "_clock", lambda: now)


@pytest.mark.parametrize("taken_back", [None, "It was a mistake."])
def test_nobody_fills_a_node_with_plans_that_its_operator_did_not_ask_for(
    ring, monkeypatch, taken_back
):
    victim, stranger = ring.services[ring.names[2]], ring.names[1]

    def propose(now):
        times = {"issued": format_time(int(now)), "expires": format_time(int(now) + 60)}
        plan = ring.plan(coordinator=stranger, **times)
        return victim.participation.answer(request_of(plan, failed=taken_back), caller=stranger)

    # Those of the test before are more than a day old.
    start = time.time() + (12 if taken_back else 6) * DAY_S
    at_time(ring, monkeypatch, start)
    for _ in range(MAX_OPEN_CEREMONIES):
        assert propose(start).state == ("failed" if taken_back else "unconfirmed")
    with pytest.raises(RateLimitedError, match="Too many ceremonies"):
        propose(start)
    # Nobody is kept out for ever by what was never looked at.
    later = start + 2 * DAY_S
    at_time(ring, monkeypatch, later)
    assert propose(later).confirmation is None


def test_what_was_passed_on_twice_is_no_evidence_against_who_said_it(ring):
    ceremony = ring.propose(ring.plan(admin_threshold=3))
    through(ring, ceremony)

    async def pass_on(name, request, direct):
        if name == ring.names[2] and request.confirmations:
            first, second, _ = request.confirmations
            request = replace(request, confirmations=(first, second, second))
        return await direct(request)

    ring.between = pass_on
    ring.drive(ceremony)
    victim = ring.services[ring.names[2]]
    assert victim.ceremonies.get(ceremony).culprit == ring.names[0]
    with victim.store.read() as transaction:
        assert not transaction.peers.evidence(ring.names[1])


def test_a_key_that_nobody_saw_generated_is_not_agreed_to(ring):
    ceremony = ring.propose()
    through(ring, ceremony)
    assert ring.drive(ceremony).state == "published"
    latest, latest_id = ring.first.coordination.latest(ring.circle)
    (known,) = latest.epochs
    elsewhere = replace(known, transcript="ab" * 64)
    other = f"{ring.names[0]}/other"
    with pytest.raises(ConflictError, match="nobody here has seen"):
        ring.propose(ring.plan(circle=other, generate=None, epochs=(elsewhere,)))
    values = {"version": 2, "previous": latest_id, "admin_threshold": latest.admin_threshold}
    with pytest.raises(ConflictError, match="nobody here has seen"):
        ring.propose(
            ring.plan(generate=None, epochs=(known, replace(elsewhere, epoch=2)), **values)
        )
    with pytest.raises(ConflictError, match="has the number 2"):
        ring.propose(
            ring.plan(epochs=(known,), generate=new_epoch(ring.names, 2, epoch=10**6), **values)
        )


def test_who_has_signed_a_descriptor_signs_no_other_until_the_operator_says_so(ring, monkeypatch):
    first = ring.propose()
    through(ring, first)
    with monkeypatch.context() as patch:
        patch.setattr(type(ring.first.coordination), "_publish", lambda self, record, plan: None)
        ring.drive(first)
    assert {ring.state(name, first) for name in ring.names} == {"signed"}
    with pytest.raises(ConflictError, match="may be published any moment"):
        ring.first.ceremonies.refuse(first)
    later = time.time() + 3 * DAY_S
    at_time(ring, monkeypatch, later)
    times = {"issued": format_time(int(later)), "expires": format_time(int(later) + 60)}
    again = ring.plan(**times)
    with pytest.raises(ConflictError, match="may still publish"):
        ring.propose(again)
    ring.first.ceremonies.refuse(first)
    ring.propose(again)


def test_a_descriptor_is_not_signed_once_another_of_its_version_has_come(ring, monkeypatch):
    ceremony = ring.propose()
    through(ring, ceremony)
    arrived = []

    async def meanwhile(name, request, direct):
        if request.descriptor is not None and not arrived:
            with ring.first.store.read() as transaction:
                directory = type(StoredDirectory(transaction))
            other = replace(ring.plan(), circle=ring.circle)
            monkeypatch.setattr(directory, "circle", lambda self, name: other)
            arrived.append(name)
        return await direct(request)

    ring.between = meanwhile
    done = ring.drive(ceremony)
    assert (done.state, arrived != []) == ("failed", True)
    assert "this version already" in (done.reason or "")


def test_a_static_key_that_a_crash_left_is_gone_with_the_next_question(ring, monkeypatch):
    ceremony = ring.propose()
    through(ring, ceremony)
    with monkeypatch.context() as patch:
        patch.setattr(participation, "forget_ceremony_key", lambda directory, one: None)
        assert ring.drive(ceremony).state == "published"
    files = [node.directory / "keys" / f"ceremony-{ceremony}.key" for node in ring.nodes.values()]
    assert all(one.exists() for one in files)
    ring.drive(ceremony)
    assert not any(one.exists() for one in files)


def test_a_stretch_that_no_machine_bears_is_warned_of(ring):
    dear = Stretch(kinds=("phone",), memory_kib=1 << 20, passes=16, salt="A" * 21 + "A")
    plan = ring.plan(generate=new_epoch(ring.names, 2, stretch=dear))
    ceremony = ring.propose(plan)
    assert any("1024 MiB" in one for one in ring.first.ceremonies.get(ceremony).warnings)


def reworded(ring: Ring, name: str, kind, envelope: bytes, **changes) -> str:
    """What a node that lies says in place of what it has said."""
    said = parse_as(kind, parse_envelope(envelope).payload)
    with ring.first.store.read() as transaction:
        record = transaction.ceremonies.get(said.ceremony)
    own = {one: getattr(said, one) for one in kind.__annotations__ if one != "KIND"}
    signed = say(
        ring.services[name].participation._keys,
        name,
        int(time.time()),
        parse_plan(record.plan),
        kind,
        ceremony=said.ceremony,
        **(own | changes),
    )
    return signed.decode()


def nobody_is_blamed(ring: Ring, ceremony: str) -> bool:
    for services in ring.services.values():
        if services.ceremonies.get(ceremony).culprit is not None:
            return False
        with services.store.read() as transaction:
            if any(transaction.peers.evidence(name) for name in ring.names):
                return False
    return True


def test_who_was_shown_another_confirmation_is_not_blamed_for_it(ring):
    ceremony = ring.propose()
    through(ring, ceremony)

    second: list[str] = []

    async def two_faced(name, request, direct):
        if name == ring.names[2] and request.confirmations:
            first, *others = request.confirmations
            if not second:
                second.append(reworded(ring, ring.names[0], Confirmation, first.encode()))
            request = replace(request, confirmations=(second[0], *others))
        return await direct(request)

    ring.between = two_faced
    done = ring.drive(ceremony)
    assert done.state == "failed"
    assert "other confirmations" in (done.reason or "")
    assert nobody_is_blamed(ring, ceremony)


def test_who_says_that_another_committed_twice_makes_no_evidence_of_it(ring):
    ceremony = ring.propose()
    through(ring, ceremony)

    async def slander(name, request, direct):
        answer = await direct(request)
        if name == ring.names[1] and answer.certificate is not None:
            own = answer.certificate.encode()
            seen = parse_as(Certificate, parse_envelope(own).payload).seen
            seen = (*seen[:2], "ab" * 32)
            answer = replace(answer, certificate=reworded(ring, name, Certificate, own, seen=seen))
        return answer

    ring.between = slander
    done = ring.drive(ceremony)
    assert done.state == "failed"
    assert "certified another commitment" in (done.reason or "")
    assert nobody_is_blamed(ring, ceremony)


def test_what_one_node_says_in_the_name_of_another_is_not_kept(ring):
    ceremony = ring.propose()
    with ring.first.store.read() as transaction:
        ((_, word),) = transaction.ceremonies.parts(ceremony).items()
        assert "plan" not in repr(transaction.ceremonies.get(ceremony))

    async def parrot(name, request, direct):
        answer = await direct(request)
        return replace(answer, confirmation=word.decode()) if name == ring.names[1] else answer

    ring.between = parrot
    through(ring, ceremony)
    assert ring.drive(ceremony).state == "waiting"
    ring.between = None
    assert ring.drive(ceremony).state == "published"


def test_a_ceremony_that_has_gone_on_meanwhile_is_not_refused_by_half(ring, monkeypatch):
    ceremony = ring.propose()
    through(ring, ceremony)
    late = ring.services[ring.names[1]].ceremonies
    stale = late._open_record(ceremony)
    assert ring.drive(ceremony).state == "published"
    monkeypatch.setattr(late, "_open_record", lambda one: stale)
    with pytest.raises(ConflictError, match="gone on meanwhile"):
        late.refuse(ceremony)


def test_the_key_of_a_ceremony_that_nobody_ends_is_gone_with_its_time(ring, monkeypatch):
    ceremony = ring.propose()
    through(ring, ceremony)
    name = ring.names[1]
    file = ring.nodes[name].directory / "keys" / f"ceremony-{ceremony}.key"
    assert file.exists()
    services = ring.services[name]
    services.maintenance.forget()
    assert file.exists()
    at_time(ring, monkeypatch, time.time() + 2 * DAY_S)
    services.maintenance.forget()
    assert not file.exists()
    assert ring.state(name, ceremony) == "failed"


def test_no_holder_begins_before_enough_admins_have_agreed(ring):
    names = ring.names
    ceremony = ring.propose(ring.plan(generate=new_epoch(names[:2], 2), admin_threshold=3))
    through(ring, ceremony)

    async def leave_out_the_third(name, request, direct):
        return await direct(replace(request, confirmations=request.confirmations[:2]))

    ring.between = leave_out_the_third
    ring.drive(ceremony)
    found = ring.services[names[1]].ceremonies.get(ceremony)
    assert (found.state, found.culprit) == ("failed", names[0])
    assert "before enough admins had agreed" in found.reason
    assert "ceremony-commitment" not in found.said.get(names[1], ())


def test_a_signature_that_does_not_hold_leaves_room_for_one_that_does(ring):
    ceremony = ring.propose(ring.plan(admin_threshold=3))
    through(ring, ceremony)
    garbled = []

    async def garble_once(name, request, direct):
        answer = await direct(request)
        if name == ring.names[1] and answer.signature is not None and not garbled:
            garbled.append(answer.signature)
            return replace(answer, signature="A" * len(answer.signature))
        return answer

    ring.between = garble_once
    done = ring.drive(ceremony)
    if done.state == "waiting":
        done = ring.drive(ceremony)
    assert garbled
    assert done.state == "published"


def test_what_came_to_nothing_is_forgotten_after_a_month(ring, monkeypatch):
    ceremony = ring.propose()
    ring.drive(ceremony)
    victim = ring.services[ring.names[1]]
    victim.ceremonies.refuse(ceremony)
    ledger = victim.participation._ledger
    for days, is_there in ((31, True), (32, False)):
        at_time(ring, monkeypatch, time.time() + days * DAY_S - 60)
        ledger.end_late()
        assert (ceremony in {one.id for one in victim.ceremonies.list()}) is is_there
    with victim.store.read() as transaction:
        assert transaction.ceremonies.parts(ceremony) == {}
    # Nor does it come back: the time of its plan is over.
    data = encode_plan(ring.first.ceremonies.get(ceremony).plan)
    request = CeremonyRequest(ceremony=ceremony, plan=data.decode())
    with pytest.raises(ConflictError, match="time for this ceremony is over"):
        victim.participation.answer(request, caller=ring.names[0])


def test_a_stranger_does_not_learn_who_the_admins_of_a_circle_are(ring):
    *insiders, stranger = ring.names
    members = tuple(Member(node=name, budget_per_day=1) for name in insiders)
    plan = ring.plan(members=members, admins=tuple(insiders), generate=new_epoch(insiders, 2))
    ceremony = ring.propose(plan)
    ring.drive(ceremony)
    ring.confirm(ceremony, insiders[1])
    assert ring.drive(ceremony).state == "published"
    heard = set()
    for circle in (ring.circle, f"{insiders[0]}/there-is-none"):
        probe = ring.plan(
            circle=circle,
            version=2,
            previous="ab" * 32,
            coordinator=stranger,
            members=(Member(node=stranger, budget_per_day=1),),
            admins=(stranger,),
            admin_threshold=1,
            generate=new_epoch((stranger,), 1),
        )
        with pytest.raises(NotAllowedError, match="no part") as caught:
            ring.services[insiders[1]].participation.answer(request_of(probe), caller=stranger)
        heard.add(str(caught.value))
    assert len(heard) == 1


def test_a_fault_that_another_node_tells_of_is_told_as_its_word(ring):
    ceremony = ring.propose()
    ring.drive(ceremony)
    victim = ring.services[ring.names[1]]
    plan = victim.ceremonies.get(ceremony).plan
    request = request_of(plan, failed="It sent nothing.", culprit=ring.names[2])
    victim.participation.answer(request, caller=ring.names[0])
    told = f"{ring.names[0]} gave it up, naming {ring.names[2]}: It sent nothing."
    assert victim.ceremonies.get(ceremony).reason == told
