"""Services with behaviour but without a database, for tests of the HTTP surface alone."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import uvicorn

from fake_callers import (
    CALLERS,
    ENDED_KEY,
    FILM,
    FINGERPRINT,
    FLAGGER_KEY,
    KNOWN,
    NAME,
    NODE_KEY,
    NOW,
    STRANGER_KEY,
    STREAM_ID,
    FakeClients,
    FakePeers,
    FakeRates,
    token_for,
)
from fake_checks import (
    FakeAccounts,
    FakeFilms,
    FakeLookups,
    FakePool,
    FakeReissues,
    FakeRetro,
    FakeStreams,
    FakeUploads,
    FakeWebhooks,
)
from fake_federation import (
    FakeAccusations,
    FakeEvaluator,
    FakeJoining,
    FakeMirroring,
    FakeParticipation,
    FakePublication,
    FakeStanding,
    FakeStatements,
    FakeSuccessions,
    FakeWitness,
)
from fake_office import (
    FakeAccuracies,
    FakeAllowList,
    FakeAsking,
    FakeAudit,
    FakeBudgets,
    FakeCircles,
    FakeErasures,
    FakeHealth,
    FakeQuarantines,
    FakeRemedies,
    FakeSources,
)
from node.api.app import build_api
from node.api.server import server_config
from node.settings import Settings
from signing.keys import SigningKey
from signing.requests import sign_request
from waiting import WITHIN_S

__all__ = [
    "CALLERS",
    "ENDED_KEY",
    "FILM",
    "FINGERPRINT",
    "FLAGGER_KEY",
    "KNOWN",
    "NAME",
    "NODE_KEY",
    "NOW",
    "STRANGER_KEY",
    "STREAM_ID",
    "bearer",
    "fake_services",
    "serving",
    "signed",
    "token_for",
]


def fake_services(directory: Path, *, url: str = "http://127.0.0.1:8440", **settings: Any) -> Any:
    """Returns services of a node that knows one statement, one peer and one flagger."""
    said = {"metrics_enabled": True} | settings
    peers = FakePeers()
    statements = FakeStatements(peers)
    return SimpleNamespace(
        settings=Settings(directory=directory, name=NAME, url=url, **said),
        clock=lambda: float(NOW),
        store=None,
        log=statements,
        ingest=statements,
        serving=statements,
        flags=statements,
        lookups=FakeLookups(),
        accounts=FakeAccounts(statements),
        reissues=FakeReissues(statements),
        evaluator=FakeEvaluator(peers),
        budgets=FakeBudgets(),
        circles=FakeCircles(),
        asking=FakeAsking(),
        participation=FakeParticipation(),
        peers=peers,
        successions=FakeSuccessions(),
        joining=FakeJoining(),
        witness=FakeWitness(),
        mirroring=FakeMirroring(),
        publication=FakePublication(),
        standing=FakeStanding(),
        accusations=FakeAccusations(),
        clients=FakeClients(),
        audit=FakeAudit(),
        remedies=FakeRemedies(),
        accuracies=FakeAccuracies(),
        rates=FakeRates(),
        erasures=FakeErasures(),
        uploads=FakeUploads(),
        retro=FakeRetro(),
        webhooks=FakeWebhooks(),
        health=FakeHealth(),
        pool=FakePool(),
        films=FakeFilms(),
        quarantines=FakeQuarantines(),
        allow_list=FakeAllowList(),
        sources=FakeSources(),
        streams=FakeStreams(),
        policy=SimpleNamespace(problem=None),
    )


def bearer(scope: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_for(scope)}"}


def signed(
    method: str, url: str, body: bytes = b"", *, key: SigningKey = NODE_KEY, now: int = NOW
) -> dict[str, str]:
    return sign_request(method=method, url=url, body=body, key=key, now=now)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[tuple[str, Any]]:
    """Serves fake services by a real server on a free port; gives its URL and the services."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        services = fake_services(directory, url=url)
        server = uvicorn.Server(server_config(build_api(services)))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            # The socket listens already: the first request waits in its queue until it is served.
            assert httpx.get(f"{url}/livez", timeout=WITHIN_S).status_code == 200
            yield url, services
        finally:
            server.should_exit = True
            thread.join(WITHIN_S)
