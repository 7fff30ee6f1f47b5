"""How soon a flag matches everywhere: six nodes on loopback, and the way of single flags.

One node flags for its platform; the time runs from its answer, which says that the flag is durable,
until an upload of the same picture has matched at each of the five others. They learn of it by a
poke, and sync. All of them share the machine with who asks.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from node.app import open_services
from node.bench.corpus import Generator
from node.bench.report import Figure, at_most
from node.bench.upload_load import Connection, request
from node.demo.cast import CHEAP, Member, alone, wait_for
from node.demo.ports import free_port
from node.setup import NewNode, init_node

PEERS: Final = tuple(f"peer-{number}.example" for number in range(1, 6))
FLAGGING: Final = "flagging.example"

_FLAG: Final = "/v1/media/flag"
_MATCH: Final = "/v1/media/match"
_WARM_UP: Final = 5
_SEED: Final = 11
_POLL_EVERY_S: Final = 300  # so that it is a poke that wakes them
_APART_S: Final = 0.5  # in which what the flag has set off is over
_LOOK_EVERY_S: Final = 0.002
_MS: Final = 1_000


def figures(folder: Path, flags: int, peers: Sequence[str] = PEERS) -> list[Figure]:
    """Returns how long single flags took to match at the furthest of five peers.

    Args:
        folder: for the nodes, made here.
        flags: how many are timed.
        peers: names of those who are to match.
    """
    folder.mkdir()
    pdqs = [one.tobytes().hex() for one in Generator(_SEED).photographs(flags + _WARM_UP)]
    with ExitStack() as stack:
        members = list(_serve(folder, peers, stack))
        connections = [
            stack.enter_context(Connection(int(one.local.rpartition(":")[2]))) for one in members
        ]
        times = [_time_one(members, connections, pdq) for pdq in pdqs][_WARM_UP:]
    furthest, nearest = [max(one) * _MS for one in times], [min(one) * _MS for one in times]
    about = {
        "p50_ms": float(np.percentile(furthest, 50)),
        "slowest_ms": max(furthest),
        "nearest_p50_ms": float(np.percentile(nearest, 50)),
        "peers": len(peers),
        "flags": flags,
    }
    return [Figure("flag.p99_ms", float(np.percentile(furthest, 99)), "ms", at_most(500), about)]


def _serve(folder: Path, peers: Sequence[str], stack: ExitStack) -> Iterator[Member]:
    """Nodes that all have pinned one another; the one that flags first."""
    names = (FLAGGING, *peers)
    ports = {name: free_port() for name in names}
    made: dict[str, NewNode] = {
        name: init_node(
            folder / name, name=name, url=f"http://127.0.0.1:{ports[name]}", passphrase=None,
            clock=time.time, cost=CHEAP,
        )
        for name in names
    }  # fmt: skip
    for name in names:
        with open_services(folder / name, environ={}) as services:
            for other in names:
                if other != name:
                    descriptor = made[other].descriptor_file.read_bytes()
                    services.peers.add(descriptor, made[other].fingerprint, authority=False)
    for name in names:
        yield stack.enter_context(
            alone(folder / name, made[name], port=ports[name], poll_interval_s=_POLL_EVERY_S)
        )


def _time_one(
    members: Sequence[Member], connections: Sequence[Connection], pdq: str
) -> list[float]:
    """Returns after how many seconds an acknowledged flag matched at each of the peers."""
    body = {
        "items": [{"pdq": pdq, "quality": 90}],
        "category": "csam.act.prepub",
        "reviewers": 1,
        "purpose": "removal",
        "legal_basis": "dsa-art-16",
        "review_days": 30,
    }
    flag = request(_FLAG, members[0].node.api_key, json.dumps(body).encode())
    asked = json.dumps({"surface": "public", "items": [{"pdq": pdq, "quality": 90}]}).encode()
    reply = connections[0].ask(flag)
    acknowledged = time.perf_counter()
    if reply.status != 201:  # noqa: PLR2004  # HTTP's word for made
        raise RuntimeError(f"the node answered {reply.status}")
    times = []
    for member, connection in zip(members[1:], connections[1:], strict=True):
        question = request(_MATCH, member.node.api_key, asked)
        wait_for(lambda: _matches(connection, question), "a flag matches")  # noqa: B023  # waited for here
        times.append(time.perf_counter() - acknowledged)
    time.sleep(_APART_S)
    return times


def _matches(connection: Connection, question: bytes) -> bool:
    answer: dict[str, Any] = json.loads(connection.ask(question).body)
    return bool(answer["results"][0]["matches"])
