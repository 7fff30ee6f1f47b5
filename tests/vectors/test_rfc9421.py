"""RFC 9421 appendix B.2.6, through the library with our Ed25519."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    InvalidSignature,
    MappingKeyResolver,
)

from protocol.encoding import from_base64
from request_algorithm import RequestAlgorithm
from signing.keys import KeyUse, SigningKey

VECTOR = json.loads(
    Path(__file__).with_name("rfc9421_b26_ed25519_vector.json").read_text(encoding="utf-8")
)


def der_of(pem: str) -> bytes:
    return from_base64("".join(pem.strip().splitlines()[1:-1]))


# The last 32 bytes of an Ed25519 key's DER are the key (RFC 8410 sections 4 and 7).
KEY = SigningKey.from_seed(KeyUse.REQUEST, der_of(VECTOR["private_key_pem"])[-32:])
KEYS = MappingKeyResolver(
    public_keys={VECTOR["keyid"]: KEY.public}, private_keys={VECTOR["keyid"]: KEY}
)


class AgelessVerifier(HTTPMessageVerifier):
    """The vector is of 2021: its date is not what is tested."""

    max_clock_skew: ClassVar = timedelta(days=36500)


def request_of_the_vector() -> SimpleNamespace:
    return SimpleNamespace(
        method=VECTOR["method"], url=VECTOR["url"], headers=dict(VECTOR["headers"])
    )


def test_the_public_key_of_the_vector_is_that_of_its_private_key():
    assert der_of(VECTOR["public_key_pem"])[-32:] == KEY.public.raw


def test_signing_gives_the_signature_of_the_rfc():
    request = request_of_the_vector()
    HTTPMessageSigner(signature_algorithm=RequestAlgorithm, key_resolver=KEYS).sign(
        request,
        key_id=VECTOR["keyid"],
        created=datetime.fromtimestamp(VECTOR["created"], UTC),
        label=VECTOR["label"],
        include_alg=False,
        covered_component_ids=VECTOR["covered"],
        use_existing_digest=True,
    )
    assert request.headers["Signature-Input"] == VECTOR["signature_input"]
    assert request.headers["Signature"] == VECTOR["signature"]


def test_our_key_verifies_the_signature_base_of_the_rfc():
    signature = from_base64(VECTOR["signature"].removeprefix("sig-b26=:").removesuffix(":"))
    KEY.public.verify(VECTOR["signature_base"].encode(), signature)


def test_the_signed_request_of_the_rfc_verifies():
    request = request_of_the_vector()
    request.headers |= {
        "Signature-Input": VECTOR["signature_input"],
        "Signature": VECTOR["signature"],
    }
    verifier = AgelessVerifier(signature_algorithm=RequestAlgorithm, key_resolver=KEYS)
    (result,) = verifier.verify(request, max_age=None)
    assert result.parameters["keyid"] == VECTOR["keyid"]
    request.method = "PUT"
    with pytest.raises(InvalidSignature, match="does not fit"):
        verifier.verify(request, max_age=None)
