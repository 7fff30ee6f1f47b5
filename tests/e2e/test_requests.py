"""RFC 9421 over real HTTP: what was not signed by whom it says, for here, now and once, is refused."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodes import ANNA, HOTLINE, REFUSALS, Node, introduce, make_node, media_flag, new_item, serving
from protocol.encoding import encode_json
from protocol.endpoints import CHECKPOINT, ENTRIES, MY_STATEMENTS, STATEMENTS
from protocol.messages import EntriesRequest
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.requests import sign_request
from waiting import WITHIN_S

PLATFORM = "platform-a.example"
ASKED = encode_json(EntriesRequest(start=0, limit=10))


class Caller:
    """Signs a request, lets a test change it on the way, and sends it."""

    def __init__(self, node: Node, key: SigningKey) -> None:
        self.node = node
        self.key = key

    def sign(self, method: str, target: str, body: bytes = b"", **changes: Any) -> dict[str, str]:
        values = {
            "method": method,
            "url": self.node.made.url + target,
            "body": body,
            "key": self.key,
            "now": int(time.time()),
        }
        fields = sign_request(**(values | changes))
        return fields | ({"Content-Type": "application/json"} if body else {})

    def send(
        self, method: str, target: str, fields: dict[str, str], body: bytes = b""
    ) -> httpx.Response:
        url = self.node.local + target
        answer = httpx.request(
            method, url, headers=fields, content=body, trust_env=False, timeout=WITHIN_S
        )
        if answer.is_error:
            REFUSALS.append(answer.content)
        return answer


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node]]:
    """A running hotline, and a platform that it has pinned and that is not running."""
    place: Path = tmp_path_factory.mktemp("requests")
    hotline, platform = make_node(place / "a", HOTLINE), make_node(place / "b", PLATFORM)
    introduce(hotline, platform)
    with serving(hotline):
        yield hotline, platform


@pytest.fixture(scope="module")
def anna(nodes: tuple[Node, Node]) -> SigningKey:
    key = SigningKey.generate(KeyUse.FLAGGER)
    with nodes[0].services() as services:
        services.flaggers.add(key.public.to_text(), ANNA, ["csam.*"], 30)
    return key


@pytest.fixture(scope="module")
def peer(nodes: tuple[Node, Node]) -> Caller:
    """The platform as a caller."""
    return Caller(nodes[0], nodes[1].key(KeyUse.REQUEST))


def assert_refused(answer: httpx.Response, sentence: str) -> None:
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Signature"
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert sentence in answer.json()["detail"]


def test_a_request_as_it_was_signed_is_answered(peer: Caller) -> None:
    fields = peer.sign("POST", ENTRIES, ASKED)
    assert peer.send("POST", ENTRIES, fields, ASKED).is_success


def test_the_same_request_a_second_time_is_refused(peer: Caller) -> None:
    fields = peer.sign("POST", ENTRIES, ASKED)
    assert peer.send("POST", ENTRIES, fields, ASKED).is_success
    assert_refused(
        peer.send("POST", ENTRIES, fields, ASKED),
        "This request was here before: every request needs a new nonce.",
    )


def test_the_same_submission_of_a_flagger_a_second_time_is_refused(
    nodes: tuple[Node, Node], anna: SigningKey
) -> None:
    caller = Caller(nodes[0], anna)
    envelope = sign_statement(media_flag(new_item()), anna)
    fields = caller.sign("POST", STATEMENTS, envelope)
    assert caller.send("POST", STATEMENTS, fields, envelope).status_code == 201
    assert_refused(caller.send("POST", STATEMENTS, fields, envelope), "was here before")
    # The statement again, in a new request, is no replay: it gets the same answer.
    again = caller.sign("POST", STATEMENTS, envelope)
    assert caller.send("POST", STATEMENTS, again, envelope).status_code == 200


def test_a_changed_body_is_refused(peer: Caller) -> None:
    fields = peer.sign("POST", ENTRIES, ASKED)
    changed = encode_json(EntriesRequest(start=0, limit=11))
    assert_refused(
        peer.send("POST", ENTRIES, fields, changed),
        "The body is not the one that Content-Digest names.",
    )


def test_a_changed_path_is_refused(peer: Caller) -> None:
    fields = peer.sign("GET", CHECKPOINT)
    assert_refused(
        peer.send("GET", MY_STATEMENTS, fields),
        "The signature does not fit this method, URL and body under the named key.",
    )


def test_a_changed_query_is_refused(nodes: tuple[Node, Node], anna: SigningKey) -> None:
    caller = Caller(nodes[0], anna)
    fields = caller.sign("GET", f"{MY_STATEMENTS}?after=7")
    assert_refused(caller.send("GET", f"{MY_STATEMENTS}?after=8", fields), "does not fit")
    assert_refused(caller.send("GET", MY_STATEMENTS, fields), "does not fit")
    assert caller.send("GET", f"{MY_STATEMENTS}?after=7", fields).is_success


def test_another_spelling_of_the_same_path_is_refused(peer: Caller) -> None:
    fields = peer.sign("GET", CHECKPOINT)
    assert_refused(peer.send("GET", "/check%70oint", fields), "does not fit")


@pytest.mark.parametrize(
    ("seconds", "sentence"),
    [
        (-100, r"by this server's clock: the request was kept back, or one of the two clocks"),
        (+100, r"ahead of this server's clock: one of the two clocks is wrong."),
    ],
)
def test_a_date_that_is_not_now_is_refused(peer: Caller, seconds: int, sentence: str) -> None:
    fields = peer.sign("GET", CHECKPOINT, now=int(time.time()) + seconds)
    assert_refused(peer.send("GET", CHECKPOINT, fields), sentence)


def test_a_clock_within_the_skew_is_let_pass(peer: Caller) -> None:
    for seconds in (-5, +25):  # and 25 s for the way of the first, if the machine is busy
        fields = peer.sign("GET", CHECKPOINT, now=int(time.time()) + seconds)
        assert peer.send("GET", CHECKPOINT, fields).is_success


def test_a_key_that_nobody_vouches_for_is_refused(nodes: tuple[Node, Node]) -> None:
    stranger = Caller(nodes[0], SigningKey.generate(KeyUse.REQUEST))
    assert_refused(
        stranger.send("GET", CHECKPOINT, stranger.sign("GET", CHECKPOINT)),
        "Nobody that this node knows has the key of this request.",
    )


def test_a_key_that_claims_to_be_another_is_refused(peer: Caller) -> None:
    mine = SigningKey.generate(KeyUse.REQUEST)
    fields = peer.sign("GET", CHECKPOINT, key=mine)
    named = fields["Signature-Input"].replace(mine.kid, peer.key.kid)
    assert named != fields["Signature-Input"]
    assert_refused(
        peer.send("GET", CHECKPOINT, fields | {"Signature-Input": named}), "does not fit"
    )


def test_an_unsigned_request_is_refused(peer: Caller) -> None:
    assert_refused(peer.send("GET", CHECKPOINT, {}), "The request is not signed")
    fields = {"Content-Type": "application/json"}
    assert_refused(peer.send("POST", ENTRIES, fields, ASKED), "The request is not signed")


def test_a_bearer_key_opens_nothing_of_the_federation(peer: Caller) -> None:
    token = {"Authorization": f"Bearer {peer.node.made.api_key}"}
    assert_refused(peer.send("GET", CHECKPOINT, token), "The request is not signed")


@pytest.mark.parametrize("host", ["named", "kept"])
def test_a_request_that_was_signed_for_another_node_is_refused(peer: Caller, host: str) -> None:
    fields = peer.sign("GET", CHECKPOINT, url=f"https://platform-b.example{CHECKPOINT}")
    if host == "named":
        # Whoever passes it on can set the Host field as well.
        fields["Host"] = "platform-b.example"
    assert_refused(peer.send("GET", CHECKPOINT, fields), "does not fit")


def test_a_flagger_may_not_ask_what_only_nodes_may(
    nodes: tuple[Node, Node], anna: SigningKey
) -> None:
    caller = Caller(nodes[0], anna)
    answer = caller.send("GET", CHECKPOINT, caller.sign("GET", CHECKPOINT))
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Only a node that is known here may call this."


def test_a_nonce_that_was_refused_is_not_used_up(peer: Caller) -> None:
    fields = peer.sign("POST", ENTRIES, ASKED)
    assert_refused(peer.send("POST", ENTRIES, fields, ASKED + b" "), "The body is not")
    # Else a stranger who saw a request pass could have it refused by sending rubbish before it.
    assert peer.send("POST", ENTRIES, fields, ASKED).is_success


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_replay_is_refused_after_a_restart_too(peer: Caller, end: str) -> None:
    ended: dict[str, Callable[[], None]] = {"stop": peer.node.stop, "kill": peer.node.kill}
    for _ in range(5):
        # Signed by a clock that is ahead: nearly a minute passes before it is too old.
        fields = peer.sign("GET", CHECKPOINT, now=int(time.time()) + 25)
        assert peer.send("GET", CHECKPOINT, fields).is_success
        ended[end]()
        peer.node.start()
        peer.node.wait_until_ready()
        refused = peer.send("GET", CHECKPOINT, fields)
        if "by this server's clock" not in refused.text:
            break  # else the restart took longer than a signature lasts, and showed nothing
    assert_refused(refused, "This request was here before")
