"""One node served by two processes on one port: a dead one is replaced, and both end in order."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from nodes import Node, make_node, serving
from waiting import WITHIN_S, wait_for

SERVING = "node.serving_process"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = make_node(tmp_path / "node", "platform.example", settings={"processes": 2})
    with serving(made):
        wait_for(lambda: len(lines(made, "serving")) == 2, "both serve")
        yield made


def lines(node: Node, event: str) -> list[str]:
    return [line for line in node.log.read_text().splitlines() if f'"event": "{event}"' in line]


def servers(node: Node) -> list[psutil.Process]:
    assert node.process is not None
    children = psutil.Process(node.process.pid).children()
    return [one for one in children if SERVING in one.cmdline()]


def rows(node: Node, query: str) -> list[tuple[object, ...]]:
    with node.store() as store, store.read() as transaction:
        return [tuple(row) for row in transaction._connection.execute(text(query))]


def test_two_processes_answer_and_end_in_order_leaving_one_audit_and_no_lease(node: Node) -> None:
    assert node.process is not None
    everything = psutil.Process(node.process.pid).children(recursive=True)
    assert len(servers(node)) == 2
    for number in range(20):
        assert node.match(md5=f"{number:032x}")["decision"] == "none"
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(WITHIN_S) == 0
    node.process = None
    assert b"Traceback" not in node.log.read_bytes()
    assert rows(node, "SELECT count(*) FROM audit WHERE action = 'media.match'") == [(20,)]
    assert rows(node, "SELECT holder FROM lease") == []
    # Who had started the workers is gone: they are buried by whoever buries orphans here.
    wait_for(lambda: not [one for one in everything if one.is_running()], "nothing is left")


def test_processes_whose_parent_was_killed_end_in_order(node: Node) -> None:
    assert node.process is not None
    alive = servers(node)
    os.kill(node.process.pid, signal.SIGKILL)
    node.process.wait()
    node.process = None
    gone, left = psutil.wait_procs(alive, WITHIN_S)
    assert (len(gone), left) == (2, [])
    assert rows(node, "SELECT holder FROM lease") == []
