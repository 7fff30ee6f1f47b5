"""Reading how another node says no: a status, a problem document, and when to come back.

Nothing of it is believed: it is for a person, and to wait by, within bounds.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from federation.lines import Answer
from protocol.encoding import convert, parse_json
from protocol.errors import PeerRefusedError, ProtocolError
from protocol.messages import BudgetLeft
from protocol.witnessing import SIZE_TYPE, parse_size

MAX_ERROR_BYTES: Final = 8 << 10
"""How much of an error's body is read."""

MAX_RETRY_AFTER_S: Final = 86_400
"""Longest wait that a peer can ask for; more is taken as this."""

_MAX_DETAIL_CHARS: Final = 300
_SECONDS: Final = re.compile(r"\d{1,9}", re.ASCII)
_NOT_PRINTABLE: Final = re.compile(r"[^\x20-\x7e\xa0-\u024f\u2010-\u2027]+")


def refusal(answer: Answer, body: bytes) -> PeerRefusedError:
    """Returns what a node answered that said no, as an error of ours.

    Args:
        answer: of any status but a success; its header is read.
        body: its first `MAX_ERROR_BYTES`, untrusted.
    """
    problem = _problem(body)
    said = _detail(problem)
    after = answer.header.get("retry-after", "")
    # The other form, a date, is not used between nodes; who sends one is asked again as usual.
    retry_after_s = min(int(after), MAX_RETRY_AFTER_S) if _SECONDS.fullmatch(after) else None
    return PeerRefusedError(
        f"The peer refused ({answer.status}){f': {said}' if said else '.'}",
        status=answer.status,
        retry_after_s=retry_after_s,
        budget=_budget(problem),
        size=_size(answer, body),
    )


def _size(answer: Answer, body: bytes) -> int | None:
    """Returns which size a witness says that it knows (C2SP tlog-witness, status 409)."""
    if answer.header.get("content-type") != SIZE_TYPE:
        return None
    try:
        return parse_size(body)
    except ProtocolError:
        return None


def _problem(body: bytes) -> dict[str, Any]:
    """Returns a problem document (RFC 9457), empty where it is none; nothing is checked."""
    try:
        problem = parse_json(body, max_bytes=MAX_ERROR_BYTES)
    except ProtocolError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _detail(problem: Mapping[str, Any]) -> str:
    """Returns the sentence of a problem document, one harmless line of bounded length.

    It was written by the peer: control characters could forge lines of a log or move a cursor.
    """
    detail = problem.get("detail")
    if not isinstance(detail, str):
        return ""
    return _NOT_PRINTABLE.sub(" ", detail)[:_MAX_DETAIL_CHARS].strip()


def _budget(problem: Mapping[str, Any]) -> dict[str, int] | None:
    """Returns what a holder says is left, if it says so in the form of `BudgetLeft`."""
    try:
        left = convert(problem.get("budget"), BudgetLeft)
    except ProtocolError:
        return None
    return msgspec.structs.asdict(left)
