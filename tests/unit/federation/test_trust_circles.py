"""Who may describe a circle: a table of named cases, each one version after another."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.envelope import Envelope, Signature, encode_envelope, parse_envelope
from protocol.errors import (
    BadSignatureError,
    EquivocationError,
    LimitError,
    MalformedError,
    QuorumError,
    RevokedError,
    SchutznetzError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.fields import StatementId
from signing.envelopes import add_signature, sign_statement
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, fields, make_key
from unit.federation.memory_node import MemoryNode

HOTLINE = "hotline.example"
FIVE = (HOTLINE, "b.example", "c.example", "d.example", "e.example")
TWO = FIVE[:2]
STRANGER = "stranger.example"
UNKNOWN_ID = StatementId("ab" * 32)


def epoch(number: int = 1, *, threshold: int = 2, key: int = 1, days: int = 30) -> Epoch:
    return Epoch(
        epoch=number,
        not_before=format_time(NOW),
        not_after=format_time(NOW + days * DAY_S),
        threshold=threshold,
        commitments=(to_base64url(bytes([key]) * 32),) * threshold,
        holders=tuple(Holder(index=at, node=name) for at, name in enumerate(FIVE, 1)),
    )


def circle(number: int = 200, **changes: Any) -> CircleDescriptor:
    """Version 1: five members and admins, of whom three must sign."""
    issuer = changes.pop("issuer", HOTLINE)
    values: dict[str, Any] = {
        **fields(issuer, number),
        "circle": f"{HOTLINE}/minors-1",
        "version": 1,
        "members": tuple(Member(node=name, budget_per_day=10) for name in FIVE),
        "admins": FIVE,
        "admin_threshold": 3,
        "epochs": (epoch(),),
    }
    return CircleDescriptor(**(values | changes))


def signed(new: CircleDescriptor, *names: str) -> bytes:
    """The envelope with one signature of each of these nodes, in this order."""
    data = sign_statement(new, make_key(KeyUse.STATEMENT, names[0]))
    for name in names[1:]:
        data = add_signature(data, make_key(KeyUse.STATEMENT, name))
    return data


def broken(data: bytes, at: int) -> bytes:
    """The envelope with one of its signatures spoilt."""
    envelope = parse_envelope(data)
    signatures = list(envelope.signatures)
    signatures[at] = Signature(signatures[at].keyid, bytes(64))
    return encode_envelope(Envelope(envelope.payload_type, envelope.payload, tuple(signatures)))


@pytest.fixture
def here() -> MemoryNode:
    node = MemoryNode()
    node.know(*(Peer(name) for name in FIVE))
    return node


@pytest.fixture
def first(here: MemoryNode) -> StatementId:
    return here.believe(signed(circle(), *FIVE[:3])).verified.id


@dataclass(frozen=True)
class Case:
    """One version, who signed it, and what becomes of it; None: it is believed."""

    name: str
    signers: Sequence[str]
    refused: type[SchutznetzError] | None = None
    says: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    frozen: Sequence[str] = ()


ONLY_TWO = {
    "members": tuple(Member(node=name, budget_per_day=10) for name in TWO),
    "admins": TWO,
    "admin_threshold": 2,
}

FOUNDINGS = [
    Case("3-of-5 admins, three signatures", FIVE[:3]),
    Case("3-of-5 admins, all five signatures", FIVE),
    Case("3-of-5 admins, one signature too few", FIVE[:2], QuorumError, "2 of the admins"),
    Case("the founder's own signature is missing", FIVE[1:4], UnknownKeyError, "its issuer"),
    Case("a signature of a node that is no admin", TWO, QuorumError, "1 of the admins",
         changes={"admins": (HOTLINE, "c.example", "d.example"), "admin_threshold": 2}),
    Case("an admin who is not pinned here", FIVE[:3], QuorumError, unknown=["c.example"]),
    Case("an admin who is frozen here", FIVE[:3], QuorumError, frozen=["c.example"]),
    Case("the founder is frozen here", FIVE[:3], RevokedError, frozen=[HOTLINE]),
    Case("the founder is no admin, but has signed", FIVE[:4],
         changes={"admins": FIVE[1:], "admin_threshold": 3}),
    Case("the founder is no admin, and one more must sign", FIVE[:3], QuorumError,
         changes={"admins": FIVE[1:], "admin_threshold": 3}),
    Case("the name is another's", FIVE[1:4], RevokedError, "name begins",
         changes={"issuer": "b.example"}),
    Case("the founder is no member", FIVE, RevokedError, "own members",
         changes={"members": tuple(Member(node=name, budget_per_day=1) for name in FIVE[1:]),
                  "admins": FIVE[1:]}),
    Case("it begins with a later version", FIVE, UnknownTargetError, "version before",
         changes={"version": 2, "previous": UNKNOWN_ID}),
    Case("a later epoch asks for fewer holders", FIVE, MalformedError, "never lowered",
         changes={"epochs": (epoch(1, threshold=3), epoch(2))}),
    Case("a key that had not begun yet", FIVE[:3], RevokedError,
         changes={"issued": format_time(NOW - 500 * DAY_S)}),
    Case("dated ahead", FIVE[:3], LimitError, "ahead",
         changes={"issued": format_time(NOW + DAY_S)}),
]  # fmt: skip


@pytest.mark.parametrize("case", FOUNDINGS, ids=lambda case: case.name)
def test_a_circle_is_founded(here: MemoryNode, case: Case) -> None:
    judge(here, case, circle(**case.changes))


NEW_ADMINS = (HOTLINE, "b.example", "f.example", "g.example", "h.example")
MOVED = {
    "members": tuple(Member(node=name, budget_per_day=10) for name in NEW_ADMINS),
    "admins": NEW_ADMINS,
}
NEXT = [
    Case("3-of-5 admins, three signatures", FIVE[:3]),
    Case("3-of-5 admins, another three than before", FIVE[2:], changes={"issuer": "c.example"}),
    Case("3-of-5 admins, one signature of N missing", FIVE[:2], QuorumError, "version before"),
    Case("any order of signatures", FIVE[2::-1]),
    Case("one of them does not fit", FIVE[:4], BadSignatureError),
    Case("an issuer who is no admin of N", [STRANGER, *FIVE[:3]], RevokedError, "admin of the one",
         changes={"issuer": STRANGER}),
    Case("an issuer who has not signed", FIVE[1:4], UnknownKeyError, "its issuer"),
    Case("new admins, three of N and three of N+1", [HOTLINE, "b.example", "c.example",
         "f.example"], changes=MOVED),
    Case("new admins, all of N and two of N+1", FIVE, QuorumError, "this version", changes=MOVED),
    Case("new admins, two of N and all of N+1", NEW_ADMINS, QuorumError, "version before",
         changes=MOVED),
    Case("more must sign from now on, and do", FIVE[:4], changes={"admin_threshold": 4}),
    Case("more must sign from now on, and do not", FIVE[:3], QuorumError, "this version",
         changes={"admin_threshold": 4}),
    Case("fewer must sign from now on", FIVE, MalformedError, "never lowered",
         changes={"admin_threshold": 2}),
    Case("a version left out", FIVE, UnknownTargetError, "version before",
         changes={"version": 3}),
    Case("another version is named as the one before", FIVE, MalformedError, "Another version",
         changes={"previous": UNKNOWN_ID}),
    Case("an epoch under another key", FIVE, MalformedError, "never changes",
         changes={"epochs": (epoch(key=9),)}),
    Case("an epoch that lasts longer", FIVE, MalformedError, "never later",
         changes={"epochs": (epoch(days=31),)}),
    Case("an epoch that ends earlier", FIVE[:3], changes={"epochs": (epoch(days=29),)}),
    Case("a running epoch dropped", FIVE, MalformedError, "once it is over",
         changes={"epochs": (epoch(2),)}),
    Case("a new epoch that asks for more holders", FIVE[:3],
         changes={"epochs": (epoch(), epoch(2, threshold=3))}),
    Case("a new epoch that asks for fewer holders", FIVE, MalformedError, "never lowered",
         changes={"epochs": (epoch(), epoch(2, threshold=3), epoch(3))}),
    Case("a frozen admin of N", FIVE[:3], QuorumError, frozen=["b.example"]),
    Case("an admin of N who is no longer pinned", FIVE[:3], QuorumError, unknown=["b.example"]),
    Case("the founder is no longer pinned", FIVE[1:4], unknown=[HOTLINE],
         changes={"issuer": "b.example"}),
]  # fmt: skip


@pytest.mark.parametrize("case", NEXT, ids=lambda case: case.name)
def test_a_version_follows_another(here: MemoryNode, first: StatementId, case: Case) -> None:
    here.know(*(Peer(name) for name in (*NEW_ADMINS[2:], STRANGER)))
    values = {"version": 2, "previous": first, **case.changes}
    judge(here, case, circle(201, **values))


def judge(here: MemoryNode, case: Case, new: CircleDescriptor) -> None:
    for name in case.unknown:
        del here.nodes[name]
    for name in case.frozen:
        here.freeze(name)
    data = signed(new, *case.signers)
    if "does not fit" in case.name:
        data = broken(data, 2)
    if case.refused is None:
        found = here.believe(data)
        assert found.signers.keys() == set(case.signers)
        assert found.keyid == make_key(KeyUse.STATEMENT, new.issuer).public.kid
    else:
        with pytest.raises(case.refused, match=case.says or None):
            here.believe(data)


def test_a_stripped_copy_of_a_good_version_is_refused_and_the_good_one_is_not(
    here: MemoryNode, first: StatementId
) -> None:
    new = circle(201, version=2, previous=first)
    with pytest.raises(QuorumError):
        here.believe(signed(new, HOTLINE))
    assert here.believe(signed(new, *FIVE[:3])).verified.statement == new


def test_a_signature_counts_for_one_node_even_where_two_have_the_key(here: MemoryNode) -> None:
    class Copycat(Peer):
        def key(self, use: KeyUse) -> Any:
            return make_key(use, "b.example" if use == KeyUse.STATEMENT else self.name)

    here.know(Copycat("c.example"))
    with pytest.raises(QuorumError, match="2 of the admins"):
        here.believe(signed(circle(), *TWO))


def test_a_founder_with_one_admin_signs_alone(here: MemoryNode) -> None:
    alone = circle(admins=(HOTLINE,), admin_threshold=1)
    assert here.believe(signed(alone, HOTLINE)).signers.keys() == {HOTLINE}


def test_the_same_version_again_is_no_contradiction(here: MemoryNode, first: StatementId) -> None:
    assert here.believe(signed(circle(), *FIVE)).verified.id == first


@pytest.mark.parametrize("version", [1, 2])
def test_two_versions_of_one_number_are_a_contradiction(
    here: MemoryNode, first: StatementId, version: int
) -> None:
    values: dict[str, Any] = {"version": 2, "previous": first} if version == 2 else {}
    known = here.believe(signed(circle(201, **values), *FIVE[:3])).verified.id if values else first
    with pytest.raises(EquivocationError, match=f"Two different versions {version}") as caught:
        here.believe(signed(circle(202, **values), *FIVE[2::-1]))
    assert (caught.value.circle, caught.value.known) == (f"{HOTLINE}/minors-1", known)


def test_what_too_few_have_signed_contradicts_nothing(here: MemoryNode, first: StatementId) -> None:
    values: dict[str, Any] = {"version": 2, "previous": first}
    here.believe(signed(circle(201, **values), *FIVE[:3]))
    with pytest.raises(QuorumError):
        here.believe(signed(circle(202, **values), *TWO))


def test_an_earlier_version_contradicted_late_is_still_seen(
    here: MemoryNode, first: StatementId
) -> None:
    second = here.believe(signed(circle(201, version=2, previous=first), *FIVE[:3])).verified.id
    here.believe(signed(circle(202, version=3, previous=second), *FIVE[:3]))
    with pytest.raises(EquivocationError):
        here.believe(signed(circle(203, version=2, previous=first), *FIVE[:3]))


def test_who_founded_a_circle_does_not_stop_it_alone(here: MemoryNode, first: StatementId) -> None:
    alone = circle(204, admins=(HOTLINE,), admin_threshold=1)
    with pytest.raises(QuorumError, match="1 of the admins of the other version"):
        here.believe(signed(alone, HOTLINE))


def test_who_decided_once_does_not_stop_a_circle_of_others(here: MemoryNode) -> None:
    alone: dict[str, Any] = {"admins": (HOTLINE,), "admin_threshold": 1}
    first = here.believe(signed(circle(**alone), HOTLINE)).verified.id
    values: dict[str, Any] = {"version": 2, "previous": first}
    here.believe(signed(circle(201, **values), *FIVE[:3]))
    with pytest.raises(QuorumError, match="1 of the admins of the other version"):
        here.believe(signed(circle(202, **values, **alone), HOTLINE))
