"""The process of a node: its services, its HTTP surface and its log, until it is told to stop."""

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog
import uvicorn

from node.api.app import build_api
from node.api.server import server_config
from node.app import open_services, running
from node.matching.media import check_pdqhash


def serve(
    directory: Path,
    *,
    environ: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.time,
) -> None:
    """Runs a node until it receives SIGINT or SIGTERM, then ends it in order.

    Raises:
        SettingsError, KeystoreError: it cannot start; nothing was begun.
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
            uvicorn.Server(config).run()


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
    # Libraries' own lines are kept out but for warnings: httpx writes whole URLs.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(levelname)s")
