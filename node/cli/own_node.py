"""A platform's conversation with its own node, over the same HTTP surface as its programs use.

The key goes into a header and nowhere else; an address without TLS is refused unless it is this
machine's own.
"""

import ipaddress
import re
import ssl
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from protocol.encoding import convert, encode_json, parse_json
from protocol.errors import (
    NotAllowedError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
    ProtocolError,
)
from protocol.limits import MAX_PEER_RESPONSE_BYTES
from protocol.messages import BudgetLeft

TIMEOUT_S: Final = 60.0
"""Longest silence of the node; a check asks a whole circle."""

_CONNECT_S: Final = 5.0
_MAX_DETAIL_CHARS: Final = 400
_OK: Final = range(200, 300)
_SECONDS: Final = re.compile(r"[0-9]{1,6}")


class Platform:
    """A node as its own platform can ask it.

    Args:
        url: address of the node.
        api_key: with the scope that the call needs.
        transport: what carries the requests; a test's own, or None for the network.
    """

    def __init__(
        self, url: str, api_key: str, *, transport: httpx.BaseTransport | None = None
    ) -> None:
        if not (url.startswith("https://") or is_loopback(url)):
            raise NotAllowedError(
                "The address has no TLS and is not this machine's: the API key and what is asked "
                "would cross the network in clear; use https."
            )
        self._url = url
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        }
        self._transport = transport

    def get(self, path: str) -> Any:
        """Returns the answer to a question without a body; raises as `post` does."""
        return self._judge(*self._ask("GET", path, None))

    def get_text(self, path: str) -> bytes:
        """Returns an answer that is not JSON, to a question without a body; raises as `post`."""
        status, data, after = self._ask("GET", path, None)
        if status not in _OK:
            self._judge(status, data, after)
        return data

    def post(self, path: str, body: Any) -> Any:
        """Returns the answer of the node, a JSON object.

        Raises:
            PeerUnreachableError: no whole answer within the limits of time and size.
            PeerRefusedError: the node said no, with its sentence.
            PeerMisbehavedError: it is no node that answers there.
        """
        return self._judge(*self._ask("POST", path, encode_json(body)))

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes, str]:
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            with (
                httpx.Client(
                    timeout=httpx.Timeout(TIMEOUT_S, connect=_CONNECT_S),
                    follow_redirects=False,
                    trust_env=False,
                    verify=ssl.create_default_context(),
                    transport=self._transport,
                ) as http,
                http.stream(method, self._url + path, content=body, headers=headers) as response,
            ):
                after = response.headers.get("retry-after", "")
                return response.status_code, _read(response), after
        except httpx.TimeoutException:
            raise PeerUnreachableError(f"The node at {self._url} took too long.") from None
        except (httpx.HTTPError, httpx.InvalidURL):
            raise PeerUnreachableError(
                f"The node at {self._url} cannot be reached: is it running, and is that its "
                "address?"
            ) from None

    def _judge(self, status: int, data: bytes, after: str) -> Any:
        try:
            answer = parse_json(data, max_bytes=MAX_PEER_RESPONSE_BYTES)
        except ProtocolError:
            answer = None
        if status not in _OK:
            detail = answer.get("detail") if isinstance(answer, dict) else None
            said = detail[:_MAX_DETAIL_CHARS] if isinstance(detail, str) else "it did not say why."
            raise PeerRefusedError(
                f"The node refused ({status}): {said}",
                status=status,
                retry_after_s=int(after) if _SECONDS.fullmatch(after) else None,
                budget=_budget(answer),
            )
        if not isinstance(answer, dict):
            raise PeerMisbehavedError(
                f"What answers at {self._url} is no node of Schutznetz.", evidence=b""
            )
        return answer


def _budget(problem: Any) -> dict[str, int] | None:
    """Returns what a refusal says is left of a budget, where it does."""
    budget = problem.get("budget") if isinstance(problem, dict) else None
    try:
        return msgspec.structs.asdict(convert(budget, BudgetLeft))
    except ProtocolError:
        return None


def _read(response: httpx.Response) -> bytes:
    data = bytearray()
    for piece in response.iter_raw():
        data += piece
        if len(data) > MAX_PEER_RESPONSE_BYTES:
            raise PeerUnreachableError("The node's answer is longer than it may be.")
    return bytes(data)


def is_loopback(url: str) -> bool:
    """Says whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
