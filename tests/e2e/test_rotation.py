"""Every key of every node is replaced while flags, syncs and checks go on: nothing is missed."""

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from cli_stage import call
from node.demo.cast import CHEAP
from node.services.rotation import sign_proposal
from nodes import Node, new_item
from signing.keys import KeyUse, SigningKey
from signing.keystore import save_key
from three_nodes import Trio, open_trio
from waiting import wait_for

USES = (KeyUse.REQUEST, KeyUse.LOG, KeyUse.WITNESS, KeyUse.STATEMENT)
ROOTS: dict[str, SigningKey] = {}
_PAUSE_S = 0.05


@pytest.fixture(scope="module")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    with open_trio(tmp_path_factory.mktemp("rotation")) as trio:
        yield trio


class Load:
    """Flags at every node and checks of accounts, over and over, until it is ended.

    Attributes:
        flagged: ids of the statements that were accepted, and the node that took each in.
        checks: how many were answered.
        failures: what went wrong.
    """

    def __init__(self, trio: Trio) -> None:
        self.trio = trio
        self.flagged: list[tuple[Node, str]] = []
        self.checks = 0
        self.failures: list[str] = []
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=[one]) for one in (self._flag, self._check)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, act: Any) -> None:
        for number in itertools.count():
            if self._ended.wait(_PAUSE_S):
                return
            try:
                act(number)
            except Exception as error:  # noqa: BLE001  # whatever it is, it is what the test is about
                self.failures.append(f"{type(error).__name__}: {error}")

    def _flag(self, number: int) -> None:
        if number % 2:
            self.flagged.append((self.trio.hotline, self.trio.flag(new_item())))
            return
        node = self.trio.platforms[number // 2 % 2]
        self.flagged.append((node, flag_as_platform(node)))

    def _check(self, number: int) -> None:
        node = self.trio.platforms[number % 2]
        asked = {"identifiers": [{"kind": "email", "value": f"n{number}@mail.example"}]}
        node.ask("POST", "/v1/accounts/check", json=asked)
        self.checks += 1


def flag_as_platform(node: Node) -> str:
    item = new_item()
    asked = {
        "items": [{"sha256": item.sha256}],
        "category": "csam.act.prepub",
        "reviewers": 2,
        "purpose": "detection",
        "legal_basis": "dsa-22",
        "review_days": 30,
    }
    return str(node.ask("POST", "/v1/media/flag", json=asked)["id"])


def rotate(node: Node, *, new_root: bool = False) -> None:
    """Replaces all operational keys, as `node key rotate` does with the root key at hand."""
    root = ROOTS.get(node.name) or node.key(KeyUse.ROOT)
    following = SigningKey.generate(KeyUse.ROOT) if new_root else None
    with node.services() as services:
        proposal = services.rotation.propose(USES, cost=CHEAP)
        now = int(services.clock())
        services.rotation.install(sign_proposal(proposal, root, new_root=following, now=now))
    ROOTS[node.name] = following or root


def signing(node: Node) -> frozenset[str]:
    """Ids of the keys that a node signs with, as its operator's command sees them."""
    with node.services() as services:
        return services.key_use.signing()


def heard(node: Node) -> set[str]:
    """Who knows the latest version of a node's descriptor; itself, where it uses it."""
    with node.store() as store, store.read() as transaction:
        latest = transaction.descriptors.version(node.name)
        told = transaction.descriptors.told()
    return {name for name, version in told.items() if version == latest}


def everybody_has_heard(node: Node, trio: Trio) -> bool:
    return heard(node) == {one.name for one in trio.nodes}


def has_no_trouble(node: Node) -> bool:
    found = node.administer("GET", "/v1/admin/peers")["peers"]
    return all(
        (one["state"], one["problem"], one["set_aside"]) == ("active", None, 0) for one in found
    )


def test_all_keys_of_all_nodes_are_replaced_under_load_and_nothing_fails_or_is_lost(
    trio: Trio,
) -> None:
    before = {node.name: signing(node) for node in trio.nodes}
    with Load(trio) as load:
        for node in trio.nodes:
            rotate(node, new_root=True)
        for node in trio.nodes:
            wait_for(lambda node=node: everybody_has_heard(node, trio), "all peers hear")
        count, checks = len(load.flagged), load.checks
        wait_for(
            lambda: len(load.flagged) > count + 6 and load.checks > checks + 6,
            "the load goes on under the new keys",
        )
    assert load.failures == []
    for node in trio.nodes:
        after = signing(node)
        # checkpoints and cosignatures carry a line of the old key for as long as that is valid
        assert len(after & before[node.name]) == 2
        assert len(after) == len(USES) + 2
    for node, statement in load.flagged:
        others = {one.name for one in trio.nodes if one is not node}
        wait_for(
            lambda node=node, statement=statement, others=others: (
                others <= node.acknowledged_by(statement)
            ),
            "everybody has every statement",
        )
    for node in trio.nodes:
        # A request that met a key in its last moment is a problem until the next one is answered.
        wait_for(lambda node=node: has_no_trouble(node), "nobody has a problem with anybody")


def test_a_node_that_was_away_for_a_whole_rotation_catches_up_by_itself(trio: Trio) -> None:
    away = trio.second
    away.stop()
    rotate(trio.first)
    wait_for(lambda: heard(trio.first) == {trio.hotline.name}, "the other one hears")
    away.start()
    away.wait_until_ready()
    wait_for(lambda: everybody_has_heard(trio.first, trio), "the one that was away hears")
    statement = flag_as_platform(trio.first)
    wait_for(lambda: away.state(statement) == "active", "its statements arrive under the new key")


def test_the_root_key_signs_on_a_machine_without_a_node(trio: Trio, tmp_path: Path) -> None:
    node = trio.second
    offline = tmp_path / "stick" / "root.key"
    passphrase = node.directory / "secrets" / "passphrase"
    save_key(offline, ROOTS[node.name], passphrase.read_bytes().strip(), cost=CHEAP)
    (node.directory / "keys" / "root.key").unlink()
    proposal, signed = tmp_path / "proposal", tmp_path / "signed"
    before = signing(node)
    asked = ("--use", "request", "--output", proposal)
    assert call("node", "key", "request", node.directory, *asked).code == 0
    where = ("--root-key", offline, "--root-passphrase-file", passphrase)
    done = call("node", "key", "sign", proposal, *where, "--output", signed, "--yes")
    assert done.code == 0, done.err
    assert "a new request key" in done.err
    assert call("node", "key", "install", node.directory, signed).code == 0
    wait_for(lambda: everybody_has_heard(node, trio), "all peers hear")
    again = call("node", "key", "install", node.directory, signed)
    assert again.code == 1
    assert "installed already" in again.err
    statement = flag_as_platform(node)
    wait_for(lambda: trio.hotline.state(statement) == "active", "it arrives")
    found = call("node", "key", "list", node.directory, "--json").json
    assert found["in_use"] == found["version"] == 3
    assert {one["key_id"] for one in found["keys"] if one["signs"]} - before
