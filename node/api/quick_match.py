"""The commonest request of all, answered without a thread: one picture that resembles nothing."""

from typing import Final

from fastapi import Request
from starlette.responses import Response

from node.api.auth import Requirement, require
from node.api.bodies import answer
from node.api.metrics import Metrics
from node.api.platform_shapes import MatchAnswer, MatchRequest, UploadHashes
from node.api.problems import ProblemError
from node.app import Services
from node.services.films import QueryFrame
from node.services.lookups import MediaQuery
from node.services.variants import QueryVariant
from protocol.errors import ProtocolError

MAY_MATCH: Final[Requirement] = require("match")
"""Gives the client whose key is for look-ups."""


def match_at_once(request: Request, data: bytes) -> Response | None:
    """Answers a look-up of one picture that resembles nothing; None for every other request."""
    services: Services = request.app.state.services
    client = MAY_MATCH.known(request, services)
    if client is None:
        return None
    try:
        body = MatchRequest.parse(data)
    except (ProblemError, ProtocolError):
        return None  # the handler says what is wrong with it
    if len(body.items) != 1:
        return None
    query = media_query(body.items[0])
    found = services.lookups.match_at_once(query, surface=body.surface, client=client)
    if found is None:
        return None
    metrics: Metrics = request.app.state.metrics
    metrics.count_decision("media", found.results[0].decision)
    return answer(MatchAnswer, found)


def media_query(body: UploadHashes) -> MediaQuery:
    """Returns the query for what a body names."""
    values = dict(body) | {"frames": tuple(QueryFrame(**dict(one)) for one in body.frames)}
    values["variants"] = tuple(QueryVariant(**dict(one)) for one in body.variants)
    del values["reference"]
    return MediaQuery(**values)
