"""A node that was restored from an older copy: it signs nothing before it is where it was."""

import shutil
from pathlib import Path

import httpx

from node.demo.cast import PLATFORM_A, PLATFORM_B
from nodes import HOTLINE, Node, media_flag, serving
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from signing.keys import KeyUse
from waiting import WITHIN_S, wait_for
from witnesses import THIRD, add_anna, make_nodes, published_size, write_policy


def checkpoint_of(node: Node, reader: Node) -> Checkpoint:
    data = node.talk(lambda client: client.checkpoint(), reader.key(KeyUse.REQUEST))
    return parse_checkpoint(parse_note(data).text)


def copy(node: Node, place: Path) -> None:
    """Copies the database of a node that does not run, as a backup does."""
    place.mkdir()
    for path in node.directory.glob("node.db*"):
        shutil.copy(path, place / path.name)


def restore(node: Node, place: Path) -> None:
    for path in node.directory.glob("node.db*"):
        path.unlink()
    for path in place.iterdir():
        shutil.copy(path, node.directory / path.name)


def test_a_restored_node_gets_its_log_back_from_its_peers_before_it_signs_anything(
    tmp_path: Path,
) -> None:
    hotline, *peers = make_nodes(tmp_path, (HOTLINE, PLATFORM_A, PLATFORM_B, THIRD))
    anna = add_anna(hotline)
    write_policy(hotline, peers, quorum="2")
    with serving(*peers):
        with serving(hotline):
            first = hotline.submit(media_flag(), anna)
            wait_for(lambda: published_size(hotline) == 2, "the first flag is published")
        copy(hotline, tmp_path / "backup")
        with serving(hotline):
            later = [hotline.submit(media_flag(), anna) for _ in range(3)]
            wait_for(lambda: published_size(hotline) == 5, "the later flags are published")
            for one in peers:
                wait_for(lambda one=one: one.state(later[-1]) == "active", "the peers have them")
            signed = checkpoint_of(hotline, peers[0])
        restore(hotline, tmp_path / "backup")
    # Nobody answers who could say how far the log was: so nothing is signed, and nothing taken in.
    hotline.start()
    try:
        wait_for(
            lambda: hotline.process is not None and "serving" in hotline.log.read_text(),
            "it runs",
        )
        wait_for(lambda: _answers(hotline), "it answers")
        assert hotline.call("GET", "/readyz").status_code == 503
        refused = hotline.call("GET", f"/v1/statements/{later[0]}")
        assert refused.status_code == 404
        with serving(*peers):
            hotline.wait_until_ready()
            wait_for(lambda: hotline.state(later[-1]) == "active", "all statements are there again")
            assert hotline.state(first) == "active"
            assert checkpoint_of(hotline, peers[0]) == signed
            again = hotline.submit(media_flag(), anna)
            wait_for(lambda: published_size(hotline) == 6, "it is witnessed as before")
            wait_for(lambda: peers[0].state(again) == "active", "and heard")
    finally:
        hotline.stop()
    assert '"event": "log_behind"' in hotline.log.read_text()


def _answers(node: Node) -> bool:
    try:
        return httpx.get(f"{node.local}/livez", trust_env=False, timeout=WITHIN_S).is_success
    except httpx.TransportError:
        return False
