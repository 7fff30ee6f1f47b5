"""How a node's process ends: asked to, asked twice, or killed."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from nodes import Node, make_node, serving
from waiting import WITHIN_S, wait_for


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = make_node(tmp_path / "node", "platform.example")
    with serving(made):
        yield made


def in_session_of(pid: int) -> list[str]:
    """Command lines of the processes that a node has started, itself among them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[3]) == pid:
                found.append(path.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended by now
    return found


def rows(node: Node, query: str) -> list[tuple[object, ...]]:
    with node.store() as store, store.read() as transaction:
        return [tuple(row) for row in transaction._connection.execute(text(query))]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_node_that_is_told_to_end_ends_in_order(node: Node, how: signal.Signals) -> None:
    process = node.process
    assert process is not None
    node.match(md5="ab" * 16)
    # Before the half second has passed in which look-ups are gathered for the audit.
    process.send_signal(how)
    code = process.wait(WITHIN_S)
    node.process = None
    assert code == 0
    assert b"Traceback" not in node.log.read_bytes()
    assert rows(node, "SELECT action FROM audit WHERE action = 'media.match'") == [("media.match",)]
    assert rows(node, "SELECT holder FROM lease") == []
    wait_for(lambda: in_session_of(process.pid) == [], "nothing of it is left")


def test_a_node_that_is_told_to_end_twice_still_ends_in_order(node: Node) -> None:
    process = node.process
    assert process is not None
    node.match(md5="ab" * 16)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    assert process.wait(WITHIN_S) == 0
    node.process = None
    assert rows(node, "SELECT holder FROM lease") == []


def test_a_killed_node_leaves_no_worker_behind(node: Node) -> None:
    process = node.process
    assert process is not None
    wait_for(lambda: len(in_session_of(process.pid)) == 2, "it has its one hash worker")
    node.kill()
    wait_for(lambda: in_session_of(process.pid) == [], "the worker has noticed")
    node.process = None
