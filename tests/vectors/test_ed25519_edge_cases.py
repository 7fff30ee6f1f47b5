"""C2SP/CCTV's Ed25519 edge cases: what libsodium refuses never counts here."""

import pytest

from protocol.errors import BadSignatureError, MalformedError
from signing.keys import KeyUse, PublicKey
from vectors.shared import load_vectors

VECTORS = load_vectors("ed25519_edge_case_vectors.json")["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"number-{vector['number']}")
def test_a_signature_counts_exactly_where_libsodium_accepts_it(vector):
    raw, signature = bytes.fromhex(vector["key"]), bytes.fromhex(vector["sig"])
    flags = set(vector["flags"] or ())
    if flags & {"low_order_A", "non_canonical_A"}:
        assert not vector["pynacl_1_6_2_accepts"]
        with pytest.raises(MalformedError, match=r"small order|canonical encoding"):
            PublicKey(KeyUse.STATEMENT, raw)
        return
    key = PublicKey(KeyUse.STATEMENT, raw)
    if vector["pynacl_1_6_2_accepts"]:
        key.verify(vector["msg"].encode(), signature)
    else:
        with pytest.raises(BadSignatureError, match="does not fit"):
            key.verify(vector["msg"].encode(), signature)


def test_the_vectors_hold_every_outcome():
    assert len(VECTORS) == 66
    assert sum(vector["pynacl_1_6_2_accepts"] for vector in VECTORS) == 3
    assert sum("low_order_A" in (vector["flags"] or ()) for vector in VECTORS) == 42
    assert any(
        vector["cryptography_50_0_2_accepts"] and not vector["pynacl_1_6_2_accepts"]
        for vector in VECTORS
    )
