"""The services of one node around a `worlds.World`, at a fixed time and without a network.

What `node.wiring` builds is built here over a real database and a real policy file. The circle that
accounts are checked with is a function of the identifiers (`FakeCircle`), which can be down.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from node.matching.scan import ScanIndex
from node.policy.file import PolicyFile, default_policy
from node.services.accounts import Accounts
from node.services.allowing import AllowList
from node.services.answering import Answering, Says
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.budgets import Allowance, Budgets
from node.services.catalogue import Catalogue
from node.services.circles import Circles, mark_of
from node.services.clients import Client, Clients
from node.services.directory import StoredDirectory
from node.services.epochs import Standing
from node.services.erasures import Erasures
from node.services.evaluator import Evaluator
from node.services.flaggers import Flaggers
from node.services.flags import Flags
from node.services.gates import Gates
from node.services.keys import NodeKeys
from node.services.lookups import Lookups
from node.services.maintenance import Maintenance
from node.services.peers import Peers
from node.services.quarantines import Quarantines
from node.services.reissue import Reissues
from node.services.remedies import Remedies
from node.services.serving import Serving
from node.services.sources import Sources
from node.services.streams import Streams
from node.services.tally import Tally
from node.services.witnessing import Witness
from node.settings import Settings
from protocol.categories import builtin_vocabulary
from protocol.circles import CircleDescriptor, Epoch
from protocol.encoding import to_base64url
from protocol.errors import UnavailableError
from protocol.identifiers import NormalisedIdentifier, normalise
from protocol.messages import Receipt
from protocol.statements import AccountBan, Fingerprint, MediaItem
from signing.keys import KeyUse
from signing.oprf.fingerprints import fingerprint_input
from simulator import account_ban, make_key
from worlds import CIRCLE, HOTLINE, PDQ, World, circle_descriptor, open_world

PLATFORM_PROGRAM = Client(1, "upload-check", frozenset({"match", "check", "flag", "ban"}))
"""Whoever asks in these tests."""

OPEN_POLICY = """
[operator]
match_private_messages = true
[[rule]]
name = "block-media"
applies_to = "media"
categories = ["csam.*"]
surfaces = ["public", "hosted", "private"]
min_issuers = 1
max_distance = 31
action = "block"
[[rule]]
name = "review-accounts"
applies_to = "account"
categories = ["*"]
action = "review"
"""
"""Blocks whatever one issuer says of the gravest categories, also in private messages."""


@dataclass
class FakeCircle:
    """Gives the same fingerprint for the same identifier, circle and epoch, as a circle does.

    Attributes:
        down: answers nothing.
        asked: how many identifiers it was asked about, each time.
    """

    down: bool = False
    asked: list[int] = field(default_factory=list)

    def __call__(
        self,
        keys: Sequence[tuple[CircleDescriptor, Epoch]],
        identifiers: Sequence[NormalisedIdentifier],
        *,
        standing: Standing | None = None,
    ) -> list[list[bytes]]:
        assert standing is None or set(keys) <= set(standing.confirmed)
        self.asked.extend(len(identifiers) for _ in keys)
        if self.down:
            raise UnavailableError("The circle could not be asked.")
        return [
            [fake_fingerprint(descriptor.circle, epoch.epoch, one) for one in identifiers]
            for descriptor, epoch in keys
        ]


def fake_fingerprint(circle: str, epoch: int, one: NormalisedIdentifier) -> bytes:
    said = fingerprint_input(one.kind.value, one.scheme, one.value)
    return hashlib.sha256(f"{circle}:{epoch}:".encode() + said).digest()


def marks(*identifiers: tuple[str, str], circle: str = CIRCLE, epoch: int = 1) -> dict[str, object]:
    """The fingerprints of an account-ban, as `FakeCircle` gives them."""
    normalised = [normalise(kind, value) for kind, value in identifiers]
    return {
        "fingerprints": tuple(
            Fingerprint(
                kind=one.kind.value,
                circle=circle,
                epoch=epoch,
                scheme=one.scheme,
                value=to_base64url(fake_fingerprint(circle, epoch, one)),
            )
            for one in normalised
        )
    }


def ban_of(
    issuer: str, number: int, *identifiers: tuple[str, str], **changes: object
) -> AccountBan:
    """An account-ban of these identifiers."""
    return account_ban(issuer, number, **(marks(*identifiers) | changes))


def pdq_at(distance: int, *, of: str = PDQ) -> str:
    """A pdq that differs from another in so many bits."""
    return f"{int(of, 16) ^ ((1 << distance) - 1):064x}"


def picture(pdq: str = PDQ, **changes: object) -> MediaItem:
    values: dict[str, object] = {"pdq": pdq, "quality": 90}
    return MediaItem(**(values | changes))  # type: ignore[arg-type]  # the test's own fields


@dataclass
class Desk:
    """One node's services; each is built when it is first used.

    Attributes:
        world: the database, the log and everybody the node knows.
        directory: where the policy lies and shares are put.
        circle: what account checks ask.
    """

    world: World
    directory: Path
    circle: FakeCircle = field(default_factory=FakeCircle)
    review_unchecked: bool = False
    budget_per_day: int = 5_000
    burst_per_minute: int = 5_000
    keys: NodeKeys = field(init=False)

    def __post_init__(self) -> None:
        self.keys = NodeKeys(
            request=make_key(KeyUse.REQUEST, self.world.name),
            log=make_key(KeyUse.LOG, self.world.name),
            witness=make_key(KeyUse.WITNESS, self.world.name),
            statement=make_key(KeyUse.STATEMENT, self.world.name),
        )
        (self.directory / "policy.toml").write_text(default_policy())

    @cached_property
    def clock(self) -> Callable[[], float]:
        return self.world.clock

    @cached_property
    def author(self) -> Author:
        return Author(self.world.ingest, self.keys, name=self.world.name, clock=self.clock)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.world.store, clock=self.clock)

    @cached_property
    def policy(self) -> PolicyFile:
        return PolicyFile(self.directory / "policy.toml", self.clock)

    @cached_property
    def tally(self) -> Tally:
        tally = Tally(self.world.store, self.policy, clock=self.clock)
        tally.on_quarantine(self.quarantines.tell)
        return tally

    @cached_property
    def gates(self) -> Gates:
        return Gates(self.world.store, self.tally, clock=self.clock)

    @cached_property
    def quarantines(self) -> Quarantines:
        return Quarantines(
            self.world.store, self.author, self.policy, name=self.world.name, clock=self.clock
        )

    @cached_property
    def allow_list(self) -> AllowList:
        return AllowList(self.world.store, clock=self.clock)

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.world.store, self.policy)

    def set_policy(self, text: str) -> None:
        """Has to be said before anything asks the policy."""
        (self.directory / "policy.toml").write_text(text)

    def new_lookups(self) -> Lookups:
        """Those of one process; each process has an index of its own."""
        return Lookups(
            self.world.store,
            Catalogue(self.world.store, ScanIndex(), origin=self.world.log.origin),
            self.policy,
            self.audit,
            self.gates,
            name=self.world.name,
            origin=self.world.log.origin,
            vocabulary=builtin_vocabulary(),
            clock=self.clock,
        )

    @cached_property
    def lookups(self) -> Lookups:
        return self.new_lookups()

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(
            self.world.store,
            self.author,
            self.policy,
            self.audit,
            self.circle,
            gates=self.gates,
            origin=self.world.log.origin,
            vocabulary=builtin_vocabulary(),
            default_region=None,
            username_scope=self.world.name,
            review_unchecked=self.review_unchecked,
            clock=self.clock,
        )

    @cached_property
    def reissues(self) -> Reissues:
        return Reissues(
            self.world.store,
            self.author,
            self.audit,
            self.accounts,
            self.circle,
            name=self.world.name,
            clock=self.clock,
        )

    def new_streams(self, **settings: object) -> Streams:
        """The streams as another process of the node sees them, with settings of its own."""
        catalogue = Catalogue(self.world.store, ScanIndex(), origin=self.world.log.origin)
        return Streams(
            self.world.store,
            catalogue,
            self.policy,
            self.audit,
            self.gates,
            settings=Settings(
                directory=self.directory,
                name=self.world.name,
                url="http://127.0.0.1:8440",
                **settings,
            ),
            vocabulary=builtin_vocabulary(),
            clock=self.clock,
        )

    @cached_property
    def streams(self) -> Streams:
        return self.new_streams()

    @cached_property
    def flags(self) -> Flags:
        return Flags(
            self.world.store, self.author, self.audit, name=self.world.name, clock=self.clock
        )

    @cached_property
    def flaggers(self) -> Flaggers:
        return Flaggers(
            self.world.store, self.author, self.audit, name=self.world.name, clock=self.clock
        )

    @cached_property
    def circles(self) -> Circles:
        return Circles(
            self.world.store,
            self.author,
            self.audit,
            directory=self.directory,
            name=self.world.name,
            passphrase=lambda: b"a passphrase of the tests",
            clock=self.clock,
        )

    @cached_property
    def peers(self) -> Peers:
        return Peers(self.world.store, self.world.log, name=self.world.name, clock=self.clock)

    @cached_property
    def witness(self) -> Witness:
        return Witness(self.world.store, self.keys, name=self.world.name, clock=self.clock)

    @cached_property
    def clients(self) -> Clients:
        return Clients(self.world.store, clock=self.clock)

    @cached_property
    def remedies(self) -> Remedies:
        return self.new_remedies("settled")

    def new_remedies(self, says: Says) -> Remedies:
        """The tasks, where issuers are told as much as an operator has set."""
        answering = self.new_answering(says)
        return Remedies(
            self.world.store, self.author, answering, name=self.world.name, clock=self.clock
        )

    def new_answering(self, says: Says) -> Answering:
        """What issuers are told, as an operator may set it."""
        return Answering(
            self.world.store,
            self.author,
            Catalogue(self.world.store, ScanIndex(), origin=self.world.log.origin),
            name=self.world.name,
            says=says,
            origin=self.world.log.origin,
            clock=self.clock,
        )

    @cached_property
    def erasures(self) -> Erasures:
        return Erasures(self.world.store, name=self.world.name, clock=self.clock)

    @cached_property
    def maintenance(self) -> Maintenance:
        return Maintenance(self.world.store, self.world.ingest, clock=self.clock)

    @cached_property
    def serving(self) -> Serving:
        return Serving(self.world.store, clock=self.clock)

    @cached_property
    def budgets(self) -> Budgets:
        most = Allowance(self.budget_per_day, self.burst_per_minute)
        return Budgets(self.world.store, name=self.world.name, most=most, clock=self.clock)

    @cached_property
    def evaluator(self) -> Evaluator:
        return self.new_evaluator()

    def new_evaluator(self) -> Evaluator:
        """That of one process; each process keeps answers of its own."""
        return Evaluator(
            self.world.store, self.keys, self.budgets, name=self.world.name, clock=self.clock
        )

    def join_circle(self) -> Receipt:
        """Takes in the descriptor of `CIRCLE` and takes part; the audit does not tell."""
        receipt = self.world.submit(circle_descriptor())
        self.join(CIRCLE)
        return receipt

    def join(self, name: str) -> None:
        """Takes part in a circle, as `Circles.join` does; the audit does not tell."""
        with self.world.store.write() as transaction:
            circle = StoredDirectory(transaction).circle(name)
            assert circle is not None
            marks = [mark_of(one) for one in circle.epochs]
            transaction.trust.join(name, marks, follows=circle.admin_threshold > 1)

    def audited(self) -> list[tuple[str, str, str | None, str | None]]:
        """The audit as (actor, action, subject, detail)."""
        return [(one.actor, one.action, one.subject, one.detail) for one in self.audit.export()]


@contextmanager
def open_desk(url: str, directory: Path, *, name: str = HOTLINE) -> Iterator[Desk]:
    """The services of a node over a migrated database."""
    directory.mkdir(parents=True, exist_ok=True)
    with open_world(url, name=name) as world:
        yield Desk(world, directory)
