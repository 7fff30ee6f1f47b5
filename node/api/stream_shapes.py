"""What platforms send and get about streams."""

from typing import Annotated

from pydantic import Field

from node.api.bodies import Answer, Body
from node.api.platform_shapes import FrameHashes, MatchResult
from protocol import fields

MAX_FRAMES_AT_ONCE = 120
"""Frames of a stream in one request: a minute at two frames a second, after a pause."""


class StreamRequest(Body):
    """A stream that is to be watched."""

    surface: fields.Surface = Field(description="Where it is shown.")


class OpenedStream(Answer):
    """A stream that is watched from now on."""

    id: str = Field(description="Names the stream in the other calls; only its client can use it.")
    window_ms: int = Field(description="How far back frames count together, in milliseconds.")
    idle_s: int = Field(description="After so many seconds without a frame it is over.")


class FramesRequest(Body):
    """Frames of a stream, as they come."""

    frames: Annotated[
        tuple[FrameHashes, ...],
        Field(strict=False, min_length=1, max_length=MAX_FRAMES_AT_ONCE),
    ]


class StreamAnswer(MatchResult):
    """What the policy makes of the stream up to now."""
