"""The nodes that faults happen to, what was said to them, and the verdict after each fault.

Three organisations have a node and a flagger each. Everything that a flagger hands over is
remembered with whether a receipt came back. After a fault, `settle` sends again what got no
receipt, as flaggers do, and waits until every honest node holds everything; `judge` says what is
true then.
"""

import contextlib
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import text

from certificates import Authority
from cli_stage import call
from faults.dealing import deal
from faults.hosts import Hosts
from faults.shim import Page
from faults.terminator import Terminator
from node.demo.cast import HOTLINE, PLATFORM_A, PLATFORM_B
from node.storage.transaction import Transaction
from nodes import Node, header, introduce, make_node, media_flag, serving
from protocol.endpoints import STATEMENTS
from protocol.envelope import parse_envelope
from protocol.errors import UnavailableError
from protocol.merkle import Frontier
from protocol.statements import Erase, MediaItem, Retract, Statement
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.requests import sign_request
from waiting import WITHIN_S, wait_for
from witnesses import write_policy

NAMES = (HOTLINE, PLATFORM_A, PLATFORM_B)
BEHIND_TLS = PLATFORM_B
"""Whose node has a proxy that speaks TLS before it; the others speak plain HTTP."""
WITNESS = PLATFORM_B
"""Who has to cosign what the hotline says."""

ITEMS = 2
HASHES = 4 * ITEMS
SETTINGS = {"poll_interval_s": 1, "peer_timeout_s": 10, "expire_interval_s": 1}
_ANSWERED_WITHIN_S = 20.0
_AGE_S = 2 * 86_400
_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # loading certificates takes longer than a call


@dataclass
class Said:
    """One statement that was handed to a node, or tried to be.

    Attributes:
        envelope: exact bytes.
        home: name of the node it was handed to.
        ends: state that it leaves its target in.
        target: what it is about.
        acknowledged: whether a receipt came back.
    """

    envelope: bytes
    home: str
    ends: str | None = None
    target: str | None = None
    acknowledged: bool = False


@dataclass
class Verdict:
    """What is true after a fault.

    Attributes:
        acknowledged: statements with a receipt, all told.
        lost: of those, how many are missing, or in another state, at some honest node.
        half: statements of which a part is at some node.
        unsound: names of nodes whose `node fsck` found something, and what.
    """

    acknowledged: int
    lost: int
    half: int
    unsound: dict[str, str]

    @property
    def survived(self) -> bool:
        return not (self.lost or self.half or self.unsound)


@dataclass
class Field:
    """Nodes, their flaggers and pages, and everything that was said."""

    folder: Path
    hosts: Hosts
    nodes: dict[str, Node]
    pages: dict[str, Page]
    flaggers: dict[str, SigningKey]
    terminator: Terminator
    said: dict[str, Said] = field(default_factory=dict)
    own_disk: bool = False

    @property
    def hotline(self) -> Node:
        return self.nodes[HOTLINE]

    @property
    def first(self) -> Node:
        return self.nodes[PLATFORM_A]

    @property
    def second(self) -> Node:
        return self.nodes[PLATFORM_B]

    def flag(self, home: str) -> str | None:
        """Has the flagger of a node flag pictures; returns the id if a receipt came back."""
        items = tuple(_picture() for _ in range(ITEMS))
        return self._say(home, media_flag(*items, issuer=_flagger(home)))

    def flag_well(self, home: str) -> str:
        """Has the flagger flag, and hand it over again until a receipt comes; returns the id."""
        items = tuple(_picture() for _ in range(ITEMS))
        found = self._keep(home, media_flag(*items, issuer=_flagger(home)))
        until(lambda: self.send(found), "the flag has its receipt")
        return found

    def retract(self, home: str, target: str) -> str | None:
        """Has the flagger take a statement back."""
        said = Retract(**header(_flagger(home)), target=target, reason="wrong")
        return self._say(home, said, target=target, ends="retracted")

    def erase(self, home: str, target: str) -> str | None:
        """Has the flagger ask that a body be deleted."""
        said = Erase(**header(_flagger(home)), target=target, reason="subject-request")
        return self._say(home, said, target=target, ends="erased")

    def act_out(self, home: str) -> None:
        """Has every kind of change happen once: two flags, one retracted and one erased."""
        for change in (self.retract, self.erase):
            flag = self.flag(home)
            if flag is not None:
                change(home, flag)

    def _say(
        self,
        home: str,
        statement: Statement,
        *,
        target: str | None = None,
        ends: str | None = None,
    ) -> str | None:
        found = self._keep(home, statement, target=target, ends=ends)
        return found if self.send(found) else None

    def _keep(
        self,
        home: str,
        statement: Statement,
        *,
        target: str | None = None,
        ends: str | None = None,
    ) -> str:
        envelope = sign_statement(statement, self.flaggers[home])
        found = parse_envelope(envelope).statement_id
        self.said[found] = Said(envelope, home, ends, target)
        return found

    def send(self, statement: str) -> bool:
        """Hands one statement over, perhaps again; returns whether a receipt came back."""
        said = self.said[statement]
        answer = hand_over(self.nodes[said.home], said.envelope, self.flaggers[said.home])
        said.acknowledged |= answer is not None and answer.is_success
        return answer is not None and answer.is_success

    @contextlib.contextmanager
    def traffic(self, *homes: str, every_s: float = 0.1) -> Iterator[None]:
        """Has the flaggers go on flagging while the block runs."""
        over = threading.Event()

        def go_on(home: str) -> None:
            while not over.wait(every_s):
                self.flag(home)

        with ThreadPoolExecutor(len(homes or NAMES)) as pool:
            tasks = [pool.submit(go_on, home) for home in homes or NAMES]
            try:
                yield
            finally:
                over.set()
                for task in tasks:
                    task.result()

    def restart(self, name: str) -> None:
        """Starts a node that has died, or ends it first."""
        node = self.nodes[name]
        if node.process is not None and node.process.poll() is None:
            node.kill()
        node.start()
        node.wait_until_ready()

    def settle(self) -> None:
        """Sends again what got no receipt, and waits until all nodes hold everything."""

        def all_sent() -> bool:
            for statement, said in self.said.items():
                said.acknowledged = said.acknowledged or self.send(statement)
            return all(said.acknowledged for said in self.said.values())

        until(all_sent, "every statement has its receipt")
        with contextlib.suppress(UnavailableError):  # the verdict says what is missing
            until(lambda: not any(map(self.missing, NAMES)), "every node holds everything")

    def missing(self, name: str) -> set[str]:
        """Acknowledged statements that a node does not hold in their right state.

        Who never had a body that was erased by then needs neither it nor its erasure.
        """
        wanted = {one: said for one, said in list(self.said.items()) if said.acknowledged}
        states = dict.fromkeys(wanted, "active")
        states |= {said.target: said.ends for said in wanted.values() if said.target and said.ends}
        with self.nodes[name].store() as store, store.read() as transaction:
            held = transaction.statements.by_ids(wanted)
        here = {one: held[one].state if one in held else None for one in wanted}
        gone = {one for one, state in states.items() if state == "erased" and here[one] is None}
        return {
            one
            for one, said in wanted.items()
            if here[one] != states[one] and one not in gone and said.target not in gone
        }

    def halves(self, name: str) -> set[str]:
        """Statements of which a node has a part; the log counts as one of them.

        A statement is whole if its envelope is there byte for byte and all its media hashes are,
        or, once erased, neither is.
        """
        with self.nodes[name].store() as store, store.read() as transaction:
            records = transaction.statements.by_ids(self.said)
            bodies = transaction.statements.envelopes(one.log_index for one in records.values())
            hashes = dict(_all_of(transaction, _COUNT_HASHES))
            found = set()
            for statement, record in records.items():
                said, is_gone = self.said[statement], record.state == "erased"
                body = bodies.get(record.log_index)
                has_hashes = hashes.get(record.log_index, 0) == (HASHES if record.items else 0)
                is_whole = body is None if is_gone else body == said.envelope and has_hashes
                found |= set() if is_whole else {statement}
            places = [place for (place,) in _all_of(transaction, _PLACES)]
            entries = transaction.statements.entries(0, len(places) + 1)
            frontier = Frontier.EMPTY.append(bytes.fromhex(one) for one in entries)
            known = transaction.logs.get(self.nodes[name].pinned.log_origin).frontier
            if places != list(range(len(places))) or known != frontier:
                found.add("log")
        return found

    def judge(self) -> Verdict:
        """Asks every node's database and its `node fsck`."""
        unsound = {}
        for name in NAMES:
            found = call("node", "fsck", self.nodes[name].directory, "--json")
            if found.code:
                unsound[name] = _problems(found.out) or found.err
        return Verdict(
            acknowledged=sum(said.acknowledged for said in self.said.values()),
            lost=len(set().union(*map(self.missing, NAMES))),
            half=sum(len(self.halves(name)) for name in NAMES),
            unsound=unsound,
        )


def hand_over(node: Node, envelope: bytes, key: SigningKey) -> httpx.Response | None:
    """Hands a statement to a node as a flagger does; returns None if no answer came."""
    fields = sign_request(
        method="POST",
        url=node.made.url + STATEMENTS,
        body=envelope,
        key=key,
        now=int(time.time()),
    )
    with contextlib.suppress(httpx.TransportError):
        # Past the relay, if there is one: the flagger is on this side of every partition.
        return httpx.post(
            node.local + STATEMENTS,
            content=envelope,
            headers={**fields, "Content-Type": "application/json"},
            timeout=_ANSWERED_WITHIN_S,
            trust_env=False,
            verify=_NO_TLS,
        )
    return None


_COUNT_HASHES = "SELECT log_index, COUNT(*) FROM media_hash GROUP BY log_index"
_PLACES = "SELECT log_index FROM statement ORDER BY log_index"


@contextlib.contextmanager
def open_field(folder: Path, hosts: Hosts, library: Path) -> Iterator[Field]:
    """Makes three nodes that know one another, starts them, and ends them with the block."""
    pages = {name: Page(folder / f"{name}.page") for name in NAMES}
    places = {name: hosts.place(name, tls=name == BEHIND_TLS) for name in NAMES}
    own_disk = hosts.disk(folder / PLATFORM_B, _DISK_BYTES)
    authority, front = Authority(folder), places[BEHIND_TLS]
    assert front.front is not None
    terminator = Terminator(authority, front.address, front.front, front.port, front.prefix)

    def make(name: str) -> Node:
        place = places[name]
        node = make_node(
            folder / name,
            name,
            port=place.port,
            url=place.url,
            settings=SETTINGS,
            # Older than the run: so that a test can have something end that began before it.
            clock=lambda: time.time() - _AGE_S,
            address=place.address,
            prefix=place.prefix,
        )
        node.environ |= pages[name].environ(library)
        node.environ["SSL_CERT_FILE"] = str(authority.file)
        return node

    with ThreadPoolExecutor(len(NAMES)) as pool:
        nodes = dict(zip(NAMES, pool.map(make, NAMES), strict=True))
    introduce(*nodes.values())
    write_policy(nodes[HOTLINE], [nodes[WITNESS]], quorum="all")
    flaggers = {name: SigningKey.generate(KeyUse.FLAGGER) for name in NAMES}
    for name, node in nodes.items():
        with node.services() as services:
            services.flaggers.add(flaggers[name].public.to_text(), _flagger(name), ["csam.*"], 30)
    deal(nodes)
    try:
        terminator.show()
        with serving(*nodes.values()):
            yield Field(folder, hosts, nodes, pages, flaggers, terminator, own_disk=own_disk)
    finally:
        terminator.close()
        for page in pages.values():
            page.close()


_DISK_BYTES = 96 << 20


def until(holds: Callable[[], bool], what: str, *, at_most_s: float = WITHIN_S) -> None:
    """Waits for what has to happen, looking seldom: the nodes need the processor.

    Raises:
        UnavailableError: it does not happen in time.
    """
    wait_for(holds, what, at_most_s=at_most_s, look_every_s=0.2)


def _flagger(home: str) -> str:
    return f"{home}/flagger"


def _picture() -> MediaItem:
    """A picture that no other resembles, under all its media hashes."""
    raw = os.urandom(32)
    return MediaItem(
        pdq=os.urandom(32).hex(),
        quality=90,
        sha256=raw.hex(),
        sha1=raw[:20].hex(),
        md5=raw[:16].hex(),
    )


def _all_of(transaction: Transaction, query: str) -> list[tuple[int, ...]]:
    return [tuple(row) for row in transaction._connection.execute(text(query))]


def _problems(out: str) -> str:
    try:
        findings = json.loads(out)["findings"]
    except ValueError:
        return ""
    return " ".join(one["sentence"] for one in findings if not one["ok"])
