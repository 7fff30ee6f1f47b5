import asyncio

from federation.gossip import MAX_AT_ONCE, poke_all
from protocol.errors import PeerUnreachableError
from protocol.messages import Poke
from simulator import Peer

POKE = Poke(origin="hotline.example/log/1", size=7)


def test_every_peer_is_poked_and_those_that_fail_are_named():
    peers = {f"p{number}.example": Peer(f"p{number}.example") for number in range(40)}
    peers["p3.example"].stalled = True
    failed = asyncio.run(poke_all(peers, POKE))
    assert list(failed) == ["p3.example"]
    assert isinstance(failed["p3.example"], PeerUnreachableError)
    assert all(peer.pokes == [POKE] for name, peer in peers.items() if name not in failed)


def test_not_all_peers_are_poked_at_the_same_time():
    class Counted:
        now = most = 0

        async def poke(self, poke):
            Counted.now += 1
            Counted.most = max(Counted.most, Counted.now)
            await asyncio.sleep(0)
            Counted.now -= 1

    asyncio.run(poke_all({str(at): Counted() for at in range(50)}, POKE))
    assert Counted.most == MAX_AT_ONCE


def test_without_peers_there_is_nothing_to_do():
    assert asyncio.run(poke_all({}, POKE)) == {}
