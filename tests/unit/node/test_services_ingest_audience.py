"""To whom a statement is addressed: this node takes in nothing that is not meant for it."""

import pytest
from msgspec import structs

from node.services.directory import StoredDirectory
from protocol.circles import Epoch, Holder, Member
from protocol.errors import NotAllowedError, UnknownTargetError
from simulator import media_flag
from worlds import ANNA, CIRCLE, HOTLINE, PLATFORM, World, circle_descriptor, erase, retract

OTHERS = f"{HOTLINE}/others-1"


@pytest.mark.parametrize(
    "audience",
    [("peers",), (f"node:{HOTLINE}",), (f"circle:{CIRCLE}",), ("node:a.example", "peers")],
    ids=" ".join,
)
def test_what_is_addressed_to_this_node_is_accepted(
    world: World, audience: tuple[str, ...]
) -> None:
    world.submit(circle_descriptor())
    assert not world.submit(media_flag(PLATFORM, audience=audience)).duplicate


@pytest.mark.parametrize(
    "audience",
    [
        (f"node:{PLATFORM}",),
        (f"circle:{OTHERS}",),
        (f"circle:{HOTLINE}/unknown-1",),
        (f"node:www.{HOTLINE}",),
    ],
    ids=" ".join,
)
def test_what_is_not_addressed_to_this_node_is_refused(
    world: World, audience: tuple[str, ...]
) -> None:
    members = tuple(Member(node=one, budget_per_day=1) for one in (HOTLINE, PLATFORM))
    founded = world.submit(circle_descriptor(circle=OTHERS, members=members))
    world.submit(circle_descriptor(circle=OTHERS, members=members, version=2, previous=founded.id))
    world.submit(
        circle_descriptor(
            circle=OTHERS,
            members=members[1:],
            version=3,
            previous=_latest(world, OTHERS),
        )
    )
    before = world.contents()
    # What is for a circle may be for this node once a descriptor, or a later one, has come.
    error = UnknownTargetError if audience[0].startswith("circle:") else NotAllowedError
    with pytest.raises(error, match=r"not addressed to this node|knows no membership"):
        world.submit(media_flag(PLATFORM, audience=audience))
    assert world.contents() == before


def _latest(world: World, circle: str) -> str:
    with world.store.read() as transaction:
        record = transaction.trust.circle(circle)
        assert record is not None
        found = StoredDirectory(transaction).circle_version(circle, record.version)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("issuer", [HOTLINE, ANNA])
def test_what_its_own_people_say_reaches_a_node_whatever_the_audience(
    world: World, issuer: str
) -> None:
    receipt = world.submit(media_flag(issuer, audience=(f"node:{PLATFORM}",)))
    assert receipt.index == world.log.size() - 1


def test_a_circle_is_told_to_its_members_and_to_whom_it_is_addressed(world: World) -> None:
    outside = tuple(Member(node=one, budget_per_day=1) for one in (PLATFORM, "a.example"))
    with pytest.raises(NotAllowedError, match="not addressed to this node"):
        world.submit(
            circle_descriptor(
                by=PLATFORM,
                circle=f"{PLATFORM}/own-1",
                members=outside,
                epochs=held_elsewhere(),
                audience=("node:a.example",),
            )
        )
    inside = (*outside, Member(node=HOTLINE, budget_per_day=1))
    assert not world.submit(
        circle_descriptor(
            by=PLATFORM,
            circle=f"{PLATFORM}/own-1",
            members=inside,
            epochs=held_elsewhere(),
            audience=("node:a.example",),
        )
    ).duplicate


def held_elsewhere() -> tuple[Epoch, ...]:
    (epoch,) = circle_descriptor().epochs
    holders = (Holder(index=1, node=PLATFORM), Holder(index=2, node="a.example"))
    return (structs.replace(epoch, holders=holders),)


@pytest.mark.parametrize("kind", ["retract", "erase"])
def test_what_takes_a_statement_back_reaches_everybody_who_has_it(world: World, kind: str) -> None:
    target = world.submit(media_flag(PLATFORM)).id
    elsewhere = ("node:a.example",)
    if kind == "retract":
        world.submit(retract(target, by=PLATFORM, audience=elsewhere))
    else:
        world.submit(erase(target, by=PLATFORM, audience=elsewhere))
    with world.store.read() as transaction:
        found = transaction.statements.by_id(target)
    assert found is not None
    assert found.state == ("retracted" if kind == "retract" else "erased")
