"""A statement counts until its end and not an instant longer; then its body is deleted."""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from node.app import Services, open_services
from node.services.clients import Client
from node.services.lookups import MediaQuery
from nodes import (
    ANNA,
    CIRCLE,
    HOTLINE,
    Node,
    introduce,
    make_node,
    media_flag,
    new_item,
    serving,
)
from protocol.encoding import format_time, from_base64url, parse_time
from protocol.envelope import parse_envelope
from protocol.errors import InvalidError, PeerRefusedError
from protocol.messages import Receipt
from protocol.statements import AccountBan, Basis, MediaItem, parse_as
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from waiting import wait_for
from worlds import Clock

NOW = parse_time("2026-11-22T10:00:00Z")
LASTS_S = 60
PROGRAM = Client(1, "program", frozenset())


class House:
    """A node's services at a time that the test sets."""

    def __init__(self, services: Services, clock: Clock, directory: Path, anna: SigningKey) -> None:
        self.services = services
        self.clock = clock
        self.directory = directory
        self.anna = anna

    def flag(self, item: MediaItem) -> Receipt:
        now = int(self.clock.now)
        flag = media_flag(
            item,
            issued=format_time(now),
            basis=Basis(reviewers=2, reviewed=format_time(now)),
            review_by=format_time(now + LASTS_S),
        )
        return self.services.ingest.submit(sign_statement(flag, self.anna), caller=ANNA)

    def decision(self, item: MediaItem) -> str:
        query = MediaQuery(sha256=item.sha256, pdq=item.pdq, quality=item.quality)
        found = self.services.lookups.match([query], surface="public", client=PROGRAM)
        return found.results[0].decision

    def on_disk(self, part: bytes) -> bool:
        return any(part in path.read_bytes() for path in self.directory.glob("node.db*"))

    def body(self, receipt: Receipt) -> bytes | None:
        with self.services.store.read() as transaction:
            return transaction.statements.envelopes([receipt.index]).get(receipt.index)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    clock = Clock(NOW)
    node = make_node(tmp_path / "hotline", HOTLINE, clock=clock)
    environ = {"SCHUTZNETZ_HASH_WORKERS": "1"}
    with open_services(node.directory, environ=environ, clock=clock) as services:
        anna = SigningKey.generate(KeyUse.FLAGGER)
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
        services.circles.create(CIRCLE.partition("/")[2], {HOTLINE: 1_000}, 30)
    # Opened anew: the circle's share is read at the start.
    with open_services(node.directory, environ=environ, clock=clock) as services:
        services.circles.join(CIRCLE)
        yield House(services, clock, node.directory, anna)


def test_a_flag_counts_to_its_last_second_and_not_in_the_next(house: House) -> None:
    exact = new_item()
    receipt = house.flag(exact)
    house.clock.now = NOW + LASTS_S - 1
    assert house.decision(exact) == "hold"
    assert house.services.flags.status(receipt.id).state == "active"
    house.clock.now = NOW + LASTS_S
    # No job has run: nobody waits for one.
    assert house.decision(exact) == "none"
    assert house.services.flags.status(receipt.id).state == "expired"


def test_a_pdq_counts_no_longer_than_its_flag_either(house: House) -> None:
    similar = MediaItem(
        pdq="".join(f"{(40503 * row) % 65536:04x}" for row in range(1, 17)), quality=90
    )
    house.flag(similar)
    house.clock.now = NOW + LASTS_S - 1
    assert house.decision(similar) == "hold"
    house.clock.now = NOW + LASTS_S
    assert house.decision(similar) == "none"


def test_the_job_deletes_the_body_of_what_has_ended_and_leaves_the_rest(house: House) -> None:
    ended, other = new_item(), new_item()
    gone = house.flag(ended)
    house.clock.now = NOW + 30
    kept = house.flag(other)
    body = house.body(gone)
    assert body is not None
    digest = bytes.fromhex(ended.sha256 or "")
    assert house.on_disk(body)
    assert house.on_disk(digest)
    size = house.services.log.size()
    house.clock.now = NOW + LASTS_S
    assert house.services.maintenance.expire() == 1
    assert house.body(gone) is None
    other_body = house.body(kept)
    assert other_body is not None
    # Searched for in every file of the database: whatever part of the body the other has not, and
    # what was taken from it.
    parts = {body[at : at + 48] for at in range(0, len(body) - 48, 16)}
    assert not any(house.on_disk(part) for part in parts if part not in other_body)
    assert not house.on_disk(digest)
    assert house.decision(other) == "hold"
    # The id stays: the log is what it was.
    assert house.services.log.size() == size
    assert house.services.maintenance.expire() == 0


def test_a_ban_counts_to_its_last_second_and_is_then_deleted(house: House) -> None:
    # Circles are asked on a thread of its own, also where the node itself is the circle.
    identifiers = [("email", "mallory@example.org")]
    house.services.asking.start()
    try:
        receipt = house.services.accounts.ban(
            identifiers,
            category="account.distribution",
            reviewers=2,
            scope="person",
            purpose="sign-up-check",
            legal_basis="gdpr-6-1-f",
            expires_days=1,
            audience=None,
            client=PROGRAM,
        )
        body = house.body(receipt)
        assert body is not None
        ban = parse_as(AccountBan, parse_envelope(body).payload)
        value = from_base64url(ban.fingerprints[0].value)
        assert house.on_disk(value)
        house.clock.now = parse_time(ban.expires) - 1
        assert house.services.accounts.check(identifiers, client=PROGRAM).decision == "review"
        house.clock.now = parse_time(ban.expires)
        assert house.services.accounts.check(identifiers, client=PROGRAM).leads == ()
    finally:
        house.services.asking.close()
    assert house.services.maintenance.expire() == 1
    assert not house.on_disk(value)


def test_what_a_reader_still_sees_is_deleted_from_the_disk_once_it_has_read(house: House) -> None:
    item = new_item()
    house.flag(item)
    digest = bytes.fromhex(item.sha256 or "")
    house.clock.now = NOW + LASTS_S
    with house.services.store.read() as transaction:
        assert transaction.statements.by_ids([]) == {}
        assert transaction.media.count() > 0
        house.services.maintenance.expire()
    # The next round of the jobs finishes what the reader kept the first one from doing.
    house.services.maintenance.expire()
    house.services.maintenance.forget()
    assert not house.on_disk(digest)


def test_a_statement_that_has_ended_is_not_taken_in(house: House) -> None:
    flag = media_flag(
        issued=format_time(NOW),
        basis=Basis(reviewers=1, reviewed=format_time(NOW)),
        review_by=format_time(NOW + LASTS_S),
    )
    house.clock.now = NOW + LASTS_S
    with pytest.raises(InvalidError, match="has ended already"):
        house.services.ingest.submit(sign_statement(flag, house.anna), caller=ANNA)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Node, Node, SigningKey]]:
    """Two real nodes whose jobs run twice a second."""
    settings: dict[str, Any] = {"expire_interval_s": 0.5, "poll_interval_s": 3_600}
    nodes = [
        make_node(tmp_path / name, name, settings=settings)
        for name in (HOTLINE, "platform-a.example")
    ]
    introduce(*nodes)
    anna = SigningKey.generate(KeyUse.FLAGGER)
    with nodes[0].services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
    with serving(*nodes):
        yield (*nodes, anna)


def flag_that_is_seen_before_it_ends(
    hotline: Node, platform: Node, anna: SigningKey
) -> tuple[str, MediaItem]:
    """Flags a picture for a few seconds; on a slow machine again, for longer."""
    for lasts_s in (6, 30, 90):
        item, ends = new_item(), int(time.time()) + lasts_s
        digest = bytes.fromhex(item.sha256 or "")
        seen = False

        def is_over(item: MediaItem = item, digest: bytes = digest, ends: int = ends) -> bool:
            nonlocal seen
            matched = platform.decision(sha256=item.sha256) == "hold"
            seen = seen or (matched and platform.files_hold(digest))
            return seen or time.time() > ends

        with suppress(PeerRefusedError):  # it has ended before it could be handed over
            said = hotline.submit(media_flag(item, review_by=format_time(ends)), anna)
            wait_for(is_over, "the flag is matched")
        if seen:
            return said, item
    raise AssertionError("no flag was matched at the platform before it ended")


def test_real_nodes_forget_by_themselves_what_has_ended(
    running: tuple[Node, Node, SigningKey],
) -> None:
    hotline, platform, anna = running
    said, item = flag_that_is_seen_before_it_ends(hotline, platform, anna)
    digest = bytes.fromhex(item.sha256 or "")
    for node in (hotline, platform):
        wait_for(lambda node=node: node.state(said) == "expired", "the flag ends")
        assert node.decision(sha256=item.sha256) == "none"
        wait_for(lambda node=node: not node.files_hold(digest), "its body is deleted")
    # Whoever asks for it is told what became of it.
    key = platform.key(KeyUse.REQUEST)
    (answer,) = hotline.talk(lambda client: client.envelopes((said,)), key).envelopes
    assert (answer.state, answer.envelope) == ("expired", None)
