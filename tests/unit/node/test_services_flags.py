"""What a platform says under its node's key, and what it learns of what became of it."""

from typing import Any

import pytest

from desks import PLATFORM_PROGRAM, Desk
from node.services import flags as module
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import InvalidError, MalformedError, NotFoundError, UnknownTargetError
from protocol.kinds import parse_statement
from protocol.messages import Acknowledgement, PeerStatus, Receipt, SetAside
from protocol.statements import FeedbackRow, MediaFlag, Retract, Statement
from simulator import DAY_S, NOW, account_ban, media_flag
from worlds import ANNA, HOTLINE, PLATFORM, circle_descriptor, dispute, erase, items, retract

UNKNOWN = "ab" * 32


def flag(desk: Desk, **changes: Any) -> Receipt:
    values: dict[str, Any] = {
        "category": "csam.act.prepub",
        "reviewers": 2,
        "purpose": "detection",
        "legal_basis": "DSA-16",
        "review_days": 30,
        "issuer_code": None,
        "flags": (),
        "surfaces": (),
        "jurisdictions": (),
        "audience": ("peers",),
        "client": PLATFORM_PROGRAM,
    }
    return desk.flags.flag_media(changes.pop("items", items(2)), **(values | changes))


def said(desk: Desk, receipt: Receipt) -> Statement:
    with desk.world.store.read() as transaction:
        body = transaction.statements.envelopes([receipt.index])[receipt.index]
    envelope = parse_envelope(body)
    return parse_statement(envelope.kind, envelope.payload)


def acknowledge(desk: Desk, peer: str, *set_aside: SetAside) -> None:
    size = desk.world.log.size()
    with desk.world.store.read() as transaction:
        root = transaction.logs.get(desk.world.log.origin).frontier.root()
    desk.peers.acknowledge(
        peer,
        Acknowledgement(
            origin=desk.world.log.origin, size=size, root=to_base64url(root), set_aside=set_aside
        ),
    )


def peers(desk: Desk, receipt: Receipt) -> tuple[PeerStatus, ...]:
    return desk.flags.status(receipt.id).peers


# what is said


def test_a_finding_is_said_under_the_nodes_own_key_with_all_that_was_given(desk: Desk) -> None:
    told = said(
        desk,
        flag(
            desk,
            issuer_code="A1",
            flags=["live_stream"],
            surfaces=["public"],
            jurisdictions=["DE"],
            audience=[f"node:{PLATFORM}"],
        ),
    )
    assert isinstance(told, MediaFlag)
    assert (told.issuer, told.items, told.category) == (HOTLINE, items(2), "csam.act.prepub")
    assert (told.basis.reviewers, told.basis.reviewed) == (2, format_time(NOW))
    assert told.review_by == format_time(NOW + 30 * DAY_S)
    assert (told.issuer_code, told.flags, told.surfaces) == ("A1", ("live_stream",), ("public",))
    assert (told.jurisdictions, told.audience) == (("DE",), (f"node:{PLATFORM}",))


@pytest.mark.parametrize(
    "bad",
    [
        {"review_days": 0},
        {"review_days": 732},
        {"reviewers": 0},
        {"category": "Not A Category"},
        {"surfaces": ["everywhere"]},
        {"audience": []},
        {"items": []},
    ],
    ids=str,
)
def test_what_the_protocol_does_not_allow_is_refused_and_leaves_nothing(
    desk: Desk, bad: dict[str, Any]
) -> None:
    before = desk.world.contents()
    with pytest.raises(MalformedError):
        flag(desk, **bad)
    assert desk.world.contents() == before


def test_every_act_about_a_statement_is_for_the_audience_of_that_statement(desk: Desk) -> None:
    audience = (f"node:{PLATFORM}",)
    target = flag(desk, audience=audience)
    disputed = desk.flags.dispute(
        target.id, items=[1], reason="not-illegal", client=PLATFORM_PROGRAM
    )
    row = FeedbackRow(item=1, confirmed=1)
    acts = [
        disputed,
        desk.flags.resolve(
            target.id, dispute=disputed.id, outcome="rejected", client=PLATFORM_PROGRAM
        ),
        desk.flags.feedback(target.id, day="2026-11-21", rows=[row], client=PLATFORM_PROGRAM),
        desk.flags.retract(target.id, items=[0], reason="wrong", client=PLATFORM_PROGRAM),
        desk.flags.erase(target.id, reason="court-order", client=PLATFORM_PROGRAM),
    ]
    assert {said(desk, one).audience for one in acts} == {audience}
    assert {getattr(said(desk, one), "target", None) for one in acts} == {target.id}
    actions = ["dispute", "resolve", "feedback", "retract", "erase"]
    assert desk.audited() == [
        ("upload-check", "media.flag", target.id, None),
        *[("upload-check", f"statement.{one}", target.id, None) for one in actions],
    ]


def test_nothing_tells_the_category_once_a_statement_is_erased(desk: Desk) -> None:
    target = flag(desk)
    desk.flags.erase(target.id, reason="court-order", client=PLATFORM_PROGRAM)
    left = desk.world.contents()
    # How many entries of a category were taken in on a day is counted apart from statements.
    del left["intake"]
    assert "csam" not in repr(left)


def test_a_node_takes_back_what_its_flaggers_said(desk: Desk) -> None:
    target = desk.world.submit(media_flag(ANNA))
    receipt = desk.flags.retract(target.id, items=[], reason="wrong", client=PLATFORM_PROGRAM)
    assert isinstance(said(desk, receipt), Retract)
    assert desk.flags.status(target.id).state == "retracted"


@pytest.mark.parametrize("act", ["retract", "erase", "resolve"])
def test_what_another_organisation_said_can_be_disputed_and_not_taken_back(
    desk: Desk, act: str
) -> None:
    target = desk.world.submit(media_flag(PLATFORM))
    disputed = desk.flags.dispute(
        target.id, items=[], reason="wrong-category", client=PLATFORM_PROGRAM
    )
    arguments: dict[str, dict[str, Any]] = {
        "retract": {"items": [], "reason": "wrong"},
        "erase": {"reason": "other"},
        "resolve": {"dispute": disputed.id, "outcome": "upheld"},
    }
    with pytest.raises(InvalidError, match="dispute it"):
        getattr(desk.flags, act)(target.id, client=PLATFORM_PROGRAM, **arguments[act])
    assert desk.flags.status(target.id).state == "disputed"


def test_a_statement_that_is_not_here_cannot_be_spoken_of(desk: Desk) -> None:
    with pytest.raises(NotFoundError, match="no statement with this id"):
        desk.flags.retract(UNKNOWN, items=[], reason="wrong", client=PLATFORM_PROGRAM)
    with pytest.raises(NotFoundError, match="no statement with this id"):
        desk.flags.status(UNKNOWN)


def test_only_what_accuses_can_be_pointed_at(desk: Desk) -> None:
    circle = desk.world.submit(circle_descriptor())
    with pytest.raises(MalformedError, match="Only a media-flag or an account-ban"):
        desk.flags.retract(circle.id, items=[], reason="wrong", client=PLATFORM_PROGRAM)


def test_an_item_that_is_not_there_cannot_be_pointed_at(desk: Desk) -> None:
    target = flag(desk)
    with pytest.raises(MalformedError, match="no item with this number") as caught:
        desk.flags.retract(target.id, items=[2], reason="wrong", client=PLATFORM_PROGRAM)
    assert caught.value.where == "items"


def test_a_resolve_answers_a_dispute_of_its_own_target(desk: Desk) -> None:
    one, two = flag(desk), flag(desk)
    about_two = desk.world.submit(dispute(two.id))
    with pytest.raises(MalformedError, match="about another statement") as caught:
        desk.flags.resolve(one.id, dispute=about_two.id, outcome="upheld", client=PLATFORM_PROGRAM)
    assert caught.value.where == "dispute"
    for no_dispute in (UNKNOWN, one.id):
        with pytest.raises(UnknownTargetError, match="dispute that is resolved is not known"):
            desk.flags.resolve(
                two.id, dispute=no_dispute, outcome="upheld", client=PLATFORM_PROGRAM
            )
    assert [desk.flags.status(one.id).state for one in (one, two)] == ["active", "disputed"]


# what became of it


def test_a_statement_passes_through_its_states(either_desk: Desk) -> None:
    desk = either_desk
    target = flag(desk)

    def state() -> str:
        return desk.flags.status(target.id).state

    assert state() == "active"
    disputed = desk.world.submit(dispute(target.id, items=(0,)))
    assert state() == "disputed"
    desk.flags.resolve(target.id, dispute=disputed.id, outcome="upheld", client=PLATFORM_PROGRAM)
    assert state() == "active", "one item is left"
    desk.flags.retract(target.id, items=[1], reason="wrong", client=PLATFORM_PROGRAM)
    assert state() == "retracted"
    desk.flags.retract(target.id, items=[], reason="wrong", client=PLATFORM_PROGRAM)
    assert state() == "retracted"
    desk.flags.erase(target.id, reason="other", client=PLATFORM_PROGRAM)
    assert state() == "erased"
    desk.flags.retract(target.id, items=[], reason="wrong", client=PLATFORM_PROGRAM)
    assert state() == "erased"


def test_a_statement_is_expired_at_the_instant_of_its_end_and_not_when_a_job_says_so(
    desk: Desk,
) -> None:
    target = flag(desk, review_days=1)
    desk.world.clock.now = NOW + DAY_S - 1
    assert desk.flags.status(target.id).state == "active"
    desk.world.clock.now = NOW + DAY_S
    assert desk.flags.status(target.id).state == "expired"
    desk.maintenance.expire()
    assert desk.flags.status(target.id).state == "expired"


def test_a_status_tells_the_matches_and_what_was_reported_of_them(either_desk: Desk) -> None:
    desk = either_desk
    target = flag(desk)
    with desk.world.store.write() as transaction:
        transaction.journal.count_match(target.index, 0, "hold", at=NOW)
        transaction.journal.count_match(target.index, 0, "hold", at=NOW)

    def report(day: str, item: int, confirmed: int, refuted: int = 0) -> None:
        row = FeedbackRow(item=item, confirmed=confirmed, refuted=refuted, unreviewed=1)
        desk.flags.feedback(target.id, day=day, rows=[row], client=PLATFORM_PROGRAM)

    report("2026-11-20", 0, 5)
    report("2026-11-21", 0, 9, 9)
    report("2026-11-21", 0, 2, 1)  # replaces the one before
    status = desk.flags.status(target.id)
    assert (status.matches, status.confirmed, status.refuted, status.unreviewed) == (2, 7, 1, 2)


def test_a_status_says_which_peers_have_taken_a_statement_over(either_desk: Desk) -> None:
    desk = either_desk
    early = flag(desk)
    acknowledge(desk, PLATFORM)
    late = flag(desk)
    assert peers(desk, early) == (PeerStatus(node=PLATFORM, state="acknowledged"),)
    assert peers(desk, late) == (PeerStatus(node=PLATFORM, state="pending"),)


def test_a_status_gives_a_peers_reason_for_not_taking_a_statement_over(desk: Desk) -> None:
    target = flag(desk)
    acknowledge(desk, PLATFORM, SetAside(id=target.id, reason="Invalid: quality is below 50."))
    assert peers(desk, target) == (
        PeerStatus(node=PLATFORM, state="set-aside", reason="Invalid: quality is below 50."),
    )


def test_a_peer_outside_the_audience_is_not_said_to_have_taken_a_statement_over(
    desk: Desk,
) -> None:
    desk.world.know("third.example")
    target = flag(desk, audience=("node:third.example",))
    for peer in (PLATFORM, "third.example"):
        acknowledge(desk, peer)
    assert peers(desk, target) == (PeerStatus(node="third.example", state="acknowledged"),)


# the list of an issuer's own


def test_an_issuer_sees_its_own_statements_newest_first(either_desk: Desk) -> None:
    world = either_desk.world
    mine = world.submit_all([media_flag(ANNA), account_ban(ANNA), media_flag(ANNA, 2)])
    world.submit(media_flag(HOTLINE, 3))
    taken_back = world.submit(retract(mine[0].id, by=ANNA))
    found = either_desk.flags.statuses(ANNA)
    assert [one.id for one in found.statements] == [
        one.id for one in (taken_back, mine[2], mine[1], mine[0])
    ]
    assert [one.state for one in found.statements] == ["active", "active", "active", "retracted"]
    assert found.next is None


def test_the_list_goes_on_page_by_page_and_leaves_nothing_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PAGE", 2)
    mine = desk.world.submit_all([media_flag(ANNA, number) for number in range(5)])
    pages, after = [], None
    while True:
        page = desk.flags.statuses(ANNA, after=after)
        pages.append([one.id for one in page.statements])
        if page.next is None:
            break
        after = page.next
    ids = [one.id for one in mine[::-1]]
    assert pages == [ids[:2], ids[2:4], ids[4:]]


def test_behind_the_first_of_all_there_is_nothing(desk: Desk) -> None:
    desk.world.submit(media_flag(ANNA))
    assert desk.flags.statuses(ANNA, after=0).statements == ()
    assert desk.flags.statuses("hotline.example/nobody").statements == ()


def test_an_erased_statement_is_still_in_the_list(desk: Desk) -> None:
    target = desk.world.submit(media_flag(ANNA))
    desk.world.submit(erase(target.id, by=ANNA))
    assert [(one.kind, one.state) for one in desk.flags.statuses(ANNA).statements] == [
        ("erase", "active"),
        ("media-flag", "erased"),
    ]
