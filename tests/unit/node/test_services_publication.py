"""What is published: a statement is once enough witnesses have cosigned a checkpoint over it."""

from pathlib import Path

import pytest

from desks import Desk
from node.services.flags import Flags
from node.services.publication import (
    MAX_WITNESSES,
    Publication,
    PublicationState,
    read_witness_policy,
)
from protocol.checkpoint import NoteSignature, format_vkey, parse_note
from protocol.errors import NotFoundError, SettingsError
from protocol.witness_policy import WitnessPolicy, parse_witness_policy
from signing.cosignatures import cosign, verify_cosignatures, witness_name, witness_note_key
from signing.keys import KeyUse, SigningKey
from simulator import NOW, make_key, media_flag
from worlds import ANNA

NAMES = ("a.example", "b.example", "c.example")


def policy_of(*names: str, quorum: str = "2") -> WitnessPolicy:
    lines = [
        f"witness {name} {format_vkey(witness_note_key(name, _key(name).public))}" for name in names
    ]
    lines += [f"group all-of-them {quorum} {' '.join(names)}", "quorum all-of-them", ""]
    return parse_witness_policy("\n".join(lines).encode())


def _key(name: str) -> SigningKey:
    return make_key(KeyUse.WITNESS, name)


def line(note: bytes, name: str) -> NoteSignature:
    return cosign(parse_note(note).text, _key(name), name=witness_name(name), now=NOW)


@pytest.fixture
def publication(either_desk: Desk) -> Publication:
    world = either_desk.world
    return Publication(world.store, world.log, policy_of(*NAMES), clock=either_desk.clock)


def test_without_a_policy_nobody_is_asked(desk: Desk) -> None:
    publication = Publication(desk.world.store, desk.world.log, None, clock=desk.clock)
    assert publication.begin() is None
    assert publication.state() == PublicationState(is_asked=False, size=0, asked_size=0, missing=0)
    assert publication.state().of(0) == ("not-asked", 0)
    with pytest.raises(NotFoundError):
        publication.published()


def test_a_log_is_published_once_the_quorum_has_cosigned(
    either_desk: Desk, publication: Publication
) -> None:
    log = either_desk.world.log
    size = log.size()
    begun = publication.begin()
    assert begun is not None
    assert (begun.size, len(begun.waiting), begun.is_met) == (size, 3, False)
    assert publication.state().of(0) == ("pending", 2)
    assert not publication.add(size, [line(begun.note, "a.example")])
    assert publication.state() == PublicationState(
        is_asked=True, size=0, asked_size=size, missing=1
    )
    with pytest.raises(NotFoundError):
        publication.published()
    assert publication.add(size, [line(begun.note, "c.example")])
    assert publication.state().of(size - 1) == ("published", 0)
    assert publication.state().of(size) == ("pending", 1)
    note = parse_note(publication.published())
    assert len(verify_cosignatures(note, policy_of(*NAMES).keys)) == 2
    assert log.checkpoint() == publication.published(), "what readers are served carries them"
    assert not publication.add(size, [line(begun.note, "b.example")]), "published only once"
    assert len(parse_note(log.checkpoint()).signatures) == 4
    after = publication.begin()
    assert after is not None
    assert after.waiting == ()


def test_what_is_published_stays_so_while_the_log_grows(
    either_desk: Desk, publication: Publication
) -> None:
    begun = publication.begin()
    assert begun is not None
    for name in NAMES:
        publication.add(begun.size, [line(begun.note, name)])
    before = publication.published()
    either_desk.world.submit(media_flag(ANNA, 900))
    assert len(parse_note(either_desk.world.log.checkpoint()).signatures) == 1
    grown = publication.begin()
    assert grown is not None
    assert (grown.size, len(grown.waiting)) == (begun.size + 1, 3)
    assert publication.published() == before
    assert publication.state() == PublicationState(
        is_asked=True, size=begun.size, asked_size=grown.size, missing=2
    )
    late = line(begun.note, "a.example")
    assert not publication.add(begun.size, [late]), "of the checkpoint before"
    assert publication.begin() == grown


def test_the_same_cosignature_counts_once(publication: Publication) -> None:
    begun = publication.begin()
    assert begun is not None
    for _ in range(2):
        assert not publication.add(begun.size, [line(begun.note, "a.example")])
    again = publication.begin()
    assert again is not None
    assert len(parse_note(again.note).signatures) == 2


def test_a_statement_says_whether_it_is_published(either_desk: Desk) -> None:
    world = either_desk.world
    publication = Publication(world.store, world.log, policy_of(*NAMES), clock=either_desk.clock)
    flags = Flags(
        world.store,
        either_desk.author,
        either_desk.audit,
        name=world.name,
        clock=either_desk.clock,
        publication=publication,
    )
    receipt = world.submit(media_flag(ANNA, 901))

    def said() -> tuple[str, int]:
        (one,) = [s for s in flags.statuses(ANNA).statements if s.id == receipt.id]
        assert flags.status(receipt.id) == one
        return one.published, one.missing

    assert said() == ("pending", 2)
    begun = publication.begin()
    assert begun is not None
    publication.add(begun.size, [line(begun.note, "a.example")])
    assert said() == ("pending", 1)
    publication.add(begun.size, [line(begun.note, "b.example")])
    assert said() == ("published", 0)
    assert either_desk.flags.status(receipt.id).published == "not-asked"


def test_a_policy_that_asks_nobody_publishes_nothing_by_itself(desk: Desk) -> None:
    policy = parse_witness_policy(b"quorum none\n")
    publication = Publication(desk.world.store, desk.world.log, policy, clock=desk.clock)
    assert publication.begin() is None


def test_a_policy_file_is_read_strictly_or_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "witness-policy.txt"
    assert read_witness_policy(path) is None
    path.write_bytes(b"quorum none\n")
    assert read_witness_policy(path) is not None
    path.write_bytes(b"quorum somebody\n")
    with pytest.raises(SettingsError, match=r"witness-policy\.txt: line 1: "):
        read_witness_policy(path)
    many = [f"w{number}.example" for number in range(MAX_WITNESSES + 1)]
    lines = [
        f"witness {name} {format_vkey(witness_note_key(name, _key(name).public))}\n"
        for name in many
    ]
    path.write_text("".join(lines) + "quorum none\n")
    with pytest.raises(SettingsError, match="at most 14 witnesses"):
        read_witness_policy(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_witness_policy(path)
