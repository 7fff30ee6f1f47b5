"""The node's log as C2SP tlog-tiles has it: tiles of hashes and bundles of entries, for peers.

A tile never changes, so whoever fetched it may keep it for good; but it is for those whose request
was signed, so a cache that several share may not.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path
from starlette.responses import Response

from node.api.auth import ServicesDep, Signed, signed_by
from node.api.openapi import SIGNED, documented
from node.api.problems import NOT_FOUND
from protocol.endpoints import BUNDLE, TILE
from protocol.errors import MalformedError, NotFoundError
from protocol.tiles import TILE_TYPE, Tile, parse_tile

IMMUTABLE: Final = "private, max-age=31536000, immutable"
"""How long a tile may be kept: a year, as good as for ever (RFC 8246)."""

NOTE: Final = "text/plain; charset=utf-8"
"""Content type of a signed note, and of a receipt."""

RECEIPT: Final[dict[int, dict[str, Any]]] = {
    200: {
        "description": "A receipt, C2SP tlog-proof.",
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }
}
"""How an answer that is a receipt is described."""

BYTES: Final[dict[int, dict[str, Any]]] = {
    200: {
        "description": "As C2SP tlog-tiles has it; it never changes.",
        "content": {TILE_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""How an answer that is a tile or a bundle is described."""

router = APIRouter(tags=["peer"])

Peer = Annotated[Signed, Depends(signed_by("node", body=False))]
"""A node that asks for what has no body."""

Level = Annotated[str, Path(description="Level of the tile.", examples=["0"])]
"""The level in the address of a tile."""

Place = Annotated[
    str, Path(description="Number, and width if it is partial.", examples=["x001/067", "000.p/8"])
]
"""The rest of the address of a tile or a bundle."""


# Before the tiles: in an address, a level cannot be told from the word.
@router.get(
    BUNDLE.replace("{place}", "{place:path}"),
    summary="Entries of the node's log",
    **documented(answers=BYTES, may_fail=(*SIGNED, NOT_FOUND)),
)
def bundle(_signed: Peer, services: ServicesDep, place: Place) -> Response:
    """Answers up to 256 statement ids, each after its length as two bytes."""
    return lasting(services.log.bundle(parse_place("0", place)))


@router.get(
    TILE.replace("{place}", "{place:path}"),
    summary="Hashes of the node's log",
    **documented(answers=BYTES, may_fail=(*SIGNED, NOT_FOUND)),
)
def tile(_signed: Peer, services: ServicesDep, level: Level, place: Place) -> Response:
    """Answers up to 256 hashes of 32 bytes each."""
    return lasting(services.log.tile(parse_place(level, place)))


def parse_place(level: str, place: str) -> Tile:
    """Returns the tile that an address means.

    Raises:
        NotFoundError: none.
    """
    try:
        return parse_tile(level, place)
    except MalformedError as error:
        # What is no address of a tile is an address at which there is nothing.
        raise NotFoundError(str(error)) from None


def lasting(data: bytes) -> Response:
    """Returns an answer that may be kept for good."""
    return Response(data, media_type=TILE_TYPE, headers={"Cache-Control": IMMUTABLE})
