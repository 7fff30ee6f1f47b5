"""The wiring of what keeps the log honest: its keys, witnesses, evidence, and where it stands."""

from collections.abc import Callable

from node.evidence_talk import EvidenceTalk
from node.exchange import Exchange
from node.jobs import LEASE_S
from node.services.accusations import Accusations
from node.services.health import Health
from node.services.ingest import Ingest
from node.services.key_use import KeysInUse
from node.services.keys import NodeKeys
from node.services.log import OwnLog
from node.services.maintenance import Maintenance
from node.services.publication import Publication
from node.services.recovery import Recovery
from node.services.standing import Standing
from node.settings import Settings
from node.standing_talk import StandingTalk
from node.storage.engine import Store
from node.wired import Clock
from node.witness_talk import WitnessTalk


def keys_in_use(
    settings: Settings,
    store: Store,
    keys: NodeKeys,
    log: OwnLog,
    *,
    passphrase: Callable[[], bytes],
    clock: Clock,
) -> KeysInUse:
    """Returns what puts the keys in use in their places, once that is done for the first time."""
    key_use = KeysInUse(
        store,
        keys,
        log,
        directory=settings.directory,
        name=settings.name,
        passphrase=passphrase,
        clock=clock,
    )
    key_use.refresh()
    return key_use


def standing_of(
    store: Store,
    log: OwnLog,
    publication: Publication,
    ingest: Ingest,
    *,
    maintenance: Maintenance,
    keys: NodeKeys,
    settings: Settings,
    clock: Clock,
) -> tuple[Standing, StandingTalk]:
    """Returns what sees to it that a restored copy signs nothing that it has signed otherwise."""
    standing = Standing(store, log, name=settings.name, clock=clock)
    recovery = Recovery(store, log, name=settings.name, settle=ingest.settle, clock=clock)
    talk = StandingTalk(
        store,
        log,
        standing,
        recovery,
        publication,
        keys=keys,
        settings=settings,
        leads=lambda: maintenance.lead(for_s=LEASE_S),
        clock=clock,
    )
    return standing, talk


def health_of(health: Health, standing: Standing) -> Health:
    """Returns the node's health, which asks where the log stands too."""
    health.on_standing(standing.reason)
    return health


def witness_talk_of(
    store: Store,
    log: OwnLog,
    publication: Publication,
    *,
    accusations: Accusations,
    maintenance: Maintenance,
    exchange: Exchange,
    ingest: Ingest,
    keys: NodeKeys,
    settings: Settings,
    clock: Clock,
) -> WitnessTalk:
    """Returns what has this node's checkpoints cosigned, and tells peers of evidence."""

    def leads() -> bool:
        return maintenance.lead(for_s=LEASE_S)

    evidence = EvidenceTalk(store, accusations, name=settings.name, leads=leads, clock=clock)
    talk = WitnessTalk(
        store,
        log,
        publication,
        keys=keys,
        settings=settings,
        leads=leads,
        clock=clock,
        evidence=evidence,
    )
    # Who reads only what is published has been poked in vain before.
    talk.on_published(lambda: exchange.log_grew(False))
    ingest.subscribe(talk.log_grew)
    return talk
