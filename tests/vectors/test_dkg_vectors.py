"""COCKTAIL(Ristretto255, SHA-512): every published vector, with its intermediate values.

The random values of a participant are SHA-512 over seed, ciphersuite, t, n, label and a counter of
64 bits, reduced: its coefficients first, then its ephemeral secret.
"""

import hashlib
import itertools

import pytest

from signing.dkg import rounds, sessions
from signing.dkg.ciphersuite import CIPHERSUITE, sign, verify_signature
from signing.dkg.messages import parse_commitment
from signing.oprf import shares, voprf
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import load_group
from vectors.shared import load_vectors

DATA = load_vectors("cocktail_dkg_ristretto255_sha512_vectors.json")["data"]
VECTORS = DATA["vectors"]
SMALL = [vector for vector in VECTORS if vector["n"] == 3]
NAMES = [f"{v['t']}-of-{v['n']}{'-payload' if 'payloads' in v else ''}" for v in VECTORS]
GROUPS = [group for group in (load_group(), PyNaClGroup()) if group is not None]


@pytest.fixture(params=GROUPS, ids=[group.name for group in GROUPS])
def group(request):
    return request.param


@pytest.fixture(params=VECTORS, ids=NAMES)
def vector(request):
    return request.param


def unhex(texts):
    return [bytes.fromhex(text) for text in texts]


def derived(vector, label):
    """The labelled hash that the vectors' secrets come from."""
    counts = vector["t"].to_bytes(4, "little") + vector["n"].to_bytes(4, "little")
    return bytes.fromhex(DATA["seed"]) + CIPHERSUITE + counts + label.encode()


def scalars(vector, index, group):
    stream = derived(vector, f"round1_participant_{index}")
    return [
        group.reduce_scalar(hashlib.sha512(stream + counter.to_bytes(8, "little")).digest())
        for counter in range(vector["t"] + 1)
    ]


def payload(vector, index):
    return bytes.fromhex(vector["payloads"][index - 1]) if "payloads" in vector else b""


def session_of(vector, group):
    tag = bytes.fromhex(vector["session_tag"])
    publics = unhex(vector["config"]["static_public_keys"])
    return sessions.open_session(tag, vector["t"], publics, group=group)


def seats_of(vector, group):
    session = session_of(vector, group)
    privates = unhex(vector["config"]["static_secret_keys"])
    pairs = [voprf.load_key_pair(private, group=group) for private in privates]
    return [sessions.take_seat(session, pair) for pair in pairs]


def messages_of(vector):
    """The messages of round 1, put together from the parts that the vector gives."""
    messages = []
    for said in vector["round1"]:
        framed = (len(text).to_bytes(8, "big") + text for text in unhex(said["encrypted_shares"]))
        points = unhex(said["vss_commitment"])
        proof, ephemeral = unhex((said["pop"], said["ephemeral_public_key"]))
        messages.append(b"".join((*points, proof, ephemeral, *framed)))
    return messages


def receive(seat, vector, group):
    messages = messages_of(vector)
    return rounds.receive(
        seat,
        messages,
        own=messages[seat.index - 1],
        extension=bytes.fromhex(vector["extension"]),
        group=group,
    )


def some(vector, group):
    """Both ends of the row on the slow backend, everybody on the fast one."""
    seats = seats_of(vector, group)
    return seats if group.name == "libsodium" or vector["n"] == 3 else [seats[0], seats[-1]]


def test_the_context_and_the_static_keys_are_those_of_the_vector(vector, group):
    assert session_of(vector, group).context.hex() == vector["context"]
    for seat in seats_of(vector, group):
        digest = hashlib.sha512(derived(vector, f"static_secret_key_{seat.index}")).digest()
        assert group.reduce_scalar(digest) == seat.static.private


def test_the_messages_of_round_1_are_those_of_the_vector(vector, group):
    expected = messages_of(vector)
    for seat in some(vector, group):
        said = rounds.commit(
            seat,
            payload=payload(vector, seat.index),
            group=group,
            _scalars=scalars(vector, seat.index, group),
        )
        assert said == expected[seat.index - 1]


def test_the_proofs_of_possession_have_the_intermediate_values_of_the_vector(vector, group):
    for index, said in enumerate(vector["round1"], start=1):
        steps = said["pop_intermediate"]
        key = voprf.load_key_pair(scalars(vector, index, group)[0], group=group)
        nonce = group.reduce_scalar(hashlib.sha512(bytes.fromhex(steps["nonce_input"])).digest())
        assert nonce.hex() == steps["nonce"]
        assert group.encode_element(group.multiply_base(nonce)).hex() == steps["nonce_commitment"]
        challenge = hashlib.sha512(bytes.fromhex(steps["challenge_input"])).digest()
        assert group.reduce_scalar(challenge).hex() == steps["challenge"]
        message = bytes.fromhex(steps["message"])
        assert sign(key, message, group=group).hex() == said["pop"]
        verify_signature(key.public, bytes.fromhex(said["pop"]), message, group=group)


def test_the_shares_of_round_2_are_those_of_the_vector(vector, group):
    for seat in some(vector, group):
        candidate = receive(seat, vector, group)
        expected = vector["round2"][seat.index - 1]
        assert candidate.share.private.hex() == expected["secret_share"]
        assert candidate.share.public.hex() == expected["verification_share"]
        assert candidate.commitments[0].hex() == vector["group_public_key"]
        assert candidate.payloads == tuple(payload(vector, j + 1) for j in range(vector["n"]))


def test_the_certificate_is_that_of_the_vector(vector, group):
    signatures = unhex(one["signature"] for one in vector["round3"]["signatures"])
    for seat in some(vector, group):
        candidate = receive(seat, vector, group)
        assert rounds.certify(seat, candidate, group=group) == signatures[seat.index - 1]
        generated = rounds.conclude(seat, candidate, signatures, group=group)
        assert generated.transcript_digest.hex() == vector["round3"]["transcript_hash"]


def test_the_payloads_of_the_vector_are_bound_by_its_extension():
    (with_payloads,) = (vector for vector in VECTORS if "payloads" in vector)
    said = unhex(with_payloads["payloads"])
    framed = b"".join(len(one).to_bytes(8, "little") + one for one in said)
    digest = hashlib.sha512(len(said).to_bytes(8, "little") + framed).hexdigest()
    assert digest == with_payloads["extension"]


def test_the_recovery_bundle_holds_what_participant_1_was_sent(group):
    for vector in SMALL:
        if (recovery := vector.get("recovery")) is None:
            continue
        messages = [
            parse_commitment(message, threshold=2, participants=3, group=group)
            for message in messages_of(vector)
        ]
        sent = [message.ciphertexts[0] for message in messages]
        assert sent == unhex(recovery["ciphertexts"])


@pytest.mark.parametrize("vector", SMALL[:1], ids=["2-of-3"])
def test_every_subset_of_the_threshold_gives_the_output_of_the_whole_key(vector, group):
    seats = seats_of(vector, group)
    candidates = [receive(seat, vector, group) for seat in seats]
    commitments = candidates[0].commitments
    pairs = {
        seat.index: shares.verify_share(
            commitments, seat.index, candidate.share.private, group=group
        )
        for seat, candidate in zip(seats, candidates, strict=True)
    }
    constants = [scalars(vector, seat.index, group)[0] for seat in seats]
    total = constants[0]
    for constant in constants[1:]:
        total = group.add_scalars(total, constant)
    whole = voprf.load_key_pair(total, group=group)
    assert whole.public == commitments[0]

    blinded = voprf.blind([b"an account"], group=group)
    publics = {index: pair.public for index, pair in pairs.items()}
    expected = [voprf.evaluate_unblinded(whole, b"an account", group=group)]
    for chosen in itertools.combinations(pairs, vector["t"]):
        answers = {
            i: voprf.verify_evaluation(
                publics[i],
                blinded,
                voprf.evaluate(pairs[i], blinded.elements, group=group),
                group=group,
            )
            for i in chosen
        }
        assert shares.combine(blinded, answers, publics, vector["t"], group=group) == expected
