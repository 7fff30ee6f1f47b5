"""One transaction, and the repositories that work inside it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from sqlalchemy import Connection

from node.storage.access import AccessRepository
from node.storage.accounts import AccountRepository
from node.storage.accuracy import AccuracyRepository
from node.storage.budgets import BudgetRepository
from node.storage.ceremonies import CeremonyRepository
from node.storage.descriptors import DescriptorRepository
from node.storage.evidence import EvidenceRepository
from node.storage.gates import GateRepository
from node.storage.integrity import IntegrityRepository
from node.storage.joining import JoiningRepository
from node.storage.journal import JournalRepository
from node.storage.logs import LogRepository
from node.storage.media import MediaRepository
from node.storage.mirroring import MirroringRepository
from node.storage.mirrors import MirrorRepository
from node.storage.peers import PeerRepository
from node.storage.remedies import RemedyRepository
from node.storage.retro import RetroRepository
from node.storage.revocations import RevocationRepository
from node.storage.seen import Seen
from node.storage.statements import StatementRepository
from node.storage.streams import StreamRepository
from node.storage.trust import TrustRepository
from node.storage.uploads import UploadRepository
from node.storage.webhooks import WebhookRepository
from node.storage.witnesses import WitnessRepository


class Transaction:
    """What a service sees of the database: repositories over one open transaction.

    It begins when the first repository is asked for: who finds that there is nothing to ask the
    database has not spoken to it. A snapshot begins with the first question in any case, both in
    SQLite and in PostgreSQL.
    """

    def __init__(self, begin: Callable[[], Connection]) -> None:
        self._begin = begin
        self._seen = Seen()

    @cached_property
    def _connection(self) -> Connection:
        return self._begin()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undoes what the block wrote if the block raises; the transaction goes on."""
        try:
            with self._connection.begin_nested():
                yield
        except BaseException:
            self._seen.forget_all()
            raise

    @cached_property
    def statements(self) -> StatementRepository:
        """Statements, envelopes, and what became of them."""
        return StatementRepository(self._connection)

    @cached_property
    def media(self) -> MediaRepository:
        """Media hashes."""
        return MediaRepository(self._connection)

    @cached_property
    def accounts(self) -> AccountRepository:
        """Fingerprints of banned accounts."""
        return AccountRepository(self._connection)

    @cached_property
    def logs(self) -> LogRepository:
        """How far each log is known."""
        return LogRepository(self._connection, self._seen)

    @cached_property
    def peers(self) -> PeerRepository:
        """Pinned nodes, and what was set aside of theirs."""
        return PeerRepository(self._connection, self._seen)

    @cached_property
    def accuracy(self) -> AccuracyRepository:
        """Sums over feedback."""
        return AccuracyRepository(self._connection)

    @cached_property
    def evidence(self) -> EvidenceRepository:
        """What shows that peers broke the protocol."""
        return EvidenceRepository(self._connection)

    @cached_property
    def joining(self) -> JoiningRepository:
        """Who may apply, who has, and who is new."""
        return JoiningRepository(self._connection, self._seen)

    @cached_property
    def revocations(self) -> RevocationRepository:
        """What revoked keys have said."""
        return RevocationRepository(self._connection)

    @cached_property
    def descriptors(self) -> DescriptorRepository:
        """What pinned nodes have said about their keys."""
        return DescriptorRepository(self._connection, self._seen)

    @cached_property
    def trust(self) -> TrustRepository:
        """Accreditations and circles."""
        return TrustRepository(self._connection)

    @cached_property
    def ceremonies(self) -> CeremonyRepository:
        """Ceremonies of circles."""
        return CeremonyRepository(self._connection)

    @cached_property
    def access(self) -> AccessRepository:
        """Clients, nonces and leases."""
        return AccessRepository(self._connection)

    @cached_property
    def budgets(self) -> BudgetRepository:
        """What members of circles had evaluated here."""
        return BudgetRepository(self._connection)

    @cached_property
    def gates(self) -> GateRepository:
        """What keeps the list healthy."""
        return GateRepository(self._connection, self._seen)

    @cached_property
    def streams(self) -> StreamRepository:
        """Streams that are watched."""
        return StreamRepository(self._connection)

    @cached_property
    def integrity(self) -> IntegrityRepository:
        """Rows in the order of the log, to be compared."""
        return IntegrityRepository(self._connection)

    @cached_property
    def journal(self) -> JournalRepository:
        """Audit, matches, feedback and remedies."""
        return JournalRepository(self._connection)

    @cached_property
    def remedies(self) -> RemedyRepository:
        """What was acted on for whom, and what others made good or erased."""
        return RemedyRepository(self._connection)

    @cached_property
    def uploads(self) -> UploadRepository:
        """Uploads that platforms registered."""
        return UploadRepository(self._connection)

    @cached_property
    def retro(self) -> RetroRepository:
        """Matches of registered uploads."""
        return RetroRepository(self._connection)

    @cached_property
    def mirrors(self) -> MirrorRepository:
        """Other nodes' logs, entry by entry."""
        return MirrorRepository(self._connection)

    @cached_property
    def mirroring(self) -> MirroringRepository:
        """Whose logs this node serves, and by way of whom it reads others'."""
        return MirroringRepository(self._connection)

    @cached_property
    def witnesses(self) -> WitnessRepository:
        """What this node cosigned, and what witnesses put on its own checkpoints."""
        return WitnessRepository(self._connection, self._seen)

    @cached_property
    def webhooks(self) -> WebhookRepository:
        """Webhooks and their messages."""
        return WebhookRepository(self._connection)
