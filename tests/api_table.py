"""Every endpoint of the HTTP surface, who may call it, and a good request to each.

The table is checked against the application's routes: an endpoint that is missing here fails a
test, so that none escapes the hostile cases.
"""

import json
from dataclasses import dataclass
from typing import Any

from api_fakes import FLAGGER_KEY, KNOWN, NODE_KEY, STREAM_ID, bearer, signed
from node.api import examples, gate_shapes
from node.api.app import methods_by_path
from node.api.bodies import ENVELOPE, JSON, OCTETS
from protocol.witnessing import AddCheckpoint

ADD_CHECKPOINT = AddCheckpoint(0, (), b"platform-a.example/log/1\n").to_bytes()
DISPUTE = {**examples.DISPUTE_BODY, "items": [0]}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint and a request that it takes.

    Attributes:
        caller: a scope of bearer keys, ``node``, ``flagger``, or empty for anyone.
        body: a good JSON body; None if it takes none, bytes for a file.
        query: a good query.
        status: of the answer to the good request.
        lasting: whether that answer may be kept.
    """

    method: str
    template: str
    caller: str
    status: int = 200
    body: Any = None
    query: str = ""
    content_type: str = JSON
    lasting: bool = False

    @property
    def target(self) -> str:
        path = (
            self.template.replace("{statement_id}", KNOWN)
            .replace("{remedy_id}", "7")
            .replace("{task_id}", "7")
        )
        path = path.replace("{upload_id}", "u-1029").replace("{match_id}", "7")
        path = path.replace("{stream_id}", STREAM_ID)
        path = path.replace("{level}", "0").replace("{place}", "000.p/1")
        path = (
            path.replace("{origin}", "5f" * 32)
            .replace("{name}", "platform-a.example")
            .replace("{client_id}", "8")
            .replace("{number}", "7")
        )
        return path + (f"?{self.query}" if self.query else "")

    @property
    def data(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def header(
        self, url: str, data: bytes | None = None, *, caller: str | None = None, **more: str
    ) -> dict[str, str]:
        """The header of a request by this endpoint's caller, or by another one."""
        data = self.data if data is None else data
        who = self.caller if caller is None else caller
        found = {"Content-Type": self.content_type} if self.body is not None else {}
        found |= {name.replace("_", "-"): value for name, value in more.items()}
        if who in ("node", "flagger"):
            key = NODE_KEY if who == "node" else FLAGGER_KEY
            return found | signed(self.method, url + self.target, data, key=key)
        return found | (bearer(who) if who else {})

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


def _about(verb: str, body: Any) -> Endpoint:
    return Endpoint("POST", f"/v1/statements/{{statement_id}}/{verb}", "statements", 201, body)


ENDPOINTS = (
    Endpoint("GET", "/.well-known/schutznetz", ""),
    Endpoint("GET", "/federation/v1/descriptor", ""),
    Endpoint("POST", "/federation/v1/descriptor", "", 204, examples.DESCRIPTORS),
    Endpoint("POST", "/federation/v1/join", "", 404, examples.JOIN_REQUEST),
    Endpoint("GET", "/livez", ""),
    Endpoint("GET", "/readyz", ""),
    Endpoint("POST", "/v1/media/match", "match", 200, examples.MATCH),
    Endpoint(
        "POST", "/v1/media/match-file", "match", 200, b"PICTURE", "surface=public", "image/png"
    ),
    Endpoint("POST", "/v1/media/flag", "flag", 201, examples.FLAG),
    Endpoint("POST", "/v1/streams", "match", 201, examples.STREAM),
    Endpoint("POST", "/v1/streams/{stream_id}/frames", "match", 200, examples.STREAM_FRAMES),
    Endpoint(
        "POST",
        "/v1/streams/{stream_id}/frame-file",
        "match",
        200,
        b"PICTURE",
        "at_ms=5000",
        "image/jpeg",
    ),
    Endpoint("DELETE", "/v1/streams/{stream_id}", "match", 204),
    Endpoint("POST", "/v1/accounts/check", "check", 200, examples.CHECK),
    Endpoint("POST", "/v1/accounts/check-batch", "check", 200, examples.BATCH),
    Endpoint("POST", "/v1/accounts/ban", "ban", 201, examples.BAN),
    Endpoint("GET", "/v1/statements/{statement_id}", "statements"),
    Endpoint("POST", "/v1/statements/{statement_id}/reissue", "ban", 201, examples.REISSUE),
    Endpoint("GET", "/v1/statements/{statement_id}/receipt", "statements"),
    _about("retract", examples.RETRACT),
    _about("erase", examples.ERASE),
    _about("dispute", DISPUTE),
    _about("resolve", examples.RESOLVE),
    _about("feedback", examples.FEEDBACK),
    Endpoint("GET", "/v1/remedies", "statements"),
    Endpoint("POST", "/v1/remedies/{remedy_id}/done", "statements", 204),
    Endpoint("POST", "/v1/uploads", "uploads", 200, examples.REGISTER),
    Endpoint("POST", "/v1/uploads/delete", "uploads", 200, examples.DELETE_UPLOADS),
    Endpoint("DELETE", "/v1/uploads/{upload_id}", "uploads", 204),
    Endpoint("GET", "/v1/retro-matches", "uploads", 200, None, "after=8&limit=10"),
    Endpoint("POST", "/v1/retro-matches/{match_id}/done", "uploads", 204),
    Endpoint("POST", "/v1/webhooks", "uploads", 201, examples.WEBHOOK),
    Endpoint("GET", "/v1/webhooks", "uploads"),
    Endpoint("POST", "/v1/webhooks/rotate", "uploads"),
    Endpoint("POST", "/v1/webhooks/retry", "uploads"),
    Endpoint("DELETE", "/v1/webhooks", "uploads", 204),
    Endpoint("GET", "/v1/admin/webhooks", "admin"),
    Endpoint("POST", "/v1/statements", "flagger", 201, examples.ENVELOPE, "", ENVELOPE),
    Endpoint("GET", "/v1/my/statements", "flagger", 200, None, "after=5"),
    Endpoint("GET", "/v1/my/statements/{statement_id}/receipt", "flagger"),
    Endpoint("GET", "/checkpoint", "node"),
    Endpoint("GET", "/tile/entries/{place}", "node", lasting=True),
    Endpoint("GET", "/tile/{level}/{place}", "node", lasting=True),
    Endpoint("GET", "/mirror/{origin}/checkpoint", "node"),
    Endpoint("GET", "/mirror/{origin}/tile/entries/{place}", "node", lasting=True),
    Endpoint("GET", "/mirror/{origin}/tile/{level}/{place}", "node", lasting=True),
    Endpoint("POST", "/mirror/{origin}/entries", "node", 200, {"start": 0, "limit": 10}),
    Endpoint("POST", "/federation/v1/entries", "node", 200, {"start": 0, "limit": 10}),
    Endpoint("POST", "/federation/v1/envelopes", "node", 200, {"ids": [KNOWN]}),
    Endpoint("POST", "/federation/v1/ack", "node", 204, examples.ACKNOWLEDGEMENT),
    Endpoint("POST", "/add-checkpoint", "node", 200, ADD_CHECKPOINT, "", OCTETS),
    Endpoint("GET", "/witness/{origin}/checkpoint", "node"),
    Endpoint("GET", "/federation/v1/published", "node"),
    Endpoint("POST", "/federation/v1/own-log", "node", 200, examples.OWN_LOG_REQUEST),
    Endpoint("POST", "/federation/v1/evidence", "node", 204, examples.EVIDENCE),
    Endpoint("POST", "/federation/v1/poke", "node", 204, examples.POKE),
    Endpoint("POST", "/federation/v1/oprf", "node", 200, examples.OPRF_REQUEST),
    Endpoint("POST", "/federation/v1/ceremony", "node", 200, examples.CEREMONY_REQUEST),
    Endpoint("GET", "/v1/admin/status", "admin"),
    Endpoint("GET", "/metrics", "admin"),
    Endpoint("GET", "/v1/admin/peers", "admin"),
    Endpoint("POST", "/v1/admin/peers", "admin", 201, examples.ADD_PEER),
    Endpoint("POST", "/v1/admin/peers/{name}/freeze", "admin", 204),
    Endpoint("POST", "/v1/admin/peers/{name}/thaw", "admin", 204),
    Endpoint("DELETE", "/v1/admin/peers/{name}", "admin", 204),
    Endpoint("GET", "/v1/admin/clients", "admin"),
    Endpoint("POST", "/v1/admin/clients", "admin", 201, examples.CREATE_CLIENT),
    Endpoint("DELETE", "/v1/admin/clients/{client_id}", "admin", 204),
    Endpoint("GET", "/v1/admin/audit", "admin", 200, None, "after=0&limit=2"),
    Endpoint("GET", "/v1/admin/circles/holders", "admin"),
    Endpoint("POST", "/v1/admin/circles/thaw-holder", "admin", 204, examples.THAW_HOLDER),
    Endpoint("GET", "/v1/admin/budgets", "admin", 200, None, "day=2026-11-22"),
    Endpoint("GET", "/v1/admin/policy", "admin"),
    Endpoint("GET", "/v1/admin/quarantine", "admin"),
    Endpoint("POST", "/v1/admin/quarantine", "admin", 200, gate_shapes.VERDICT),
    Endpoint("GET", "/v1/admin/allow", "admin"),
    Endpoint("POST", "/v1/admin/allow", "admin", 201, gate_shapes.ALLOW),
    Endpoint("DELETE", "/v1/admin/allow/{number}", "admin", 204),
    Endpoint("GET", "/v1/admin/sources", "admin"),
    Endpoint("GET", "/v1/admin/set-aside", "admin"),
    Endpoint("GET", "/v1/admin/remedies", "admin"),
    Endpoint("GET", "/v1/admin/erasures/{statement_id}", "admin"),
    Endpoint(
        "GET",
        "/v1/admin/accuracy",
        "admin",
        200,
        None,
        "year=2026&flagger=hotline.example&detail=full",
    ),
    Endpoint("GET", "/v1/admin/restore-tasks", "admin", 200, None, "state=all"),
    Endpoint("GET", "/v1/admin/restore-tasks/{task_id}", "admin"),
    Endpoint(
        "POST", "/v1/admin/restore-tasks/{task_id}/done", "admin", 204, {"note": "All put back."}
    ),
)
WITH_JSON = tuple(one for one in ENDPOINTS if isinstance(one.body, dict))
WITH_BODY = tuple(one for one in ENDPOINTS if one.body is not None)
PROTECTED = tuple(one for one in ENDPOINTS if one.caller)


def routes() -> set[tuple[str, str]]:
    """Method and template of every route that the application is built of."""
    return {(method, path) for path, methods in methods_by_path().items() for method in methods}


HOSTILE_INTS = (
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "1" + "0" * 400,
)
HOSTILE_TEXTS = (r'"a\u0000b"', r'"\ud800"', r'"a\udfffb"')


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all scalars in a JSON value."""
    if isinstance(value, dict):
        return [one for key, inner in value.items() for one in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [one for at, inner in enumerate(value) for one in leaves(inner, (*path, at))]
    return [path]


def with_leaf(value: Any, path: tuple[Any, ...], text: str) -> bytes:
    """The JSON text of a value in which one scalar is replaced by a piece of JSON text."""
    marked = json.loads(json.dumps(value))
    inner = marked
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = "@@here@@"
    return json.dumps(marked).replace('"@@here@@"', text).encode()
