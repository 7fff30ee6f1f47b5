"""Witnesses, as C2SP tlog-witness has them, and evidence of what they see; for peers, signed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from node.api import examples
from node.api.auth import ServicesDep, Signed, signed_by
from node.api.bodies import OCTETS, message_answer, parse_peer_message
from node.api.openapi import SIGNED, content, documented, shaped
from node.api.problems import BROKEN_REQUEST, NOT_BELIEVED, NOT_FOUND, ProblemError
from node.services.witnessing import OtherSize
from protocol.endpoints import ADD_CHECKPOINT, EVIDENCE, OWN_LOG, PUBLISHED, WITNESSED
from protocol.errors import InvalidError, LimitError, MalformedError
from protocol.evidence import Evidence, SaidRequest
from protocol.messages import OwnLogAnswer, OwnLogRequest
from protocol.witnessing import SIZE_TYPE, format_size, parse_add_checkpoint

NOTE = "text/plain; charset=utf-8"
"""Content type of notes and of signature lines."""

_BODY = {OCTETS: {"schema": {"type": "string"}}}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}

router = APIRouter(tags=["peer"])


@router.post(
    ADD_CHECKPOINT,
    summary="Have a checkpoint cosigned",
    **documented(
        body=_BODY,
        answers={
            200: {"description": "The cosignature, as a signature line.", "content": _TEXT},
            409: {
                "description": "Another size was cosigned last: this one.",
                "content": {SIZE_TYPE: {"schema": {"type": "string"}}},
            },
        },
        may_fail=(*SIGNED, NOT_BELIEVED, NOT_FOUND),
    ),
)
def add_checkpoint(
    request: Request,
    signed: Annotated[Signed, Depends(signed_by("node", body=True, types=(OCTETS,)))],
    services: ServicesDep,
) -> Response:
    """Cosigns a checkpoint that extends what was cosigned before (docs/protocol.md 6.6)."""
    try:
        asked = parse_add_checkpoint(signed.body)
        said = _as_said(request, signed.body, services.settings.url)
        answer = services.witness.add_checkpoint(asked, caller=signed.name, said=said)
    except (MalformedError, LimitError, InvalidError) as error:
        # tlog-witness: 422 says that a proof does not hold, and a malformed request is 400.
        raise ProblemError(BROKEN_REQUEST, str(error)) from None
    if isinstance(answer, OtherSize):
        # Set by hand: the framework would add a charset to the type.
        return Response(format_size(answer.size), 409, headers={"Content-Type": SIZE_TYPE})
    return Response(answer.lines, media_type=NOTE)


@router.post(
    OWN_LOG,
    summary="The caller's own log, as it was taken over here",
    **documented(
        body=content(OwnLogRequest, examples.OWN_LOG_REQUEST),
        answers={200: shaped("As far as it was taken over.", OwnLogAnswer, examples.OWN_LOG)},
        may_fail=(*SIGNED, NOT_FOUND),
    ),
)
def own_log(
    signed: Annotated[Signed, Depends(signed_by("node", body=True))], services: ServicesDep
) -> Response:
    """Answers a node that was restored, and asks what it has signed before."""
    asked = parse_peer_message(OwnLogRequest, signed.body)
    return message_answer(services.standing.own_log(asked, reader=signed.name))


@router.post(
    EVIDENCE,
    summary="Hand over evidence against a node",
    **documented(
        body=content(Evidence, examples.EVIDENCE),
        answers={204: {"description": "It holds, or was known."}},
        may_fail=(*SIGNED, NOT_BELIEVED, NOT_FOUND),
    ),
)
def evidence(
    signed: Annotated[Signed, Depends(signed_by("node", body=True))], services: ServicesDep
) -> Response:
    """Checks it as a stranger's would be, keeps it, and freezes the node that it is about."""
    services.accusations.hear(signed.body, teller=signed.name)
    return Response(status_code=204)


@router.get(
    PUBLISHED,
    summary="The latest checkpoint with enough cosignatures",
    **documented(
        answers={200: {"description": "A C2SP signed note, cosigned.", "content": _TEXT}},
        may_fail=(*SIGNED, NOT_FOUND),
    ),
)
def published(
    _signed: Annotated[Signed, Depends(signed_by("node", body=False))], services: ServicesDep
) -> Response:
    """Answers what this node's witnesses vouch for, as its own policy has it."""
    return Response(services.publication.published(), media_type=NOTE)


@router.get(
    WITNESSED,
    summary="The checkpoint of a log that was cosigned last",
    **documented(
        answers={200: {"description": "A C2SP signed note, cosigned.", "content": _TEXT}},
        may_fail=(*SIGNED, NOT_FOUND),
    ),
)
def witnessed(
    _signed: Annotated[Signed, Depends(signed_by("node", body=False))],
    services: ServicesDep,
    origin: Annotated[
        str,
        Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the log's origin."),
    ],
) -> Response:
    """Answers what this node cosigned last of one log."""
    return Response(services.witness.latest(origin), media_type=NOTE)


def _as_said(request: Request, body: bytes, own_url: str) -> SaidRequest | None:
    """Returns a request as its signature covers it, where it can stand in a document."""
    header = request.headers
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return SaidRequest(
        url=own_url + request.scope["raw_path"].decode("latin-1"),
        digest=header.get("content-digest", ""),
        input=header.get("signature-input", ""),
        signature=header.get("signature", ""),
        body=text,
    )
