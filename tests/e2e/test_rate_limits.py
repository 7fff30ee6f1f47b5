"""A peer that floods is held back by all processes of a node together; the others notice nothing."""

import asyncio
import time
from pathlib import Path

from federation.client import PeerClient
from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B
from nodes import Node, introduce, make_node, serving
from protocol.errors import PeerRefusedError
from signing.keys import KeyUse

MOST = 60
PROCESSES = 2
AT_ONCE = 4


async def flood(client: PeerClient, times: int) -> tuple[int, list[int | None]]:
    """Asks so often, a few at once; returns how often it was answered, and when to come back."""
    answered, refused = 0, []
    for _ in range(times // AT_ONCE):
        asked = (client.checkpoint() for _ in range(AT_ONCE))
        for one in await asyncio.gather(*asked, return_exceptions=True):
            if isinstance(one, PeerRefusedError):
                assert one.status == 429
                refused.append(one.retry_after_s)
            else:
                assert isinstance(one, bytes)
                answered += 1
    return answered, refused


def test_a_flood_of_one_peer_ends_at_the_limit_and_reaches_nobody_else(tmp_path: Path) -> None:
    limited = {"peer_requests_per_minute": MOST, "processes": PROCESSES, "poll_interval_s": 3_600}
    server = make_node(tmp_path / "server", HOTLINE, settings=limited)
    peers: list[Node] = [make_node(tmp_path / one, one) for one in (PLATFORM_A, PLATFORM_B)]
    introduce(server, *peers)
    first, second = (one.key(KeyUse.REQUEST) for one in peers)
    with serving(server):
        began = time.time()
        answered, refused = server.talk(lambda client: flood(client, 4 * MOST), first)
        minutes = int(time.time() // 60 - began // 60) + 1
        untouched, none = server.talk(lambda client: flood(client, MOST // 2), second)
    # The flood may fall into several minutes of the clock, each with a limit of its own; on a
    # machine that is slow enough it is none.
    most = minutes * (MOST + PROCESSES * (MOST // 16))
    assert answered <= most
    assert refused or most >= 4 * MOST
    assert all(after is not None and 1 <= after <= 60 for after in refused)
    assert (untouched, none) == (MOST // AT_ONCE // 2 * AT_ONCE, [])
