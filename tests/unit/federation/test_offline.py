"""Statements, receipts and cosignatures, believed or not with nothing but files."""

from dataclasses import replace

import pytest

from federation.descriptors import StatementKey
from federation.offline import (
    FileDirectory,
    FileNode,
    check_policy,
    cosigners,
    node_of,
    read_nodes,
    verify_receipt,
    verify_with_key,
)
from federation.trust import verify_statement
from protocol.checkpoint import Checkpoint, Note, format_note, format_vkey, parse_note
from protocol.encoding import to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import (
    BadSignatureError,
    MalformedError,
    ProofError,
    QuorumError,
    RevokedError,
    SigningError,
    UnknownKeyError,
    UnknownTargetError,
)
from protocol.kinds import KINDS
from protocol.merkle import Frontier, inclusion_proof, leaf_hash
from protocol.receipts import LogProof
from protocol.witness_policy import parse_witness_policy
from signing.cosignatures import cosign, witness_name, witness_note_key
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from simulator import DAY_S, NOW, Peer, accredit, make_key, media_flag
from successions import Chain
from worlds import dispute, feedback, resolve, retract

HOTLINE, PLATFORM, ANNA = "hotline.example", "platform.example", "hotline.example/anna"
PEERS = {name: Peer(name) for name in (HOTLINE, PLATFORM)}
NODES = read_nodes(peer.descriptor_envelope for peer in PEERS.values())
FLAG = media_flag(ANNA, 7)
ANNA_KEY = make_key(KeyUse.FLAGGER, ANNA)
ENVELOPE = sign_statement(FLAG, ANNA_KEY)
ID = parse_envelope(ENVELOPE).statement_id
ACCREDIT = PEERS[HOTLINE].sign(accredit(ANNA, 1))


def with_witness_key(one: FileNode) -> FileNode:
    key = make_key(KeyUse.WITNESS, one.node.name).public
    keys = (StatementKey(key, NOW - DAY_S, NOW + DAY_S),)
    return replace(one, node=replace(one.node, witness_keys=keys))


WITNESSES = [with_witness_key(one) for one in NODES.values()]


def directory(*known: bytes) -> FileDirectory:
    made = FileDirectory(NODES)
    made.learn(known, now=NOW)
    return made


def test_a_descriptor_gives_the_node_and_its_fingerprint():
    assert set(NODES) == {HOTLINE, PLATFORM}
    found = NODES[HOTLINE]
    assert found.node.fingerprint == PEERS[HOTLINE].pinned().fingerprint
    assert (found.version, found.log_keys) == (1, (make_key(KeyUse.LOG, HOTLINE).public,))


def test_a_descriptor_that_was_changed_is_refused():
    data = PEERS[HOTLINE].descriptor_envelope
    other = parse_envelope(PEERS[PLATFORM].descriptor_envelope)
    with pytest.raises(BadSignatureError, match="does not fit"):
        read_nodes([data.replace(data.split(b'"sig":"')[1][:8], b"AAAAAAAA")])
    assert other.statement_id != parse_envelope(data).statement_id
    with pytest.raises(MalformedError, match="there twice"):
        read_nodes([data, data])


def test_a_flag_is_believed_with_its_flaggers_accreditation():
    trusted = verify_statement(ENVELOPE, directory(ACCREDIT), now=NOW)
    assert (trusted.verified.id, trusted.organisation) == (ID, HOTLINE)


def test_a_flag_without_anybodys_word_for_the_key_is_not_believed():
    with pytest.raises(UnknownKeyError, match="no key that may speak"):
        verify_statement(ENVELOPE, directory(), now=NOW)


def test_the_latest_accreditation_of_a_key_counts():
    ended = PEERS[HOTLINE].sign(
        accredit(ANNA, 2, status="suspended", issued="2026-11-22T10:00:01Z")
    )
    for known in ((ACCREDIT, ended), (ended, ACCREDIT)):
        with pytest.raises(RevokedError, match="suspended"):
            verify_statement(ENVELOPE, directory(*known), now=NOW)


def test_what_points_at_another_statement_needs_that_one_whatever_the_order():
    taken_back = PEERS[HOTLINE].sign(retract(ID))
    with pytest.raises(UnknownTargetError, match="not known here"):
        verify_statement(taken_back, directory(ACCREDIT), now=NOW)
    trusted = verify_statement(taken_back, directory(ENVELOPE, ACCREDIT), now=NOW)
    assert trusted.verified.statement.target == ID


def test_disputes_their_answers_and_feedback_are_believed_of_who_may_read():
    disputed = PEERS[PLATFORM].sign(dispute(ID))
    dispute_id = parse_envelope(disputed).statement_id
    known = directory(ENVELOPE, disputed, ACCREDIT)
    answer = PEERS[HOTLINE].sign(resolve(ID, dispute_id, "upheld"))
    counts = PEERS[PLATFORM].sign(feedback(ID))
    for one in (answer, counts):
        verify_statement(one, known, now=NOW)
    secret = sign_statement(media_flag(ANNA, 9, audience=("node:other.example",)), ANNA_KEY)
    known.learn([secret], now=NOW)
    secret_id = parse_envelope(secret).statement_id
    with pytest.raises(RevokedError, match="not addressed to it"):
        verify_statement(PEERS[PLATFORM].sign(dispute(secret_id)), known, now=NOW)
    assert not known.may_read(PLATFORM, parse_envelope(disputed).statement_id[::-1])
    assert known.circle_version("hotline.example/none", 1) is None


def test_one_bad_statement_among_those_that_others_rest_on_is_told():
    with pytest.raises(UnknownKeyError, match="no key that may speak"):
        directory(ENVELOPE)


def test_a_card_vouches_for_a_signature_and_nothing_else():
    found = verify_with_key(ENVELOPE, issuer=ANNA, key=ANNA_KEY.public, kinds=KINDS)
    assert found.id == ID
    other = make_key(KeyUse.FLAGGER, "hotline.example/ben").public
    for issuer, key in ((ANNA, other), ("hotline.example/ben", ANNA_KEY.public)):
        with pytest.raises(UnknownKeyError, match="no key that may speak"):
            verify_with_key(ENVELOPE, issuer=issuer, key=key, kinds=KINDS)


def note(*names: str, at: int = NOW) -> bytes:
    entries = [bytes.fromhex(ID)]
    frontier = Frontier.EMPTY.append(entries)
    checkpoint = Checkpoint(f"{HOTLINE}/log/1", frontier.size, frontier.root())
    signed = parse_note(sign_checkpoint(checkpoint, make_key(KeyUse.LOG, HOTLINE)))
    lines = [
        cosign(signed.text, make_key(KeyUse.WITNESS, one), name=witness_name(one), now=at)
        for one in names
    ]
    return format_note(Note(signed.text, (*signed.signatures, *lines)))


def receipt(note_bytes: bytes) -> bytes:
    proof = inclusion_proof([leaf_hash(bytes.fromhex(ID))], 0)
    return LogProof(0, proof, note_bytes).to_bytes()


def test_a_receipt_is_believed_under_the_log_key_of_the_node_that_it_names():
    data = receipt(note(PLATFORM))
    node = node_of(note(), NODES.values())
    assert node.node.name == HOTLINE
    assert verify_receipt(data, entry=ID, node=node).checkpoint.size == 1
    with pytest.raises(ProofError, match="does not lead"):
        verify_receipt(data, entry=ID[::-1], node=node)
    with pytest.raises(UnknownKeyError, match="no signature of the log's key"):
        verify_receipt(data, entry=ID, node=NODES[PLATFORM])


def test_a_receipt_under_a_key_that_was_replaced_since_is_believed_with_all_versions():
    chain = Chain.of(PEERS[HOTLINE])
    first_key = to_base64url(make_key(KeyUse.LOG, HOTLINE).public.raw)
    chain.go_on(KeyUse.LOG)
    kept = [one for one in chain.draft(KeyUse.LOG, generation=3).keys if one.key != first_key]
    chain.go_on(KeyUse.LOG, generation=3, keys=tuple(kept))
    data = receipt(note())
    (node,) = read_nodes([chain.later[1], chain.first, chain.later[0]]).values()
    assert (node.version, len(node.log_keys)) == (3, 3)
    assert verify_receipt(data, entry=ID, node=node).checkpoint.size == 1
    with pytest.raises(MalformedError, match="not the next version"):
        read_nodes([chain.first, chain.later[1]])


def test_a_log_of_no_node_that_was_given_is_not_looked_at():
    with pytest.raises(UnknownKeyError, match="of none of the nodes"):
        node_of(note(), [NODES[PLATFORM]])


def test_cosignatures_of_the_nodes_that_were_given_are_told_with_their_time():
    assert cosigners(note(PLATFORM), WITNESSES) == {PLATFORM: NOW}
    assert cosigners(note(PLATFORM), WITNESSES[:1]) == {}
    assert cosigners(note(), WITNESSES) == {}


def test_a_cosignature_from_outside_the_validity_of_its_key_does_not_count():
    assert cosigners(note(PLATFORM, at=1), WITNESSES) == {}


def test_a_cosignature_that_does_not_hold_spoils_the_note():
    signed = parse_note(note(PLATFORM))
    own, line = signed.signatures
    broken = replace(line, raw=line.raw[:-1] + bytes([line.raw[-1] ^ 1]))
    with pytest.raises(SigningError, match="does not fit"):
        cosigners(format_note(Note(signed.text, (own, broken))), WITNESSES)


def test_a_readers_policy_says_which_cosignatures_have_to_be_there():
    lines = [
        f"witness {name[0]} {format_vkey(witness_note_key(name, make_key(KeyUse.WITNESS, name).public))}"
        for name in (HOTLINE, PLATFORM)
    ]
    policy = parse_witness_policy(
        "\n".join([*lines, "group all all h p", "quorum all", ""]).encode()
    )
    check_policy(note(HOTLINE, PLATFORM), policy)
    with pytest.raises(QuorumError, match="lacks 1 cosignatures"):
        check_policy(note(PLATFORM), policy)
    with pytest.raises(QuorumError, match="lacks 2 cosignatures"):
        check_policy(note(), policy)
