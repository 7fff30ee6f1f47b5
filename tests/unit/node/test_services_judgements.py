"""A peer that the operator believes again is not frozen by what was shown of it before."""

import pytest

from desks import Desk
from federation.evidence import rewritten_entry, two_roots
from node.services.accusations import Accusations
from node.services.directory import log_name
from node.storage.logs import LogRecord
from protocol.checkpoint import Checkpoint
from protocol.evidence import format_evidence
from protocol.merkle import Frontier
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import NOW, Peer, make_key
from worlds import HOTLINE, PLATFORM

TELLER = "teller.example"


@pytest.fixture
def accusations(either_desk: Desk) -> Accusations:
    return Accusations(either_desk.world.store, name=HOTLINE, clock=either_desk.clock)


def signed(checkpoint: Checkpoint) -> bytes:
    return sign_checkpoint(checkpoint, make_key(KeyUse.LOG, PLATFORM))


def roots(size: int, *, log: int = 1) -> bytes:
    """Two roots of one size."""
    origin = f"{PLATFORM}/log/{log}"
    one, other = (signed(Checkpoint(origin, size, bytes([at]) * 32)) for at in (1, 2))
    descriptors = [Peer(PLATFORM).descriptor_envelope]
    return format_evidence(two_roots(PLATFORM, descriptors, (one, other), now=NOW))


def rewritten(index: int, size: int) -> bytes:
    """Two logs of which one entry differs."""
    logs = [[bytes([at]) * 32 for at in range(size)] for _ in range(2)]
    logs[1][index] = bytes([255]) * 32
    one, other = (
        signed(Checkpoint(f"{PLATFORM}/log/1", size, Frontier.EMPTY.append(log).root()))
        for log in logs
    )
    found = rewritten_entry(
        PLATFORM, [Peer(PLATFORM).descriptor_envelope], (one, other), (logs[0], logs[1]), now=NOW
    )
    assert found is not None
    return format_evidence(found)


def state(desk: Desk) -> str:
    return desk.peers.get(PLATFORM).state


def test_other_pairs_of_a_fork_that_was_judged_freeze_nobody_anew(
    either_desk: Desk, accusations: Accusations
) -> None:
    assert accusations.hear(roots(9), teller=TELLER)
    either_desk.peers.thaw(PLATFORM)
    for again in (roots(9), roots(8), roots(3), rewritten(2, 4), rewritten(8, 20)):
        assert not accusations.hear(again, teller=TELLER)
    assert state(either_desk) == "active"
    assert len(accusations.all()) == 1, "what is judged takes no room from what is new"


def test_what_parts_beyond_the_place_that_was_judged_freezes_again(
    either_desk: Desk, accusations: Accusations
) -> None:
    for new in (roots(10), rewritten(11, 20)):
        accusations.hear(roots(9), teller=TELLER)
        either_desk.peers.thaw(PLATFORM)
        assert accusations.hear(new, teller=TELLER)
        assert state(either_desk) == "frozen"


def test_two_roots_of_a_size_that_no_log_has_are_no_licence_for_every_later_fork(
    either_desk: Desk, accusations: Accusations
) -> None:
    far = roots(1 << 40)
    assert accusations.hear(far, teller=TELLER)
    either_desk.peers.thaw(PLATFORM)
    assert not accusations.hear(far, teller=TELLER), "the very same is known"
    assert not accusations.hear(roots(9), teller=TELLER)
    assert state(either_desk) == "active"
    assert accusations.hear(roots(1 << 30), teller=TELLER)
    assert state(either_desk) == "frozen"


def test_what_was_taken_over_of_the_log_is_judged_with_a_fork_of_it(
    either_desk: Desk, accusations: Accusations
) -> None:
    name = log_name(either_desk.peers.node(PLATFORM))
    with either_desk.world.store.write() as transaction:
        frontier = Frontier.EMPTY.append(bytes([at]) * 32 for at in range(50))
        transaction.logs.put(LogRecord(name, frontier, None))
    accusations.hear(roots(9), teller=TELLER)
    either_desk.peers.thaw(PLATFORM)
    assert not accusations.hear(roots(50), teller=TELLER)
    assert accusations.hear(roots(51), teller=TELLER)


def test_who_was_frozen_without_a_fork_is_frozen_by_the_first_that_is_shown(
    either_desk: Desk, accusations: Accusations
) -> None:
    either_desk.peers.freeze(PLATFORM)
    either_desk.peers.thaw(PLATFORM)
    assert accusations.hear(roots(1), teller=TELLER)
    assert state(either_desk) == "frozen"


def test_a_fork_freezes_whom_it_is_new_of_also_where_there_is_no_room_to_keep_it(
    either_desk: Desk, accusations: Accusations
) -> None:
    for size in range(1, 18):
        accusations.hear(roots(size), teller=TELLER)
    assert len(accusations.all()) == 16
    either_desk.peers.thaw(PLATFORM)
    assert not accusations.hear(roots(17), teller=TELLER)
    assert state(either_desk) == "active"
    assert accusations.hear(roots(40), teller=TELLER)
    assert state(either_desk) == "frozen"
    either_desk.peers.thaw(PLATFORM)
    assert not accusations.hear(roots(40), teller=TELLER)
    assert state(either_desk) == "active"
