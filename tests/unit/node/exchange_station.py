"""A node as far as its conversations need one, and peers on loopback that hold shares as well."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from federation.descriptors import open_descriptor
from liars import Liar, Lines, open_lines
from node import loop
from node.asking import Asking
from node.exchange import Exchange
from node.services.budgets import Allowance, Budgets
from node.services.evaluator import Evaluator
from node.services.ingest import Ingest
from node.services.key_use import KeysInUse
from node.services.keys import NodeKeys
from node.services.log import OwnLog
from node.services.peers import Peers
from node.services.successions import Successions
from node.settings import Settings
from node.storage.engine import Store
from node.storage.peers import PeerRecord
from protocol import endpoints, limits
from protocol.encoding import encode_json, format_time
from protocol.messages import OprfRequest, parse_message
from protocol.statements import Basis, MediaFlag, MediaItem
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse
from signing.oprf.voprf import generate_key
from simulator import make_key
from waiting import WITHIN_S

OWN = "hotline.example"
A, B = "a.example", "b.example"
CIRCLE = f"{OWN}/minors-1"
KEY = generate_key()
"""The key of the circle; this node holds it."""

DAY_S = 86_400


@dataclass
class Talker(Liar):
    """A peer that also holds a share."""

    async def _route(self, path: str, body: bytes) -> bytes:
        if path != endpoints.OPRF:
            return await super()._route(path, body)
        asked = parse_message(OprfRequest, body, max_bytes=limits.MAX_PEER_REQUEST_BYTES)
        return encode_json(await self.evaluate(asked))

    def flag(self) -> str:
        """Puts a media-flag of now into the log; returns its id."""
        (statement,) = self.append(sign_statement(flag_of(self.name), self._key))
        return statement

    @property
    def _key(self) -> Any:
        return make_key(KeyUse.STATEMENT, self.name)


def flag_of(issuer: str) -> MediaFlag:
    now = int(time.time())
    return MediaFlag(
        issuer=issuer,
        nonce=new_nonce(),
        issued=format_time(now),
        audience=("peers",),
        items=(MediaItem(sha256=new_nonce().encode().hex()[:44].ljust(64, "0")),),
        category="csam.act.prepub",
        basis=Basis(reviewers=1, reviewed=format_time(now)),
        purpose="detection",
        legal_basis="DSA-22",
        review_by=format_time(now + DAY_S),
    )


@dataclass
class Station:
    """A node as far as its conversations need one, and peers on loopback."""

    store: Store
    lines: Lines
    settings: Settings
    asking: Asking = field(init=False)
    exchange: Exchange = field(init=False)

    def __post_init__(self) -> None:
        self.keys = NodeKeys(
            request=make_key(KeyUse.REQUEST, OWN),
            log=make_key(KeyUse.LOG, OWN),
            witness=make_key(KeyUse.WITNESS, OWN),
            statement=make_key(KeyUse.STATEMENT, OWN),
            shares={(CIRCLE, 1): KEY.private},
        )
        self.log = OwnLog(self.store, self.keys.log, origin=f"{OWN}/log/1")
        self.ingest = Ingest(self.store, self.log, name=OWN, clock=time.time)
        self.peers = Peers(self.store, self.log, name=OWN, clock=time.time)
        budgets = Budgets(self.store, name=OWN, most=Allowance(9, 9), clock=time.time)
        evaluator = Evaluator(self.store, self.keys, budgets, name=OWN, clock=time.time)
        self.asking = Asking(
            self.store, evaluator, keys=self.keys, settings=self.settings, clock=time.time
        )
        self.successions = Successions(self.store, self.ingest, name=OWN, clock=time.time)
        self.key_use = KeysInUse(
            self.store,
            self.keys,
            self.log,
            directory=self.settings.directory,
            name=OWN,
            passphrase=lambda: b"a passphrase of the tests",
            clock=time.time,
        )
        self.exchange = Exchange(
            self.store,
            self.ingest,
            self.log,
            self.successions,
            self.key_use,
            keys=self.keys,
            settings=self.settings,
            clock=time.time,
        )
        self.ingest.subscribe(self.exchange.log_grew)
        self.peers.on_poke(self.exchange.sync_soon)
        self.pin(Talker(OWN))

    def peer(self, name: str, *, pinned: bool = True, **how: Any) -> Talker:
        """A peer that answers, pinned or not yet."""
        talker = Talker(name, **how)
        talker.url = f"http://127.0.0.1:{self.lines.listen(talker.handle)}"
        if pinned:
            self.pin(talker)
        return talker

    def pin(self, talker: Talker, *, state: str = "active") -> None:
        """As another process does it: straight into the database."""
        descriptor, statement = open_descriptor(talker.descriptor_envelope, now=int(time.time()))
        with self.store.write() as transaction:
            transaction.peers.put(
                PeerRecord(
                    name=descriptor.issuer,
                    descriptor=talker.descriptor_envelope,
                    descriptor_id=statement,
                    fingerprint=talker.fingerprint,
                    request_keyid=make_key(KeyUse.REQUEST, talker.name).kid,
                    authority=False,
                    state=state,
                    added=int(time.time()),
                )
            )

    def has(self, statement: str) -> bool:
        with self.store.read() as transaction:
            return transaction.statements.by_id(statement) is not None

    def submit(self) -> None:
        envelope = sign_statement(flag_of(OWN), self.keys.statement)
        self.ingest.submit(envelope, caller=OWN)

    def evidence(self, name: str) -> list[str]:
        with self.store.read() as transaction:
            return [message for message, _ in transaction.peers.evidence(name)]

    @contextmanager
    def running(self) -> Iterator[Exchange]:
        self.exchange.start()
        try:
            yield self.exchange
        finally:
            self.exchange.close()

    @contextmanager
    def asking_circles(self) -> Iterator[Asking]:
        self.asking.start()
        try:
            yield self.asking
        finally:
            self.asking.close()


@contextmanager
def open_station(
    sqlite_url: str,
    directory: Path,
    *,
    peer_timeout_s: float = 60.0,
    account_check_deadline_s: float = 60.0,
) -> Iterator[Station]:
    """A node over a migrated database; it waits long for a peer, unless a test is about that."""
    settings = Settings(
        directory=directory,
        name=OWN,
        url="http://127.0.0.1:8440",
        peer_timeout_s=peer_timeout_s,
        account_check_deadline_s=account_check_deadline_s,
    )
    # A loop that is given up when it is closed would end beside the tests that follow.
    patient = mock.patch.object(loop, "_STOP_WAIT_S", WITHIN_S)
    with patient, closing(Store(sqlite_url)) as store, open_lines() as lines:
        yield Station(store, lines, settings)
