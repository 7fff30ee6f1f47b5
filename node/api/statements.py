"""What a platform calls with its bearer key about statements, its own and others'."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from node.api import examples
from node.api.account_shapes import ReissueRequest
from node.api.auth import ServicesDep, require
from node.api.bodies import answer, json_body, message_answer
from node.api.openapi import BEARER, content, documented, shaped
from node.api.platform_shapes import (
    DisputeRequest,
    EraseRequest,
    FeedbackRequest,
    Remedies,
    ResolveRequest,
    RetractRequest,
)
from node.api.problems import CONFLICT, NOT_FOUND, RATE_LIMITED, UNKNOWN_TARGET
from node.api.tiles import NOTE, RECEIPT
from node.services.clients import Client
from protocol import limits
from protocol.fields import StatementId
from protocol.messages import Receipt, StatementStatus
from protocol.statements import FeedbackRow

router = APIRouter(prefix="/v1", tags=["platform"])

Target = Annotated[
    StatementId, Path(pattern="^[0-9a-f]{64}$", description="Id of the statement meant.")
]
Statements = Annotated[Client, Depends(require("statements"))]

_MAY_FAIL = (*BEARER, NOT_FOUND, CONFLICT, UNKNOWN_TARGET)
_RECEIPT = {201: shaped("It is in the log.", Receipt, examples.RECEIPT)}


@router.get(
    "/statements/{statement_id}",
    summary="What became of a statement",
    **documented(
        answers={200: shaped("Its state, here and at peers.", StatementStatus, examples.STATUS)},
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def statement_status(_client: Statements, services: ServicesDep, statement_id: Target) -> Response:
    """Answers which peers have it, how often it matched, and what was said about the matches."""
    return message_answer(services.flags.status(statement_id))


@router.get(
    "/statements/{statement_id}/receipt",
    summary="Proof that a statement is in the node's log",
    **documented(answers=RECEIPT, may_fail=(*BEARER, NOT_FOUND)),
)
def receipt(_client: Statements, services: ServicesDep, statement_id: Target) -> Response:
    """Answers a C2SP tlog-proof, which anyone can check who has the node's descriptor."""
    return Response(services.log.receipt(statement_id), media_type=NOTE)


@router.post(
    "/statements/{statement_id}/reissue",
    summary="Make an own ban again under the newest key",
    **documented(
        body=content(ReissueRequest, examples.REISSUE),
        answers=_RECEIPT,
        may_fail=(*BEARER, NOT_FOUND, CONFLICT, RATE_LIMITED),
    ),
)
def reissue(
    client: Annotated[Client, Depends(require("ban"))],
    services: ServicesDep,
    statement_id: Target,
    body: Annotated[ReissueRequest, Depends(json_body(ReissueRequest))],
) -> Response:
    """Signs the same ban over fingerprints of a newer key; `duplicate` where there is one."""
    receipt = services.reissues.reissue(
        statement_id,
        [(one.kind, one.value) for one in body.identifiers],
        region=body.region,
        username_scope=body.username_scope,
        client=client,
    )
    return message_answer(receipt, status=201)


@router.post(
    "/statements/{statement_id}/retract",
    summary="Take an own statement back",
    **documented(
        body=content(RetractRequest, examples.RETRACT), answers=_RECEIPT, may_fail=_MAY_FAIL
    ),
)
def retract(
    client: Statements,
    services: ServicesDep,
    statement_id: Target,
    body: Annotated[RetractRequest, Depends(json_body(RetractRequest))],
) -> Response:
    """Signs a retract of the statement, or of some of its items."""
    receipt = services.flags.retract(
        statement_id, items=body.items, reason=body.reason, client=client
    )
    return message_answer(receipt, status=201)


@router.post(
    "/statements/{statement_id}/erase",
    summary="Have the body of an own statement deleted everywhere",
    **documented(body=content(EraseRequest, examples.ERASE), answers=_RECEIPT, may_fail=_MAY_FAIL),
)
def erase(
    client: Statements,
    services: ServicesDep,
    statement_id: Target,
    body: Annotated[EraseRequest, Depends(json_body(EraseRequest))],
) -> Response:
    """Signs an erase of the statement; its id stays in the logs and says nothing."""
    receipt = services.flags.erase(statement_id, reason=body.reason, client=client)
    return message_answer(receipt, status=201)


@router.post(
    "/statements/{statement_id}/dispute",
    summary="Contest a statement",
    **documented(
        body=content(DisputeRequest, examples.DISPUTE_BODY), answers=_RECEIPT, may_fail=_MAY_FAIL
    ),
)
def dispute(
    client: Statements,
    services: ServicesDep,
    statement_id: Target,
    body: Annotated[DisputeRequest, Depends(json_body(DisputeRequest))],
) -> Response:
    """Signs a dispute, which everyone sees until the issuer has answered it."""
    receipt = services.flags.dispute(
        statement_id, items=body.items, reason=body.reason, client=client
    )
    return message_answer(receipt, status=201)


@router.post(
    "/statements/{statement_id}/resolve",
    summary="Answer a dispute about an own statement",
    **documented(
        body=content(ResolveRequest, examples.RESOLVE), answers=_RECEIPT, may_fail=_MAY_FAIL
    ),
)
def resolve(
    client: Statements,
    services: ServicesDep,
    statement_id: Target,
    body: Annotated[ResolveRequest, Depends(json_body(ResolveRequest))],
) -> Response:
    """Signs a resolve; when the dispute is upheld, everyone who acted is told to restore."""
    receipt = services.flags.resolve(
        statement_id, dispute=StatementId(body.dispute), outcome=body.outcome, client=client
    )
    return message_answer(receipt, status=201)


@router.post(
    "/statements/{statement_id}/feedback",
    summary="Say how a statement did on one day",
    **documented(
        body=content(FeedbackRequest, examples.FEEDBACK), answers=_RECEIPT, may_fail=_MAY_FAIL
    ),
)
def feedback(
    client: Statements,
    services: ServicesDep,
    statement_id: Target,
    body: Annotated[FeedbackRequest, Depends(json_body(FeedbackRequest))],
) -> Response:
    """Signs counts of confirmed, refuted and unreviewed matches; never user data."""
    rows = [FeedbackRow(**dict(row)) for row in body.rows]
    receipt = services.flags.feedback(statement_id, day=body.day, rows=rows, client=client)
    return message_answer(receipt, status=201)


@router.get(
    "/remedies",
    summary="What is to be restored",
    **documented(
        answers={200: shaped("Open remedies.", Remedies, examples.REMEDIES)}, may_fail=BEARER
    ),
)
def open_remedies(_client: Statements, services: ServicesDep) -> Response:
    """Lists what this platform acted on and what has since proved wrong, oldest first."""
    return answer(Remedies, {"remedies": services.remedies.open()})


@router.post(
    "/remedies/{remedy_id}/done",
    summary="Say that something was restored",
    **documented(answers={204: {"description": "Noted."}}, may_fail=(*BEARER, NOT_FOUND, CONFLICT)),
)
def remedy_done(
    client: Statements,
    services: ServicesDep,
    remedy_id: Annotated[int, Path(ge=1, le=limits.MAX_JSON_INT)],
) -> Response:
    """Closes a remedy; the audit says by whom."""
    services.remedies.done(remedy_id, client)
    return Response(status_code=204)
