"""Peers' logs that this node mirrors, as C2SP tlog-tiles has them under a prefix of their own.

All of it is the origin's: its checkpoint, and the entries that lead to it. Bodies are asked for at
the address at which every body is.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, Signed, signed_by
from node.api.bodies import message_answer, parse_peer_message
from node.api.openapi import SIGNED, content, documented, shaped
from node.api.problems import NOT_FOUND
from node.api.tiles import BYTES, NOTE, Level, Peer, Place, lasting, parse_place
from protocol.endpoints import MIRROR_BUNDLE, MIRROR_CHECKPOINT, MIRROR_ENTRIES, MIRROR_TILE
from protocol.messages import Entries, EntriesRequest

router = APIRouter(tags=["peer"])

Origin = Annotated[
    str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the mirrored log's origin.")
]


@router.get(
    MIRROR_CHECKPOINT,
    summary="A mirrored log's own checkpoint",
    **documented(
        answers={
            200: {
                "description": "A C2SP signed note of the origin; all its entries are here.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            }
        },
        may_fail=(*SIGNED, NOT_FOUND),
    ),
)
def checkpoint(_signed: Peer, services: ServicesDep, origin: Origin) -> Response:
    """Answers what the origin has signed last, as far as its log was taken over as a whole."""
    return Response(services.mirroring.checkpoint(origin), media_type=NOTE)


@router.post(
    MIRROR_ENTRIES,
    summary="Statement ids in a mirrored log",
    **documented(
        body=content(EntriesRequest, examples.ENTRIES_REQUEST),
        answers={200: shaped("As far as the checkpoint reaches.", Entries, examples.ENTRIES)},
        may_fail=(*SIGNED, NOT_FOUND),
    ),
)
def entries(
    signed: Annotated[Signed, Depends(signed_by("node", body=True))],
    services: ServicesDep,
    origin: Origin,
) -> Response:
    """Answers the ids from one place in the mirrored log on."""
    asked = parse_peer_message(EntriesRequest, signed.body)
    return message_answer(services.mirroring.entries(origin, asked))


# Before the tiles: in an address, a level cannot be told from the word.
@router.get(
    MIRROR_BUNDLE.replace("{place}", "{place:path}"),
    summary="Entries of a mirrored log",
    **documented(answers=BYTES, may_fail=(*SIGNED, NOT_FOUND)),
)
def bundle(_signed: Peer, services: ServicesDep, origin: Origin, place: Place) -> Response:
    """Answers up to 256 statement ids, each after its length as two bytes."""
    return lasting(services.mirroring.bundle(origin, parse_place("0", place)))


@router.get(
    MIRROR_TILE.replace("{place}", "{place:path}"),
    summary="Hashes of a mirrored log",
    **documented(answers=BYTES, may_fail=(*SIGNED, NOT_FOUND)),
)
def tile(
    _signed: Peer, services: ServicesDep, origin: Origin, level: Level, place: Place
) -> Response:
    """Answers up to 256 hashes of 32 bytes each."""
    return lasting(services.mirroring.tile(origin, parse_place(level, place)))
