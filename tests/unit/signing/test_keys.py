"""Ed25519 keys: one use each, one verifier, and nothing weak or secret gets through."""

import copy
import hashlib
import pickle

import pytest

from protocol.errors import BadSignatureError, MalformedError
from signing.keys import KeyUse, PublicKey, SigningKey

P = 2**255 - 19
SEED = bytes(range(32))


def small_order_encodings() -> list[bytes]:
    """Compute every encoding of the points of order 1, 2, 4 and 8, from the curve's equation.

    -x² + y² = 1 + d·x²·y² with d = -121665/121666 (RFC 8032 section 5.1). Order 1 and 2 have
    y = ±1; order 4 has y = 0; twice a point of order 8 has y = 0, which gives d·y⁴ + 2y² - 1 = 0.
    """
    d = -121665 * pow(121666, -1, P) % P

    def root(square: int) -> int | None:
        candidate = pow(square, (P + 3) // 8, P)
        for value in (candidate, candidate * pow(2, (P - 1) // 4, P) % P):
            if value * value % P == square % P:
                return value
        return None

    ys = {0, 1, P - 1}
    discriminant = root(1 + d)
    assert discriminant is not None
    for sign in (1, -1):
        y = root((sign * discriminant - 1) * pow(d, -1, P) % P)
        if y is not None:
            ys |= {y, P - y}
    assert len(ys) == 5
    values = ys | {y + P for y in ys if y + P < 2**255}
    return [(y | bit << 255).to_bytes(32, "little") for y in values for bit in (0, 1)]


def test_a_signature_holds_under_the_public_half_and_the_same_bytes_only():
    key = SigningKey.from_seed(KeyUse.LOG, SEED)
    signature = key.sign(b"message")
    assert len(signature) == 64
    key.public.verify(b"message", signature)
    with pytest.raises(BadSignatureError, match="does not fit"):
        key.public.verify(b"massage", signature)
    with pytest.raises(BadSignatureError, match="does not fit"):
        SigningKey.generate(KeyUse.LOG).public.verify(b"message", signature)


def test_the_first_vector_of_rfc_8032_is_reproduced():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    key = SigningKey.from_seed(KeyUse.STATEMENT, seed)
    assert key.public.raw.hex() == (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    )
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_another_length_is_refused(length):
    key = SigningKey.from_seed(KeyUse.LOG, SEED)
    with pytest.raises(BadSignatureError, match="64 bytes"):
        key.public.verify(b"message", b"\x01" * length)


@pytest.mark.parametrize("raw", small_order_encodings(), ids=bytes.hex)
def test_every_encoding_of_a_small_order_point_is_refused(raw):
    with pytest.raises(MalformedError, match=r"small order|canonical encoding"):
        PublicKey(KeyUse.FLAGGER, raw)


@pytest.mark.parametrize("offset", range(19))
@pytest.mark.parametrize("sign", [0, 1])
def test_every_non_canonical_encoding_is_refused(offset, sign):
    raw = (P + offset | sign << 255).to_bytes(32, "little")
    with pytest.raises(MalformedError, match="canonical encoding"):
        PublicKey(KeyUse.FLAGGER, raw)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_public_key_or_seed_of_another_length_is_refused(length):
    with pytest.raises(MalformedError, match="32 bytes"):
        PublicKey(KeyUse.LOG, b"\x02" * length)
    with pytest.raises(MalformedError, match="32 bytes"):
        SigningKey.from_seed(KeyUse.LOG, b"\x02" * length)


def test_a_key_id_is_the_digest_of_domain_use_and_key():
    key = SigningKey.from_seed(KeyUse.REQUEST, SEED)
    digest = hashlib.sha256(b"schutznetz/key/v1\x00request\x00" + key.public.raw).hexdigest()
    assert key.kid == key.public.kid == digest[:32]


def test_the_same_bytes_for_two_uses_are_two_keys():
    keys = [SigningKey.from_seed(use, SEED).public for use in KeyUse]
    assert len(set(keys)) == len({key.kid for key in keys}) == len(KeyUse) == 6


def test_two_generated_keys_differ():
    one, other = SigningKey.generate(KeyUse.ROOT), SigningKey.generate(KeyUse.ROOT)
    assert one.seed != other.seed
    assert SigningKey.from_seed(KeyUse.ROOT, one.seed).public == one.public


@pytest.mark.parametrize("use", list(KeyUse))
def test_the_one_line_form_gives_the_key_back(use):
    key = SigningKey.generate(use).public
    text = key.to_text()
    assert text.startswith(f"schutznetz-key:{use}:")
    assert len(text.rpartition(":")[2]) == 48
    assert PublicKey.from_text(text) == key


def test_any_mistyped_character_of_the_one_line_form_is_caught():
    text = SigningKey.from_seed(KeyUse.FLAGGER, SEED).public.to_text()
    for place in range(len(text)):
        for replacement in "Aa0-_":
            if text[place] != replacement:
                with pytest.raises(MalformedError):
                    PublicKey.from_text(text[:place] + replacement + text[place + 1 :])


def test_the_one_line_form_does_not_let_a_key_change_its_use():
    text = SigningKey.from_seed(KeyUse.LOG, SEED).public.to_text()
    with pytest.raises(MalformedError, match="mistyped or cut"):
        PublicKey.from_text(text.replace(":log:", ":root:"))
    with pytest.raises(MalformedError, match="does not know"):
        PublicKey.from_text(text.replace(":log:", ":dkg:"))


@pytest.mark.parametrize("change", ["{}\n", " {}", "{}=", "{}A", "x{}"])
def test_the_one_line_form_has_nothing_around_it(change):
    text = SigningKey.from_seed(KeyUse.LOG, SEED).public.to_text()
    with pytest.raises(MalformedError, match="has the form"):
        PublicKey.from_text(change.format(text))


def test_a_small_order_key_does_not_come_in_through_the_one_line_form():
    text = SigningKey.from_seed(KeyUse.LOG, SEED).public.to_text()
    # Right check characters over a wrong key: `object.__new__` passes by the constructor's check.
    weak = object.__new__(PublicKey)
    object.__setattr__(weak, "use", KeyUse.LOG)
    object.__setattr__(weak, "raw", (1).to_bytes(32, "little"))
    assert len(weak.to_text()) == len(text)
    with pytest.raises(MalformedError, match="small order"):
        PublicKey.from_text(weak.to_text())


def test_neither_half_shows_its_bytes_in_its_repr():
    key = SigningKey.from_seed(KeyUse.ROOT, SEED)
    for shown in (repr(key), str(key), repr(key.public), f"{key.public}"):
        assert SEED.hex() not in shown
        assert repr(SEED) not in shown
        assert key.public.raw.hex() not in shown
        assert key.public.to_text()[-48:] not in shown
        assert key.kid in shown


def test_a_signing_key_is_neither_pickled_nor_copied():
    key = SigningKey.from_seed(KeyUse.ROOT, SEED)
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(RuntimeError, match="neither copied nor pickled"):
            leak(key)
    assert not hasattr(key, "__dict__")
