"""What a platform calls about streams while they run."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from node.api import examples
from node.api.auth import MetricsDep, ServicesDep, require
from node.api.bodies import OCTETS, answer, json_body, raw_body
from node.api.metrics import Metrics
from node.api.openapi import BEARER, content, documented, shaped
from node.api.platform import declared_fail_mode
from node.api.problems import NOT_FOUND, RATE_LIMITED
from node.api.stream_shapes import FramesRequest, OpenedStream, StreamAnswer, StreamRequest
from node.app import Services
from node.services.clients import Client
from node.services.films import QueryFrame

MAX_AT_MS = 10**9
"""Greatest time of a frame, as in a film: eleven days. A longer stream is begun anew."""

router = APIRouter(prefix="/v1/streams", tags=["platform"])

MatchClient = Annotated[Client, Depends(require("match"))]
StreamId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", min_length=32, max_length=32)]

frame_bytes = raw_body("image/*", OCTETS)


@router.post(
    "",
    summary="Begin to watch a stream",
    **documented(
        body=content(StreamRequest, examples.STREAM),
        answers={201: shaped("It is watched.", OpenedStream, examples.OPENED_STREAM)},
        may_fail=(*BEARER, RATE_LIMITED),
    ),
)
def open_stream(
    client: MatchClient,
    services: ServicesDep,
    body: Annotated[StreamRequest, Depends(json_body(StreamRequest))],
) -> Response:
    """Returns the id under which the frames of the stream are sent."""
    return answer(
        OpenedStream, services.streams.open(surface=body.surface, client=client), status=201
    )


@router.post(
    "/{stream_id}/frames",
    summary="Look up frames of a stream",
    **documented(
        body=content(FramesRequest, examples.STREAM_FRAMES),
        answers={200: shaped("The decision by now.", StreamAnswer, examples.STREAM_ANSWER)},
        may_fail=(*BEARER, NOT_FOUND),
    ),
)
def look_at_frames(
    client: MatchClient,
    services: ServicesDep,
    metrics: MetricsDep,
    stream_id: StreamId,
    body: Annotated[FramesRequest, Depends(json_body(FramesRequest))],
) -> Response:
    """Answers what the policy makes of the stream's last frames together."""
    frames = [QueryFrame(**dict(one)) for one in body.frames]
    return _look(services, metrics, stream_id, frames, client)


@router.post(
    "/{stream_id}/frame-file",
    summary="Look up one picture of a stream",
    **documented(
        body={
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            OCTETS: {"schema": {"type": "string", "format": "binary"}},
        },
        answers={200: shaped("The decision by now.", StreamAnswer, examples.STREAM_ANSWER)},
        may_fail=(*BEARER, NOT_FOUND, RATE_LIMITED),
    ),
)
def look_at_picture(
    *,
    client: MatchClient,
    services: ServicesDep,
    metrics: MetricsDep,
    stream_id: StreamId,
    at_ms: Annotated[int, Query(ge=0, le=MAX_AT_MS, description="Where it stands, in ms.")],
    data: Annotated[bytes, Depends(frame_bytes)],
) -> Response:
    """As with frames, for a picture that the node hashes; keeps nothing of it."""
    with declared_fail_mode(services):
        hashes = services.pool.hash(data, draft=services.settings.lookup_draft)
    frame = QueryFrame(hashes.pdq.hex(), hashes.quality, at_ms)
    return _look(services, metrics, stream_id, [frame], client)


@router.delete(
    "/{stream_id}",
    summary="End a stream",
    **documented(answers={204: {"description": "It is over."}}, may_fail=(*BEARER, NOT_FOUND)),
)
def close_stream(client: MatchClient, services: ServicesDep, stream_id: StreamId) -> Response:
    """Forgets what was kept of it."""
    services.streams.close(stream_id, client=client)
    return Response(status_code=204)


def _look(
    services: Services,
    metrics: Metrics,
    stream_id: str,
    frames: list[QueryFrame],
    client: Client,
) -> Response:
    with declared_fail_mode(services):
        result = services.streams.look(stream_id, frames, client=client)
    metrics.count_decision("stream", result.decision)
    return answer(StreamAnswer, result)
