"""What the operator's tools call about flaggers' accuracy."""

from datetime import UTC, datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from node.api.auth import ServicesDep, require
from node.api.bodies import Answer, answer
from node.api.openapi import BEARER, documented, shaped
from node.services.clients import Client
from protocol import limits

ISSUER: Final = r"^[a-z0-9.\-]+(/[a-z0-9\-]+)?$"
"""Name of a flagger or a node, as far as a pattern says."""

router = APIRouter(prefix="/v1/admin", tags=["operator"])

Operator = Annotated[Client, Depends(require("admin"))]


class AccuracyLine(Answer):
    """How right one flagger was in one category, in one year."""

    flagger: str
    category: str
    year: int
    statements: int = Field(description="Of which something was reported.")
    reporters: int = Field(description="Independent organisations that reported.")
    confirming: int | None = Field(
        description="Of these, those that confirmed at least as much as they refuted; null where "
        "fewer than three reported."
    )
    confirmed: int | None
    refuted: int | None
    unreviewed: int | None
    accuracy_percent: int | None


class AccuracyLines(Answer):
    """By flagger and category."""

    accuracy: tuple[AccuracyLine, ...]


_LINE: Final = {
    "flagger": "hotline.example/anna",
    "category": "csam.act.prepub",
    "year": 2026,
    "statements": 120,
    "reporters": 4,
    "confirming": 4,
    "confirmed": 312,
    "refuted": 3,
    "unreviewed": 41,
    "accuracy_percent": 99,
}


@router.get(
    "/accuracy",
    summary="How right flaggers were",
    **documented(
        answers={200: shaped("From signed feedback.", AccuracyLines, {"accuracy": [_LINE]})},
        may_fail=BEARER,
    ),
)
def accuracy(
    _client: Operator,
    services: ServicesDep,
    year: Annotated[
        int | None, Query(ge=2000, le=9999, description="In UTC; this one where absent.")
    ] = None,
    flagger: Annotated[
        str | None, Query(pattern=ISSUER, min_length=1, max_length=limits.MAX_NAME_CHARS)
    ] = None,
    detail: Annotated[
        Literal["public", "full"],
        Query(description="`full`: counts also where fewer than three organisations reported."),
    ] = "public",
) -> Response:
    """Answers what independent organisations confirmed and refuted, by flagger and category."""
    if year is None:
        year = datetime.fromtimestamp(services.clock(), UTC).year
    found = services.accuracies.of_year(year, flagger=flagger, full=detail == "full")
    return answer(AccuracyLines, {"accuracy": found})
