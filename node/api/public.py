"""What anyone may call: who this node is, and whether it works."""

from fastapi import APIRouter
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep
from node.api.bodies import JSON, message_answer
from node.api.openapi import documented, shaped
from node.api.problems import NOT_READY, ProblemError
from node.app import Services
from protocol.endpoints import DESCRIPTOR, WELL_KNOWN
from protocol.messages import WellKnown

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


@router.get(
    DESCRIPTOR,
    summary="The node's signed descriptor",
    **documented(
        answers={
            200: {
                "description": "A DSSE envelope.",
                "content": {JSON: {"example": examples.ENVELOPE}},
            }
        }
    ),
)
def descriptor(services: ServicesDep) -> Response:
    """Answers the envelope that another operator pins, after comparing the fingerprint."""
    return Response(services.peers.own_descriptor(), media_type=JSON)


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
