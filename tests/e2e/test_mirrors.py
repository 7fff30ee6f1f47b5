"""A log read by way of two mirrors while its origin is down: whole at the end, and the liar named."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli_stage import call
from liars import Liar, open_lines
from node.demo.cast import PLATFORM_A, PLATFORM_B, wait_for
from node.storage.mirroring import SourceRecord
from nodes import (
    ANNA,
    HOTLINE,
    TOLD_WITHIN_S,
    Node,
    introduce,
    make_node,
    media_flag,
    new_item,
    serving,
)
from protocol import limits
from protocol.encoding import encode_json
from protocol.messages import Entries, EntriesRequest, parse_message
from signing.keys import KeyUse, SigningKey

LIAR = "a-liar.example"
"""Comes first where mirrors are asked by name."""


@dataclass
class LyingMirror(Liar):
    """Serves a log under its origin's own checkpoint, and other entries than lead to it.

    Attributes:
        note: the origin's checkpoint.
        shown: entries that it gives out as that log's.
        asked_as_mirror: how often it was asked for any of that.
    """

    note: bytes = b""
    shown: list[str] = field(default_factory=list)
    asked_as_mirror: int = 0

    def _serves(self, path: str) -> bool:
        return path.startswith("/mirror/") or super()._serves(path)

    async def _route(self, path: str, body: bytes) -> bytes:
        if not path.startswith("/mirror/"):
            return await super()._route(path, body)
        self.asked_as_mirror += 1
        if path.endswith("/checkpoint"):
            return self.note
        asked = parse_message(EntriesRequest, body, max_bytes=limits.MAX_PEER_REQUEST_BYTES)
        page = self.shown[asked.start : asked.start + asked.limit]
        return encode_json(Entries(start=asked.start, entries=tuple(page)))


def until(holds: Any, what: str) -> None:
    wait_for(holds, what, at_most_s=3 * TOLD_WITHIN_S)


def sources(node: Node) -> dict[str, SourceRecord]:
    """How the node stands with its mirrors, by name."""
    with node.store() as store, store.read() as transaction:
        return {one.mirror: one for one in transaction.mirroring.sources()}


def served(node: Node) -> int:
    """How many entries of the hotline's log a mirror serves."""
    with node.store() as store, store.read() as transaction:
        record = transaction.mirroring.mirrored(HOTLINE)
    return -1 if record is None or record.note is None else record.size


def flag(hotline: Node, anna: SigningKey, mirror: Node, **changes: Any) -> tuple[str, str]:
    """Has Anna flag a picture, and the mirror take it over; returns the statement and its digest."""
    item = new_item()
    statement = hotline.submit(media_flag(item, **changes), anna)
    until(lambda: mirror.name in hotline.acknowledged_by(statement), "the mirror has it")
    assert item.sha256 is not None
    return statement, item.sha256


def log_of(hotline: Node) -> list[str]:
    with hotline.store() as store, store.read() as transaction:
        return list(transaction.statements.entries(0, 1_000))


def taken_over(reader: Node, hotline: Node) -> list[str]:
    """The hotline's log as the reader has it."""
    with reader.store() as store, store.read() as transaction:
        log = next((one for one in transaction.logs.origins() if one.startswith(hotline.name)), "")
        return list(transaction.mirrors.entries(log, 0, 1_000))


def make_stage(place: Path) -> tuple[Node, Node, Node, SigningKey]:
    """A hotline with its flagger, a mirror of its log, and who is to read it; none of them runs."""
    settings = {"poll_interval_s": 1, "peer_timeout_s": 10}
    names = (HOTLINE, PLATFORM_A, PLATFORM_B)
    hotline, mirror, reader = (make_node(place / one, one, settings=settings) for one in names)
    introduce(hotline, mirror, reader)
    anna = SigningKey.generate(KeyUse.FLAGGER)
    with hotline.services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
    assert call("node", "mirror", "add", mirror.directory, HOTLINE).code == 0
    return hotline, mirror, reader, anna


def test_of_two_mirrors_one_lies_and_the_reader_ends_with_the_origins_log(tmp_path: Path) -> None:
    hotline, mirror, reader, anna = make_stage(tmp_path)
    with open_lines() as lines:
        liar = LyingMirror(LIAR)
        liar.url = f"http://127.0.0.1:{lines.listen(liar.handle)}"
        with reader.services() as services:
            services.peers.add(liar.descriptor_envelope, liar.fingerprint, authority=False)
        for name in (LIAR, PLATFORM_A):
            assert call("node", "mirror", "add", reader.directory, HOTLINE, "--by", name).code == 0
        with serving(hotline, mirror):
            flagged = [flag(hotline, anna, mirror) for _ in range(4)]
            secret, hidden = flag(hotline, anna, mirror, audience=(f"node:{PLATFORM_A}",))
            flagged.append(flag(hotline, anna, mirror))
            log = log_of(hotline)
            until(lambda: served(mirror) == len(log), "the mirror serves the whole log")
            liar.note = mirror.talk(
                lambda client: client.mirror_checkpoint(f"{HOTLINE}/log/1"),
                reader.key(KeyUse.REQUEST),
            )
            liar.shown = [*log[:-1], "00" * 32]
            hotline.stop()

            with serving(reader):
                _ends_right(reader, hotline, log, flagged)
                until(lambda: sources(reader)[LIAR].lie is not None, "the liar is named")
                until(lambda: sources(reader)[PLATFORM_A].heard is not None, "the other is not")
                _operator_sees(reader, len(log))
                assert reader.peer(HOTLINE)["state"] == "active"
                # What is for the mirror alone went no further.
                assert reader.state(secret) is None
                assert reader.decision(sha256=hidden) == "none"
                assert not reader.files_hold(bytes.fromhex(hidden))
                assert not reader.files_hold(hidden.encode())
            asked = liar.asked_as_mirror

            # The mirror ends and begins again, the log goes on, and so does who reads it.
            mirror.stop()
            mirror.start()
            mirror.wait_until_ready()
            hotline.start()
            hotline.wait_until_ready()
            flagged.append(flag(hotline, anna, mirror))
            log = log_of(hotline)
            until(lambda: served(mirror) == len(log), "the mirror serves what is new")
            hotline.stop()
            with serving(reader):
                _ends_right(reader, hotline, log, flagged)
                assert liar.asked_as_mirror == asked, "a liar is not asked any more"
                shown = call("node", "mirror", "list", reader.directory).out
                assert f"{LIAR} has lied as a mirror of {HOTLINE} (wrong-entries)" in shown
                told = call("node", "evidence", "list", reader.directory, "--json").json["evidence"]
                assert {(one["node"], one["document"]) for one in told} == {(LIAR, False)}

                # A mirror that is none any more is missed, and not blamed.
                assert call("node", "mirror", "remove", mirror.directory, HOTLINE).code == 0
                until(
                    lambda: "mirrors no such log" in str(sources(reader)[PLATFORM_A].problem),
                    "the reader misses the mirror",
                )
                assert sources(reader)[PLATFORM_A].lie is None
    assert call("node", "fsck", reader.directory).code == 0


def _ends_right(
    reader: Node, hotline: Node, log: list[str], flagged: list[tuple[str, str]]
) -> None:
    until(lambda: taken_over(reader, hotline) == log, "the whole log is here")
    for statement, digest in flagged:
        until(lambda one=statement: reader.state(one) == "active", "every statement is here")
        assert reader.decision(sha256=digest) != "none"


def _operator_sees(reader: Node, size: int) -> None:
    status = call("node", "status", reader.directory, "--json").json
    found = {one["mirror"]: (one["state"], one["lie"]) for one in status["mirrors"]}
    assert found == {LIAR: ("stopped", "wrong-entries"), PLATFORM_A: ("asked", None)}
    (fresh,) = status["read_by_mirrors"]
    assert (fresh["node"], fresh["size"], fresh["answered"]) == (HOTLINE, size, None)
    assert fresh["age_s"] is not None
    assert fresh["lacking"] == 1, "the body that is for the mirror alone"
