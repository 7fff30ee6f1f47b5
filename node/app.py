"""Opening a node from its directory, and running what runs by itself."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from node.services.keys import open_keys
from node.settings import load_settings
from node.storage.engine import Store
from node.wired import Clock, Services
from node.wiring import build_services, passphrase_of

__all__ = ["Services", "open_services", "passphrase_of", "running"]


@contextmanager
def open_services(
    directory: Path, *, environ: Mapping[str, str] = os.environ, clock: Clock = time.time
) -> Iterator[Services]:
    """Opens a node from its directory; nothing runs by itself until `Services.start`.

    Raises:
        SettingsError: the settings, the database or the policy do not allow it.
        KeystoreError: a key file does not open.
    """
    settings = load_settings(directory, environ)
    store = Store(settings.database_url.get_secret_value())
    try:
        store.migrate()
        keys = open_keys(settings.directory, passphrase_of(settings))
        services = build_services(settings, store, keys, clock=clock)
        try:
            yield services
        finally:
            services.tally.close()
            services.audit.close()
            services.pool.close()
            services.catalogue.close()
            services.upload_index.close()
    finally:
        store.close()


@contextmanager
def running(services: Services) -> Iterator[None]:
    """Starts what runs by itself, and ends it in the right order."""
    services.start()
    try:
        yield
    finally:
        services.webhook_sender.close()
        for follower in services.followers:
            follower.close()
        services.jobs.close()
        services.standing_talk.close()
        services.witness_talk.close()
        services.exchange.close()
        services.asking.close()
