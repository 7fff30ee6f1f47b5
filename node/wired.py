"""Everything that one node is made of, once it is built, and how it is set going."""

from collections.abc import Callable
from dataclasses import dataclass

from node.asking import Asking
from node.conductor import Conductor
from node.exchange import Exchange
from node.follower import Follower
from node.jobs import Jobs
from node.matching.film_process import FilmHasher
from node.matching.pool import HashPool
from node.policy.file import PolicyFile
from node.services.accounts import Accounts
from node.services.accuracy import Accuracies
from node.services.accusations import Accusations
from node.services.allowing import AllowList
from node.services.audit import Audit
from node.services.budgets import Budgets
from node.services.catalogue import Catalogue
from node.services.ceremonies import Ceremonies
from node.services.circles import Circles
from node.services.clients import Clients
from node.services.coordination import Coordination
from node.services.erasures import Erasures
from node.services.evaluator import Evaluator
from node.services.flaggers import Flaggers
from node.services.flags import Flags
from node.services.fsck import Fsck
from node.services.health import Health
from node.services.ingest import Ingest
from node.services.joining import Joining
from node.services.key_use import KeysInUse
from node.services.log import OwnLog
from node.services.lookups import Lookups
from node.services.maintenance import Maintenance
from node.services.mirror_sources import MirrorSources
from node.services.mirroring import Mirroring
from node.services.participation import Participation
from node.services.peers import Peers
from node.services.publication import Publication
from node.services.quarantines import Quarantines
from node.services.rates import Rates
from node.services.reissue import Reissues
from node.services.remedies import Remedies
from node.services.retro import Retro
from node.services.revocations import Revocations
from node.services.rotation import Rotation
from node.services.serving import Serving
from node.services.sources import Sources
from node.services.standing import Standing
from node.services.streams import Streams
from node.services.successions import Successions
from node.services.tally import Tally
from node.services.upload_index import UploadIndex
from node.services.uploads import Uploads
from node.services.webhooks import Webhooks
from node.services.witnessing import Witness
from node.settings import Settings
from node.standing_talk import StandingTalk
from node.storage.engine import Store
from node.webhook_sender import WebhookSender
from node.witness_talk import WitnessTalk

Clock = Callable[[], float]
"""Unix time in seconds."""


@dataclass(frozen=True)
class Services:
    """A node's services, for handlers, commands and tests.

    Attributes:
        settings: what the node was told at start.
        clock: Unix time in seconds.
    """

    settings: Settings
    clock: Clock
    store: Store
    log: OwnLog
    ingest: Ingest
    serving: Serving
    mirroring: Mirroring
    mirror_sources: MirrorSources
    flags: Flags
    lookups: Lookups
    streams: Streams
    accounts: Accounts
    reissues: Reissues
    evaluator: Evaluator
    budgets: Budgets
    peers: Peers
    witness: Witness
    accusations: Accusations
    standing: Standing
    standing_talk: StandingTalk
    publication: Publication
    witness_talk: WitnessTalk
    successions: Successions
    joining: Joining
    key_use: KeysInUse
    rotation: Rotation
    clients: Clients
    flaggers: Flaggers
    revocations: Revocations
    circles: Circles
    ceremonies: Ceremonies
    participation: Participation
    coordination: Coordination
    conductor: Conductor
    audit: Audit
    remedies: Remedies
    erasures: Erasures
    accuracies: Accuracies
    rates: Rates
    tally: Tally
    quarantines: Quarantines
    allow_list: AllowList
    sources: Sources
    maintenance: Maintenance
    health: Health
    pool: HashPool
    films: FilmHasher
    policy: PolicyFile
    asking: Asking
    exchange: Exchange
    jobs: Jobs
    uploads: Uploads
    retro: Retro
    webhooks: Webhooks
    followers: tuple[Follower, ...]
    webhook_sender: WebhookSender
    upload_index: UploadIndex
    catalogue: Catalogue
    fsck: Fsck

    def start(self) -> None:
        """Begins everything that runs by itself: the audit's writer, conversations and jobs."""
        self.audit.start()
        # First of all conversations: before it has answers, nothing is signed or taken in.
        self.standing_talk.start()
        self.tally.start()
        self.asking.start()
        self.exchange.start()
        self.witness_talk.start()
        self.jobs.start()
        for follower in self.followers:
            follower.start()
        self.webhook_sender.start()
