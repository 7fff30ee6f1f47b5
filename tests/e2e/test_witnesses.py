"""Real nodes that witness one another: what is published, and who reads only that."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from node.demo.cast import PLATFORM_A, PLATFORM_B, wait_for
from nodes import ANNA, HOTLINE, TOLD_WITHIN_S, Node, introduce, make_node, media_flag, serving
from protocol.checkpoint import format_vkey, parse_checkpoint, parse_note
from protocol.witness_policy import parse_witness_policy
from signing.cosignatures import verify_cosignatures, witness_note_key
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


def until(holds: object, what: str) -> None:
    wait_for(holds, what, at_most_s=TOLD_WITHIN_S)  # type: ignore[arg-type]  # a lambda


def test_a_flag_is_published_when_enough_peers_have_cosigned_and_only_then_read_by_who_asks_for_it(
    tmp_path: Path,
) -> None:
    hotline, first, reader = make_nodes(tmp_path, (HOTLINE, PLATFORM_A, PLATFORM_B))
    anna = add_anna(hotline)
    policy = write_policy(hotline, [first, reader], quorum="all")
    write_policy(reader, [first], quorum="all")
    reader.environ["SCHUTZNETZ_REQUIRE_WITNESSED"] = "true"
    with serving(hotline, reader):
        statement = hotline.submit(media_flag(), anna)

        def missing() -> tuple[str, int]:
            (one,) = hotline.talk(lambda client: client.my_statements(), anna).statements
            return one.published, one.missing

        until(lambda: missing() == ("pending", 1), "the witness that runs has cosigned")
        assert reader.state(statement) is None, "the witness that it asks for has not cosigned"
        with serving(first):
            until(lambda: missing() == ("published", 0), "both have cosigned")
            until(lambda: reader.state(statement) == "active", "the reader takes it over")
        data = hotline.talk(lambda client: client.published(), first.key(KeyUse.REQUEST))
        note = parse_note(data)
        assert parse_checkpoint(note.text).size >= 2
        assert len(verify_cosignatures(note, parse_witness_policy(policy).keys)) == 2
        served = httpx.get(f"{hotline.local}/readyz", trust_env=False)
        assert served.is_success
