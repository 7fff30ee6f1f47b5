import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from federation.sync import sync_peer
from protocol.errors import PeerMisbehavedError, PeerUnreachableError
from protocol.messages import EnvelopeAnswer
from simulator import Peer, media_flag
from unit.federation.memory_node import MemoryNode

HOTLINE = "hotline.example"
LENGTH = 24
WRITER = Peer(HOTLINE)
IDS = WRITER.append(*(media_flag(HOTLINE, number) for number in range(LENGTH)))


async def inline(function, /, *args, **kwargs):
    return function(*args, **kwargs)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_sync_converges_for_any_split_of_appends_pages_and_restarts(data):
    peer, here = Peer(HOTLINE, held=WRITER.held), MemoryNode()
    here.know(peer)
    withheld = data.draw(st.sets(st.sampled_from(IDS)), label="withheld")
    peer.lies = {one: EnvelopeAnswer(id=one, state="withheld") for one in withheld}
    for known in data.draw(st.lists(st.sampled_from(IDS), unique=True), label="known before"):
        here.believe(WRITER.held[known])
    before = set(here.taken)

    def sync():
        return asyncio.run(sync_peer(peer, peer.pinned(), here, run=inline))

    while len(peer.log) < LENGTH:
        peer.log = IDS[: len(peer.log) + data.draw(st.integers(1, LENGTH), label="appended")]
        peer.page = data.draw(st.integers(1, LENGTH), label="page")
        peer.bodies = data.draw(st.integers(1, LENGTH), label="bodies")
        peer.patience = data.draw(st.none() | st.integers(0, 12), label="stalls after")
        here.fail_after = data.draw(st.none() | st.integers(0, 4), label="killed after")
        try:
            sync()
        except PeerUnreachableError:
            assert peer.patience is not None
        except RuntimeError:
            assert here.fail_after is not None
        peer.patience = here.fail_after = None

    report = sync()
    assert report.size == LENGTH
    assert set(here.taken) == before | (set(IDS) - withheld)
    frontier, note = here.cursor(f"{HOTLINE}/log/1")
    assert frontier.size == LENGTH
    assert peer.acknowledged[-1].size == LENGTH
    assert not here.frozen
    if note is not None:
        assert note == peer.note()


@settings(max_examples=60, deadline=None)
@given(seen=st.integers(0, LENGTH - 1), at=st.integers(0, LENGTH - 1))
def test_whoever_saw_a_part_of_a_log_sees_any_change_in_it(seen, at):
    peer, here = Peer(HOTLINE, held=dict(WRITER.held), log=IDS[:seen]), MemoryNode()
    here.know(peer)
    asyncio.run(sync_peer(peer, peer.pinned(), here, run=inline))
    peer.log = list(IDS)
    peer.equivocate(at)
    try:
        asyncio.run(sync_peer(peer, peer.pinned(), here, run=inline))
    except PeerMisbehavedError:
        assert at < seen
    assert bool(here.frozen) == (at < seen)
