"""The process of a node: its services, its HTTP surface and its log, until it is told to stop."""

import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
import uvicorn

from node.api.app import build_api
from node.api.server import server_config
from node.app import open_services, passphrase_of, running
from node.matching.media import check_pdqhash
from node.processes import run_processes
from node.services.keys import open_keys
from node.settings import load_settings
from node.storage.engine import Store


def serve(
    directory: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
) -> None:
    """Runs a node until it receives SIGINT or SIGTERM, then ends it in order.

    Raises:
        SettingsError, KeystoreError: it cannot start; nothing was begun.
        UnavailableError: one of several processes ended as soon as it had begun.
    """
    settings = load_settings(directory, environ)
    if settings.processes == 1:
        serve_here(directory, environ=environ, clock=clock)
        return
    configure_logging(settings.log_level)
    # What stops the node stops it here, with its sentence, and not in each of the processes.
    store = Store(settings.database_url.get_secret_value())
    try:
        store.migrate()
        open_keys(settings.directory, passphrase_of(settings))
    finally:
        store.close()
    with server_config(None, host=settings.host, port=settings.port).bind_socket() as listening:
        run_processes(directory, listening, count=settings.processes, environ=environ)


def serve_here(
    directory: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
    listening: socket.socket | None = None,
) -> None:
    """Serves in this process, as the only one or as one of several, until it is told to end.

    Args:
        directory: of the node.
        environ: the environment.
        clock: Unix time in seconds.
        listening: what the node's processes share; None to listen as the settings say.

    Raises:
        SettingsError, KeystoreError, UnavailableError: as `serve`.
    """
    with open_services(directory, environ=environ, clock=clock) as services:
        settings = services.settings
        configure_logging(settings.log_level)
        check_pdqhash()
        config = server_config(build_api(services), host=settings.host, port=settings.port)
        with running(services):
            structlog.get_logger("node").info(
                "serving", node=settings.name, host=settings.host, port=settings.port
            )
            uvicorn.Server(config).run(None if listening is None else [listening])


def configure_logging(level: str) -> None:
    """Has every line written to standard error as one JSON object, without values of requests."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Libraries' own lines are kept out but for warnings, and of those all that could hold a value:
    # httpx writes whole URLs. A logger's name needs no escapes.
    plain = '{"event": "library", "logger": "%(name)s", "level": "%(levelname)s"}'
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=plain)
