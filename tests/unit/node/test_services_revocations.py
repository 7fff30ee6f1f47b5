"""After a theft: what the key said before stays, what it said later counts nowhere."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from desks import Desk, open_desk
from federation.sync import Pulled
from node.services import voiding
from node.services.directory import log_name
from node.services.replica import StoredReplica
from node.services.revocations import Revocations
from node.services.successions import Successions
from protocol.encoding import format_time
from protocol.envelope import parse_envelope
from protocol.errors import InvalidError, NotFoundError, RevokedError
from protocol.fields import StatementId
from protocol.merkle import Frontier
from protocol.statements import Revocation, Statement
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import NOW, Peer, accredit, make_key, media_flag
from successions import Chain
from worlds import ANNA, HOTLINE, PLATFORM

LOG = f"{HOTLINE}/log/1"
THIRD = "third.example"


def revocations(desk: Desk, published: int | None = None) -> Revocations:
    world = desk.world
    return Revocations(
        world.store,
        world.log,
        desk.author,
        desk.audit,
        desk.flaggers,
        name=world.name,
        published=lambda: published,
        clock=desk.clock,
    )


def state(desk: Desk, statement: str) -> str:
    with desk.world.store.read() as transaction:
        record = transaction.statements.by_id(statement)
    assert record is not None
    return record.state


def flags(desk: Desk, count: int, begin: int = 1) -> list[str]:
    """Anna's flags, a minute apart."""
    found = []
    for number in range(begin, begin + count):
        desk.world.clock.tick(60)
        found.append(str(desk.world.submit(media_flag(ANNA, number)).id))
    return found


# at the flagger's own node


def test_what_came_before_a_revocation_stays_and_what_came_later_is_void(desk: Desk) -> None:
    early = flags(desk, 2)
    since = int(desk.clock())
    late = flags(desk, 2, 10)
    service = revocations(desk)
    mark = service.mark("compromised", since=since)
    assert (mark.log, mark.size) == (LOG, 3)
    service.revoke_flagger(ANNA, mark)
    assert [state(desk, one) for one in (*early, *late)] == [
        *("active", "active"),
        *("retracted", "retracted"),
    ]
    with pytest.raises(RevokedError):
        desk.world.submit(media_flag(ANNA, 99))


def test_what_no_witness_has_seen_does_not_stay(desk: Desk) -> None:
    flags(desk, 3)
    assert revocations(desk, published=2).mark("lost").size == 2
    assert revocations(desk, published=9).mark("lost").size == 4
    with pytest.raises(InvalidError):
        revocations(desk).mark("lost", since=int(desk.clock()) + 1)


def test_one_key_of_several_can_be_revoked(desk: Desk) -> None:
    flags(desk, 1)
    service = revocations(desk)
    (known,) = desk.flaggers.list()
    with pytest.raises(NotFoundError):
        service.revoke_flagger(ANNA, service.mark("lost"), keyid="0" * 32)
    service.revoke_flagger(ANNA, service.mark("lost"), keyid=known.keyid)
    assert [one.status for one in desk.flaggers.list()] == ["revoked"]


def test_what_a_key_has_said_is_listed_and_taken_back_and_a_second_time_nothing(
    desk: Desk,
) -> None:
    early = flags(desk, 2)
    since = int(desk.clock())
    late = flags(desk, 2, 10)
    service = revocations(desk)
    assert [one.statement.id for one in service.review(ANNA)] == [*early, *late]
    assert [one.statement.id for one in service.review(ANNA, since=since + 1)] == late
    first = next(iter(service.retract(ANNA, since=since + 1)))
    assert first.id  # the command is interrupted here
    assert [state(desk, one) for one in (*early, *late)] == [
        *("active", "active"),
        *("retracted", "active"),
    ]
    assert len(list(service.retract(ANNA, since=since + 1))) == 1
    assert list(service.retract(ANNA, since=since + 1)) == []
    assert [state(desk, one) for one in early] == ["active", "active"]
    with pytest.raises(NotFoundError):
        service.review("other.example")
    with pytest.raises(NotFoundError):
        service.review(f"{HOTLINE}/nobody")


def test_what_is_void_is_shown_and_not_taken_back_again(desk: Desk) -> None:
    since = int(desk.clock())
    late = flags(desk, 1)
    service = revocations(desk)
    service.revoke_flagger(ANNA, service.mark("compromised", since=since))
    (said,) = service.review(ANNA)
    assert (said.statement.id, said.void, said.can_be_retracted) == (late[0], True, False)
    assert list(service.retract(ANNA)) == []


# at a peer


@pytest.fixture
def platform(sqlite_url: str, tmp_path: Path) -> Iterator[Desk]:
    """The platform's services; its database knows the hotline, and a third node."""
    with open_desk(sqlite_url, tmp_path / "platform", name=PLATFORM) as desk:
        desk.world.know(THIRD)
        yield desk


class HotlineLog:
    """The hotline's log as the platform takes it over, entry by entry."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.frontier = Frontier.EMPTY
        self.peer = Peer(HOTLINE)

    def append(self, *statements: Statement | bytes) -> list[StatementId]:
        envelopes = [one if isinstance(one, bytes) else self.peer.sign(one) for one in statements]
        ids = [parse_envelope(one).statement_id for one in envelopes]
        self.frontier = self.frontier.append(bytes.fromhex(one) for one in ids)
        pulled = [Pulled(one, data) for one, data in zip(ids, envelopes, strict=True)]
        self.replica(HOTLINE).take(LOG, pulled, self.frontier, None, ids)
        return ids

    def skip(self, *statements: Statement) -> None:
        """The platform reads these entries, and asks for none of their bodies."""
        ids = [parse_envelope(self.peer.sign(one)).statement_id for one in statements]
        self.frontier = self.frontier.append(bytes.fromhex(one) for one in ids)
        self.replica(HOTLINE).take(LOG, [], self.frontier, None, ids)

    def replica(self, node: str) -> StoredReplica:
        world = self.desk.world
        return StoredReplica(world.store, world.ingest, node=node, clock=world.clock)

    def serve(self, by: str, statement: Statement) -> None:
        """Another peer serves a statement of the hotline's flagger."""
        data = self.peer.sign(statement)
        pulled = [Pulled(parse_envelope(data).statement_id, data)]
        ids = [pulled[0].id]
        frontier = Frontier.EMPTY.append([bytes.fromhex(ids[0])])
        self.replica(by).take(f"{by}/log/1", pulled, frontier, None, ids)

    def revoke(self, size: int, at: int = NOW) -> None:
        mark = Revocation(at=format_time(at), log=LOG, size=size, reason="compromised")
        later = format_time(NOW + 2)
        self.append(accredit(ANNA, 900, issued=later, status="revoked", revoked=mark))


@pytest.fixture
def log(platform: Desk) -> HotlineLog:
    log = HotlineLog(platform)
    log.append(accredit(ANNA, 1))
    return log


def known(desk: Desk, statement: Statement) -> bool:
    found = parse_envelope(Peer(HOTLINE).sign(statement)).statement_id
    with desk.world.store.read() as transaction:
        return transaction.statements.by_id(found) is not None


def test_a_peer_keeps_what_stood_before_and_voids_the_rest(platform: Desk, log: HotlineLog) -> None:
    one, two, three = log.append(*(media_flag(ANNA, number) for number in (1, 2, 3)))
    log.revoke(3)
    assert [state(platform, each) for each in (one, two, three)] == [
        *("active", "active"),
        "retracted",
    ]


def test_what_another_peer_serves_that_missed_the_revocation_is_refused(
    platform: Desk, log: HotlineLog
) -> None:
    log.revoke(1)
    log.serve(THIRD, media_flag(ANNA, 7))
    assert not known(platform, media_flag(ANNA, 7))
    (aside,) = platform.peers.set_aside()
    assert aside.reason.startswith("Revoked: ")
    assert aside.origin == THIRD


def test_what_came_by_another_way_before_the_revocation_is_void_unless_the_log_has_it(
    platform: Desk, log: HotlineLog
) -> None:
    log.serve(THIRD, media_flag(ANNA, 7))
    log.serve(THIRD, media_flag(ANNA, 8))
    log.append(media_flag(ANNA, 8))
    log.revoke(2)
    ids = [parse_envelope(log.peer.sign(media_flag(ANNA, one))).statement_id for one in (7, 8)]
    assert [state(platform, one) for one in ids] == ["retracted", "active"]


def test_what_stood_before_is_taken_in_from_that_log_even_after_the_revocation(
    platform: Desk, log: HotlineLog
) -> None:
    log.skip(media_flag(ANNA, 4))
    log.revoke(2)
    late = media_flag(ANNA, 4)
    log.serve(THIRD, late)
    assert not known(platform, late)
    # Tried again later, it is looked up among the entries of the hotline's log.
    platform.maintenance.retry()
    assert known(platform, late)


def test_where_the_place_is_not_known_what_was_here_before_the_theft_stays(
    platform: Desk,
) -> None:
    log = HotlineLog(platform)
    # A log that was taken over before entries were kept: none of them is here.
    log.frontier = log.frontier.append([bytes(32)])
    log.append(accredit(ANNA, 1))
    (early,) = log.append(media_flag(ANNA, 1))
    platform.world.clock.tick(100)
    (late,) = log.append(media_flag(ANNA, 2))
    log.revoke(9, at=NOW + 50)
    assert [state(platform, one) for one in (early, late)] == ["active", "retracted"]


@pytest.mark.parametrize("at_once", [100, 1])
def test_a_stolen_statement_key_voids_at_once_whom_it_vouched_for_since(
    platform: Desk, log: HotlineLog, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(voiding, "AT_ONCE", at_once)
    ben = f"{HOTLINE}/ben"
    (early,) = log.append(media_flag(HOTLINE, 5))
    (late,) = log.append(media_flag(HOTLINE, 6))
    log.append(accredit(ben, 7))
    mark = Revocation(at=format_time(NOW), log=LOG, size=2, reason="compromised")
    chain = Chain.of(Peer(HOTLINE))
    draft = chain.draft(KeyUse.STATEMENT)
    keys = tuple(
        replace(one, revoked=mark) if one.use == "statement" else one for one in draft.keys[:-1]
    )
    signed = sign_statement(replace(draft, keys=(*keys, draft.keys[-1])), chain.root)
    world = platform.world
    Successions(world.store, world.ingest, name=PLATFORM, clock=world.clock).take(
        HOTLINE, [signed], answered=True
    )
    of_late = "retracted" if at_once > 1 else "active"
    assert [state(platform, one) for one in (early, late)] == ["active", of_late]
    log.append(media_flag(ANNA, 8), media_flag(ben, 9))
    assert known(platform, media_flag(ANNA, 8))
    assert not known(platform, media_flag(ben, 9))
    log.append(sign_statement(media_flag(HOTLINE, 10), chain.key(KeyUse.STATEMENT)))
    assert make_key(KeyUse.STATEMENT, HOTLINE).kid not in {
        one.key.kid for one in platform.peers.node(HOTLINE).statement_keys if one.revoked is None
    }
    assert log_name(platform.peers.node(HOTLINE)).startswith(LOG)
