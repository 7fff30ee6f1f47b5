"""A key without a dealer: what comes of it, and every way in which somebody can spoil it."""

import itertools

import pytest

from protocol.errors import (
    BadSignatureError,
    KeygenError,
    LimitError,
    MalformedError,
    UnknownKeyError,
)
from signing.dkg import ciphersuite, messages, rounds, sessions
from signing.oprf import shares, voprf
from signing.oprf.elements import ORDER
from signing.oprf.group import default_group
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import load_group

GROUPS = [group for group in (load_group(), PyNaClGroup()) if group is not None]
G = default_group()
STATICS = [voprf.generate_key() for _ in range(5)]
LENGTH = slice(32 * 2 + 64 + 32, 32 * 2 + 64 + 32 + 8)  # of the first ciphertext, with t = 2


def seats(session_id=b"one", threshold=2, count=3):
    statics = STATICS[:count]
    session = sessions.open_session(session_id, threshold, [pair.public for pair in statics])
    return [sessions.take_seat(session, pair) for pair in statics]


def generate(places, group=None):
    """Run the whole of it among honest participants."""
    said = [rounds.commit(seat, group=group) for seat in places]
    candidates = [
        rounds.receive(seat, said, own=own, group=group)
        for seat, own in zip(places, said, strict=True)
    ]
    signatures = [
        rounds.certify(seat, candidate, group=group)
        for seat, candidate in zip(places, candidates, strict=True)
    ]
    return [
        rounds.conclude(seat, candidate, signatures, group=group)
        for seat, candidate in zip(places, candidates, strict=True)
    ]


@pytest.fixture(scope="module")
def places():
    return seats()


@pytest.fixture(scope="module")
def said(places):
    return [rounds.commit(seat) for seat in places]


@pytest.fixture(scope="module")
def candidates(places, said):
    return [rounds.receive(seat, said, own=said[seat.index - 1]) for seat in places]


def refused_by_first(places, said, culprit, match, spoiled):
    """Participant 1 receives `spoiled` in the culprit's place."""
    received = [*said[: culprit - 1], spoiled, *said[culprit:]]
    with pytest.raises(KeygenError, match=match) as caught:
        rounds.receive(places[0], received, own=said[0])
    assert caught.value.culprit == culprit


def forged(seat, *, scalars, coefficients=None, spoil_share=lambda share: share, proof=None):
    """A message of round 1 by somebody who keeps to its form and lies inside."""
    pairs = [voprf.load_key_pair(scalar) for scalar in scalars]
    ephemeral = pairs.pop()
    points = coefficients or tuple(pair.public for pair in pairs)
    statement = seat.session.context + b"".join(points) + ephemeral.public
    texts = []
    for recipient, public in enumerate(seat.session.publics, start=1):
        at = recipient.to_bytes(32, "little")
        share = G.add_scalars(G.multiply_scalars(pairs[1].private, at), pairs[0].private)
        point = G.decode_element(public)
        shared = b"".join(
            G.encode_element(G.multiply(private, point))
            for private in (ephemeral.private, seat.static.private)
        )
        channel = ciphersuite.Channel(
            ephemeral.public, seat.static.public, public, seat.session.context
        )
        texts.append(ciphersuite.seal(shared, channel, spoil_share(share)))
    proof = proof or ciphersuite.sign(pairs[0], statement, group=G)
    return messages.encode_commitment(points, proof, ephemeral.public, tuple(texts))


@pytest.fixture
def scalars():
    return [G.random_scalar() for _ in range(3)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
@pytest.mark.parametrize(("threshold", "count"), [(1, 1), (2, 2), (2, 3), (3, 5)])
def test_every_threshold_of_holders_gives_one_output_and_shares_fit(group, threshold, count):
    made = generate(seats(threshold=threshold, count=count), group)
    assert len({one.commitments for one in made}) == 1
    assert len({one.transcript_digest for one in made}) == 1
    commitments = made[0].commitments
    assert len(commitments) == threshold
    pairs = {
        index: shares.verify_share(commitments, index, one.share.private, group=group)
        for index, one in enumerate(made, start=1)
    }
    blinded = voprf.blind([b"somebody"], group=group)
    publics = {index: pair.public for index, pair in pairs.items()}
    outputs = set()
    for chosen in itertools.combinations(pairs, threshold):
        answers = {
            i: voprf.verify_evaluation(
                publics[i],
                blinded,
                voprf.evaluate(pairs[i], blinded.elements, group=group),
                group=group,
            )
            for i in chosen
        }
        outputs.update(shares.combine(blinded, answers, publics, threshold, group=group))
    assert len(outputs) == 1


def test_two_generations_never_give_the_same_key():
    assert generate(seats())[0].commitments != generate(seats())[0].commitments


def test_a_participant_who_starts_again_gets_the_same_from_the_same_bytes(places, said, candidates):
    again = rounds.receive(sessions.take_seat(places[0].session, STATICS[0]), said, own=said[0])
    assert again == candidates[0]
    assert rounds.certify(places[0], again) == rounds.certify(places[0], candidates[0])


def test_nothing_secret_is_in_a_repr(places, said, candidates):
    signatures = [rounds.certify(*pair) for pair in zip(places, candidates, strict=True)]
    made = rounds.conclude(places[0], candidates[0], signatures)
    commitment = messages.parse_commitment(said[0], threshold=2, participants=3, group=G)
    shown = repr((places[0], places[0].session, candidates[0], made, commitment))
    assert shown.count("hidden") == 5
    assert "b'" not in shown
    assert "\\x" not in shown


@pytest.mark.parametrize("threshold", [0, 4, -1, True, 1.0])
def test_a_threshold_out_of_range_opens_no_session(threshold):
    with pytest.raises(MalformedError, match="1 to the number"):
        sessions.open_session(b"", threshold, [pair.public for pair in STATICS[:3]])


def test_too_many_participants_open_no_session():
    with pytest.raises(LimitError, match="at most 32"):
        sessions.open_session(b"", 2, [STATICS[0].public] * 33)


def test_the_second_holder_of_a_static_key_is_named():
    publics = [STATICS[0].public, STATICS[1].public, STATICS[0].public]
    with pytest.raises(KeygenError, match="Participant 3: A static key is that") as caught:
        sessions.open_session(b"", 2, publics)
    assert caught.value.culprit == 3


@pytest.mark.parametrize(
    "bad",
    [bytes(32), b"\xff" * 32, b"\x01" + bytes(31), b"short", bytearray(32)],
    ids=["identity", "not canonical", "odd", "short", "not bytes"],
)
def test_a_static_key_that_is_no_point_is_named(bad):
    with pytest.raises(KeygenError, match="Participant 2") as caught:
        sessions.open_session(b"", 2, [STATICS[0].public, bad])
    assert caught.value.culprit == 2


def test_whoever_is_not_in_the_session_takes_no_seat(places):
    with pytest.raises(UnknownKeyError, match="no participant"):
        sessions.take_seat(places[0].session, STATICS[4])


def test_the_context_binds_session_and_order():
    publics = [pair.public for pair in STATICS[:3]]
    contexts = {
        sessions.open_session(name, 2, row).context
        for name in (b"", b"a", b"b")
        for row in itertools.permutations(publics)
    }
    assert len(contexts) == 18


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda text: b"", "too short"),
        (lambda text: text[:-1], "too short"),
        (lambda text: text + b"\0", "left over"),
        (bytearray, "given as bytes"),
        (lambda text: bytes(32) + text[32:], "not a valid encoding"),
        (lambda text: text[:32] + b"\xff" * 32 + text[64:], "not a valid encoding"),
        (lambda text: text[:128] + bytes(32) + text[160:], "not a valid encoding"),
        (lambda text: text[:64] + bytes(32) + text[96:], "not a valid encoding"),
        (lambda text: text[:96] + ORDER.to_bytes(32, "little") + text[128:], "not less than"),
        (lambda text: text[:160] + (65537).to_bytes(8, "big") + text[168:], "at most 65536"),
        (lambda text: text[:160] + (47).to_bytes(8, "big") + text[168:], "shorter than a share"),
        (lambda text: text[:160] + (49).to_bytes(8, "big") + text[168:], "."),
        (lambda text: text[:32] + text[:32] + text[32:], "."),
        (lambda text: text[32:], "."),
    ],
    ids=[
        "empty",
        "one byte short",
        "one byte long",
        "not bytes",
        "identity among the commitments",
        "commitment not canonical",
        "identity as ephemeral key",
        "identity in the proof",
        "scalar of the proof too large",
        "ciphertext too long",
        "ciphertext too short",
        "length of a ciphertext off by one",
        "one commitment more than the threshold",
        "one commitment fewer",
    ],
)
def test_a_message_of_the_wrong_form_names_its_sender(places, said, spoil, match):
    refused_by_first(places, said, 2, f"Participant 2: .*{match}", spoil(said[1]))


@pytest.mark.parametrize("at", [0, 40, 70, 100, 130, 200], ids=lambda at: f"byte {at}")
def test_a_changed_byte_anywhere_names_its_sender(places, said, at):
    spoiled = bytearray(said[2])
    spoiled[at] ^= 2
    refused_by_first(places, said, 3, "Participant 3", bytes(spoiled))


def test_a_proof_by_another_key_names_its_sender(places, said, scalars):
    foreign = ciphersuite.sign(STATICS[3], b"anything", group=G)
    spoiled = forged(places[1], scalars=scalars, proof=foreign)
    refused_by_first(places, said, 2, "signature does not hold", spoiled)


def test_a_proof_of_another_session_names_its_sender(places, said):
    elsewhere = rounds.commit(seats(b"another")[1])
    refused_by_first(places, said, 2, "signature does not hold", elsewhere)


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda share: G.add_scalars(share, (1).to_bytes(32, "little")), "does not fit"),
        (lambda share: bytes(32), "does not fit"),
        (lambda share: ORDER.to_bytes(32, "little"), "not less than the order"),
    ],
    ids=["off by one", "zero", "not less than the order"],
)
def test_a_wrong_share_names_its_sender(places, said, scalars, spoil, match):
    spoiled = forged(places[1], scalars=scalars, spoil_share=spoil)
    refused_by_first(places, said, 2, match, spoiled)


def test_commitments_that_cancel_out_for_one_recipient_name_their_sender(places, said, scalars):
    opposite = G.subtract_scalars(bytes(32), scalars[1])
    spoiled = forged(places[1], scalars=[opposite, scalars[1], scalars[2]])
    refused_by_first(places, said, 2, "does not fit", spoiled)


def test_whoever_repeats_another_ones_message_is_named(places, said):
    refused_by_first(places, said, 3, "does not open", said[1])


def test_two_messages_in_each_others_place_name_the_first(places, said):
    with pytest.raises(KeygenError, match="Participant 2: An encrypted share") as caught:
        rounds.receive(places[0], [said[0], said[2], said[1]], own=said[0])
    assert caught.value.culprit == 2


def test_a_share_meant_for_another_recipient_does_not_open(places, said):
    head, size = said[1][: LENGTH.start], 8 + 48
    framed = [said[1][LENGTH.start + at * size :][:size] for at in range(3)]
    spoiled = head + framed[1] + framed[0] + framed[2]
    refused_by_first(places, said, 2, "does not open", spoiled)


def test_a_coordinator_who_changes_what_was_sent_is_named(places, said):
    other = rounds.commit(places[0])
    with pytest.raises(KeygenError, match="Another message came back") as caught:
        rounds.receive(places[0], [other, *said[1:]], own=said[0])
    assert caught.value.culprit == sessions.COORDINATOR


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_coordinator_who_leaves_out_or_adds_a_message_is_named(places, said, count):
    with pytest.raises(KeygenError, match="passed on") as caught:
        rounds.receive(places[0], (said * 2)[:count], own=said[0])
    assert caught.value.culprit == sessions.COORDINATOR


def test_a_split_view_ends_in_round_3(places, said):
    """Two valid messages of participant 3: one for participant 1, one for the others."""
    second = rounds.commit(places[2])
    first_sees = rounds.receive(places[0], said, own=said[0])
    other_sees = rounds.receive(places[1], [*said[:2], second], own=said[1])
    third_sees = rounds.receive(places[2], said, own=said[2])
    signatures = [
        rounds.certify(places[0], first_sees),
        rounds.certify(places[1], other_sees),
        rounds.certify(places[2], third_sees),
    ]
    with pytest.raises(KeygenError, match="Participant 2: A signature") as caught:
        rounds.conclude(places[0], first_sees, signatures)
    assert caught.value.culprit == 2
    with pytest.raises(KeygenError, match="Participant 1: A signature"):
        rounds.conclude(places[1], other_sees, signatures)


def test_another_extension_ends_in_round_3(places, said):
    seen = [
        rounds.receive(seat, said, own=own, extension=extension)
        for seat, own, extension in zip(places, said, (b"a", b"a", b"b"), strict=True)
    ]
    signatures = [rounds.certify(*pair) for pair in zip(places, seen, strict=True)]
    with pytest.raises(KeygenError, match="Participant 3"):
        rounds.conclude(places[0], seen[0], signatures)


def test_swapped_certificates_name_the_first_of_the_two(places, candidates):
    signatures = [rounds.certify(*pair) for pair in zip(places, candidates, strict=True)]
    swapped = [signatures[0], signatures[2], signatures[1]]
    with pytest.raises(KeygenError, match="Participant 2") as caught:
        rounds.conclude(places[0], candidates[0], swapped)
    assert caught.value.culprit == 2


@pytest.mark.parametrize(
    "bad",
    [b"", bytes(64), b"\xff" * 64, b"\0" * 63],
    ids=["empty", "zeros", "not canonical", "short"],
)
def test_a_certificate_of_the_wrong_form_names_its_signer(places, candidates, bad):
    signatures = [rounds.certify(*pair) for pair in zip(places, candidates, strict=True)]
    with pytest.raises(KeygenError, match="Participant 3") as caught:
        rounds.conclude(places[0], candidates[0], [*signatures[:2], bad])
    assert caught.value.culprit == 3


def test_a_missing_certificate_is_the_coordinators_fault(places, candidates):
    signatures = [rounds.certify(*pair) for pair in zip(places, candidates, strict=True)]
    with pytest.raises(KeygenError, match="signature was passed on") as caught:
        rounds.conclude(places[0], candidates[0], signatures[:2])
    assert caught.value.culprit == sessions.COORDINATOR


def test_participants_whose_contributions_cancel_out_end_it_without_a_name(scalars):
    """Both know what the other drew; that they did it together is all that can be said."""
    places = seats(count=2)
    opposite = [G.subtract_scalars(bytes(32), scalar) for scalar in scalars[:2]]
    said = [
        rounds.commit(places[0], _scalars=scalars),
        rounds.commit(places[1], _scalars=[*opposite, scalars[2]]),
    ]
    with pytest.raises(KeygenError, match="cancel out") as caught:
        rounds.receive(places[0], said, own=said[0])
    assert caught.value.culprit is None


def test_a_sum_may_pass_through_the_identity_on_its_way(scalars):
    places = seats(count=3)
    opposite = [G.subtract_scalars(bytes(32), scalar) for scalar in scalars[:2]]
    said = [
        rounds.commit(places[0], _scalars=scalars),
        rounds.commit(places[1], _scalars=[*opposite, scalars[2]]),
        rounds.commit(places[2]),
    ]
    third = rounds.receive(places[2], said, own=said[2])
    expected = messages.parse_commitment(said[2], threshold=2, participants=3, group=G)
    assert third.commitments == expected.coefficients


def test_a_signature_holds_for_its_message_and_its_key_alone():
    signature = ciphersuite.sign(STATICS[0], b"this", group=G)
    ciphersuite.verify_signature(STATICS[0].public, signature, b"this", group=G)
    for public, message in ((STATICS[0].public, b"that"), (STATICS[1].public, b"this")):
        with pytest.raises(BadSignatureError, match="does not hold"):
            ciphersuite.verify_signature(public, signature, message, group=G)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_a_signature_whose_response_is_nothing_does_not_hold(group):
    nothing = STATICS[1].public + bytes(32)
    with pytest.raises(BadSignatureError, match="does not hold"):
        ciphersuite.verify_signature(STATICS[0].public, nothing, b"this", group=group)


def test_shares_that_sum_up_to_nothing_end_it_without_a_name(places, said):
    points = messages.parse_commitment(said[0], threshold=2, participants=3, group=G).points
    with pytest.raises(KeygenError, match="cancel out") as caught:
        rounds._final_pair(G, bytes(32), points, 1)
    assert caught.value.culprit is None


def test_shares_that_do_not_fit_the_commitments_in_sum_end_it_without_a_name(places, said):
    points = messages.parse_commitment(said[0], threshold=2, participants=3, group=G).points
    with pytest.raises(KeygenError, match="does not fit the sum") as caught:
        rounds._final_pair(G, STATICS[0].private, points, 1)
    assert caught.value.culprit is None


def test_whoever_takes_no_part_learns_the_same_from_the_same_messages(places, said, candidates):
    signatures = [rounds.certify(*pair) for pair in zip(places, candidates, strict=True)]
    seen = rounds.witness(places[0].session, said, signatures)
    concluded = rounds.conclude(places[0], candidates[0], signatures)
    assert seen == (concluded.commitments, concluded.transcript_digest)
    for few in (said[:2], [*said, said[0]]):
        with pytest.raises(KeygenError, match="message was passed on") as caught:
            rounds.witness(places[0].session, few, signatures)
        assert caught.value.culprit == sessions.COORDINATOR
    with pytest.raises(KeygenError, match="Participant 2") as caught:
        rounds.witness(places[0].session, [said[0], b"", said[2]], signatures)
    assert caught.value.culprit == 2
    with pytest.raises(KeygenError, match="Participant 1") as caught:
        rounds.witness(places[0].session, said, [signatures[1], *signatures[1:]])
    assert caught.value.culprit == 1
