"""What is erased is nowhere in the database's files: neither set aside nor kept as evidence."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from desks import Desk
from federation.sync import sync_peer
from node.services.replica import StoredReplica
from protocol.encoding import to_base64url
from protocol.envelope import parse_envelope
from protocol.messages import Acknowledgement, SetAside
from protocol.statements import MediaFlag, MediaItem
from simulator import DAY_S, Peer, accredit, media_flag
from worlds import ANNA, PLATFORM, erase, items

CARL = f"{PLATFORM}/carl"
THIRD = "third.example"


@pytest.fixture
def platform(desk: Desk) -> Peer:
    return desk.world.nodes[PLATFORM]


def pull(desk: Desk, peer: Peer) -> None:
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=peer.name, clock=desk.clock)
    asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))


def traces(envelope: bytes) -> list[bytes]:
    """The body as it may stand somewhere: in base64, in clear, and its digests as bytes."""
    payload = parse_envelope(envelope).payload
    said = json.loads(payload)
    digests = [one["sha256"] for one in said["items"]]
    return [
        payload,
        base64.b64encode(payload)[:200],
        *(one.encode() for one in digests),
        *(bytes.fromhex(one) for one in digests),
    ]


def held(desk: Desk, envelope: bytes) -> list[bytes]:
    """Which of them stand in the database's files."""
    home = Path(desk.world.store._engine.url.database or "").parent
    files = b"".join(path.read_bytes() for path in sorted(home.glob("node.db*")))
    return [one for one in traces(envelope) if one in files]


def pictures(number: int) -> tuple[MediaItem, ...]:
    """One picture whose digest can be found again."""
    return (replace(items(1)[0], sha256=hashlib.sha256(b"%d" % number).hexdigest()),)


def flag_of(desk: Desk, issuer: str, number: int = 1) -> bytes:
    flagged = media_flag(issuer, number, items=pictures(number))
    assert isinstance(flagged, MediaFlag)
    return desk.world.sign(flagged)


def keep_evidence(desk: Desk, body: bytes) -> None:
    with desk.world.store.write() as transaction:
        transaction.peers.keep_evidence(THIRD, "a bad answer", body, at=1)


def evidence(desk: Desk) -> list[bytes]:
    with desk.world.store.read() as transaction:
        return [body for _, body in transaction.peers.evidence(THIRD)]


def test_an_erase_reaches_a_body_that_was_set_aside_for_want_of_a_key(
    desk: Desk, platform: Peer
) -> None:
    flagged = platform.sign(media_flag(CARL, 1, items=pictures(1)))
    (statement,) = platform.append(media_flag(CARL, 1, items=pictures(1)))
    pull(desk, platform)
    assert held(desk, flagged), "set aside with its bytes"
    platform.append(erase(statement, by=PLATFORM))
    pull(desk, platform)
    assert held(desk, flagged) == []
    assert desk.peers.set_aside() == [], "nothing of it waits for the operator"


def test_a_body_that_comes_after_its_erase_is_not_kept_either(desk: Desk, platform: Peer) -> None:
    other = desk.world.know(THIRD)
    (statement,) = other.append(media_flag(CARL, 1, items=pictures(1)))
    platform.append(erase(statement, by=PLATFORM))
    pull(desk, platform)
    pull(desk, other)
    assert held(desk, other.sign(media_flag(CARL, 1, items=pictures(1)))) == []


def test_who_has_no_say_about_a_body_erases_no_copy_of_it(desk: Desk, platform: Peer) -> None:
    other = desk.world.know(THIRD)
    flagged = platform.sign(media_flag(CARL, 1, items=pictures(1)))
    (statement,) = platform.append(media_flag(CARL, 1, items=pictures(1)))
    other.append(erase(statement, by=THIRD), erase(statement, by=f"{THIRD}/eve"))
    pull(desk, platform)
    pull(desk, other)
    assert held(desk, flagged)
    platform.append(accredit(CARL, 9, categories=("*",)))
    pull(desk, platform)
    with desk.world.store.read() as transaction:
        found = transaction.statements.by_id(statement)
    assert found is not None
    assert found.state == "active", "and it is taken in once its key is known"


@pytest.mark.parametrize(
    "disguise",
    [
        lambda envelope: envelope,
        lambda envelope: json.dumps({"envelopes": [{"envelope": envelope.decode()}]}).encode(),
        lambda envelope: envelope.replace(b"e", b"\\u0065"),
        lambda envelope: b"garbage " + envelope[:400],
        lambda envelope: json.dumps(json.loads(parse_envelope(envelope).payload)).upper().encode(),
    ],
    ids=["plain", "in an answer", "escaped", "cut off", "its digests alone"],
)
def test_an_erase_reaches_evidence(desk: Desk, disguise: Callable[[bytes], bytes]) -> None:
    envelope = flag_of(desk, ANNA)
    receipt = desk.world.ingest.submit(envelope, caller=ANNA)
    other = flag_of(desk, ANNA, 2)
    desk.world.ingest.submit(other, caller=ANNA)
    keep_evidence(desk, b"note\n" + disguise(envelope))
    keep_evidence(desk, b"note\n" + other)
    desk.world.submit(erase(receipt.id, by=ANNA))
    assert held(desk, envelope) == []
    first, second = evidence(desk)
    assert first.startswith(b"Erased, for it held")
    assert second == b"note\n" + other


def test_cleared_evidence_keeps_its_place_and_what_it_was_about(either_desk: Desk) -> None:
    envelope = flag_of(either_desk, ANNA)
    receipt = either_desk.world.ingest.submit(envelope, caller=ANNA)
    for body in (b"first", envelope, b"last"):
        keep_evidence(either_desk, body)
    before = either_desk.world.contents()["evidence"]
    either_desk.world.submit(erase(receipt.id, by=ANNA))
    after = either_desk.world.contents()["evidence"]
    assert [row[:3] for row in after] == [row[:3] for row in before]
    digest = hashlib.sha256(envelope).hexdigest().encode()
    assert [digest in body for body in evidence(either_desk)] == [False, True, False]
    keep_evidence(either_desk, b"one more")
    assert evidence(either_desk)[-1] == b"one more"


def test_what_ends_by_itself_leaves_no_copy(desk: Desk) -> None:
    envelope = flag_of(desk, ANNA)
    desk.world.ingest.submit(envelope, caller=ANNA)
    keep_evidence(desk, envelope)
    desk.world.clock.tick(800 * DAY_S)
    assert desk.maintenance.expire() == 1
    assert held(desk, envelope) == []


# refusals that are cured


def acknowledge(desk: Desk, *refused: str) -> None:
    """Has the platform say that it took over the log, but for these."""
    with desk.world.store.read() as transaction:
        frontier = transaction.logs.get(desk.world.log.origin).frontier
    desk.peers.acknowledge(
        PLATFORM,
        Acknowledgement(
            origin=desk.world.log.origin,
            size=frontier.size,
            root=to_base64url(frontier.root()),
            set_aside=tuple(SetAside(id=one, reason="no key") for one in refused),
        ),
    )


def test_a_refusal_that_was_cured_since_is_shown_no_more(desk: Desk, platform: Peer) -> None:
    flagged = media_flag(ANNA, 1, items=pictures(1))
    receipt = desk.world.submit(flagged)
    acknowledge(desk, receipt.id)
    assert [one.state for one in desk.flags.status(receipt.id).peers] == ["set-aside"]
    pull(desk, platform)
    assert [one.state for one in desk.flags.status(receipt.id).peers] == ["set-aside"]
    # Its own log says that it has taken the statement in by now.
    platform.append(desk.world.sign(flagged))
    pull(desk, platform)
    assert [one.state for one in desk.flags.status(receipt.id).peers] == ["acknowledged"]


def test_what_a_later_page_cures_is_not_refused(desk: Desk, platform: Peer) -> None:
    platform.append(media_flag(CARL, 1, items=pictures(1)))
    platform.append(*(media_flag(PLATFORM, number) for number in range(2, 5)))
    platform.append(accredit(CARL, 9, categories=("*",)))
    platform.bodies = 1
    pull(desk, platform)
    assert platform.acknowledged[-1].set_aside == ()
