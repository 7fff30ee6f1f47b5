"""The application: every router, around them the limits and the guard."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from node.api import account_shapes as account_s
from node.api import (
    accuracy,
    flagger,
    gates,
    mirrors,
    operator,
    peer,
    platform,
    problems,
    public,
    remedies,
    statements,
    streams,
    tiles,
    uploads,
    witness,
)
from node.api import gate_shapes as gate_s
from node.api import operator_shapes as operator_s
from node.api import platform_shapes as platform_s
from node.api import remedy_shapes as remedy_s
from node.api import stream_shapes as stream_s
from node.api import upload_shapes as upload_s
from node.api.guard import GuardMiddleware
from node.api.limits import Limits, LimitsMiddleware
from node.api.metrics import Metrics
from node.api.one_hop import ShortCut
from node.api.openapi import VERSION, Shape, describe
from node.app import Services
from protocol import messages
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest
from protocol.endpoints import ADD_CHECKPOINT, DESCRIPTOR, EVIDENCE, JOIN, STATEMENTS
from protocol.evidence import Evidence
from protocol.limits import MAX_ENVELOPE_BYTES, MAX_EVIDENCE_BYTES, MAX_PEER_REQUEST_BYTES
from protocol.witnessing import MAX_REQUEST_BYTES

ROUTERS: Final = (
    public.router,
    platform.match_router,
    platform.quick_router,
    peer.checkpoint_router,
    peer.quick_router,
    platform.router,
    streams.router,
    uploads.router,
    statements.router,
    flagger.router,
    peer.router,
    witness.router,
    tiles.router,
    mirrors.router,
    operator.router,
    gates.router,
    remedies.router,
    accuracy.router,
)

SHAPES: Final[tuple[Shape, ...]] = (
    CeremonyAnswer,
    CeremonyRequest,
    platform_s.MatchRequest,
    platform_s.MatchAnswer,
    platform_s.FileAnswer,
    platform_s.FlagRequest,
    account_s.CheckRequest,
    account_s.CheckAnswer,
    account_s.BatchRequest,
    account_s.BatchAnswer,
    account_s.BanRequest,
    account_s.ReissueRequest,
    platform_s.RetractRequest,
    platform_s.EraseRequest,
    platform_s.DisputeRequest,
    platform_s.ResolveRequest,
    platform_s.FeedbackRequest,
    platform_s.Remedies,
    stream_s.StreamRequest,
    stream_s.OpenedStream,
    stream_s.FramesRequest,
    stream_s.StreamAnswer,
    upload_s.RegisterRequest,
    upload_s.Registered,
    upload_s.DeleteUploadsRequest,
    upload_s.DeletedUploads,
    upload_s.RetroMatches,
    upload_s.WebhookRequest,
    upload_s.WebhookSecret,
    upload_s.WebhookState,
    upload_s.WebhookStates,
    upload_s.RetriedMessages,
    operator_s.AddPeerRequest,
    operator_s.Peer,
    operator_s.Peers,
    operator_s.CreateClientRequest,
    operator_s.CreatedClient,
    operator_s.Clients,
    operator_s.AuditLine,
    operator_s.BudgetUses,
    operator_s.FrozenHolders,
    operator_s.ThawHolderRequest,
    operator_s.PolicyState,
    operator_s.SetAsides,
    operator_s.Status,
    gate_s.QuarantineEntry,
    gate_s.QuarantineList,
    gate_s.VerdictRequest,
    gate_s.AllowRequest,
    gate_s.AllowedEntry,
    gate_s.AllowedEntries,
    gate_s.SourceLines,
    accuracy.AccuracyLines,
    remedy_s.Erasure,
    remedy_s.RestoreTask,
    remedy_s.RestoreTasks,
    remedy_s.RestoredRequest,
    messages.WellKnown,
    messages.Descriptors,
    messages.JoinRequest,
    messages.Receipt,
    messages.StatementStatus,
    messages.StatementStatuses,
    messages.EntriesRequest,
    messages.Entries,
    messages.EnvelopesRequest,
    messages.Envelopes,
    messages.Acknowledgement,
    messages.Poke,
    messages.OwnLogRequest,
    messages.OwnLogAnswer,
    Evidence,
    messages.OprfRequest,
    messages.OprfAnswer,
)
"""Every type that a body or an answer of the surface is described with."""


def build_api(services: Services) -> FastAPI:
    """Returns the node's application over its services, ready to be served.

    The server in front of it must not log requests itself, since it would log their addresses, and
    must not add a ``Server`` field: `node.api.server` is configured so.
    """
    app = FastAPI(
        title="Schutznetz node",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.metrics = Metrics()
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app, methods_by_path())
    settings = services.settings
    limits = Limits(
        body_bytes=settings.max_body_bytes,
        by_path={
            # What strangers may send is no more where the operator lets others send more.
            DESCRIPTOR: min(settings.max_body_bytes, MAX_PEER_REQUEST_BYTES),
            JOIN: min(settings.max_body_bytes, MAX_PEER_REQUEST_BYTES),
            EVIDENCE: min(settings.max_body_bytes, MAX_EVIDENCE_BYTES),
            ADD_CHECKPOINT: min(settings.max_body_bytes, MAX_REQUEST_BYTES),
            STATEMENTS: min(settings.max_body_bytes, MAX_ENVELOPE_BYTES),
            platform.MATCH_FILE: settings.max_upload_bytes,
        },
    )
    app.add_middleware(ShortCut, routes=[one for router in ROUTERS for one in router.routes])
    # The last one added stands outermost: the guard sees, logs and counts what the limits refuse.
    app.add_middleware(LimitsMiddleware, limits=limits)
    app.add_middleware(GuardMiddleware, metrics=app.state.metrics)

    def openapi() -> dict[str, Any]:
        # Where FastAPI keeps it, too: made when first asked for, since a start should be quick.
        if app.openapi_schema is None:
            app.openapi_schema = describe(app, SHAPES)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way of extending it
    return app


def methods_by_path() -> dict[str, set[str]]:
    """Returns which methods each address of the surface knows, by the template of its path."""
    found: dict[str, set[str]] = {}
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            found.setdefault(route.path_format, set()).update(route.methods or ())
    return found
