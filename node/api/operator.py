"""What the operator's tools call: a bearer key with the scope ``admin``, on the node's machine."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from node.api import examples
from node.api.auth import MetricsDep, ServicesDep, require
from node.api.bodies import answer, json_body
from node.api.metrics import CONTENT_TYPE
from node.api.openapi import BEARER, content, documented, shaped
from node.api.operator_shapes import (
    NODE_NAME,
    AddPeerRequest,
    AuditLine,
    BudgetUses,
    Clients,
    CreateClientRequest,
    CreatedClient,
    FrozenHolders,
    Peer,
    Peers,
    PolicyState,
    SetAsides,
    Status,
    ThawHolderRequest,
)
from node.api.platform_shapes import Remedies
from node.api.problems import CONFLICT, NOT_BELIEVED, NOT_FOUND, ProblemError
from node.api.public import describe_self
from node.api.upload_shapes import WebhookStates
from node.app import Services
from node.policy.file import MAX_POLICY_BYTES
from node.services.budgets import day_of
from node.services.clients import Client
from protocol import limits

JSON_LINES = "application/jsonl"
MAX_AUDIT_LINES = 1_000
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"

router = APIRouter(tags=["operator"])

Operator = Annotated[Client, Depends(require("admin"))]
PeerPath = Annotated[
    str, Path(pattern=NODE_NAME, max_length=limits.MAX_NAME_CHARS, description="Name of the node.")
]
_NOTED = {204: {"description": "Done."}}


@router.get(
    "/v1/admin/status",
    summary="The node on one screen",
    **documented(answers={200: shaped("Now.", Status, examples.NODE_STATUS)}, may_fail=BEARER),
)
def status(_client: Operator, services: ServicesDep) -> Response:
    """Answers who this is, how much it holds, how its peers are, and what is wrong."""
    reasons = services.health.reasons()
    own = describe_self(services)
    found = {
        "name": own.name,
        "url": own.url,
        "fingerprint": own.fingerprint,
        "log_size": services.log.size(),
        "list_entries": services.lookups.list_state().entries,
        "ready": not reasons,
        "reasons": reasons,
        "quarantined": len(services.quarantines.list(["quarantined"])),
        "publication": services.publication.state(),
        "budget_alarms": services.budgets.alarms(),
        "peers": services.peers.list(),
    }
    return answer(Status, found)


@router.get(
    "/metrics",
    summary="Counts, sizes and ages for a monitoring system",
    **documented(
        answers={
            200: {
                "description": "Prometheus' text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def figures(_client: Operator, services: ServicesDep, metrics: MetricsDep) -> Response:
    """Answers if the setting `metrics_enabled` is on. No value, no key, no statement is in it."""
    if not services.settings.metrics_enabled:
        raise ProblemError(NOT_FOUND, "Metrics are switched off (metrics_enabled).")
    now = int(services.clock())
    metrics.observe(
        list_entries=services.lookups.list_state().entries,
        log_size=services.log.size(),
        sync_age_s={
            peer.name: max(0, now - peer.synced)
            for peer in services.peers.list()
            if peer.synced is not None
        },
        source_matches=services.sources.matches(),
        circles_asked=services.asking.outcomes(),
        holders_not_asked=len(services.circles.frozen_holders())
        + sum(map(len, services.asking.failing().values())),
    )
    return Response(metrics.render(), media_type=CONTENT_TYPE)


@router.get(
    "/v1/admin/peers",
    summary="Pinned nodes",
    **documented(
        answers={200: shaped("By name.", Peers, {"peers": [examples.PEER]})}, may_fail=BEARER
    ),
)
def list_peers(_client: Operator, services: ServicesDep) -> Response:
    """Lists every pinned node, and how far each side has come with the other's log."""
    return answer(Peers, {"peers": services.peers.list()})


@router.post(
    "/v1/admin/peers",
    summary="Pin a node",
    **documented(
        body=content(AddPeerRequest, examples.ADD_PEER),
        answers={201: shaped("It is pinned.", Peer, examples.PEER)},
        may_fail=(*BEARER, NOT_BELIEVED, CONFLICT),
    ),
)
def add_peer(
    client: Operator,
    services: ServicesDep,
    body: Annotated[AddPeerRequest, Depends(json_body(AddPeerRequest))],
) -> Response:
    """Pins a node by its descriptor, if the fingerprint fits that the operator typed."""
    pinned = services.peers.add(
        body.descriptor.encode("utf-8"),
        body.fingerprint,
        authority=body.authority,
        later=[one.encode("utf-8") for one in body.later],
        actor=client.name,
    )
    return answer(Peer, pinned, status=201)


@router.post(
    "/v1/admin/peers/{name}/freeze",
    summary="Believe nothing new of a node",
    **documented(answers=_NOTED, may_fail=(*BEARER, NOT_FOUND)),
)
def freeze_peer(client: Operator, services: ServicesDep, name: PeerPath) -> Response:
    """Stops taking over the node's log; what was accepted stays."""
    services.peers.freeze(name, actor=client.name)
    return Response(status_code=204)


@router.post(
    "/v1/admin/peers/{name}/thaw",
    summary="Believe a node again",
    **documented(answers=_NOTED, may_fail=(*BEARER, NOT_FOUND)),
)
def thaw_peer(client: Operator, services: ServicesDep, name: PeerPath) -> Response:
    """Takes over the node's log again, from where it was frozen."""
    services.peers.thaw(name, actor=client.name)
    return Response(status_code=204)


@router.delete(
    "/v1/admin/peers/{name}",
    summary="Unpin a node",
    **documented(answers=_NOTED, may_fail=(*BEARER, NOT_FOUND)),
)
def remove_peer(client: Operator, services: ServicesDep, name: PeerPath) -> Response:
    """Forgets the node's keys; what was accepted of it stays."""
    services.peers.remove(name, actor=client.name)
    return Response(status_code=204)


@router.get(
    "/v1/admin/clients",
    summary="Programs that may call this node",
    **documented(
        answers={200: shaped("Revoked ones too.", Clients, {"clients": [examples.CLIENT]})},
        may_fail=BEARER,
    ),
)
def list_clients(_client: Operator, services: ServicesDep) -> Response:
    """Lists every client; keys are not shown, since they are not stored."""
    return answer(Clients, {"clients": services.clients.list()})


@router.post(
    "/v1/admin/clients",
    summary="Make a key for a program",
    **documented(
        body=content(CreateClientRequest, examples.CREATE_CLIENT),
        answers={201: shaped("With its key, this once.", CreatedClient, examples.CREATED_CLIENT)},
        may_fail=(*BEARER, CONFLICT),
    ),
)
def create_client(
    client: Operator,
    services: ServicesDep,
    body: Annotated[CreateClientRequest, Depends(json_body(CreateClientRequest))],
) -> Response:
    """Makes a client. Its key is in this answer and nowhere else: keep it."""
    made, token = services.clients.create(body.name, body.scopes, actor=client.name)
    shown = {"id": made.id, "name": made.name, "scopes": sorted(made.scopes), "token": token}
    return answer(CreatedClient, shown, status=201)


@router.delete(
    "/v1/admin/clients/{client_id}",
    summary="End a program's access",
    **documented(answers=_NOTED, may_fail=(*BEARER, NOT_FOUND)),
)
def revoke_client(
    client: Operator,
    services: ServicesDep,
    client_id: Annotated[int, Path(ge=1, le=limits.MAX_JSON_INT)],
) -> Response:
    """Revokes a client's key at once."""
    services.clients.revoke(client_id, actor=client.name)
    return Response(status_code=204)


@router.get(
    "/v1/admin/audit",
    summary="Who did what and when",
    **documented(
        answers={
            200: {
                "description": "One `AuditLine` a line, oldest first.",
                "content": {JSON_LINES: {"example": examples.AUDIT_LINE}},
            }
        },
        may_fail=BEARER,
    ),
)
def audit(
    _client: Operator,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=limits.MAX_JSON_INT)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_AUDIT_LINES)] = MAX_AUDIT_LINES,
) -> Response:
    """Exports the audit as JSON lines; continue with `after` set to the last `number`."""
    lines = [
        AuditLine.model_validate(one).model_dump_json()
        for one in services.audit.export(after, limit)
    ]
    return Response("".join(f"{line}\n" for line in lines), media_type=JSON_LINES)


@router.get(
    "/v1/admin/budgets",
    summary="Who had how much evaluated here",
    **documented(
        answers={200: shaped("By circle and party.", BudgetUses, examples.BUDGETS)},
        may_fail=BEARER,
    ),
)
def budgets(
    _client: Operator,
    services: ServicesDep,
    day: Annotated[
        str | None,
        Query(
            pattern=DAY, max_length=10, description="In UTC, as `2026-11-22`; today where absent."
        ),
    ] = None,
) -> Response:
    """Answers how much of its budget each member's party has used, and never on what."""
    day = day_of(int(services.clock())) if day is None else day
    return answer(BudgetUses, {"day": day, "budgets": services.budgets.usage(day)})


@router.get(
    "/v1/admin/circles/holders",
    summary="Holders that are not asked",
    **documented(
        answers={200: shaped("By circle.", FrozenHolders, examples.FROZEN_HOLDERS)},
        may_fail=BEARER,
    ),
)
def frozen_holders(_client: Operator, services: ServicesDep) -> Response:
    """Answers which holders gave a false answer, and which keep failing in this process."""
    found = {"frozen": services.circles.frozen_holders(), "failing": services.asking.failing()}
    return answer(FrozenHolders, found)


@router.post(
    "/v1/admin/circles/thaw-holder",
    summary="Ask a holder again",
    **documented(
        body=content(ThawHolderRequest, examples.THAW_HOLDER),
        answers=_NOTED,
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def thaw_holder(
    client: Operator,
    services: ServicesDep,
    body: Annotated[ThawHolderRequest, Depends(json_body(ThawHolderRequest))],
) -> Response:
    """Has a holder asked again that gave a false answer; what is kept against it stays."""
    services.circles.thaw_holder(body.circle, body.node, actor=client.name)
    return Response(status_code=204)


@router.get(
    "/v1/admin/policy",
    summary="The policy file",
    **documented(
        answers={200: shaped("As it stands.", PolicyState, examples.POLICY)}, may_fail=BEARER
    ),
)
def policy(_client: Operator, services: ServicesDep) -> Response:
    """Answers the file's text, and why it is not in force if it is not."""
    found = {"text": _policy_text(services), "problem": services.policy.problem}
    return answer(PolicyState, found)


@router.get(
    "/v1/admin/set-aside",
    summary="Statements that were not accepted",
    **documented(
        answers={200: shaped("Oldest first.", SetAsides, examples.SET_ASIDE)}, may_fail=BEARER
    ),
)
def set_aside(_client: Operator, services: ServicesDep) -> Response:
    """Lists what peers' logs brought that was not believed, and why."""
    return answer(SetAsides, {"set_aside": services.peers.set_aside()})


@router.get(
    "/v1/admin/remedies",
    summary="What is to be restored",
    **documented(
        answers={200: shaped("Open remedies.", Remedies, examples.REMEDIES)}, may_fail=BEARER
    ),
)
def admin_remedies(_client: Operator, services: ServicesDep) -> Response:
    """Lists what this platform acted on and what has since proved wrong, oldest first."""
    return answer(Remedies, {"remedies": services.remedies.open()})


@router.get(
    "/v1/admin/webhooks",
    summary="What webhooks have not taken",
    **documented(
        answers={200: shaped("By client.", WebhookStates, {"webhooks": [examples.WEBHOOK_STATE]})},
        may_fail=BEARER,
    ),
)
def webhooks(_client: Operator, services: ServicesDep) -> Response:
    """Tells of each client's webhook what waits and what was given up, and why."""
    return answer(WebhookStates, {"webhooks": services.webhooks.all()})


def _policy_text(services: Services) -> str | None:
    try:
        with services.settings.policy_file.open("rb") as file:
            return file.read(MAX_POLICY_BYTES).decode("utf-8", "replace")
    except OSError:
        return None
