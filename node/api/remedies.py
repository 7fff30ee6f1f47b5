"""What the operator's tools call about restoring."""

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, require
from node.api.bodies import answer, json_body
from node.api.openapi import BEARER, content, documented, shaped
from node.api.problems import CONFLICT, NOT_FOUND
from node.api.remedy_shapes import Erasure, RestoredRequest, RestoreTask, RestoreTasks
from node.services.clients import Client
from protocol import limits
from protocol.fields import StatementId

router = APIRouter(prefix="/v1/admin", tags=["operator"])

Operator = Annotated[Client, Depends(require("admin"))]
TaskPath = Annotated[int, Path(ge=1, le=limits.MAX_JSON_INT, description="Number of the task.")]

_LISTED: Final = {
    **examples.REMEDIES["remedies"][0],
    "issuer": "hotline.example/anna",
    "deeds": [],
}
_TASK: Final = {
    **_LISTED,
    "deeds": [
        {
            "client": "upload-check",
            "decision": "block",
            "rule": "block-confirmed",
            "reference": "u-1029",
            "item": 0,
            "count": 1,
            "first": "2026-11-21T18:00:00Z",
            "last": "2026-11-21T18:00:00Z",
        }
    ],
}
_ERASURE: Final = {
    "statement": examples.STATEMENT,
    "proofs": [
        {
            "node": "platform-a.example",
            "erased": "2026-11-22T10:00:05Z",
            "id": examples.SHA256,
            "envelope": '{"payload":"…","payloadType":"…","signatures":[]}',
        }
    ],
    "missing": ["platform-b.example"],
}
_RESTORED: Final = {"note": "Picture and account restored, person told."}


@router.get(
    "/restore-tasks",
    summary="What is to be restored",
    **documented(
        answers={200: shaped("Oldest first.", RestoreTasks, {"tasks": [_LISTED]})}, may_fail=BEARER
    ),
)
def restore_tasks(
    _client: Operator,
    services: ServicesDep,
    state: Annotated[
        Literal["open", "all"], Query(description="`all`: with those that are done.")
    ] = "open",
) -> Response:
    """Lists what this node acted on and what has since been taken back."""
    return answer(RestoreTasks, {"tasks": services.remedies.list(open_only=state == "open")})


@router.get(
    "/restore-tasks/{task_id}",
    summary="One task to restore",
    **documented(
        answers={200: shaped("With what is known of it.", RestoreTask, _TASK)},
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def restore_task(_client: Operator, services: ServicesDep, task_id: TaskPath) -> Response:
    """Answers which program was told what, when, and what it calls the uploads concerned."""
    return answer(RestoreTask, services.remedies.get(task_id))


@router.post(
    "/restore-tasks/{task_id}/done",
    summary="Say that something was restored",
    **documented(
        body=content(RestoredRequest, _RESTORED),
        answers={204: {"description": "Noted; the issuer is told as far as `remedy_says` allows."}},
        may_fail=(*BEARER, NOT_FOUND, CONFLICT),
    ),
)
def restore_done(
    client: Operator,
    services: ServicesDep,
    task_id: TaskPath,
    body: Annotated[RestoredRequest, Depends(json_body(RestoredRequest))],
) -> Response:
    """Closes a task; the audit says by whom, and how."""
    services.remedies.done(task_id, client, body.note)
    return Response(status_code=204)


@router.get(
    "/erasures/{statement_id}",
    summary="Who has proved that a statement is erased",
    **documented(
        answers={200: shaped("By name of node.", Erasure, _ERASURE)},
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def erasure(
    _client: Operator,
    services: ServicesDep,
    statement_id: Annotated[
        StatementId, Path(pattern="^[0-9a-f]{64}$", description="Id of the erased statement.")
    ],
) -> Response:
    """Answers the signed proofs, and which peers owe one."""
    return answer(Erasure, services.erasures.get(statement_id))
