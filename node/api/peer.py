"""What other nodes call; every request is signed with the node's request key (RFC 9421)."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, Signed, SignedNow, SignedOnce, SignedRead
from node.api.bodies import message_answer, parse_peer_message
from node.api.one_hop import OneHop, at_once_by
from node.api.openapi import SIGNED, content, documented, shaped
from node.api.problems import CONFLICT, NOT_FOUND
from node.api.quick_checkpoint import checkpoint_at_once
from node.api.tiles import NOTE
from protocol.ceremonies import CeremonyAnswer, CeremonyRequest
from protocol.endpoints import ACKNOWLEDGE, CEREMONY, CHECKPOINT, ENTRIES, ENVELOPES, OPRF, POKE
from protocol.messages import (
    Acknowledgement,
    Entries,
    EntriesRequest,
    Envelopes,
    EnvelopesRequest,
    OprfAnswer,
    OprfRequest,
    Poke,
)

router = APIRouter(tags=["peer"], route_class=OneHop)

quick_router = APIRouter(tags=["peer"], route_class=OneHop)

checkpoint_router = APIRouter(tags=["peer"], route_class=at_once_by(checkpoint_at_once))

Peer = Annotated[Signed, Depends(SignedNow("node"))]


@checkpoint_router.get(
    CHECKPOINT,
    summary="The node's signed checkpoint",
    **documented(
        answers={
            200: {
                "description": "A C2SP signed note over everything that is durable.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
        may_fail=SIGNED,
    ),
)
def checkpoint(
    signed: Annotated[Signed, Depends(SignedRead("node"))], services: ServicesDep
) -> Response:
    """Answers the size and root of the node's own log, signed."""
    return Response(services.log.checkpoint(signed.once), media_type=NOTE)


@router.post(
    ENTRIES,
    summary="Statement ids in the log",
    **documented(
        body=content(EntriesRequest, examples.ENTRIES_REQUEST),
        answers={200: shaped("As far as the log reaches.", Entries, examples.ENTRIES)},
        may_fail=SIGNED,
    ),
)
def entries(signed: Peer, services: ServicesDep) -> Response:
    """Answers the ids from one place in the log on."""
    return message_answer(services.log.entries(parse_peer_message(EntriesRequest, signed.body)))


@router.post(
    ENVELOPES,
    summary="Statements by id",
    **documented(
        body=content(EnvelopesRequest, examples.ENVELOPES_REQUEST),
        answers={200: shaped("In the order asked.", Envelopes, examples.ENVELOPES)},
        may_fail=SIGNED,
    ),
)
def envelopes(signed: Peer, services: ServicesDep) -> Response:
    """Answers the bodies whose audience the caller belongs to, and why the others are not here."""
    asked = parse_peer_message(EnvelopesRequest, signed.body)
    return message_answer(services.serving.envelopes(asked.ids, reader=signed.name))


@router.post(
    ACKNOWLEDGE,
    summary="Say up to where this node's log was taken over",
    **documented(
        body=content(Acknowledgement, examples.ACKNOWLEDGEMENT),
        answers={204: {"description": "Noted."}},
        may_fail=(*SIGNED, CONFLICT),
    ),
)
def acknowledge(signed: Peer, services: ServicesDep) -> Response:
    """Notes what the caller has taken over, and what it has set aside."""
    services.peers.acknowledge(signed.name, parse_peer_message(Acknowledgement, signed.body))
    return Response(status_code=204)


@router.post(
    POKE,
    summary="Say that the caller's log has grown",
    **documented(
        body=content(Poke, examples.POKE),
        answers={204: {"description": "Noted; a sync follows."}},
        may_fail=SIGNED,
    ),
)
def poke(signed: Peer, services: ServicesDep) -> Response:
    """Wakes the sync with the caller."""
    services.peers.poked(signed.name, parse_peer_message(Poke, signed.body))
    return Response(status_code=204)


@quick_router.post(
    OPRF,
    summary="Evaluate blinded elements",
    **documented(
        body=content(OprfRequest, examples.OPRF_REQUEST),
        answers={200: shaped("With one proof for all.", OprfAnswer, examples.OPRF_ANSWER)},
        may_fail=(*SIGNED, NOT_FOUND, CONFLICT),
    ),
)
def evaluate(
    signed: Annotated[Signed, Depends(SignedOnce("node"))], services: ServicesDep
) -> Response:
    """Evaluates under this node's share, against the caller's budget (RFC 9497 section 3.3.2)."""
    asked = parse_peer_message(OprfRequest, signed.body)
    return message_answer(services.evaluator.evaluate(asked, member=signed.name, once=signed.once))


@router.post(
    CEREMONY,
    summary="A step of a ceremony",
    **documented(
        body=content(CeremonyRequest, examples.CEREMONY_REQUEST),
        answers={200: shaped("How far this node is.", CeremonyAnswer, examples.CEREMONY_ANSWER)},
        may_fail=(*SIGNED, CONFLICT),
    ),
)
def ceremony(signed: Peer, services: ServicesDep) -> Response:
    """Goes as far in a ceremony as what the coordinator passes on, and the operator, allow."""
    asked = parse_peer_message(CeremonyRequest, signed.body)
    return message_answer(services.participation.answer(asked, caller=signed.name))
