"""kill -9 in the middle of a first sync: what was stored is not fetched again."""

import asyncio
import re
import time
from contextlib import suppress
from pathlib import Path

from liars import open_lines
from node.demo.cast import PLATFORM_A, wait_for
from nodes import HOTLINE, TOLD_WITHIN_S, Node, free_port, introduce, make_node, media_flag, serving
from protocol.limits import MAX_ENVELOPES_PER_REQUEST
from signing.envelopes import sign_statement
from signing.keys import KeyUse

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
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            with suppress(OSError):
                await asyncio.gather(self._ask(reader, back), self._answer(there, writer))
        finally:
            back.close()
            writer.close()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = b""
        while data := await reader.read(64 << 10):
            said += data
            if found := _IDS.search(said):
                self.asked.append(re.findall(r"[0-9a-f]{64}", found[1].decode()))
                said = said[found.end() :]
                if self.most is not None and len(self.asked) > self.most:
                    await asyncio.Event().wait()  # until the test ends
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(64 << 10):
            writer.write(data)
            await writer.drain()


def stored(node: Node) -> set[str]:
    with node.store() as store, store.read() as transaction:
        return set(transaction.statements.entries(0, 2 * STATEMENTS))


def test_a_first_sync_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with open_lines() as lines:
        port = free_port()
        gate = Gate(port)
        url = f"http://127.0.0.1:{lines.listen(gate.handle)}"
        hotline = make_node(tmp_path / HOTLINE, HOTLINE, port=port, url=url)
        platform = make_node(tmp_path / PLATFORM_A, PLATFORM_A)
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
                at_most_s=3 * TOLD_WITHIN_S,
            )
            platform.kill()
            before, gate.most = stored(platform), None
            asked_before = len(gate.asked)
            with serving(platform):
                wait_for(
                    lambda: len(stored(platform)) == STATEMENTS,
                    "the rest is stored as well",
                    at_most_s=TOLD_WITHIN_S,
                )
        again = [one for asked in gate.asked[asked_before:] for one in asked]
        assert len(again) == STATEMENTS - whole
        assert before.isdisjoint(again)
