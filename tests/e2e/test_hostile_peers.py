"""What a real node does with a pinned peer that lies, stalls, floods or cuts its answers short."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from federation.evidence import verify_evidence
from liars import Liar, Lines, Manner, open_lines
from nodes import (
    ANNA,
    DAY_S,
    HOTLINE,
    Node,
    header,
    introduce,
    make_node,
    media_flag,
    new_item,
    serving,
)
from protocol.encoding import format_time
from protocol.envelope import parse_envelope
from protocol.errors import PeerRefusedError
from protocol.evidence import parse_evidence
from protocol.fields import StatementId
from protocol.messages import EnvelopeAnswer
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from simulator import accredit, make_key
from waiting import wait_for

READER = "platform-c.example"
_numbers = iter(range(1_000))


@pytest.fixture(scope="module")
def lines() -> Iterator[Lines]:
    with open_lines() as opened:
        yield opened


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Node, Node, SigningKey]]:
    """A hotline with its flagger, and a node that polls each second and waits 2 s for answers."""
    place: Path = tmp_path_factory.mktemp("hostile")
    settings = {"poll_interval_s": 1, "peer_timeout_s": 2, "expire_interval_s": 1}
    hotline = make_node(place / HOTLINE, HOTLINE, settings={"poll_interval_s": 3_600})
    reader = make_node(place / READER, READER, settings=settings)
    introduce(hotline, reader)
    anna = SigningKey.generate(KeyUse.FLAGGER)
    with hotline.services() as services:
        services.flaggers.add(anna.public.to_text(), ANNA, ["csam.*"], 30)
    with serving(hotline, reader):
        yield hotline, reader, anna


@pytest.fixture
def reader(pair: tuple[Node, Node, SigningKey]) -> Node:
    return pair[1]


@pytest.fixture
def liar(reader: Node, lines: Lines) -> Iterator[Liar]:
    """A peer that the reader has pinned; honest until it is told otherwise."""
    with pinned_liar(reader, lines) as one:
        yield one


@contextmanager
def pinned_liar(reader: Node, lines: Lines, manner: Manner = "whole") -> Iterator[Liar]:
    one = Liar(f"liar-{next(_numbers)}.example", manner=manner)
    one.url = f"http://127.0.0.1:{lines.listen(one.handle)}"
    reader.pin_descriptor(one.descriptor_envelope, one.fingerprint)
    yield one
    reader.administer("DELETE", f"/v1/admin/peers/{one.name}")


def reasons(reader: Node, origin: str) -> dict[str, str]:
    """Why statements of one peer were set aside, by id."""
    found = reader.administer("GET", "/v1/admin/set-aside")["set_aside"]
    return {one["id"]: one["reason"] for one in found if one["origin"] == origin}


def is_taken_over(liar: Liar) -> bool:
    """Whether the reader has acknowledged all that the peer's log has."""
    return any(one.size == len(liar.log) for one in liar.acknowledged)


def evidence(reader: Node, name: str) -> list[tuple[str, bytes]]:
    """What the reader keeps against a peer."""
    with reader.store() as store, store.read() as transaction:
        return transaction.peers.evidence(name)


def test_bad_statements_are_set_aside_with_their_reasons_and_the_rest_is_taken(
    reader: Node, liar: Liar
) -> None:
    good = [new_item(), new_item()]
    stranger = sign_statement(media_flag(issuer=HOTLINE), SigningKey.generate(KeyUse.STATEMENT))
    (tampered,) = liar.append(media_flag(issuer=liar.name))
    liar.tamper(tampered)
    (first,) = liar.append(media_flag(good[0], issuer=liar.name))
    (unvouched,) = liar.append(stranger)
    (scribble,) = liar.append(media_flag(issuer=liar.name))
    liar.lies[scribble] = EnvelopeAnswer(id=scribble, state="present", envelope='{"no": "form"}')
    ended = replace_review(media_flag(issuer=liar.name))
    (over,) = liar.append(ended)
    (last,) = liar.append(media_flag(good[1], issuer=liar.name))
    wait_for(lambda: reader.state(last) == "active", "the last statement is taken")
    assert reader.state(first) == "active"
    assert [reader.decision(sha256=one.sha256) for one in good] == ["review", "review"]
    found = reasons(reader, liar.name)
    # What has ended is no fault: it is as if the peer had no body of it.
    assert found.keys() == {tampered, unvouched, scribble}
    assert reader.state(over) is None
    assert found[tampered].startswith("BadSignature: ")
    assert found[unvouched].startswith("UnknownKey: ")
    assert found[scribble]
    # The peer is told, so that its flaggers can see it.
    wait_for(lambda: is_taken_over(liar), "the acknowledgement")
    told = {one.id for message in liar.acknowledged for one in message.set_aside}
    assert told == found.keys()
    assert reader.peer(liar.name)["state"] == "active"


def replace_review(flag: Any) -> Any:
    """The same flag, whose review date was a minute ago."""
    now = int(time.time())
    return msgspec.structs.replace(
        flag, issued=format_time(now - 3_600), review_by=format_time(now - 60)
    )


@pytest.mark.parametrize("how", ["tampered", "withheld", "erased", "scribbled"])
def test_a_mirror_cannot_keep_a_statement_of_another_node_away(
    pair: tuple[Node, Node, SigningKey], liar: Liar, how: str
) -> None:
    hotline, reader, anna = pair
    item = new_item()
    envelope = sign_statement(media_flag(item), anna)
    found = parse_envelope(envelope).statement_id
    liar.append(envelope)
    if how == "tampered":
        liar.tamper(found)
    elif how == "scribbled":
        liar.lies[found] = EnvelopeAnswer(id=found, state="present", envelope="[]")
    else:
        liar.lies[found] = EnvelopeAnswer(id=found, state=how)  # type: ignore[arg-type]  # of two
    # The mirror is heard first: the hotline does not have the statement yet.
    wait_for(lambda: is_taken_over(liar), "the mirror's log is taken over")
    assert reader.state(found) is None
    hotline.talk(lambda client: client.submit(envelope), anna)
    wait_for(lambda: reader.state(found) == "active", "the statement itself arrives")
    assert reader.decision(sha256=item.sha256) == "hold"
    assert found not in reasons(reader, liar.name)


def test_statements_that_nobody_vouches_for_do_not_crowd_out_a_later_cure(
    reader: Node, lines: Lines
) -> None:
    stranger = SigningKey.generate(KeyUse.STATEMENT)
    with pinned_liar(reader, lines) as noisy, pinned_liar(reader, lines) as late:
        noisy.append(*(sign_statement(media_flag(issuer=HOTLINE), stranger) for _ in range(100)))
        wait_for(lambda: len(reasons(reader, noisy.name)) == 100, "the noise is set aside")
        # Its flag stands before the accreditation that makes it believed.
        flagger = f"{late.name}/cora"
        item = new_item()
        (flag,) = late.append(media_flag(item, issuer=flagger))
        wait_for(lambda: flag in reasons(reader, late.name), "the flag is set aside")
        late.append(accreditation(flagger))
        wait_for(lambda: reader.state(flag) == "active", "the flag is believed after all")
        assert reader.decision(sha256=item.sha256) == "review"


def accreditation(flagger: str) -> Any:
    now = int(time.time())
    return accredit(
        flagger,
        **header(flagger.partition("/")[0]),
        not_before=format_time(now - DAY_S),
        not_after=format_time(now + DAY_S),
    )


def test_a_log_that_shrinks_is_noted_and_both_checkpoints_are_kept(
    reader: Node, liar: Liar
) -> None:
    ids = liar.append(*(media_flag(issuer=liar.name) for _ in range(3)))
    wait_for(lambda: reader.state(ids[-1]) == "active", "the log is taken over")
    before = liar.note()
    log = list(liar.log)
    liar.rewind(2)
    wait_for(lambda: bool(evidence(reader, liar.name)), "the evidence is kept")
    (message, kept) = evidence(reader, liar.name)[0]
    assert message == "The peer's log has shrunk."
    assert before in kept
    assert liar.note() in kept
    assert reader.peer(liar.name)["problem"] == "The peer's log has shrunk."
    # It may be an old checkpoint that somebody else shows: nothing is held against the peer.
    assert reader.peer(liar.name)["state"] == "active"
    liar.log = log
    (flag,) = liar.append(media_flag(issuer=liar.name))
    wait_for(lambda: reader.state(flag) == "active", "the log is believed as it grew")


def test_two_logs_of_one_size_freeze_the_peer(reader: Node, liar: Liar) -> None:
    ids = liar.append(*(media_flag(issuer=liar.name) for _ in range(3)))
    wait_for(lambda: reader.state(ids[-1]) == "active", "the log is taken over")
    before = liar.note()
    liar.equivocate()
    wait_for(lambda: reader.peer(liar.name)["state"] == "frozen", "the peer is frozen")
    ((message, kept), *more) = evidence(reader, liar.name)
    assert message == "The peer signed two logs of one size."
    document = parse_evidence(kept)
    assert document.notes == (before.decode(), liar.note().decode())
    assert "two different logs of 3 entries" in verify_evidence(document).sentence
    # Once is enough: the same evidence is not kept again and again.
    assert not more


def test_a_frozen_peer_is_refused_when_it_asks(reader: Node, liar: Liar) -> None:
    key = make_key(KeyUse.REQUEST, liar.name)
    assert reader.talk(lambda client: client.checkpoint(), key)
    reader.administer("POST", f"/v1/admin/peers/{liar.name}/freeze")
    with pytest.raises(PeerRefusedError, match=r"refused \(401\)"):
        reader.talk(lambda client: client.checkpoint(), key)


@pytest.mark.parametrize("manner", ["stall", "flood", "cut"])
def test_a_peer_that_stalls_floods_or_breaks_off_does_not_hold_up_the_others(
    pair: tuple[Node, Node, SigningKey], lines: Lines, manner: Manner
) -> None:
    hotline, reader, anna = pair
    with pinned_liar(reader, lines, manner) as bad:
        wait_for(lambda: bad.asked > 0, "the bad peer is asked")
        item = new_item()
        start = time.monotonic()
        hotline.submit(media_flag(item), anna)
        wait_for(lambda: reader.decision(sha256=item.sha256) == "hold", "the honest flag arrives")
        print(f"beside a peer that would {manner}: {time.monotonic() - start:.2f} s")
        wait_for(lambda: reader.peer(bad.name)["problem"] is not None, "the failure is noted")
        assert reader.peer(bad.name)["problem"] in (
            "The peer took too long to answer.",
            "The peer cannot be reached, or broke off.",
            "The answer is longer than 65536 bytes.",
        )
        # It may be a failure of the line: the peer is asked again, and nothing is held against it.
        assert reader.peer(bad.name)["state"] == "active"
        asked = bad.asked
        bad.manner = "whole"
        (flag,) = bad.append(media_flag(issuer=bad.name))
        wait_for(lambda: reader.state(flag) == "active", "it is taken over once it behaves")
        assert bad.asked > asked
        wait_for(lambda: reader.peer(bad.name)["problem"] is None, "the problem is over")


def test_a_peer_that_speaks_of_what_it_was_not_asked_is_not_believed(
    reader: Node, liar: Liar
) -> None:
    liar.flood = 3
    (flag,) = liar.append(media_flag(issuer=liar.name))
    wait_for(lambda: bool(reader.peer(liar.name)["problem"]), "the failure is noted")
    assert "was asked for 1 from 0 on" in reader.peer(liar.name)["problem"]
    liar.flood = 0
    wait_for(lambda: reader.state(flag) == "active", "the next sync takes it")


def test_a_peer_that_serves_other_bytes_than_its_log_commits_to_is_not_believed(
    reader: Node, liar: Liar
) -> None:
    (flag,) = liar.append(media_flag(issuer=liar.name))
    other = liar.sign(media_flag(issuer=liar.name)).decode()
    liar.lies[StatementId(flag)] = EnvelopeAnswer(id=flag, state="present", envelope=other)
    wait_for(lambda: bool(evidence(reader, liar.name)), "the evidence is kept")
    assert evidence(reader, liar.name)[0][0] == (
        "The peer served other bytes than its log commits to."
    )
    # Nobody signed that answer: it may have been changed under way.
    assert reader.peer(liar.name)["state"] == "active"
    del liar.lies[StatementId(flag)]
    wait_for(lambda: reader.state(flag) == "active", "the next sync takes it")
