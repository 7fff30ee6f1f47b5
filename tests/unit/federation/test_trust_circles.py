import pytest

from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.errors import MalformedError, RevokedError, UnknownTargetError
from simulator import DAY_S, NOW, Peer, fields
from unit.federation.memory_node import MemoryNode

HOTLINE = "hotline.example"
UNKNOWN_ID = "ab" * 32


@pytest.fixture
def hotline():
    return Peer(HOTLINE)


@pytest.fixture
def platform():
    return Peer("platform.example")


@pytest.fixture
def here(hotline, platform):
    node = MemoryNode()
    node.know(hotline, platform)
    return node


def epoch(number=1, threshold=1, point=b"\x01"):
    return Epoch(
        epoch=number,
        not_before=format_time(NOW),
        not_after=format_time(NOW + DAY_S),
        threshold=threshold,
        commitments=(to_base64url(point * 32),) * threshold,
        holders=tuple(Holder(index=at, node=f"n{at}.example") for at in range(1, threshold + 1)),
    )


def circle(issuer=HOTLINE, number=200, version=1, previous=None, epochs=None, **changes):
    values = {
        **fields(issuer, number),
        "circle": "hotline.example/minors-1",
        "version": version,
        "previous": previous,
        "members": (Member(node=HOTLINE, budget_per_day=10),),
        "epochs": epochs or (epoch(),),
    }
    values["admins"] = (changes.get("members", values["members"])[0].node,)
    values["admin_threshold"] = 1
    return CircleDescriptor(**(values | changes))


def test_a_circle_is_founded_by_one_of_its_members(here, hotline, platform):
    others = (Member(node=platform.name, budget_per_day=10),)
    with pytest.raises(RevokedError, match="own members"):
        here.believe(hotline.sign(circle(members=others)))
    here.believe(hotline.sign(circle()))


def test_a_circle_does_not_begin_with_a_later_version(here, hotline):
    with pytest.raises(UnknownTargetError, match="version before"):
        here.believe(hotline.sign(circle(version=2, previous=UNKNOWN_ID)))


def test_a_circle_goes_on_version_by_version(here, hotline):
    first = here.believe(hotline.sign(circle())).verified.id
    epochs = (epoch(), epoch(2, threshold=2))
    second = here.believe(
        hotline.sign(circle(number=201, version=2, previous=first, epochs=epochs))
    ).verified.id
    here.believe(hotline.sign(circle(number=202, version=3, previous=second, epochs=epochs[1:])))


def test_nobody_claims_the_name_of_a_circle_before_its_founder_does(here, hotline, platform):
    with pytest.raises(RevokedError, match="name begins with"):
        here.believe(platform.sign(circle(platform.name)))
    here.believe(hotline.sign(circle()))


def test_a_circle_is_described_by_its_founder_only(here, hotline, platform):
    first = here.believe(hotline.sign(circle())).verified.id
    with pytest.raises(RevokedError, match="name begins with"):
        here.believe(platform.sign(circle(platform.name, version=2, previous=first)))


def test_no_version_of_a_circle_is_left_out_or_taken_twice(here, hotline):
    first = here.believe(hotline.sign(circle())).verified.id
    with pytest.raises(UnknownTargetError, match="version before"):
        here.believe(hotline.sign(circle(version=3, previous=first)))
    with pytest.raises(MalformedError, match="already"):
        here.believe(hotline.sign(circle(number=201)))
    with pytest.raises(MalformedError, match="Another version"):
        here.believe(hotline.sign(circle(version=2, previous=UNKNOWN_ID)))


@pytest.mark.parametrize("number", [1, 2])
def test_the_threshold_of_a_circle_is_never_lowered(here, hotline, number):
    strict = circle(epochs=(epoch(1, threshold=2),))
    first = here.believe(hotline.sign(strict)).verified.id
    lower = circle(version=2, previous=first, epochs=(epoch(number, threshold=1),))
    with pytest.raises(MalformedError, match="threshold"):
        here.believe(hotline.sign(lower))


def test_the_key_of_an_epoch_never_changes(here, hotline):
    first = here.believe(hotline.sign(circle())).verified.id
    other = circle(version=2, previous=first, epochs=(epoch(point=b"\x02"),))
    with pytest.raises(MalformedError, match="never changes"):
        here.believe(hotline.sign(other))
