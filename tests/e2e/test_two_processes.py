"""Two serving processes over one PostgreSQL: together they are one node."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from node.demo.cast import PLATFORM_A
from node.demo.ports import free_port
from nodes import (
    ANNA,
    CIRCLE,
    HOTLINE,
    Node,
    introduce,
    make_node,
    media_flag,
    new_item,
    serving,
)
from postgres import Postgres
from protocol.encoding import encode_json, format_time, to_base64url
from protocol.endpoints import CHECKPOINT, ENTRIES, OPRF, STATEMENTS
from protocol.merkle import Frontier
from protocol.messages import EntriesRequest, OprfRequest
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.notes import open_checkpoint
from signing.oprf.voprf import blind
from signing.requests import sign_request
from waiting import WITHIN_S, keep_clear_of_midnight, wait_for

BUDGET = 44
BATCH = 8
TAKEN_OVER_WITHIN_S = 40.0


class Pair:
    """Two processes of the hotline, a platform's key, and the flagger's."""

    def __init__(self, one: Node, other: Node, platform: SigningKey, anna: SigningKey) -> None:
        self.one, self.other = one, other
        self.platform, self.anna = platform, anna
        self.http = httpx.Client(trust_env=False, timeout=WITHIN_S)

    @property
    def both(self) -> tuple[Node, Node]:
        return (self.one, self.other)

    def sign(self, method: str, path: str, key: SigningKey, body: bytes = b"") -> dict[str, str]:
        # Both processes answer for the node's one public address, as behind a balancer.
        url = self.one.made.url + path
        fields = sign_request(method=method, url=url, body=body, key=key, now=int(time.time()))
        return fields | ({"Content-Type": "application/json"} if body else {})

    def send(
        self, to: Node, method: str, path: str, key: SigningKey, body: bytes = b""
    ) -> httpx.Response:
        fields = self.sign(method, path, key, body)
        return self.http.request(method, to.local + path, headers=fields, content=body)

    def submit(self, to: Node, *items: object, **changes: object) -> httpx.Response:
        flag = media_flag(*items, **changes)  # type: ignore[arg-type]  # items, as that takes them
        return self.send(to, "POST", STATEMENTS, self.anna, sign_statement(flag, self.anna))


@pytest.fixture(scope="module")
def pair(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    keep_clear_of_midnight()
    place: Path = tmp_path_factory.mktemp("two")
    url = postgres.fresh()
    settings = {"expire_interval_s": 0.5, "poll_interval_s": 3_600}
    one = make_node(place / "hotline", HOTLINE, database_url=url, settings=settings)
    platform = make_node(place / "platform", PLATFORM_A)
    introduce(one, platform)
    anna = SigningKey.generate(KeyUse.FLAGGER)
    with one.services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
        services.circles.deal(
            CIRCLE.partition("/")[2],
            {PLATFORM_A: BUDGET},
            30,
            holders=(HOTLINE, PLATFORM_A),
            threshold=2,
        )
    other = replace(one, port=free_port(), log_name="other.jsonl")
    with serving(one, other):
        made = Pair(one, other, platform.key(KeyUse.REQUEST), anna)
        yield made
        made.http.close()
    postgres.drop(url)


def test_a_request_that_one_process_answered_is_a_replay_at_the_other(pair: Pair) -> None:
    fields = pair.sign("GET", CHECKPOINT, pair.platform)
    assert pair.http.get(pair.one.local + CHECKPOINT, headers=fields).is_success
    answer = pair.http.get(pair.other.local + CHECKPOINT, headers=fields)
    assert answer.status_code == 401
    assert "was here before" in answer.json()["detail"]


def test_of_a_request_sent_to_both_at_once_one_is_answered(pair: Pair) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            fields = pair.sign("GET", CHECKPOINT, pair.platform)
            start = threading.Barrier(8)

            def send(
                number: int,
                fields: dict[str, str] = fields,
                start: threading.Barrier = start,
            ) -> int:
                start.wait()
                to = pair.both[number % 2]
                return pair.http.get(to.local + CHECKPOINT, headers=fields).status_code

            assert sorted(pool.map(send, range(8))) == [200] + [401] * 7


def test_a_budget_is_never_overspent_in_a_race(pair: Pair) -> None:
    bodies = []
    for _ in range(12):
        elements = blind([bytes([number]) * 32 for number in range(BATCH)]).elements
        asked = OprfRequest(circle=CIRCLE, epoch=1, blinded=tuple(map(to_base64url, elements)))
        bodies.append(encode_json(asked))
    start = threading.Barrier(len(bodies))

    def ask(number: int) -> httpx.Response:
        start.wait()
        return pair.send(pair.both[number % 2], "POST", OPRF, pair.platform, bodies[number])

    with ThreadPoolExecutor(len(bodies)) as pool:
        answers = list(pool.map(ask, range(len(bodies))))
    statuses = [one.status_code for one in answers]
    assert statuses.count(200) == BUDGET // BATCH
    assert statuses.count(429) == len(bodies) - BUDGET // BATCH
    refused = next(one for one in answers if one.status_code == 429)
    assert refused.json()["detail"] == "The budget of this member for today is used up."
    assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    with pair.one.store() as store, store.read() as transaction:
        day = time.strftime("%Y-%m-%d", time.gmtime())
        spent = {one.member: one.used for one in transaction.budgets.uses_of_day(day)}
    assert spent == {PLATFORM_A: BUDGET // BATCH * BATCH}


def test_a_repeat_at_the_other_process_costs_nothing_even_with_the_budget_used_up(
    pair: Pair,
) -> None:
    (element,) = blind([b"x" * 32]).elements
    body = encode_json(
        OprfRequest(circle=CIRCLE, epoch=1, blinded=(to_base64url(element),) * (BUDGET % BATCH))
    )
    first = pair.send(pair.one, "POST", OPRF, pair.platform, body)
    assert first.is_success, first.text
    again = pair.send(pair.other, "POST", OPRF, pair.platform, body)
    # Answers are kept in a process's own memory: the proof is another one, of the same.
    assert again.json()["evaluated"] == first.json()["evaluated"]
    once_more = pair.send(pair.one, "POST", OPRF, pair.platform, body)
    assert once_more.content == first.content


def test_statements_submitted_to_both_at_once_make_one_log_without_gaps(pair: Pair) -> None:
    def submit(number: int) -> int:
        answer = pair.submit(pair.both[number % 2])
        assert answer.status_code == 201, answer.text
        return int(answer.json()["index"])

    with ThreadPoolExecutor(8) as pool:
        places = list(pool.map(submit, range(60)))
    assert sorted(places) == list(range(min(places), min(places) + 60))
    shown = [
        pair.send(node, "POST", ENTRIES, pair.platform, encode_json(asked)).json()["entries"]
        for node in pair.both
        for asked in [EntriesRequest(start=0, limit=4_096)]
    ]
    assert shown[0] == shown[1]
    frontier = Frontier.EMPTY.append(bytes.fromhex(one) for one in shown[0])
    pinned = pair.one.pinned
    for node in pair.both:
        note = pair.send(node, "GET", CHECKPOINT, pair.platform).content
        signed = open_checkpoint(note, origin=pinned.log_origin, key=pinned.log_key)
        assert (signed.size, signed.root) == (frontier.size, frontier.root())


def test_what_one_process_accepts_the_other_matches_at_once(pair: Pair) -> None:
    for to, at in (pair.both, pair.both[::-1]):
        item = new_item()
        assert pair.submit(to, item).status_code == 201
        # No waiting: the very next look-up sees it.
        assert at.decision(sha256=item.sha256) != "none"


def expired(node: Node) -> int:
    """How many statements this process has expired, as its log says."""
    # The last line may be half written at this instant.
    whole, _, _ = node.log.read_text().rpartition("\n")
    lines = [json.loads(line) for line in whole.splitlines()]
    return sum(line["statements"] for line in lines if line["event"] == "expired")


def submit_short_lived(pair: Pair, to: Node) -> str:
    for lasts_s in (2, 20, 90):
        answer = pair.submit(to, review_by=format_time(int(time.time()) + lasts_s))
        if answer.status_code == 201:
            return str(answer.json()["id"])
        # The machine is so slow that it had ended when it was read: it is to last longer.
        assert "has ended already" in answer.text
    raise AssertionError("no statement was taken in before it ended")


def body_is_gone(node: Node, statement: str) -> bool:
    with node.store() as store, store.read() as transaction:
        record = transaction.statements.by_id(statement)
        assert record is not None
        return record.state == "expired" and not transaction.statements.envelopes(
            [record.log_index]
        )


def test_one_process_runs_the_jobs_and_the_other_takes_over_when_it_is_killed(pair: Pair) -> None:
    first = [submit_short_lived(pair, node) for node in pair.both for _ in range(2)]
    wait_for(lambda: all(body_is_gone(pair.one, one) for one in first), "the bodies are deleted")
    wait_for(lambda: expired(pair.one) + expired(pair.other) == len(first), "the jobs say so")
    leads, waits = sorted(pair.both, key=expired, reverse=True)
    before = expired(waits)
    leads.kill()
    killed = time.monotonic()
    second = submit_short_lived(pair, waits)
    wait_for(
        lambda: body_is_gone(waits, second),
        "the other takes over",
        at_most_s=TAKEN_OVER_WITHIN_S + WITHIN_S,
    )
    print(f"the other process took over {time.monotonic() - killed:.1f} s after the kill")
    wait_for(lambda: expired(waits) == before + 1, "the other says so")


def test_nobody_has_the_jobs_for_longer_than_a_takeover_may_take(tmp_path: Path) -> None:
    node = make_node(tmp_path / "alone", HOTLINE)
    query = text("SELECT until FROM lease")
    with node.services() as services:
        services.jobs.start()
        try:

            def left_s() -> float | None:
                with node.store() as store, store.read() as transaction:
                    found = transaction._connection.execute(query).scalar_one_or_none()
                return None if found is None else found - time.time()

            wait_for(lambda: left_s() is not None, "the lease is taken")
            assert (left_s() or 0) <= TAKEN_OVER_WITHIN_S
        finally:
            services.jobs.close()
        assert left_s() is None
