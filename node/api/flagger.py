"""What a flagger calls; every request is signed with the flagger's own key (RFC 9421)."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, Signed, signed_by, signed_envelope
from node.api.bodies import ENVELOPE, JSON, message_answer
from node.api.openapi import SIGNED, documented, shaped
from node.api.problems import CONFLICT, NOT_BELIEVED, NOT_FOUND, UNKNOWN_TARGET
from node.api.tiles import NOTE, RECEIPT
from protocol import limits
from protocol.endpoints import MY_RECEIPT, MY_STATEMENTS, STATEMENTS
from protocol.fields import StatementId
from protocol.messages import Receipt, StatementStatuses

router = APIRouter(tags=["flagger"])

_ENVELOPE_CONTENT = {
    "schema": {
        "type": "object",
        "description": "A DSSE envelope, docs/protocol.md section 4.",
        "required": ["payload", "payloadType", "signatures"],
    },
    "example": examples.ENVELOPE,
}


@router.post(
    STATEMENTS,
    summary="Submit one signed statement",
    **documented(
        body={ENVELOPE: _ENVELOPE_CONTENT, JSON: _ENVELOPE_CONTENT},
        answers={
            200: shaped("It was in the log before.", Receipt, examples.RECEIPT_AGAIN),
            201: shaped("It is in the log now, and durable.", Receipt, examples.RECEIPT),
        },
        may_fail=(*SIGNED, NOT_BELIEVED, CONFLICT, UNKNOWN_TARGET),
    ),
)
def submit(signed: Annotated[Signed, Depends(signed_envelope)], services: ServicesDep) -> Response:
    """Takes one envelope; the same again gives the same answer."""
    receipt = services.ingest.submit(signed.body, caller=signed.name)
    return message_answer(receipt, status=200 if receipt.duplicate else 201)


@router.get(
    MY_STATEMENTS,
    summary="What became of the caller's statements",
    **documented(
        answers={200: shaped("Newest first.", StatementStatuses, examples.STATUSES)},
        may_fail=SIGNED,
    ),
)
def my_statements(
    signed: Annotated[Signed, Depends(signed_by("flagger", body=False))],
    services: ServicesDep,
    after: Annotated[
        int | None,
        Query(ge=0, le=limits.MAX_LOG_SIZE, description="`next` of the page before."),
    ] = None,
) -> Response:
    """Lists per statement which peers have it, its matches and its feedback."""
    return message_answer(services.flags.statuses(signed.name, after=after))


@router.get(
    MY_RECEIPT,
    summary="Proof that one of the caller's statements is in the node's log",
    **documented(answers=RECEIPT, may_fail=(*SIGNED, NOT_FOUND)),
)
def my_receipt(
    signed: Annotated[Signed, Depends(signed_by("flagger", body=False))],
    services: ServicesDep,
    statement_id: Annotated[StatementId, Path(pattern="^[0-9a-f]{64}$")],
) -> Response:
    """Answers a C2SP tlog-proof, which anyone can check who has the node's descriptor."""
    return Response(services.log.receipt(statement_id, issuer=signed.name), media_type=NOTE)
