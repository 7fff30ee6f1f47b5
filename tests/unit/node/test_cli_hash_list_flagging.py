"""A list is judged before anything is sent, and a row of it is flagged once whatever breaks."""

import os
from types import SimpleNamespace

import pytest

from node.cli import hash_list_flagging as module
from node.cli.hash_list_flagging import judge, send, settle
from node.cli.list_state import ListState
from node.cli.sending import FlaggerSender
from node.cli.sheet import Finding
from protocol.envelope import parse_envelope
from protocol.errors import ConflictError, PeerRefusedError, PeerUnreachableError
from protocol.kinds import parse_statement
from protocol.limits import MAX_SUBMISSION_AGE_S
from protocol.messages import Receipt
from signing.keys import KeyUse
from simulator import NOW, make_key
from worlds import ANNA, items

FINDING = Finding("csam.act.prepub", 2, "removal", "dsa-art-22", 365)
ABOUT = "ab" * 32


class FakeNode:
    """Takes statements in as a node does: the same envelope again is the same statement."""

    def __init__(self):
        self.taken = {}
        self.fails = None
        self.is_lost = False

    def submit(self, _flagger, envelopes):
        for data in envelopes:
            if self.fails is not None:
                raise self.fails
            envelope = parse_envelope(data)
            known = envelope.statement_id in self.taken
            self.taken.setdefault(envelope.statement_id, envelope)
            if self.is_lost:
                raise PeerUnreachableError("The answer is lost.")
            place = list(self.taken).index(envelope.statement_id)
            yield Receipt(id=envelope.statement_id, index=place, duplicate=known)

    def items(self):
        return [
            item
            for one in self.taken.values()
            for item in parse_statement(one.kind, one.payload).items
        ]


@pytest.fixture
def stage(tmp_path, monkeypatch):
    node = FakeNode()
    monkeypatch.setattr(module, "submit", node.submit)
    flagger = SimpleNamespace(name=ANNA, key=make_key(KeyUse.FLAGGER, ANNA), node="http://x")
    sender = FlaggerSender(flagger, FINDING, key_file=tmp_path / "anna.key")
    path = tmp_path / "list.csv"

    def run(*, about=ABOUT, strict=False):
        state = ListState(tmp_path / "list.csv.state", flagger=ANNA)
        again = settle(state, sender, clock=lambda: NOW)
        judged = judge(path, state, about, strict=strict)
        sent = list(send(path, judged, state, sender, about, clock=lambda: NOW))
        return judged, [again, *sent] if again else sent

    return SimpleNamespace(node=node, path=path, run=run, state=tmp_path / "list.csv.state")


def write(path, wanted, more=""):
    lines = [f"{one.pdq},{one.quality},{one.sha256},{one.md5}" for one in wanted]
    path.write_text("pdq,quality,sha256,md5\n" + "\n".join(lines) + "\n" + more)


def test_a_list_goes_in_statements_of_a_thousand_and_once_only(stage):
    write(stage.path, items(2_100))
    _, sent = stage.run()
    assert [(one.batch.first, one.batch.last, one.batch.items) for one in sent] == [
        (2, 1001, 1000), (1002, 2001, 1000), (2002, 2101, 100),
    ]  # fmt: skip
    assert [one.sha256 for one in stage.node.items()] == [one.sha256 for one in items(2_100)]
    judged, sent = stage.run()
    assert (sent, judged.counts["sent_before"], len(stage.node.taken)) == ([], 2_100, 3)


def test_an_answer_that_was_lost_flags_nothing_twice(stage):
    write(stage.path, items(1_200))
    stage.node.is_lost = True
    with pytest.raises(PeerUnreachableError):
        stage.run()
    stage.node.is_lost = False
    _, sent = stage.run()
    assert [one.batch.items for one in sent] == [1_000, 200]
    assert len(stage.node.items()) == 1_200


def test_a_crash_while_the_receipt_is_written_flags_nothing_twice(stage, monkeypatch):
    write(stage.path, items(1_200))

    def crash(_state, _done):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ListState, "acknowledge", crash)
        with pytest.raises(KeyboardInterrupt):
            stage.run()
    with stage.state.open("ab") as file:
        file.write(b'{"batch": {"in')  # as a failure of power leaves it
    stage.run()
    assert len(stage.node.items()) == 1_200


def test_what_was_signed_too_long_ago_is_signed_anew_once_the_node_refuses_it(stage, tmp_path):
    write(stage.path, items(3))
    stage.node.fails = PeerUnreachableError("Nobody answers.")
    with pytest.raises(PeerUnreachableError):
        stage.run()
    stage.node.fails = PeerRefusedError("The statement was signed more than a day ago.", status=422)
    pending = tmp_path / "list.csv.state.pending"
    os.utime(pending, (NOW, NOW))
    with pytest.raises(PeerRefusedError):
        stage.run()
    os.utime(pending, (NOW - MAX_SUBMISSION_AGE_S, NOW - MAX_SUBMISSION_AGE_S))
    state = ListState(stage.state, flagger=ANNA)
    sender = SimpleNamespace(flagger=None)
    assert settle(state, sender, clock=lambda: NOW) is None
    stage.node.fails = None
    stage.run()
    assert len(stage.node.items()) == 3


def test_repeats_and_unfit_pdqs_are_named_by_line_and_sent_as_far_as_they_say_something(stage):
    first, second, third, *_ = items(4)
    more = f"{first.pdq},90,,\n{second.pdq},90,{third.sha256[::-1]},\n,,{first.sha256},\n"
    more += f"{'00' * 32},90,,\n{third.pdq[::-1]},49,,{'ab' * 16}\n,,,\n"
    write(stage.path, items(3), more)
    judged, _ = stage.run()
    assert [(one.line, one.word, one.sentence) for one in judged.remarks] == [
        (5, "left out", "it has the same pdq as line 2"),
        (6, "exact only", "it has the same pdq as line 3: only exact copies will be found"),
        (7, "left out", "it names the same file as line 2"),
        (8, "left out", "its pdq is that of a nearly constant picture"),
        (9, "exact only", "the quality of its pdq is below 50: only exact copies will be found"),
        (10, "bad", "it has no media hash"),
    ]
    assert [(one.pdq is None, one.md5 is None) for one in stage.node.items()[3:]] == [
        (True, True), (True, False),
    ]  # fmt: skip
    assert judged.counts == {
        "rows": 9, "to_send": 5, "exact_only": 2, "left_out": 3, "bad": 1,
    }  # fmt: skip


def test_what_another_list_of_the_same_state_named_is_left_out(stage):
    write(stage.path, items(3))
    stage.run()
    write(stage.path, items(5))
    judged, _ = stage.run()
    assert [one.sentence for one in judged.remarks] == [
        "it names the same file as one that was sent before"
    ] * 3
    assert len(stage.node.items()) == 5


def test_strict_leaves_out_what_only_exact_copies_would_find(stage):
    (first,) = items(1)
    write(stage.path, items(1), f"{first.pdq},90,{'ab' * 32},\n")
    judged, _ = stage.run(strict=True)
    assert [(one.line, one.word) for one in judged.remarks] == [(3, "left out")]


def test_a_list_that_was_begun_otherwise_or_by_another_is_refused(stage):
    write(stage.path, items(3))
    stage.run()
    with pytest.raises(ConflictError, match="another category"):
        stage.run(about="cd" * 32)
    with pytest.raises(ConflictError, match="another flagger"):
        ListState(stage.state, flagger="other.example/x")
    stage.state.write_text("{}\n")
    with pytest.raises(ConflictError, match="not the state of a list"):
        ListState(stage.state, flagger=ANNA)


def test_a_list_that_changes_between_the_check_and_the_sending_is_not_sent(stage):
    write(stage.path, items(3))
    state = ListState(stage.state, flagger=ANNA)
    judged = judge(stage.path, state, ABOUT, strict=False)
    write(stage.path, items(4))
    with pytest.raises(ConflictError, match="it has changed"):
        next(send(stage.path, judged, state, None, ABOUT))


def test_the_state_is_its_owners_alone_and_holds_no_media_hash(stage):
    write(stage.path, items(3))
    stage.run()
    assert stage.state.stat().st_mode & 0o777 == 0o600
    assert items(1)[0].pdq not in stage.state.read_text()
