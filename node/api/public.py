"""What anyone may call: who this node is, and whether it works."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, verify_applicant
from node.api.bodies import JSON, message_answer, parse_peer_message, raw_body
from node.api.openapi import content, documented, shaped
from node.api.problems import (
    CONFLICT,
    NOT_ALLOWED,
    NOT_AUTHENTICATED,
    NOT_BELIEVED,
    NOT_FOUND,
    NOT_READY,
    ProblemError,
)
from node.app import Services
from protocol.endpoints import DESCRIPTOR, JOIN, WELL_KNOWN
from protocol.limits import MAX_DESCRIPTORS
from protocol.messages import Descriptors, JoinRequest, WellKnown

router = APIRouter(tags=["public"])

_ALIVE = {"description": "It answers.", "content": {JSON: {"example": {"status": "ok"}}}}
_OK = b'{"status":"ok"}'


@router.get(
    WELL_KNOWN,
    summary="Name, address and fingerprint of this node",
    **documented(
        answers={200: shaped("For people; nothing is signed.", WellKnown, examples.WELL_KNOWN)}
    ),
)
def well_known(services: ServicesDep) -> Response:
    """Answers who this is. A fingerprint read here proves nothing: compare it by telephone."""
    return message_answer(describe_self(services))


def describe_self(services: Services) -> WellKnown:
    """Returns who this node is."""
    settings = services.settings
    own = services.peers.node(settings.name)
    return WellKnown(name=settings.name, url=settings.url, fingerprint=own.fingerprint)


After = Annotated[
    int | None,
    Query(
        ge=0,
        le=MAX_DESCRIPTORS,
        description="Gives a `Descriptors` with the versions behind this one instead; 0: all.",
    ),
]


@router.get(
    DESCRIPTOR,
    summary="The node's signed descriptor",
    **documented(
        answers={
            200: {
                "description": "A DSSE envelope: the latest version.",
                "content": {JSON: {"example": examples.ENVELOPE}},
            }
        }
    ),
)
def descriptor(services: ServicesDep, after: After = None) -> Response:
    """Answers the latest descriptor, or all behind one version.

    What another operator pins is the first, after comparing the fingerprint.
    """
    if after is not None:
        return message_answer(services.successions.own_after(after))
    return Response(services.peers.own_descriptor(), media_type=JSON)


@router.post(
    DESCRIPTOR,
    summary="Tell of a pinned node's later descriptors",
    **documented(
        body=content(Descriptors, examples.DESCRIPTORS),
        answers={204: {"description": "They are pinned by now."}},
        may_fail=(NOT_BELIEVED, NOT_ALLOWED, NOT_FOUND, CONFLICT),
    ),
)
def announce(data: Annotated[bytes, Depends(raw_body(JSON))], services: ServicesDep) -> Response:
    """Goes on to later descriptors, which prove themselves: whoever brings them."""
    services.successions.announced(parse_peer_message(Descriptors, data))
    return Response(status_code=204)


@router.post(
    JOIN,
    summary="Apply with an invite",
    **documented(
        body=content(JoinRequest, examples.JOIN_REQUEST),
        answers={204: {"description": "Kept; a person compares the fingerprint."}},
        may_fail=(NOT_AUTHENTICATED, NOT_BELIEVED, NOT_FOUND, CONFLICT),
    ),
)
def join(
    request: Request, data: Annotated[bytes, Depends(raw_body(JSON))], services: ServicesDep
) -> Response:
    """Keeps who applies, signed by the request key in its own descriptor; pins nobody."""
    asked = parse_peer_message(JoinRequest, data)
    _applicant, key = services.joining.applicant(asked)
    services.joining.apply(asked, verify_applicant(request, services, data, key))
    return Response(status_code=204)


@router.get("/livez", summary="Whether the process answers", **documented(answers={200: _ALIVE}))
def livez() -> Response:
    """Answers as long as the process does."""
    return Response(_OK, media_type=JSON)


@router.get(
    "/readyz",
    summary="Whether the node can do its work",
    **documented(answers={200: _ALIVE}, may_fail=(NOT_READY,)),
)
def readyz(services: ServicesDep) -> Response:
    """Answers 503 with reasons while look-ups or statements would fail."""
    reasons = services.health.reasons()
    if reasons:
        raise ProblemError(NOT_READY, "See `reasons`.", extra={"reasons": list(reasons)})
    return Response(_OK, media_type=JSON)
