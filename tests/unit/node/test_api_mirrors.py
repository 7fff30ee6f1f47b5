"""A mirrored log over HTTP: the origin's words, to nodes alone, and where it is not, nothing."""

import asyncio
import hashlib
from typing import Any

import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import FLAGGER_KEY, NODE_KEY, signed
from desks import Desk
from federation.sync import sync_peer
from node.api.app import build_api
from node.api.tiles import IMMUTABLE
from node.services.mirroring import Mirroring
from node.services.replica import StoredReplica
from protocol.encoding import encode_json
from protocol.messages import Entries, EntriesRequest, parse_message
from protocol.tiles import Tile, split_bundle
from simulator import Peer, media_flag
from worlds import HOTLINE, PLATFORM

URL = "http://127.0.0.1:8440"
BASE = f"/mirror/{hashlib.sha256(f'{PLATFORM}/log/1'.encode()).hexdigest()}"


@pytest.fixture
def origin(desk: Desk) -> Peer:
    peer = desk.world.nodes[PLATFORM]
    peer.append(*(media_flag(PLATFORM, number) for number in range(3)))
    replica = StoredReplica(desk.world.store, desk.world.ingest, node=PLATFORM, clock=desk.clock)
    asyncio.run(sync_peer(peer, peer.pinned(), replica, run=asyncio.to_thread))
    return peer


@pytest.fixture
def client(desk: Desk, origin: Peer, tmp_path: Any) -> TestClient:
    services = api_fakes.fake_services(tmp_path / "node", url=URL)
    services.mirroring = Mirroring(desk.world.store, name=HOTLINE, clock=desk.clock)
    services.mirroring.add(PLATFORM)
    return TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))


def get(client: TestClient, path: str, *, key: Any = NODE_KEY) -> Any:
    return client.get(path, headers=signed("GET", URL + path, b"", key=key))


def post(client: TestClient, path: str, body: bytes) -> Any:
    headers = signed("POST", URL + path, body, key=NODE_KEY) | {"Content-Type": "application/json"}
    return client.post(path, content=body, headers=headers)


def test_a_mirrored_log_is_read_like_any_other_under_its_prefix(
    client: TestClient, origin: Peer
) -> None:
    note = get(client, f"{BASE}/checkpoint")
    assert note.content == origin.note()
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    bundle = get(client, f"{BASE}/{Tile(0, 0, 3).bundle_path()}")
    assert [one.hex() for one in split_bundle(bundle.content, 3)] == origin.log
    hashes = get(client, f"{BASE}/{Tile(0, 0, 3).path()}")
    assert len(hashes.content) == 3 * 32
    assert bundle.headers["cache-control"] == hashes.headers["cache-control"] == IMMUTABLE
    answer = post(client, f"{BASE}/entries", encode_json(EntriesRequest(start=1, limit=9)))
    found = parse_message(Entries, answer.content, max_bytes=1 << 20)
    assert (found.start, list(found.entries)) == (1, origin.log[1:])


@pytest.mark.parametrize(
    "path",
    [
        f"/mirror/{'00' * 32}/checkpoint",
        f"/mirror/{'00' * 32}/tile/0/000.p/1",
        f"{BASE}/tile/0/000.p/4",
        f"{BASE}/tile/entries/000",
        f"{BASE}/tile/1/000.p/1",
        f"{BASE}/tile/0/0",
    ],
)
def test_what_is_not_mirrored_is_not_found_and_not_to_be_kept(
    client: TestClient, path: str
) -> None:
    answer = get(client, path)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"])
def test_only_a_node_that_is_known_reads_a_mirrored_log(client: TestClient, path: str) -> None:
    assert client.get(f"{BASE}/{path}").status_code == 401
    assert get(client, f"{BASE}/{path}", key=FLAGGER_KEY).status_code == 403
    assert get(client, f"/mirror/nonsense/{path}").status_code == 422
