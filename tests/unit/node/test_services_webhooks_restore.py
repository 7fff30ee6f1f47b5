"""A client is told by webhook what to restore: what concerns it, and nothing of other clients."""

import json
from typing import Any

from desks import OPEN_POLICY, PLATFORM_PROGRAM, Desk, picture
from node.services.clients import Client
from node.services.lookups import MediaQuery
from node.services.webhooks import Webhooks
from node.storage.retro import RetroMatchRecord
from simulator import NOW, media_flag
from worlds import ANNA, PDQ, retract

GALLERY = Client(2, "gallery", frozenset({"match"}))


def hooks(desk: Desk) -> Webhooks:
    return Webhooks(
        desk.world.store,
        directory=desk.directory,
        clock=desk.clock,
        allow_http=False,
        allow_private=False,
    )


def block(desk: Desk, client: Client, *references: str) -> None:
    query = MediaQuery(pdq=PDQ, quality=90)
    for reference in references:
        desk.lookups.match([query], surface="public", client=client, references=[reference])


def told(desk: Desk) -> list[dict[str, Any]]:
    due = hooks(desk).due()
    said = [json.loads(one.body) for one in due]
    return [one["data"]["task"] for one in said if one["type"] == "restore.asked"]


def test_each_client_is_told_of_its_own_uploads(either_desk: Desk) -> None:
    desk = either_desk
    desk.set_policy(OPEN_POLICY)
    for client in (PLATFORM_PROGRAM, GALLERY):
        hooks(desk).put(f"https://{client.name}.example/hook", client=client)
    flagged = desk.world.submit(media_flag(ANNA, 1, items=(picture(),)))
    block(desk, PLATFORM_PROGRAM, "u-1", "u-2")
    block(desk, GALLERY, "g-1")
    desk.world.submit(retract(flagged.id, by=ANNA))
    by_references = {
        frozenset(deed["reference"] for deed in task["deeds"]): task for task in told(desk)
    }
    assert set(by_references) == {frozenset({"u-1", "u-2"}), frozenset({"g-1"})}
    for task in by_references.values():
        assert (task["statement"], task["items"], task["reason"]) == (flagged.id, [0], "wrong")
        assert all("client" not in deed for deed in task["deeds"])


def test_whose_registered_upload_was_met_is_told(desk: Desk) -> None:
    hooks(desk).put("https://gallery.example/hook", client=GALLERY)
    flagged = desk.world.submit(media_flag(ANNA, 1, items=(picture(),)))
    match = RetroMatchRecord(1, 2, "g-7", flagged.index, 0, "pdq", 4, "block", "rule", NOW)
    with desk.world.store.write() as transaction:
        transaction.retro.add([match])
        transaction.journal.count_match(flagged.index, 0, "block", at=NOW)
    desk.world.submit(retract(flagged.id, by=ANNA))
    (task,) = told(desk)
    assert [deed["reference"] for deed in task["deeds"]] == ["g-7"]


def test_who_was_told_nothing_is_told_nothing_now(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    hooks(desk).put("https://gallery.example/hook", client=GALLERY)
    flagged = desk.world.submit(media_flag(ANNA, 1, items=(picture(),)))
    block(desk, PLATFORM_PROGRAM, "u-1")
    desk.world.submit(retract(flagged.id, by=ANNA))
    assert told(desk) == []
    assert len(desk.remedies.open()) == 1


def test_a_message_holds_no_media_hash(desk: Desk) -> None:
    desk.set_policy(OPEN_POLICY)
    hooks(desk).put("https://upload-check.example/hook", client=PLATFORM_PROGRAM)
    flagged = desk.world.submit(media_flag(ANNA, 1, items=(picture(),)))
    block(desk, PLATFORM_PROGRAM, "u-1")
    desk.world.submit(retract(flagged.id, by=ANNA))
    bodies = b"".join(one.body for one in hooks(desk).due())
    assert flagged.id.encode() in bodies
    assert PDQ.encode() not in bodies
