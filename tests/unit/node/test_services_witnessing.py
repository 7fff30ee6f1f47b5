"""This node as a witness: it never cosigns two histories of one log, whoever asks, and when."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DatabaseError

from desks import Desk, open_desk
from federation.evidence import verify_evidence
from node.services import pace, witnessing
from node.services.witnessing import Cosigned, OtherSize
from protocol.checkpoint import (
    Checkpoint,
    Note,
    format_note,
    parse_checkpoint,
    parse_note,
    parse_signature_lines,
)
from protocol.errors import (
    BadSignatureError,
    InvalidError,
    MalformedError,
    NotFoundError,
    ProofError,
    RateLimitedError,
    UnavailableError,
    UnknownKeyError,
)
from protocol.evidence import parse_evidence
from protocol.merkle import EMPTY_ROOT, Frontier, consistency_proof, leaf_hash
from protocol.witnessing import AddCheckpoint
from signing.cosignatures import cosign, verify_cosignatures, witness_name, witness_note_key
from signing.keys import KeyUse, SigningKey
from signing.notes import sign_checkpoint
from simulator import NOW, make_key
from worlds import HOTLINE, PLATFORM

ORIGIN = f"{PLATFORM}/log/1"
KEY = make_key(KeyUse.LOG, PLATFORM)


def entries(count: int, *, fork: int | None = None) -> list[bytes]:
    """The entries of the platform's log; those from `fork` on differ from the true ones."""
    return [
        hashlib.sha256(f"{number}{fork is not None and number >= fork}".encode()).digest()
        for number in range(count)
    ]


def checkpoint(size: int, *, fork: int | None = None, key: SigningKey = KEY) -> bytes:
    root = Frontier.EMPTY.append(entries(size, fork=fork)).root()
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), key)


def request(old: int, new: int, *, fork: int | None = None) -> AddCheckpoint:
    leaves = [leaf_hash(one) for one in entries(new, fork=fork)]
    proof = consistency_proof(leaves, old) if old else ()
    return AddCheckpoint(old, tuple(proof), checkpoint(new, fork=fork))


def ask(desk: Desk, asked: AddCheckpoint) -> Cosigned | OtherSize:
    return desk.witness.add_checkpoint(asked, caller=PLATFORM)


def state_of(desk: Desk) -> str:
    return desk.peers.get(PLATFORM).state


def test_a_log_that_grows_is_cosigned_each_time(either_desk: Desk) -> None:
    keys = (witness_note_key(HOTLINE, either_desk.keys.witness.public),)
    for old, new in ((0, 3), (3, 3), (3, 8), (8, 21)):
        answer = ask(either_desk, request(old, new))
        assert isinstance(answer, Cosigned)
        signed = parse_note(checkpoint(new))
        whole = Note(signed.text, (*signed.signatures, *parse_signature_lines(answer.lines)))
        assert verify_cosignatures(whole, keys) == {keys[0]: NOW}
        digest = hashlib.sha256(ORIGIN.encode()).hexdigest()
        assert either_desk.witness.latest(digest) == format_note(whole)


def test_who_is_behind_learns_the_size(desk: Desk) -> None:
    ask(desk, request(0, 5))
    assert ask(desk, request(0, 9)) == OtherSize(5)
    assert ask(desk, request(4, 9)) == OtherSize(5)
    assert ask(desk, request(6, 9)) == OtherSize(5)
    assert ask(desk, request(0, 4)) == OtherSize(5), "also where it would have to go back"


def test_another_root_of_the_same_size_is_kept_as_evidence_and_freezes_the_log(
    either_desk: Desk,
) -> None:
    ask(either_desk, request(0, 5))
    with pytest.raises(ProofError, match="another root"):
        ask(either_desk, replace(request(0, 5, fork=2), old_size=5))
    assert state_of(either_desk) == "frozen"
    with either_desk.world.store.read() as transaction:
        (document,) = transaction.evidence.documents(PLATFORM)
    shown = verify_evidence(parse_evidence(document))
    assert shown.sentence == "it has signed two different logs of 5 entries"
    with pytest.raises(NotFoundError):
        ask(either_desk, request(5, 9))


def test_only_the_log_itself_brings_a_fork_again_that_the_operator_has_judged(desk: Desk) -> None:
    ask(desk, request(0, 5))
    forked = replace(request(0, 5, fork=2), old_size=5)
    for caller, expected in ((PLATFORM, "frozen"), ("third.example", "active")):
        with pytest.raises(ProofError, match="another root"):
            desk.witness.add_checkpoint(forked, caller=caller)
        assert state_of(desk) == expected
        desk.peers.thaw(PLATFORM)
    with pytest.raises(ProofError, match="another root"):
        ask(desk, forked)
    assert state_of(desk) == "frozen"


def test_a_contradiction_is_seen_whatever_size_the_caller_says_is_known(desk: Desk) -> None:
    ask(desk, request(0, 5))
    with pytest.raises(ProofError, match="another root"):
        ask(desk, request(0, 5, fork=2))
    assert state_of(desk) == "frozen"


def test_a_checkpoint_that_does_not_extend_the_cosigned_one_is_not_cosigned(desk: Desk) -> None:
    ask(desk, request(0, 5))
    before = desk.world.contents()["witnessed"]
    with pytest.raises(ProofError):
        ask(desk, request(5, 9, fork=2))
    with pytest.raises(ProofError):
        ask(desk, replace(request(5, 9), proof=()))
    with pytest.raises(ProofError):
        ask(desk, replace(request(5, 9), proof=request(4, 9).proof))
    assert desk.world.contents()["witnessed"] == before
    assert isinstance(ask(desk, request(5, 9)), Cosigned)


def test_from_nothing_there_is_no_proof(desk: Desk) -> None:
    with pytest.raises(ProofError, match="size 0"):
        ask(desk, replace(request(0, 5), proof=(bytes(32),)))


def test_the_empty_log_has_its_own_root(desk: Desk) -> None:
    wrong = sign_checkpoint(Checkpoint(ORIGIN, 0, bytes(32)), KEY)
    with pytest.raises(ProofError, match="empty log"):
        ask(desk, AddCheckpoint(0, (), wrong))
    right = sign_checkpoint(Checkpoint(ORIGIN, 0, EMPTY_ROOT), KEY)
    assert isinstance(ask(desk, AddCheckpoint(0, (), right)), Cosigned)
    assert isinstance(ask(desk, request(0, 2)), Cosigned)


def test_an_old_size_beyond_the_new_one_is_refused(desk: Desk) -> None:
    with pytest.raises(InvalidError, match="greater"):
        ask(desk, AddCheckpoint(6, (), checkpoint(5)))


@pytest.mark.parametrize("origin", [f"{PLATFORM}/log/2", "stranger.example/log/1", HOTLINE, "x"])
def test_nobody_else_has_a_log_that_is_witnessed(desk: Desk, origin: str) -> None:
    note = sign_checkpoint(Checkpoint(origin, 1, bytes(32)), KEY)
    with pytest.raises(NotFoundError):
        ask(desk, AddCheckpoint(0, (), note))


def test_a_frozen_node_or_one_whose_descriptor_ended_has_no_witness(desk: Desk) -> None:
    desk.peers.freeze(PLATFORM)
    with pytest.raises(NotFoundError):
        ask(desk, request(0, 5))
    desk.peers.thaw(PLATFORM)
    desk.world.clock.now += 10 * 366 * 86_400
    with pytest.raises(NotFoundError):
        ask(desk, request(0, 5))


def test_a_checkpoint_that_its_log_has_not_signed_is_refused(desk: Desk) -> None:
    stranger = SigningKey.generate(KeyUse.LOG)
    with pytest.raises(UnknownKeyError):
        ask(desk, AddCheckpoint(0, (), checkpoint(5, key=stranger)))
    note = parse_note(checkpoint(5))
    forged = replace(note, text=note.text.replace("\n5\n", "\n6\n"))
    with pytest.raises(BadSignatureError):
        ask(desk, AddCheckpoint(0, (), format_note(forged)))
    with pytest.raises(MalformedError, match="two signatures"):
        ask(desk, AddCheckpoint(0, (), format_note(replace(note, signatures=note.signatures * 2))))


def test_what_strangers_put_on_a_note_is_not_kept(desk: Desk) -> None:
    note = parse_note(checkpoint(5))
    other = cosign(
        note.text, SigningKey.generate(KeyUse.WITNESS), name=witness_name("x.example"), now=NOW
    )
    more = replace(note, signatures=(other, *note.signatures))
    ask(desk, AddCheckpoint(0, (), format_note(more)))
    kept = parse_note(desk.witness.latest(hashlib.sha256(ORIGIN.encode()).hexdigest()))
    assert [one.name for one in kept.signatures] == [ORIGIN, witness_name(HOTLINE)]


def test_a_witness_that_starts_anew_remembers(database_url: str, tmp_path: Path) -> None:
    with open_desk(database_url, tmp_path / "home") as desk:
        ask(desk, request(0, 5))
    with open_desk(database_url, tmp_path / "home") as desk:
        assert ask(desk, request(0, 9)) == OtherSize(5)
        with pytest.raises(ProofError):
            ask(desk, request(5, 9, fork=2))


def test_nothing_is_answered_that_was_not_stored(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise UnavailableError("The disk is full.")

    repository = "node.storage.witnesses.WitnessRepository.put_witnessed"
    with monkeypatch.context() as broken:
        broken.setattr(repository, fail)
        with pytest.raises(UnavailableError):
            ask(desk, request(0, 5))
    assert isinstance(ask(desk, request(0, 7, fork=3)), Cosigned), "nothing was said before"


def test_of_two_successors_that_race_only_one_is_ever_cosigned(either_desk: Desk) -> None:
    true, false = request(0, 9), request(0, 9, fork=4)
    longer = [request(0, 10 + number, fork=5 + number) for number in range(6)]
    rivals = [true, false, *longer]
    witnesses = [either_desk.witness] * 4

    def submit(number: int) -> bytes | None:
        asked = rivals[number % len(rivals)]
        try:
            answer = witnesses[number % 4].add_checkpoint(asked, caller=PLATFORM)
        except (ProofError, NotFoundError):
            return None
        return asked.note if isinstance(answer, Cosigned) else None

    with ThreadPoolExecutor(8) as pool:
        cosigned = {note for note in pool.map(submit, range(48)) if note is not None}
    assert len(cosigned) == 1
    (note,) = cosigned
    digest = hashlib.sha256(ORIGIN.encode()).hexdigest()
    kept = either_desk.witness.latest(digest)
    assert parse_checkpoint(parse_note(kept).text) == parse_checkpoint(parse_note(note).text)


def test_one_caller_cannot_keep_the_witness_busy(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace.time, "monotonic", lambda: 1_000.0)
    for _ in range(witnessing.MAX_PER_MINUTE):
        ask(desk, request(0, 1)) if not _ else ask(desk, request(1, 1))
    with pytest.raises(RateLimitedError) as caught:
        ask(desk, request(1, 1))
    assert caught.value.retry_after_s == 1
    assert isinstance(desk.witness.add_checkpoint(request(1, 1), caller="other.example"), Cosigned)
    monkeypatch.setattr(pace.time, "monotonic", lambda: 1_001.0)
    ask(desk, request(1, 1))


def test_what_was_never_cosigned_is_not_served(desk: Desk) -> None:
    with pytest.raises(NotFoundError):
        desk.witness.latest("00" * 32)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE witnessed SET size = 4",
        "UPDATE witnessed SET origin = 'other.example/log/1'",
        "DELETE FROM witnessed",
    ],
)
def test_the_schema_itself_lets_no_witness_go_back(
    either_desk: Desk, database_url: str, statement: str
) -> None:
    ask(either_desk, request(0, 5))
    engine = create_engine(database_url)
    with pytest.raises(DatabaseError, match="never goes back"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
