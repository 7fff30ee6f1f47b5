"""What a platform calls with its bearer key about media and accounts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from node.api import examples
from node.api.account_shapes import (
    AvatarHash,
    BanRequest,
    BatchAnswer,
    BatchRequest,
    BatchResult,
    CheckAnswer,
    CheckRequest,
    RefusedField,
)
from node.api.auth import MetricsDep, ServicesDep, require
from node.api.bodies import OCTETS, answer, json_body, media_type, message_answer, raw_body
from node.api.multipart import MULTIPART, one_file
from node.api.one_hop import OneHop, at_once_by
from node.api.openapi import BEARER, content, documented, shaped
from node.api.platform_shapes import (
    FileAnswer,
    FlaggedHashes,
    FlagRequest,
    MatchAnswer,
    MatchRequest,
)
from node.api.problems import CONFLICT, RATE_LIMITED, UNAVAILABLE, ProblemError
from node.api.quick_match import MAY_MATCH, match_at_once, media_query
from node.app import Services
from node.matching.containers import HEAD_BYTES, container_of
from node.services import accounts as account_service
from node.services.clients import Client
from node.services.films import QueryFrame
from node.services.lookups import MediaQuery
from node.services.variants import QueryVariant
from protocol.errors import InvalidError, UnavailableError
from protocol.fields import Surface
from protocol.messages import Receipt
from protocol.statements import Avatar, Frame, MediaItem

MATCH_FILE: Final = "/v1/media/match-file"
"""The one address that takes files; its limit of size is another."""

ANSWER_BLOCK_BYTES: Final = 8 << 10
"""An answer about a sign-up has a multiple of so many bytes: in practice this one length."""

RETRY_AFTER_S: Final = 5
"""When to ask again where something is down."""

_NOT_CHECKED: Final = (
    "Nothing was checked: what a check needs did not answer in time. The operator lets such a "
    "sign-up pass (check_fail_mode): check it later."
)

NOT_CHECKED: Final = account_service.CheckAnswer(
    decision="none",
    rule=None,
    why=(_NOT_CHECKED,),
    leads=(),
    unavailable=True,
)
"""What is answered in place of a refusal where the operator has declared `open`."""

router = APIRouter(tags=["platform"])

quick_router = APIRouter(tags=["platform"], route_class=OneHop)

upload_bytes = raw_body("image/*", "video/*", OCTETS, MULTIPART)


match_router = APIRouter(tags=["platform"], route_class=at_once_by(match_at_once))


@match_router.post(
    "/v1/media/match",
    summary="Look up the media hashes of uploads",
    **documented(
        body=content(MatchRequest, examples.MATCH),
        answers={200: shaped("One result per item.", MatchAnswer, examples.MATCH_ANSWER)},
        may_fail=BEARER,
    ),
)
def match(
    client: Annotated[Client, Depends(MAY_MATCH)],
    services: ServicesDep,
    metrics: MetricsDep,
    body: Annotated[MatchRequest, Depends(json_body(MatchRequest))],
) -> Response:
    """Answers what the list and the operator's policy say about up to 1000 uploads."""
    queries = [media_query(item) for item in body.items]
    with declared_fail_mode(services):
        found = services.lookups.match(
            queries,
            surface=body.surface,
            client=client,
            references=[item.reference or "" for item in body.items],
        )
    for result in found.results:
        metrics.count_decision("media", result.decision)
    return answer(MatchAnswer, found)


@router.post(
    MATCH_FILE,
    summary="Look up one uploaded file",
    **documented(
        body={
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "video/*": {"schema": {"type": "string", "format": "binary"}},
            OCTETS: {"schema": {"type": "string", "format": "binary"}},
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            },
        },
        answers={200: shaped("The result for the file.", FileAnswer, examples.FILE_ANSWER)},
        may_fail=(*BEARER, RATE_LIMITED),
    ),
)
def match_file(
    *,
    request: Request,
    client: Annotated[Client, Depends(require("match"))],
    services: ServicesDep,
    metrics: MetricsDep,
    surface: Annotated[Surface, Query(description="Where the picture was met.")],
    data: Annotated[bytes, Depends(upload_bytes)],
) -> Response:
    """Computes the media hashes of one picture or film, keeps nothing of it, and looks them up."""
    if media_type(request) == MULTIPART:
        data = one_file(request.headers["content-type"], data)
    with declared_fail_mode(services):
        query, seen = hash_upload(services, data, surface)
        found = services.lookups.match([query], surface=surface, client=client)
    (result,) = found.results
    metrics.count_decision("media", result.decision)
    computed = asdict(replace(query, variants=())) | seen
    del computed["variants"]
    return answer(FileAnswer, {"result": result, "list": found.list, "hashes": computed})


@router.post(
    "/v1/media/flag",
    summary="Share an own, confirmed finding",
    **documented(
        body=content(FlagRequest, examples.FLAG),
        answers={201: shaped("It is in the log.", Receipt, examples.RECEIPT)},
        may_fail=(*BEARER, CONFLICT, RATE_LIMITED),
    ),
)
def flag_media(
    client: Annotated[Client, Depends(require("flag"))],
    services: ServicesDep,
    body: Annotated[FlagRequest, Depends(json_body(FlagRequest))],
) -> Response:
    """Signs a media-flag with the node's key and gives it to all who may read it."""
    receipt = services.flags.flag_media(
        [media_item(item) for item in body.items],
        category=body.category,
        reviewers=body.reviewers,
        purpose=body.purpose,
        legal_basis=body.legal_basis,
        review_days=body.review_days,
        issuer_code=body.issuer_code,
        flags=body.flags,
        surfaces=body.surfaces,
        jurisdictions=body.jurisdictions,
        audience=body.audience,
        client=client,
    )
    return message_answer(receipt, status=201)


@quick_router.post(
    "/v1/accounts/check",
    summary="Check the identifiers of a sign-up",
    **documented(
        body=content(CheckRequest, examples.CHECK),
        answers={200: shaped("Leads, if any.", CheckAnswer, examples.CHECK_ANSWER)},
        may_fail=(*BEARER, RATE_LIMITED, UNAVAILABLE),
    ),
)
def check_account(
    client: Annotated[Client, Depends(require("check"))],
    services: ServicesDep,
    metrics: MetricsDep,
    body: Annotated[CheckRequest, Depends(json_body(CheckRequest))],
) -> Response:
    """Answers whether a sign-up deserves a look. Only for sign-ups at the caller's own platform."""
    try:
        found = services.accounts.check(
            [(one.kind, one.value) for one in body.identifiers],
            client=client,
            region=body.region,
            scope=body.username_scope,
            avatar=_avatar(body.avatar),
        )
    except UnavailableError:
        metrics.count_decision("account", "unavailable")
        if services.settings.check_fail_mode == "closed":
            raise _unavailable(services) from None
        return padded(answer(CheckAnswer, NOT_CHECKED))
    metrics.count_decision("account", found.decision)
    return padded(answer(CheckAnswer, found))


@router.post(
    "/v1/accounts/check-batch",
    summary="Check the identifiers of existing accounts",
    **documented(
        body=content(BatchRequest, examples.BATCH),
        answers={200: shaped("One result per account.", BatchAnswer, examples.BATCH_ANSWER)},
        may_fail=(*BEARER, RATE_LIMITED, UNAVAILABLE),
    ),
)
def check_accounts(
    client: Annotated[Client, Depends(require("check"))],
    services: ServicesDep,
    metrics: MetricsDep,
    body: Annotated[BatchRequest, Depends(json_body(BatchRequest))],
) -> Response:
    """Answers which of up to 64 accounts deserve a look, for what a budget takes for one list.

    Only for accounts of the caller's own platform. Unlike a sign-up, an account that could not be
    checked waits for nobody: whatever `check_fail_mode` says, the answer is then a refusal.
    """
    try:
        found = services.accounts.check_batch(
            [[(one.kind, one.value) for one in account.identifiers] for account in body.accounts],
            [_avatar(account.avatar) for account in body.accounts],
            client=client,
            region=body.region,
            scope=body.username_scope,
        )
    except UnavailableError:
        for _ in body.accounts:
            metrics.count_decision("account", "unavailable")
        raise ProblemError(
            UNAVAILABLE,
            "Nothing was checked: what a check needs did not answer in time.",
            header={"Retry-After": str(RETRY_AFTER_S)},
        ) from None
    results = []
    for one in found:
        if isinstance(one, InvalidError):
            error = RefusedField(field=one.where, message=str(one))
            results.append(BatchResult(error=error))
        else:
            metrics.count_decision("account", one.decision)
            results.append(BatchResult(answer=CheckAnswer.model_validate(one)))
    return padded(
        answer(BatchAnswer, BatchAnswer(results=tuple(results))), blocks=len(body.accounts)
    )


@router.post(
    "/v1/accounts/ban",
    summary="Share an own ban",
    **documented(
        body=content(BanRequest, examples.BAN),
        answers={201: shaped("It is in the log.", Receipt, examples.RECEIPT)},
        may_fail=(*BEARER, CONFLICT, RATE_LIMITED),
    ),
)
def ban_account(
    client: Annotated[Client, Depends(require("ban"))],
    services: ServicesDep,
    body: Annotated[BanRequest, Depends(json_body(BanRequest))],
) -> Response:
    """Signs an account-ban over fingerprints of the identifiers, which are not stored."""
    receipt = services.accounts.ban(
        [(one.kind, one.value) for one in body.identifiers],
        category=body.category,
        reviewers=body.reviewers,
        scope=body.scope,
        purpose=body.purpose,
        legal_basis=body.legal_basis,
        expires_days=body.expires_days,
        audience=body.audience,
        jurisdictions=body.jurisdictions,
        region=body.region,
        username_scope=body.username_scope,
        avatar=_avatar(body.avatar),
        client=client,
    )
    return message_answer(receipt, status=201)


def hash_upload(
    services: Services, data: bytes, surface: str
) -> tuple[MediaQuery, dict[str, object]]:
    """Returns the query for an uploaded picture or film, and what the decoder saw beside."""
    if container_of(data[:HEAD_BYTES]) is not None:
        film = services.films.hash(data)
        frames = tuple(QueryFrame(one.pdq.hex(), one.quality, one.at_ms) for one in film.frames)
        query = MediaQuery(sha256=film.sha256, sha1=film.sha1, md5=film.md5, frames=frames)
        seen = {"width": film.width, "height": film.height, "format": film.format}
        return query, seen | {"duration_ms": film.duration_ms}
    hashes = services.pool.hash(
        data,
        draft=services.settings.lookup_draft,
        variants=services.lookups.families(surface),
    )
    query = MediaQuery(
        pdq=hashes.pdq.hex(),
        quality=hashes.quality,
        sha256=hashes.sha256,
        sha1=hashes.sha1,
        md5=hashes.md5,
        variants=tuple(
            QueryVariant(one.name, one.pdq.hex(), one.quality) for one in hashes.variants
        ),
    )
    return query, {"width": hashes.width, "height": hashes.height, "format": hashes.format}


def _avatar(body: AvatarHash | None) -> Avatar | None:
    return None if body is None else Avatar(pdq=body.pdq, quality=body.quality)


def media_item(body: FlaggedHashes) -> MediaItem:
    """Returns the item of a statement that a body names; its form was checked already."""
    values = dict(body) | {"frames": tuple(Frame(**dict(one)) for one in body.frames)}
    return MediaItem(**values)


def padded(response: Response, *, blocks: int = 1) -> Response:
    """Returns a JSON answer filled up with white space to a multiple of `ANSWER_BLOCK_BYTES`.

    So its length on the wire does not tell whether anything was found.

    Args:
        response: the answer.
        blocks: how many accounts it speaks of, each with a block to itself.
    """
    body = bytes(response.body)
    body += b" " * (-len(body) % (blocks * ANSWER_BLOCK_BYTES))
    return Response(body, response.status_code, media_type=response.media_type)


@contextmanager
def declared_fail_mode(services: Services) -> Iterator[None]:
    """Adds to an `unavailable` what the operator has declared for such a time."""
    try:
        yield
    except UnavailableError:
        raise _unavailable(services) from None


def _unavailable(services: Services) -> ProblemError:
    mode = services.settings.check_fail_mode
    told = "keep it back" if mode == "closed" else "let it pass and check it later"
    return ProblemError(
        UNAVAILABLE,
        f"Something that the answer needs is down; the operator's rule for it: {told}.",
        header={"Retry-After": str(RETRY_AFTER_S)},
        extra={"fail_mode": mode},
    )
