"""The log's tiles and receipts over HTTP: what is there, what is not, and what may be kept."""

from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest
from fastapi.testclient import TestClient

import api_fakes
from api_fakes import FLAGGER_KEY, KNOWN, NODE_KEY, bearer, signed
from node.api.app import build_api
from node.api.tiles import IMMUTABLE
from node.services.log import OwnLog
from node.storage.engine import Store
from protocol.fields import StatementId
from protocol.merkle import leaf_hash
from protocol.tiles import Tile, split_bundle, split_tile
from signing.keys import KeyUse
from signing.notes import open_checkpoint
from signing.receipts import verify_receipt
from simulator import make_key
from worlds import HOTLINE, append_entries

URL = "http://127.0.0.1:8440"
ORIGIN = f"{HOTLINE}/log/1"
KEY = make_key(KeyUse.LOG, HOTLINE)
IDS = [StatementId(sha256(b"%d" % at).hexdigest()) for at in range(300)]
LEAVES = [leaf_hash(bytes.fromhex(one)) for one in IDS]


@pytest.fixture
def client(sqlite_url, tmp_path) -> Iterator[TestClient]:
    store = Store(sqlite_url)
    log = OwnLog(store, KEY, origin=ORIGIN)
    with store.write() as transaction:
        append_entries(transaction, log, IDS)
    services = api_fakes.fake_services(tmp_path / "node", url=URL)
    services.log = log
    yield TestClient(build_api(services), base_url=URL, client=("127.0.0.1", 1))
    store.close()


def get(client: TestClient, path: str, *, key=NODE_KEY) -> httpx.Response:
    return client.get(path, headers=signed("GET", URL + path, b"", key=key))


@pytest.mark.parametrize(
    "tile", [Tile(0, 0), Tile(0, 0, 1), Tile(0, 0, 255), Tile(0, 1, 44), Tile(0, 1, 7)], ids=str
)
def test_a_tile_and_its_bundle_are_served_and_may_be_kept(client, tile):
    hashes = get(client, f"/{tile.path()}")
    assert split_tile(hashes.content, tile) == tuple(LEAVES[tile.first :][: tile.width])
    bundle = get(client, f"/{tile.bundle_path()}")
    entries = split_bundle(bundle.content, tile.width)
    assert [entry.hex() for entry in entries] == IDS[tile.first :][: tile.width]
    for answer in (hashes, bundle):
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["cache-control"] == IMMUTABLE


def test_the_hash_of_a_full_tile_stands_in_the_level_above(client):
    (only,) = split_tile(get(client, "/tile/1/000.p/1").content, Tile(1, 0, 1))
    assert only == OwnLog.inclusion_proof(client.app.state.services.log, 299, 300)[-1]


@pytest.mark.parametrize(
    "path",
    [
        "/tile/0/001",
        "/tile/0/001.p/45",
        "/tile/0/002.p/1",
        "/tile/1/000",
        "/tile/1/000.p/2",
        "/tile/2/000.p/1",
        "/tile/0/x001/000",
        "/tile/entries/001",
        "/tile/entries/001.p/45",
        "/tile/0/0",
        "/tile/0/000.p/0",
        "/tile/0/000.p/256",
        "/tile/00/000",
        "/tile/64/000",
        "/tile/-1/000",
        "/tile/entries/x000/000",
        "/tile/0/000/",
        "/tile/0/",
        "/tile/0/%2e%2e/000",
    ],
)
def test_what_is_not_there_is_not_found_and_not_to_be_kept(client, path):
    answer = get(client, path)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-store"


def test_a_damaged_tree_is_told_apart_from_what_is_not_there(client):
    with client.app.state.services.log._store.write() as transaction:
        transaction.logs.forget_tiles()
    assert get(client, "/tile/1/000.p/1").status_code == 503


def test_a_receipt_proves_a_statement_to_whoever_has_the_log_key(client):
    path = f"/v1/statements/{IDS[7]}/receipt"
    answer = client.get(path, headers=bearer("statements"))
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    entry = bytes.fromhex(IDS[7])
    logged = verify_receipt(answer.content, entry=entry, origin=ORIGIN, keys=[KEY.public])
    assert (logged.proof.index, logged.checkpoint.size) == (7, 300)
    assert logged.proof.note == get(client, "/checkpoint").content
    assert open_checkpoint(logged.proof.note, origin=ORIGIN, key=KEY.public) == logged.checkpoint


def test_a_flagger_gets_receipts_of_its_own_statements_alone(client, services_of_anna):
    own, others = services_of_anna
    assert get(client, f"/v1/my/statements/{own}/receipt", key=FLAGGER_KEY).status_code == 200
    for other in (others, KNOWN):
        path = f"/v1/my/statements/{other}/receipt"
        assert get(client, path, key=FLAGGER_KEY).status_code == 404


@pytest.fixture
def services_of_anna(client) -> tuple[StatementId, StatementId]:
    """A statement of the flagger who calls, and one of somebody else."""
    from sqlalchemy import insert

    from node.storage import rows

    log = client.app.state.services.log
    ids = [StatementId(sha256(name).hexdigest()) for name in (b"own", b"others")]
    with log._store.write() as transaction:
        first = log.append(transaction, ids)
        for at, issuer in enumerate((f"{HOTLINE}/anna", f"{HOTLINE}/ben")):
            row = dict.fromkeys(("issued", "received", "items"), 1) | {"state": "active"}
            row |= {"log_index": first + at, "id": bytes.fromhex(ids[at]), "issuer": issuer}
            row |= {"kind": "media-flag", "keyid": "", "audience": "", "received_from": issuer}
            transaction._connection.execute(insert(rows.StatementRow).values(row))
    return ids[0], ids[1]
