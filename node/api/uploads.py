"""What a platform calls about its own uploads: registering them, and what they turned out to match.

Each client sees its own uploads, matches and webhook, and nobody else's.
"""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, require
from node.api.bodies import answer, json_body
from node.api.openapi import BEARER, content, documented, shaped
from node.api.problems import NOT_FOUND
from node.api.upload_shapes import (
    UPLOAD_ID_PATTERN,
    DeletedUploads,
    DeleteUploadsRequest,
    Registered,
    RegisterRequest,
    RetriedMessages,
    RetroMatches,
    WebhookRequest,
    WebhookSecret,
    WebhookState,
)
from node.services.clients import Client
from node.services.uploads import NewUpload
from protocol import limits

MAX_MATCHES: Final = 1_000
"""Matches in one answer."""

router = APIRouter(prefix="/v1", tags=["platform"])

Uploader = Annotated[Client, Depends(require("uploads"))]
UploadId = Annotated[str, Path(pattern=UPLOAD_ID_PATTERN, min_length=1, max_length=128)]


@router.post(
    "/uploads",
    summary="Register uploads, to be told when one is flagged later",
    **documented(
        body=content(RegisterRequest, examples.REGISTER),
        answers={200: shaped("They are known.", Registered, examples.REGISTERED)},
        may_fail=BEARER,
    ),
)
def register(
    client: Uploader,
    services: ServicesDep,
    body: Annotated[RegisterRequest, Depends(json_body(RegisterRequest))],
) -> Response:
    """Keeps ids and media hashes on this node; they are sent to nobody. Doing it again is safe."""
    uploads = [NewUpload(**dict(one)) for one in body.uploads]
    return answer(Registered, services.uploads.register(uploads, client=client))


@router.post(
    "/uploads/delete",
    summary="Forget several uploads",
    **documented(
        body=content(DeleteUploadsRequest, examples.DELETE_UPLOADS),
        answers={200: shaped("They are forgotten.", DeletedUploads, {"deleted": 1})},
        may_fail=BEARER,
    ),
)
def delete_uploads(
    client: Uploader,
    services: ServicesDep,
    body: Annotated[DeleteUploadsRequest, Depends(json_body(DeleteUploadsRequest))],
) -> Response:
    """Forgets them and their matches; ids that are not known are passed over."""
    count = services.uploads.delete(body.ids, client=client)
    return answer(DeletedUploads, {"deleted": count})


@router.delete(
    "/uploads/{upload_id}",
    summary="Forget one upload",
    **documented(answers={204: {"description": "Forgotten."}}, may_fail=(*BEARER, NOT_FOUND)),
)
def delete_upload(client: Uploader, services: ServicesDep, upload_id: UploadId) -> Response:
    """Forgets it and its matches."""
    services.uploads.delete_one(upload_id, client=client)
    return Response(status_code=204)


@router.get(
    "/retro-matches",
    summary="List what registered uploads turned out to match",
    **documented(
        answers={200: shaped("Matches.", RetroMatches, examples.RETRO_MATCHES)}, may_fail=BEARER
    ),
)
def retro_matches(
    client: Uploader,
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=limits.MAX_JSON_INT)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_MATCHES)] = 100,
) -> Response:
    """Lists what is new or has changed after a change, so that nothing has to be asked twice."""
    found = services.retro.matches(client, after=after, limit=limit)
    following = found[-1].change if found else after
    return answer(RetroMatches, {"matches": found, "next": following})


@router.post(
    "/retro-matches/{match_id}/done",
    summary="Say that a match was dealt with",
    **documented(answers={204: {"description": "Noted."}}, may_fail=(*BEARER, NOT_FOUND)),
)
def retro_match_done(
    client: Uploader,
    services: ServicesDep,
    match_id: Annotated[int, Path(ge=1, le=limits.MAX_JSON_INT)],
) -> Response:
    """Closes a match; the audit says by whom."""
    services.retro.done(match_id, client=client)
    return Response(status_code=204)


@router.post(
    "/webhooks",
    summary="Be told of matches under an address",
    **documented(
        body=content(WebhookRequest, examples.WEBHOOK),
        answers={201: shaped("It is called from now on.", WebhookSecret, examples.SECRET)},
        may_fail=BEARER,
    ),
)
def put_webhook(
    client: Uploader,
    services: ServicesDep,
    body: Annotated[WebhookRequest, Depends(json_body(WebhookRequest))],
) -> Response:
    """Takes the place of an earlier address of yours, and of what was not sent there."""
    secret = services.webhooks.put(body.url, client=client)
    return answer(WebhookSecret, {"secret": secret}, status=201)


@router.get(
    "/webhooks",
    summary="See what your webhook has not taken",
    **documented(
        answers={200: shaped("Your webhook.", WebhookState, examples.WEBHOOK_STATE)},
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def webhook_state(client: Uploader, services: ServicesDep) -> Response:
    """Tells what waits and what was given up, and why."""
    return answer(WebhookState, services.webhooks.state(client=client))


@router.post(
    "/webhooks/rotate",
    summary="Change the secret",
    **documented(
        answers={200: shaped("The new secret.", WebhookSecret, examples.SECRET)},
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def rotate_webhook(client: Uploader, services: ServicesDep) -> Response:
    """For a day, messages carry a signature with either secret."""
    return answer(WebhookSecret, {"secret": services.webhooks.rotate(client=client)})


@router.post(
    "/webhooks/retry",
    summary="Have what was given up sent again",
    **documented(
        answers={200: shaped("They are sent again.", RetriedMessages, {"messages": 3})},
        may_fail=BEARER,
    ),
)
def retry_webhook(client: Uploader, services: ServicesDep) -> Response:
    """Begins anew with what was tried too often."""
    return answer(RetriedMessages, {"messages": services.webhooks.retry(client=client)})


@router.delete(
    "/webhooks",
    summary="Be told no more",
    **documented(answers={204: {"description": "Gone."}}, may_fail=(*BEARER, NOT_FOUND)),
)
def remove_webhook(client: Uploader, services: ServicesDep) -> Response:
    """Forgets the address and what was not sent; matches can still be asked for."""
    services.webhooks.remove(client=client)
    return Response(status_code=204)
