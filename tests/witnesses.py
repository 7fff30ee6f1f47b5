"""Nodes that witness one another, for the tests of the whole."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from nodes import ANNA, Node, introduce, make_node
from protocol.checkpoint import format_vkey
from signing.cosignatures import witness_note_key
from signing.keys import KeyUse, SigningKey

THIRD = "third.example"


def write_policy(node: Node, witnesses: Sequence[Node], *, quorum: str) -> bytes:
    """Names witnesses by their lines, as their operators hand them out."""
    lines = []
    for one in witnesses:
        key = witness_note_key(one.name, one.key(KeyUse.WITNESS).public)
        lines.append(f"witness {one.name} {format_vkey(key)}")
    names = " ".join(one.name for one in witnesses)
    lines += [f"group witnesses {quorum} {names}", "quorum witnesses", ""]
    data = "\n".join(lines).encode()
    (node.directory / "witness-policy.txt").write_bytes(data)
    return data


def make_nodes(place: Path, names: Sequence[str], **settings: object) -> list[Node]:
    said = {"poll_interval_s": 3_600, **settings}
    with ThreadPoolExecutor(len(names)) as pool:
        nodes = list(pool.map(lambda one: make_node(place / one, one, settings=said), names))
    introduce(*nodes)
    return nodes


def add_anna(hotline: Node) -> SigningKey:
    anna = SigningKey.generate(KeyUse.FLAGGER)
    with hotline.services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
    return anna


def published_size(node: Node) -> int:
    return int(node.administer("GET", "/v1/admin/status")["publication"]["size"])
