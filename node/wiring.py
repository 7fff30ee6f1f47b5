"""The wiring: a node is built here from its settings, and nowhere else.

No module holds an engine, a setting or a client; the command and the tests build a node alike.
"""

from functools import partial
from typing import Final

from node.asking import Asking
from node.conductor import Conductor
from node.exchange import Exchange
from node.follower import Follower
from node.fsck_wiring import fsck_of
from node.jobs import LEASE_S, Jobs
from node.matching.engine import PdqEngine
from node.matching.film_process import FilmHasher
from node.matching.pool import HashPool
from node.policy.file import PolicyFile
from node.services.accounts import Accounts
from node.services.accuracy import Accuracies
from node.services.accusations import Accusations
from node.services.allowing import AllowList
from node.services.answering import Answering
from node.services.audit import Audit
from node.services.authoring import Author
from node.services.budgets import Allowance, Budgets
from node.services.catalogue import Catalogue
from node.services.ceremonies import Ceremonies
from node.services.ceremony_ledger import Ledger
from node.services.circles import Circles
from node.services.clients import Clients
from node.services.coordination import Coordination
from node.services.directory import descriptor_of
from node.services.effects import make_void
from node.services.erasures import Erasures
from node.services.evaluator import Evaluator
from node.services.flaggers import Flaggers
from node.services.flags import Flags
from node.services.gates import Gates
from node.services.health import Health
from node.services.ingest import Ingest
from node.services.joining import Joining
from node.services.keys import NodeKeys
from node.services.log import OwnLog
from node.services.lookups import Lookups
from node.services.maintenance import Maintenance
from node.services.mirror_sources import MirrorSources
from node.services.mirroring import Mirroring
from node.services.participation import Participation
from node.services.peers import Peers
from node.services.publication import Publication, read_witness_policy
from node.services.quarantines import Quarantines
from node.services.rates import Rates
from node.services.reissue import Reissues
from node.services.remedies import Remedies
from node.services.retro import Retro
from node.services.revocations import Revocations
from node.services.rotation import Rotation
from node.services.serving import Serving
from node.services.sources import Sources
from node.services.streams import Streams
from node.services.successions import Successions
from node.services.tally import Tally
from node.services.upload_index import UploadIndex
from node.services.uploads import Uploads
from node.services.voiding import Voiding
from node.services.webhooks import Webhooks
from node.services.witnessing import Witness
from node.settings import Settings
from node.storage.engine import Store
from node.webhook_sender import WebhookSender
from node.wired import Clock, Services
from node.witness_wiring import health_of, keys_in_use, standing_of, witness_talk_of
from protocol.categories import builtin_vocabulary
from protocol.errors import SettingsError

INDEX_FOLDER: Final = "index"
"""Folder of the pdq index in the node's directory; all of it can be made anew."""

UPLOADS_FOLDER: Final = "uploads-index"
"""The same of registered uploads."""


def build_services(settings: Settings, store: Store, keys: NodeKeys, *, clock: Clock) -> Services:
    """Builds a node over an open database and open keys; starts nothing."""
    name = settings.name
    with store.read() as transaction:
        own = transaction.peers.get(name)
    if own is None:
        raise SettingsError(
            f"The database does not belong to {name}: a node's name is fixed by `node init`."
        )
    policy = PolicyFile(settings.policy_file, clock)
    audit = Audit(store, clock=clock)
    log = OwnLog(store, keys.log, origin=descriptor_of(own).log_origin)
    ingest = Ingest(
        store, log, name=name, clock=clock, limits=lambda: policy.current().gates.limits
    )
    witness_policy = read_witness_policy(settings.witness_policy_file)
    if settings.require_witnessed and witness_policy is None:
        raise SettingsError("require_witnessed: there is no file witness_policy_file.")
    publication = Publication(store, log, witness_policy, clock=clock)
    author = Author(ingest, keys, name=name, clock=clock)
    flaggers = Flaggers(store, author, audit, name=name, clock=clock)
    catalogue = Catalogue(store, PdqEngine(settings.directory / INDEX_FOLDER), origin=log.origin)
    most = Allowance(settings.oprf_budget_per_day, settings.oprf_burst_per_minute)
    budgets = Budgets(store, name=name, most=most, clock=clock)
    evaluator = Evaluator(store, keys, budgets, name=name, clock=clock)
    peers = Peers(store, log, name=name, clock=clock)
    asking = Asking(store, evaluator, keys=keys, settings=settings, clock=clock)
    successions = Successions(store, ingest, name=name, clock=clock)
    key_use = keys_in_use(
        settings, store, keys, log, passphrase=lambda: passphrase_of(settings), clock=clock
    )
    exchange = Exchange(
        store,
        ingest,
        log,
        successions,
        key_use,
        keys=keys,
        settings=settings,
        clock=clock,
        required=witness_policy if settings.require_witnessed else None,
    )
    ledger = Ledger(store, directory=settings.directory, name=name, clock=clock)
    maintenance = Maintenance(
        store,
        ingest,
        clock=clock,
        streams_kept_s=2 * settings.stream_idle_s,
        uploads_kept_days=settings.uploads_kept_days,
        end_late=ledger.end_late,
    )
    ceremonies = Ceremonies(
        store,
        keys,
        directory=settings.directory,
        name=name,
        passphrase=lambda: passphrase_of(settings),
        clock=clock,
    )
    participation = Participation(
        store,
        ledger,
        keys,
        directory=settings.directory,
        name=name,
        passphrase=lambda: passphrase_of(settings),
        clock=clock,
    )
    coordination = Coordination(
        store,
        ingest,
        audit,
        ceremonies=ceremonies,
        participation=participation,
        ledger=ledger,
        name=name,
        clock=clock,
    )
    standing, standing_talk = standing_of(
        store,
        log,
        publication,
        ingest,
        maintenance=maintenance,
        keys=keys,
        settings=settings,
        clock=clock,
    )
    accusations = Accusations(store, name=name, clock=clock)
    witness_talk = witness_talk_of(
        store,
        log,
        publication,
        accusations=accusations,
        maintenance=maintenance,
        exchange=exchange,
        ingest=ingest,
        keys=keys,
        settings=settings,
        clock=clock,
    )
    ingest.subscribe(exchange.log_grew)
    peers.on_poke(exchange.sync_soon)
    vocabulary = builtin_vocabulary()
    tally = Tally(store, policy, clock=clock)
    gates = Gates(store, tally, clock=clock)
    quarantines = Quarantines(store, author, policy, name=name, clock=clock)
    tally.on_quarantine(quarantines.tell)
    streams = Streams(
        store,
        catalogue,
        policy,
        audit,
        gates,
        settings=settings,
        vocabulary=vocabulary,
        clock=clock,
    )
    accounts = Accounts(
        store,
        author,
        policy,
        audit,
        asking.ask_circles,
        gates=gates,
        origin=log.origin,
        vocabulary=vocabulary,
        default_region=settings.default_region,
        username_scope=settings.username_scope,
        review_unchecked=settings.check_fail_mode == "closed",
        clock=clock,
    )
    lookups = Lookups(
        store,
        catalogue,
        policy,
        audit,
        gates,
        name=name,
        origin=log.origin,
        vocabulary=vocabulary,
        clock=clock,
    )
    upload_index = UploadIndex(PdqEngine(settings.directory / UPLOADS_FOLDER))
    retro = Retro(store, upload_index, lookups, policy, origin=log.origin, clock=clock)
    webhooks = Webhooks(
        store,
        directory=settings.directory,
        allow_http=settings.allow_insecure_http,
        allow_private=settings.webhook_private_hosts,
        clock=clock,
    )
    answering = Answering(
        store,
        author,
        catalogue,
        name=name,
        says=settings.remedy_says,
        origin=log.origin,
        clock=clock,
    )

    def leads() -> bool:
        return maintenance.lead(for_s=LEASE_S)

    followers = (
        Follower("retro", retro, leads),
        Follower("answering", answering, leads),
        Follower("voiding", Voiding(store, partial(make_void, clock=clock)), leads),
    )
    for follower in followers:
        ingest.subscribe(follower.log_grew)
    return Services(
        settings=settings,
        clock=clock,
        store=store,
        log=log,
        ingest=ingest,
        serving=Serving(store, clock=clock),
        mirroring=Mirroring(store, name=name, clock=clock),
        mirror_sources=MirrorSources(store, name=name, clock=clock),
        flags=Flags(
            store,
            author,
            audit,
            name=name,
            due_days=settings.remedy_due_days,
            publication=publication,
            clock=clock,
        ),
        lookups=lookups,
        streams=streams,
        accounts=accounts,
        reissues=Reissues(
            store, author, audit, accounts, asking.ask_circles, name=name, clock=clock
        ),
        evaluator=evaluator,
        budgets=budgets,
        peers=peers,
        accusations=accusations,
        standing=standing,
        standing_talk=standing_talk,
        publication=publication,
        witness_talk=witness_talk,
        witness=Witness(store, keys, name=name, clock=clock),
        successions=successions,
        joining=Joining(
            store,
            peers,
            author,
            audit,
            keys,
            name=name,
            newcomer_days=settings.newcomer_days,
            clock=clock,
        ),
        key_use=key_use,
        rotation=Rotation(
            store,
            directory=settings.directory,
            name=name,
            url=settings.url,
            passphrase=lambda: passphrase_of(settings),
            clock=clock,
        ),
        clients=Clients(store, clock=clock),
        flaggers=flaggers,
        revocations=Revocations(
            store,
            log,
            author,
            audit,
            flaggers,
            name=name,
            published=publication.size,
            clock=clock,
        ),
        circles=Circles(
            store,
            author,
            audit,
            directory=settings.directory,
            name=name,
            passphrase=lambda: passphrase_of(settings),
            clock=clock,
        ),
        ceremonies=ceremonies,
        participation=participation,
        coordination=coordination,
        conductor=Conductor(coordination, participation, keys=keys, settings=settings, clock=clock),
        audit=audit,
        remedies=Remedies(store, author, answering, name=name, clock=clock),
        erasures=Erasures(store, name=name, due_days=settings.remedy_due_days, clock=clock),
        accuracies=Accuracies(store),
        rates=Rates(store, most=settings.peer_requests_per_minute, clock=clock),
        tally=tally,
        quarantines=quarantines,
        allow_list=AllowList(store, clock=clock),
        sources=Sources(store, policy),
        maintenance=maintenance,
        health=health_of(Health(store, policy, peers.own, clock=clock), standing),
        films=FilmHasher(
            max(1, settings.hash_workers // settings.processes),
            interval_ms=settings.film_interval_ms,
            max_pixels=settings.max_pixels,
            timeout_s=settings.film_timeout_s,
        ),
        pool=HashPool(
            settings.hash_workers,
            max_pixels=settings.max_pixels,
            timeout_s=settings.hash_timeout_s,
            kernel=True,
        ),
        policy=policy,
        asking=asking,
        exchange=exchange,
        jobs=Jobs(
            maintenance,
            exchange.sync_all_soon,
            settings,
            tidy=lambda: catalogue.tidy() + retro.tidy(),
        ),
        uploads=Uploads(store, kept_days=settings.uploads_kept_days, clock=clock),
        retro=retro,
        webhooks=webhooks,
        followers=followers,
        webhook_sender=WebhookSender(
            webhooks,
            leads,
            timeout_s=settings.webhook_timeout_s,
            allow_private=settings.webhook_private_hosts,
        ),
        upload_index=upload_index,
        catalogue=catalogue,
        fsck=fsck_of(store, catalogue, upload_index, origin=log.origin),
    )


def passphrase_of(settings: Settings) -> bytes:
    """Returns the passphrase of the node's key files.

    Raises:
        SettingsError: none is set.
    """
    secret = settings.read_passphrase()
    if secret is None:
        raise SettingsError(
            "No passphrase for the key files: set passphrase_file, or SCHUTZNETZ_PASSPHRASE."
        )
    return secret.get_secret_value().encode()
