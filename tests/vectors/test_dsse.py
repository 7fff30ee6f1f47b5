"""DSSE: the specification's PAE, our frozen vector, and OpenSSL as a second opinion."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from protocol.encoding import from_base64, to_base64
from protocol.envelope import (
    Envelope,
    Signature,
    encode_envelope,
    pae,
    parse_envelope,
    statement_id,
)
from protocol.errors import BadSignatureError
from signing.keys import KeyUse, PublicKey, SigningKey
from waiting import WITHIN_S

VECTOR = json.loads(
    (Path(__file__).parent / "own_regression_vectors.json").read_text(encoding="utf-8")
)["dsse"]
PAYLOAD = VECTOR["payload_utf8"].encode()
KEY = SigningKey.from_seed(KeyUse.STATEMENT, bytes.fromhex(VECTOR["ed25519_seed"]))
PAE = bytes.fromhex(VECTOR["pae_hex"])
SIG = from_base64(VECTOR["sig_base64"])

SPKI_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410 section 4)."""


def test_the_pae_of_the_specification():
    # DSSE v1.0.2, protocol.md, "Test Vectors".
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert pae("http://example.com/HelloWorld", b"hello world") == expected


def test_the_frozen_vector_holds_in_all_its_parts():
    assert pae(VECTOR["payload_type"], PAYLOAD) == PAE
    assert statement_id(VECTOR["payload_type"], PAYLOAD) == VECTOR["statement_id_sha256_pae"]
    assert hashlib.sha256(PAE).hexdigest() == VECTOR["statement_id_sha256_pae"]
    assert KEY.public.raw.hex() == VECTOR["public_key"]
    assert KEY.sign(PAE) == SIG
    KEY.public.verify(PAE, SIG)


def test_the_frozen_vector_travels_in_an_envelope():
    sent = Envelope(VECTOR["payload_type"], PAYLOAD, (Signature(KEY.kid, SIG),))
    data = encode_envelope(sent)
    assert json.loads(data)["signatures"][0]["sig"] == VECTOR["sig_base64"]
    assert parse_envelope(data) == sent
    assert parse_envelope(data).statement_id == VECTOR["statement_id_sha256_pae"]


def test_the_vector_counts_bytes_where_characters_are_fewer():
    assert len(PAYLOAD) > len(VECTOR["payload_utf8"])
    assert f" {len(PAYLOAD)} ".encode() in PAE


def openssl_verifies(folder: Path, message: bytes, signature: bytes) -> bool:
    """Whether `openssl pkeyutl` takes the signature, with the key from its SubjectPublicKeyInfo."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is absent: no second opinion on DSSE signatures")
    (folder / "key.pem").write_text(
        "-----BEGIN PUBLIC KEY-----\n"
        f"{to_base64(SPKI_PREFIX + bytes.fromhex(VECTOR['public_key']))}\n"
        "-----END PUBLIC KEY-----\n",
        encoding="ascii",
    )
    (folder / "message").write_bytes(message)
    (folder / "signature").write_bytes(signature)
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin"]
    done = subprocess.run(
        [*command, "-in", "message", "-sigfile", "signature"],
        cwd=folder,
        capture_output=True,
        timeout=WITHIN_S,
        check=False,
    )
    # A command that fails for another reason would look like a refusal.
    assert b"Signature Verif" in done.stdout, done.stderr
    return done.returncode == 0


def test_openssl_comes_to_the_same_answer(tmp_path):
    assert openssl_verifies(tmp_path, PAE, SIG)
    assert not openssl_verifies(tmp_path, PAE + b" ", SIG)
    assert not openssl_verifies(tmp_path, PAYLOAD, SIG)


def test_every_flipped_bit_of_the_vector_is_refused():
    key = PublicKey(KeyUse.STATEMENT, bytes.fromhex(VECTOR["public_key"]))
    for target, other in ((PAE, SIG), (SIG, PAE)):
        for bit in range(len(target) * 8):
            changed = bytearray(target)
            changed[bit // 8] ^= 1 << bit % 8
            message, signature = (
                (bytes(changed), other) if target is PAE else (other, bytes(changed))
            )
            with pytest.raises(BadSignatureError, match="does not fit"):
                key.verify(message, signature)
