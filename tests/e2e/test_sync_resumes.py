"""kill -9 in the middle of a first sync: what was stored is not fetched again."""

import asyncio
import re
import time
from pathlib import Path

from liars import open_lines
from node.demo.cast import PLATFORM_A
from node.demo.ports import free_port
from nodes import HOTLINE, Node, introduce, make_node, media_flag, serving
from protocol.limits import MAX_ENVELOPES_PER_REQUEST
from relays import Relay
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from waiting import wait_for

ANSWERS = 2
"""Answers that arrive before the kill."""

STATEMENTS = ANSWERS * MAX_ENVELOPES_PER_REQUEST + 5

_IDS = re.compile(rb'"ids":\[([^\]]*)\]')


class Gate:
    """Stands before a node, notes which statements it is asked for, and may let no more through."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.asked: list[list[str]] = []
        self.most: int | None = ANSWERS

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await Passage(self).handle(reader, writer)


class Passage(Relay):
    """One connection through the gate: a question may come in several pieces."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate.target)
        self.gate = gate
        self.said = b""

    async def asked(self, data: bytes) -> bytes:
        self.said += data
        if found := _IDS.search(self.said):
            self.gate.asked.append(re.findall(r"[0-9a-f]{64}", found[1].decode()))
            self.said = self.said[found.end() :]
            if self.gate.most is not None and len(self.gate.asked) > self.gate.most:
                await asyncio.Event().wait()  # until the test ends
        return data


def stored(node: Node) -> set[str]:
    with node.store() as store, store.read() as transaction:
        return set(transaction.statements.entries(0, 2 * STATEMENTS))


def test_a_first_sync_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with open_lines() as lines:
        port = free_port()
        gate = Gate(port)
        url = f"http://127.0.0.1:{lines.listen(gate.handle)}"
        hotline = make_node(tmp_path / HOTLINE, HOTLINE, port=port, url=url)
        # It does not give the third answer up and ask again in the moment in which it is killed.
        platform = make_node(tmp_path / PLATFORM_A, PLATFORM_A, settings={"peer_timeout_s": 60})
        introduce(hotline, platform)
        key, now = hotline.key(KeyUse.STATEMENT), int(time.time())
        with hotline.services() as services, services.store.write() as transaction:
            for _ in range(STATEMENTS):
                flag = sign_statement(media_flag(issuer=HOTLINE), key)
                services.ingest.believe(transaction, flag, source=HOTLINE, now=now)
        with serving(hotline):
            platform.start()
            whole = ANSWERS * MAX_ENVELOPES_PER_REQUEST
            wait_for(
                lambda: len(stored(platform)) == whole and len(gate.asked) > ANSWERS,
                "two answers are stored, and the third is awaited",
            )
            platform.kill()
            before, gate.most = stored(platform), None
            asked_before = len(gate.asked)
            with serving(platform):
                wait_for(lambda: len(stored(platform)) == STATEMENTS, "the rest is stored as well")
        again = [one for asked in gate.asked[asked_before:] for one in asked]
        assert len(again) == STATEMENTS - whole
        assert before.isdisjoint(again)
