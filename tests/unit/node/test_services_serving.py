"""Peers get the exact bytes of what is addressed to them, and nothing of the rest."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from desks import Desk
from node.services import serving as module
from protocol.circles import Holder, Member
from protocol.encoding import format_time
from protocol.fields import StatementId
from protocol.messages import Receipt
from protocol.statements import MediaItem
from simulator import NOW, account_ban, media_flag
from worlds import (
    ANNA,
    CIRCLE,
    HOTLINE,
    PLATFORM,
    circle_descriptor,
    dispute,
    erase,
    feedback,
    items,
    resolve,
    retract,
)

OTHER = "other.example"
NEEDLESS = ("node:nobody.example",)
"""An audience that leaves out everybody."""


def states(desk: Desk, ids: Sequence[str], reader: str) -> list[str]:
    return [one.state for one in desk.serving.envelopes(ids, reader=reader).envelopes]


def flag(desk: Desk, number: int = 0, *, by: str = ANNA, **changes: Any) -> Receipt:
    return desk.world.submit(media_flag(by, number, **changes))


def test_a_peer_gets_the_exact_bytes_in_the_order_asked(either_desk: Desk) -> None:
    statements = [media_flag(ANNA, number, items=items(2)) for number in range(3)]
    receipts = either_desk.world.submit_all(statements)
    asked = [receipts[at].id for at in (2, 0, 1, 2)]
    answer = either_desk.serving.envelopes(asked, reader=PLATFORM).envelopes
    assert [one.id for one in answer] == asked
    expected = [either_desk.world.sign(statements[at]).decode() for at in (2, 0, 1, 2)]
    assert [one.envelope for one in answer] == expected


def test_what_is_not_in_the_log_is_unknown(desk: Desk) -> None:
    assert states(desk, ["ab" * 32], PLATFORM) == ["unknown"]


@pytest.mark.parametrize(
    ("audience", "readers"),
    [
        (("peers",), {HOTLINE, PLATFORM, OTHER}),
        ((f"node:{PLATFORM}",), {HOTLINE, PLATFORM}),
        ((f"node:{PLATFORM}", f"node:{OTHER}"), {HOTLINE, PLATFORM, OTHER}),
        ((f"circle:{CIRCLE}",), {HOTLINE, PLATFORM}),
        ((f"circle:{HOTLINE}/not-known-1",), {HOTLINE}),
        (NEEDLESS, {HOTLINE}),
    ],
)
def test_a_body_is_served_to_its_audience_and_to_the_organisation_that_said_it(
    either_desk: Desk, audience: tuple[str, ...], readers: set[str]
) -> None:
    either_desk.world.submit(circle_descriptor())
    receipt = flag(either_desk, audience=audience)
    served = {
        reader
        for reader in (HOTLINE, PLATFORM, OTHER)
        if states(either_desk, [receipt.id], reader) == ["present"]
    }
    assert served == readers


def test_a_circles_descriptor_is_for_its_members(desk: Desk) -> None:
    receipt = desk.world.submit(circle_descriptor(audience=(f"circle:{CIRCLE}",)))
    assert states(desk, [receipt.id], PLATFORM) == ["present"]
    assert states(desk, [receipt.id], OTHER) == ["withheld"]


@pytest.mark.parametrize("audience", [NEEDLESS, (f"node:{OTHER}",)])
def test_a_circles_descriptor_is_for_its_members_whatever_its_audience_says(
    desk: Desk, audience: tuple[str, ...]
) -> None:
    receipt = desk.world.submit(circle_descriptor(audience=audience))
    assert states(desk, [receipt.id], PLATFORM) == ["present"]
    assert (states(desk, [receipt.id], OTHER) == ["present"]) == (audience != NEEDLESS)


def test_a_circles_descriptor_is_for_a_holder_that_is_no_member(desk: Desk) -> None:
    (epoch,) = circle_descriptor().epochs
    holders = (*epoch.holders[:-1], Holder(index=9, node=OTHER))
    made = circle_descriptor(epochs=(msgspec.structs.replace(epoch, holders=holders),))
    receipt = desk.world.submit(made)
    assert states(desk, [receipt.id], OTHER) == ["present"]


def test_who_may_have_a_statement_may_have_what_is_said_about_it(desk: Desk) -> None:
    target = flag(desk, audience=(f"node:{PLATFORM}",))
    disputed = desk.world.submit(dispute(target.id, by=HOTLINE, audience=NEEDLESS))
    about = [
        disputed,
        desk.world.submit(feedback(target.id, audience=NEEDLESS)),
        desk.world.submit(resolve(target.id, disputed.id, "rejected", audience=NEEDLESS)),
        desk.world.submit(retract(target.id, by=ANNA, audience=NEEDLESS)),
        desk.world.submit(erase(target.id, by=ANNA, audience=NEEDLESS)),
    ]
    ids = [one.id for one in about]
    assert states(desk, ids, PLATFORM) == ["present"] * 5
    assert states(desk, ids, HOTLINE) == ["present"] * 5
    assert states(desk, ids, OTHER) == ["withheld"] * 5


def test_a_flaggers_organisation_may_read_what_others_say_of_its_statement(desk: Desk) -> None:
    target = flag(desk, audience=(f"node:{PLATFORM}",))
    said = desk.world.submit(dispute(target.id, by=PLATFORM, audience=NEEDLESS))
    assert states(desk, [said.id], HOTLINE) == ["present"]


def test_what_is_gone_is_said_to_be_gone_to_its_audience_alone(either_desk: Desk) -> None:
    desk = either_desk
    audience = (f"node:{PLATFORM}",)
    erased = flag(desk, 1, audience=audience)
    expired = flag(desk, 2, audience=audience, review_by=format_time(NOW + 1))
    desk.world.submit(erase(erased.id, by=ANNA))
    desk.world.clock.tick(1)
    assert desk.maintenance.expire() == 1
    assert states(desk, [erased.id, expired.id], PLATFORM) == ["erased", "expired"]
    assert states(desk, [erased.id, expired.id], OTHER) == ["withheld", "withheld"]


def test_what_has_ended_is_not_served_even_before_it_is_deleted(desk: Desk) -> None:
    ended = flag(desk, 1, review_by=format_time(NOW + 2)).id
    desk.world.clock.tick(1)
    assert states(desk, [ended], PLATFORM) == ["present"]
    desk.world.clock.tick(1)
    assert states(desk, [ended], PLATFORM) == ["expired"]
    assert states(desk, [ended], HOTLINE) == ["expired"]


def test_a_retracted_statement_is_still_served(desk: Desk) -> None:
    receipt = flag(desk)
    desk.world.submit(retract(receipt.id, by=ANNA))
    assert states(desk, [receipt.id], PLATFORM) == ["present"]


def test_an_answer_ends_where_it_would_grow_too_long_and_has_at_least_one(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts = [flag(desk, number, items=items(20)) for number in range(4)]
    ids = [one.id for one in receipts]
    body = desk.serving.envelopes(ids[:1], reader=PLATFORM).envelopes[0].envelope
    assert body is not None
    monkeypatch.setattr(module, "MAX_PEER_RESPONSE_BYTES", 2 * 2 * (len(body) * 11 // 10 + 200))
    assert states(desk, ids, PLATFORM) == ["present", "present"]
    monkeypatch.setattr(module, "MAX_PEER_RESPONSE_BYTES", 1)
    assert states(desk, ids, PLATFORM) == ["present"]
    assert states(desk, ["ab" * 32] * 3, PLATFORM) == ["unknown"]


def test_the_longest_answer_fits_what_a_peer_reads(desk: Desk) -> None:
    from protocol.encoding import encode_json
    from protocol.limits import MAX_ENVELOPES_PER_REQUEST, MAX_PEER_RESPONSE_BYTES

    many = tuple(
        MediaItem(sha256=f"{at:064x}", sha1=f"{at:040x}", md5=f"{at:032x}") for at in range(1000)
    )
    ids = [flag(desk, number, items=many).id for number in range(12)]
    asked = [StatementId(ids[at % 12]) for at in range(MAX_ENVELOPES_PER_REQUEST)]
    answer = encode_json(desk.serving.envelopes(asked, reader=PLATFORM))
    assert MAX_PEER_RESPONSE_BYTES // 4 < len(answer) <= MAX_PEER_RESPONSE_BYTES


def test_who_is_no_longer_a_member_gets_no_more_of_the_circle(desk: Desk) -> None:
    first = desk.world.submit(circle_descriptor())
    said = desk.world.submit(account_ban(HOTLINE, audience=(f"circle:{CIRCLE}",)))
    assert states(desk, [said.id], PLATFORM) == ["present"]
    desk.world.submit(
        circle_descriptor(
            version=2, previous=first.id, members=(Member(node=HOTLINE, budget_per_day=1),)
        )
    )
    assert states(desk, [said.id], PLATFORM) == ["withheld"]
