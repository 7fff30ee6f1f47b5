"""What peers ask most, answered without a thread: whether the log has grown."""

from fastapi import Request
from starlette.responses import Response

from node.api.auth import verify_at_once
from node.api.guard import CALLER
from node.api.tiles import NOTE
from node.app import Services
from protocol.errors import SchutznetzError


def checkpoint_at_once(request: Request, _data: bytes) -> Response | None:
    """Answers a pinned node that asks for the checkpoint while nobody writes; None otherwise.

    The request is verified, counted and used up as by the handler; where any of that fails, or
    somebody would have to be waited for, nothing of it has happened, and the handler says why.
    """
    services: Services = request.app.state.services
    found = verify_at_once(request, services)
    if found is None:
        return None
    name, once = found
    try:
        note = services.log.checkpoint(once, wait=False)
    except SchutznetzError:
        services.rates.take_back(once.keyid)
        return None
    request.scope["state"][CALLER] = name
    return Response(note, media_type=NOTE)
