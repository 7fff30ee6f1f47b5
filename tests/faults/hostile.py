"""What a pinned peer, or anybody who reaches a node's port, may do to it."""

import itertools
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli_stage import call
from faults.field import Field, until
from faults.flood import request, signed_poke
from faults.machines import resident_bytes
from liars import Liar, Lines, Manner
from node.demo.cast import HOTLINE, PLATFORM_A
from nodes import Node, media_flag
from protocol import endpoints
from signing.keys import KeyUse
from waiting import WITHIN_S

HUGE_BYTES = 1 << 30
"""Length of the one huge message; a node that is right reads almost nothing of it."""

MOST_GROWTH_BYTES = 96 << 20
"""How much memory a node may gain while it is flooded."""

_numbers = itertools.count(1)
_TAKEN, _LIMITED = "204", "429"
_WARM_MESSAGES = 500
_FLAG_EVERY_S = 0.5
_LONG_S = 30.0


@dataclass(frozen=True)
class Stage:
    """Where liars stand, and how hard they try.

    Attributes:
        lines: what they are served by.
        seconds: how long a flood lasts at most.
        messages: how many small messages it has at most.
    """

    lines: Lines
    seconds: float
    messages: int


@contextmanager
def _liar(field: Field, stage: Stage, **how: object) -> Iterator[Liar]:
    """A peer that all nodes have pinned, with one statement that they have taken over."""
    one = Liar(f"liar-{next(_numbers)}.example", **how)  # type: ignore[arg-type]  # as the caller says
    address = field.hosts.lines_address
    one.url = f"http://{address}:{stage.lines.listen(one.handle, address)}"
    for node in field.nodes.values():
        node.pin_descriptor(one.descriptor_envelope, one.fingerprint)
    try:
        yield one
    finally:
        for node in field.nodes.values():
            node.administer("DELETE", f"/v1/admin/peers/{one.name}")


def _everywhere(field: Field, statement: str) -> Callable[[], bool]:
    return lambda: all(node.state(statement) == "active" for node in field.nodes.values())


def _heard(field: Field, liar: Liar) -> Callable[[], bool]:
    """Whether every node has the peer's log as it is now from the peer itself.

    Its statements may have come by way of another node, which proves nothing about its log.
    """
    return lambda: all(
        node.peer(liar.name)["seen_size"] == len(liar.log) for node in field.nodes.values()
    )


def _blamed(field: Field, liar: Liar) -> list[bytes]:
    """Evidence that the nodes keep against a peer, of those that do."""
    kept = []
    for node in field.nodes.values():
        with node.store() as store, store.read() as transaction:
            kept += [proof for _, proof in transaction.peers.evidence(liar.name)][:1]
    return kept


def equivocate(stage: Stage, field: Field, chance: random.Random) -> str:
    """A peer signs two logs of one size: frozen by all, with a proof that anybody can check."""
    with _liar(field, stage) as liar:
        liar.append(*(media_flag(issuer=liar.name) for _ in range(3)))
        until(_heard(field, liar), "its log is taken over")
        liar.equivocate(chance.randrange(3))
        with field.traffic():
            until(
                lambda: all(
                    node.peer(liar.name)["state"] == "frozen" for node in field.nodes.values()
                ),
                "all freeze it",
            )
        for node in field.nodes.values():
            _verify_evidence(field, node, liar)
    return "named by all three; `verify evidence` believes each of their files"


def _verify_evidence(field: Field, node: Node, liar: Liar) -> None:
    """Checks, with nothing but the file, the evidence that a node keeps against a peer."""
    listed = call("node", "evidence", "list", node.directory, "--json").json["evidence"]
    number = next(one["number"] for one in listed if one["node"] == liar.name and one["document"])
    file = field.folder / f"{liar.name}-{node.name}.evidence"
    assert call("node", "evidence", "export", node.directory, number, file).code == 0
    shown = call("verify", "evidence", file, "--json")
    assert shown.code == 0, shown.err
    assert shown.json["node"] == liar.name


def truncate(stage: Stage, field: Field, chance: random.Random) -> str:
    """A peer's log shrinks: noted by all with both notes; it is believed once it is as it was."""
    with _liar(field, stage) as liar:
        liar.append(*(media_flag(issuer=liar.name) for _ in range(3)))
        until(_heard(field, liar), "its log is taken over")
        before, log = liar.note(), list(liar.log)
        liar.rewind(1)
        until(lambda: len(_blamed(field, liar)) == len(field.nodes), "all keep the evidence")
        assert all(before in proof and liar.note() in proof for proof in _blamed(field, liar))
        liar.log = log
        (after,) = liar.append(media_flag(issuer=liar.name))
        until(_everywhere(field, after), "it is believed again")
    return "named by all three, with both notes"


def replay(stage: Stage, field: Field, chance: random.Random) -> str:
    """A peer shows an old checkpoint for ever, and repeats a request of before."""
    with _liar(field, stage) as liar:
        liar.append(media_flag(issuer=liar.name))
        until(_heard(field, liar), "its log is taken over")
        old = liar.note()
        liar.append(*(media_flag(issuer=liar.name) for _ in range(2)))
        until(_heard(field, liar), "its log is taken over")
        liar.replayed = old
        until(lambda: len(_blamed(field, liar)) == len(field.nodes), "all keep the evidence")
        assert all(old in proof for proof in _blamed(field, liar))
        assert all(n.peer(liar.name)["state"] == "active" for n in field.nodes.values())
        fields, body = _signed_poke(field, liar)
        answers = [_post(field, endpoints.POKE, fields, body) for _ in range(2)]
        assert answers[0].startswith(b"HTTP/1.1 20"), "the first poke is taken"
        assert answers[1].startswith(b"HTTP/1.1 4"), "the same again is refused"
    return "the old checkpoint is evidence, the repeated request refused"


def answer_badly(stage: Stage, field: Field, chance: random.Random) -> str:
    """Peers that never answer, answer without an end, break off, or drip; beside honest ones."""
    manners: tuple[Manner, ...] = ("stall", "flood", "cut", "trickle")
    with _liar(field, stage) as liar:
        for manner in manners:
            liar.manner = manner
            (flag,) = liar.append(media_flag(issuer=liar.name))
            asked, start = liar.asked, time.monotonic()
            mine = field.flag(HOTLINE)
            assert mine is not None
            until(lambda: not field.missing(PLATFORM_A), "the honest flag arrives")
            beside = time.monotonic() - start
            until(lambda a=asked: liar.asked > a + 3, "the bad peer is asked")
            if manner != "trickle":
                liar.manner = "whole"
            until(_everywhere(field, flag), "what it has is taken over at last")
    return f"beside the slow one an honest flag took {beside:.1f} s"


def send_tiny_messages(stage: Stage, field: Field, chance: random.Random) -> str:
    """A pinned peer sends as many small messages as it can; honest ones are served beside it."""
    node = field.hotline
    with _liar(field, stage) as liar:
        # What a process gains when it is first used much is not the flood's.
        _flood(node, liar, _WARM_MESSAGES, stage.seconds)
        before, lines, said = _memory(field), node.log.stat().st_size, len(field.said)
        with field.traffic(HOTLINE, PLATFORM_A, every_s=_FLAG_EVERY_S):
            answers, seconds = _flood(node, liar, stage.messages, stage.seconds)
            grown = _memory(field) - before
            receipts = sum(one.acknowledged for one in list(field.said.values())[said:])
            flag = field.flag_well(HOTLINE)
            until(lambda: field.first.state(flag) == "active", "a peer takes over what is new")
        assert receipts or seconds < _LONG_S, "flaggers get receipts meanwhile"
        assert grown < MOST_GROWTH_BYTES, f"the node's memory grew by {grown >> 20} MiB"
        named = _count_limited(node, lines, liar)
        limited = answers.get(_LIMITED, 0)
        assert named >= limited, f"{limited} messages were too many, {named} lines name the peer"
    sent = sum(answers.values())
    refused = sent - answers.get(_TAKEN, 0)
    return (
        f"{sent:,} messages in {seconds:.0f} s, {refused:,} refused, of these {limited:,} as too "
        f"many with the peer's name in the node's log; beside it {receipts} receipts; memory grew "
        f"by {max(0, grown) >> 20} MiB"
    )


def _flood(node: Node, liar: Liar, messages: int, seconds: float) -> tuple[dict[str, int], float]:
    """Sends messages from a process of its own; returns how each was answered, and how long."""
    place = (node.address, node.port, node.made.url, liar.name, messages, seconds)
    ran = subprocess.run(
        [sys.executable, "-m", "faults.flood", *map(str, place)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    found = json.loads(ran.stdout)
    return found["answers"], found["seconds"]


def _count_limited(node: Node, start: int, liar: Liar) -> int:
    """Returns how many lines of a node's log say that the peer was refused for its many requests.

    What was read is taken off the disk: a flood fills it with lines.
    """
    named, caller = 0, f'"caller": "{liar.name}"'
    with node.log.open(encoding="utf-8") as lines:
        lines.seek(start)
        named = sum(caller in line and f'"status": {_LIMITED}' in line for line in lines)
    os.truncate(node.log, start)
    return named


def send_one_huge_message(stage: Stage, field: Field, chance: random.Random) -> str:
    """Bodies of a gibibyte, announced or in pieces: refused before they are read."""
    before, read = _memory(field), 0
    announced = {"Content-Length": str(HUGE_BYTES)}
    for length in (announced, {"Transfer-Encoding": "chunked"}):
        for path in (endpoints.STATEMENTS, endpoints.POKE):
            read = max(read, _pour(field, path, length))
    grown = _memory(field) - before
    assert read < HUGE_BYTES // 8, f"the node let {read >> 20} MiB be sent"
    assert grown < MOST_GROWTH_BYTES, f"the node's memory grew by {grown >> 20} MiB"
    return f"at most {read >> 20} MiB left the sender, memory grew by {max(0, grown) >> 20} MiB"


def let_a_descriptor_end(stage: Stage, field: Field, chance: random.Random) -> str:
    """A peer's descriptor, and with it its keys, ends in the middle: nothing of it counts after."""
    lives_s = 8
    with _liar(field, stage, lives_s=lives_s) as liar:
        start = time.monotonic()
        (flag,) = liar.append(media_flag(issuer=liar.name))
        until(_everywhere(field, flag), "what it said in time is taken over", at_most_s=lives_s)
        until(lambda: time.monotonic() > start + lives_s + 1, "its descriptor has ended")
        (late,) = liar.append(media_flag(issuer=liar.name))
        fields, body = _signed_poke(field, liar)
        assert b" 401 " in _post(field, endpoints.POKE, fields, body)[:40], "its key opens nothing"
        with field.traffic(HOTLINE):
            asked = liar.asked
            until(lambda: time.monotonic() > start + lives_s + 3.5, "two polls are over")
        assert all(node.state(late) is None for node in field.nodes.values())
        assert all(node.state(flag) == "active" for node in field.nodes.values())
    return f"asked {liar.asked - asked} times afterwards"


def _signed_poke(field: Field, liar: Liar) -> tuple[dict[str, str], bytes]:
    url, key = field.hotline.made.url, liar.key(KeyUse.REQUEST)
    return signed_poke(url, liar.name, key, len(liar.log))


def _connect(field: Field) -> socket.socket:
    parts = urlsplit(field.hotline.local)
    return socket.create_connection((parts.hostname or "", parts.port or 80), timeout=WITHIN_S)


def _post(field: Field, path: str, fields: dict[str, str], body: bytes) -> bytes:
    with _connect(field) as line:
        line.sendall(request(path, fields | {"Connection": "close"}, body))
        return b"".join(iter(lambda: line.recv(65_536), b""))


def _pour(field: Field, path: str, length: dict[str, str]) -> int:
    """Sends a body without an end until the node hangs up; returns how much was sent."""
    piece, sent = b" " * (64 << 10), 0
    in_chunks = "Transfer-Encoding" in length
    chunk = f"{len(piece):x}\r\n".encode() + piece + b"\r\n" if in_chunks else piece
    with suppress(OSError), _connect(field) as line:
        line.sendall(request(path, length, None))
        while sent < HUGE_BYTES:
            sent += line.send(chunk)
    return sent


def _memory(field: Field) -> int:
    process = field.hotline.process
    assert process is not None
    return resident_bytes(process.pid)
