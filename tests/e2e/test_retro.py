"""Uploads of yesterday through a real node: found, told to a real receiver, and taken back."""

import base64
import hashlib
import hmac
import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nodes import make_node, serving
from waiting import WITHIN_S, wait_for

PDQ = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
NEAR = f"{int(PDQ, 16) ^ 0b111 << 100:064x}"
FLAG = {
    "items": [{"pdq": NEAR, "quality": 95}],
    "category": "csam.act.prepub",
    "reviewers": 2,
    "purpose": "detection",
    "legal_basis": "dsa-22",
    "review_days": 30,
}


@dataclass
class Receiver:
    """Takes messages as a platform does.

    Attributes:
        url: where it listens.
        statuses: what it answers first; 204 after that.
        messages: headers and bodies as they came.
    """

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    messages: "queue.Queue[tuple[dict[str, str], bytes]]" = field(default_factory=queue.Queue)

    def next(self) -> tuple[dict[str, str], bytes]:
        return self.messages.get(timeout=WITHIN_S)

    def next_of(self, kind: str) -> tuple[dict[str, str], bytes]:
        """Return the next message of a type; of what a node tells, no order is promised."""
        while True:
            headers, body = self.next()
            if json.loads(body)["type"] == kind:
                return headers, body


@contextmanager
def receiving() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.messages.put(({key.lower(): one for key, one in self.headers.items()}, body))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


def is_signed(headers: dict[str, str], body: bytes, secret: str) -> bool:
    said = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in headers["webhook-signature"].split()


def test_an_upload_of_yesterday_is_found_told_and_taken_back(tmp_path: Path) -> None:
    node = make_node(
        tmp_path / "node", "platform.example", settings={"webhook_private_hosts": True}
    )
    with receiving() as receiver, serving(node):
        upload = {"id": "very-own-name", "surface": "public", "pdq": PDQ, "quality": 95}
        done = node.ask("POST", "/v1/uploads", json={"uploads": [upload]})
        assert done == {"added": 1, "replaced": 0, "known": 0}
        secret = node.ask("POST", "/v1/webhooks", json={"url": receiver.url})["secret"]
        # a redirect is no success, and is not followed; the same message comes again
        receiver.statuses = [307]
        statement = node.ask("POST", "/v1/media/flag", json=FLAG)["id"]
        first, again = receiver.next(), receiver.next()
        assert first[0]["webhook-id"] == again[0]["webhook-id"]
        assert first[1] == again[1]
        assert is_signed(*first, secret)
        assert is_signed(*again, secret)
        message = json.loads(again[1])
        (told,) = message["data"]["matches"]
        assert (message["type"], told["upload"]) == ("retro.matched", "very-own-name")
        assert (told["statement"], told["kind"], told["distance"]) == (statement, "pdq", 3)
        assert PDQ.encode() not in again[1]

        node.stop()
        node.start()
        node.wait_until_ready()
        (match,) = node.ask("GET", "/v1/retro-matches")["matches"]
        assert {key: match[key] for key in told} == told
        assert match["state"] == "open"
        node.ask("POST", f"/v1/retro-matches/{match['id']}/done")

        new = node.ask("POST", "/v1/webhooks/rotate")["secret"]
        node.ask("POST", f"/v1/statements/{statement}/retract", json={"reason": "wrong"})
        headers, body = receiver.next_of("retro.withdrawn")
        assert is_signed(headers, body, secret)
        assert is_signed(headers, body, new)
        after = match["change"]
        (match,) = node.ask("GET", f"/v1/retro-matches?after={after}")["matches"]
        assert match["state"] == "withdrawn"
        (hook,) = node.administer("GET", "/v1/admin/webhooks")["webhooks"]
        assert (hook["dead"], hook["url"]) == (0, receiver.url)
        node.ask("DELETE", "/v1/uploads/very-own-name")
        assert node.ask("GET", "/v1/retro-matches")["matches"] == []
    assert b"very-own-name" not in node.log.read_bytes()


def test_a_webhook_leads_into_no_network_that_is_not_public(tmp_path: Path) -> None:
    node = make_node(tmp_path / "node", "platform.example", settings={"allow_insecure_http": True})
    with receiving() as receiver, serving(node):
        upload = {"id": "u-1", "surface": "public", "pdq": PDQ, "quality": 95}
        node.ask("POST", "/v1/uploads", json={"uploads": [upload]})
        # by a name, so that only the look at what it leads to can refuse it
        url = receiver.url.replace("127.0.0.1", "localhost")
        node.ask("POST", "/v1/webhooks", json={"url": url})
        node.ask("POST", "/v1/media/flag", json=FLAG)
        wait_for(lambda: bool(node.ask("GET", "/v1/webhooks")["problem"]), "it has been tried")
        problem = node.ask("GET", "/v1/webhooks")["problem"]
        assert problem.startswith("The address is not a public one")
        assert receiver.messages.empty()
