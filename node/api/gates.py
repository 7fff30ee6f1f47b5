"""What the operator's tools call to keep lists healthy; the scope is ``admin``."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from node.api import gate_shapes as shapes
from node.api.auth import ServicesDep
from node.api.bodies import answer, json_body
from node.api.openapi import BEARER, content, documented, shaped
from node.api.operator import Operator
from node.api.problems import CONFLICT, NOT_FOUND
from protocol import limits

router = APIRouter(tags=["operator"])


@router.get(
    "/v1/admin/quarantine",
    summary="Entries that matched suspiciously often",
    **documented(
        answers={
            200: shaped(
                "Rejected ones too.", shapes.QuarantineList, {"entries": [shapes.QUARANTINED]}
            )
        },
        may_fail=BEARER,
    ),
)
def quarantine(_client: Operator, services: ServicesDep) -> Response:
    """Lists the entries that lead to review at most, or to nothing, at this node."""
    return answer(shapes.QuarantineList, {"entries": services.quarantines.list()})


@router.post(
    "/v1/admin/quarantine",
    summary="Confirm or reject an entry",
    **documented(
        body=content(shapes.VerdictRequest, shapes.VERDICT),
        answers={200: shaped("Done.", shapes.QuarantineEntry, shapes.QUARANTINED)},
        may_fail=(*BEARER, NOT_FOUND, CONFLICT),
    ),
)
def judge(
    client: Operator,
    services: ServicesDep,
    body: Annotated[shapes.VerdictRequest, Depends(json_body(shapes.VerdictRequest))],
) -> Response:
    """Lets an entry act again, or turns it off here; any entry of a media-flag may be rejected."""
    quarantines = services.quarantines
    decide = quarantines.confirm if body.verdict == "confirm" else quarantines.reject
    entry = decide(body.statement, body.item, actor=client.name)
    return answer(shapes.QuarantineEntry, entry)


@router.get(
    "/v1/admin/allow",
    summary="The allow list",
    **documented(
        answers={
            200: shaped("Without values.", shapes.AllowedEntries, {"entries": [shapes.ALLOWED]})
        },
        may_fail=BEARER,
    ),
)
def allowed(_client: Operator, services: ServicesDep) -> Response:
    """Lists what passes whatever any list says; the values themselves are not shown."""
    return answer(shapes.AllowedEntries, {"entries": services.allow_list.list()})


@router.post(
    "/v1/admin/allow",
    summary="Let something pass",
    **documented(
        body=content(shapes.AllowRequest, shapes.ALLOW),
        answers={201: shaped("It passes.", shapes.AllowedEntry, shapes.ALLOWED)},
        may_fail=BEARER,
    ),
)
def allow(
    client: Operator,
    services: ServicesDep,
    body: Annotated[shapes.AllowRequest, Depends(json_body(shapes.AllowRequest))],
) -> Response:
    """Lets pass what lies around a pdq, or one file, until its end."""
    entry = services.allow_list.add(
        body.kind,
        body.value,
        radius=body.radius,
        reason=body.reason,
        days=body.days,
        actor=client.name,
    )
    return answer(shapes.AllowedEntry, entry, status=201)


@router.delete(
    "/v1/admin/allow/{number}",
    summary="Let it pass no more",
    **documented(answers={204: {"description": "Done."}}, may_fail=(*BEARER, NOT_FOUND)),
)
def disallow(
    client: Operator,
    services: ServicesDep,
    number: Annotated[int, Path(ge=1, le=limits.MAX_JSON_INT)],
) -> Response:
    """Takes an entry from the allow list."""
    services.allow_list.remove(number, actor=client.name)
    return Response(status_code=204)


@router.get(
    "/v1/admin/sources",
    summary="How each organisation's list does here",
    **documented(
        answers={200: shaped("By name.", shapes.SourceLines, {"sources": [shapes.SOURCE]})},
        may_fail=BEARER,
    ),
)
def sources(_client: Operator, services: ServicesDep) -> Response:
    """Counts entries, matches, and matches of entries that do not act, by organisation."""
    return answer(shapes.SourceLines, {"sources": services.sources.list()})
