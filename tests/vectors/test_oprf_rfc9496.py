"""RFC 9496 appendix A on both backends."""

import hashlib
import json
from pathlib import Path

import pytest

from protocol.errors import MalformedError
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import load_group

VECTORS = json.loads((Path(__file__).parent / "rfc9496_ristretto255_vectors.json").read_text())
GROUPS = [group for group in (load_group(), PyNaClGroup()) if group is not None]


@pytest.fixture(params=GROUPS, ids=[group.name for group in GROUPS])
def group(request):
    return request.param


def test_multiples_of_the_generator_are_those_of_appendix_a1(group):
    generator = group.multiply_base((1).to_bytes(32, "little"))
    total = generator
    for factor, encoded in enumerate(VECTORS["generator_multiples"][1:], start=1):
        expected = bytes.fromhex(encoded)
        scalar = factor.to_bytes(32, "little")
        assert group.encode_element(group.multiply_base(scalar)) == expected
        assert group.encode_element(group.multiply(scalar, generator)) == expected
        assert group.encode_element(group.decode_element(expected)) == expected
        assert group.encode_element(total) == expected
        total = group.add(total, generator)


def test_the_identity_is_no_element_on_the_wire(group):
    with pytest.raises(MalformedError):
        group.decode_element(bytes.fromhex(VECTORS["generator_multiples"][0]))


@pytest.mark.parametrize("encoded", VECTORS["bad_encodings"])
def test_bad_encodings_of_appendix_a2_are_refused(group, encoded):
    with pytest.raises(MalformedError, match="not a valid encoding"):
        group.decode_element(bytes.fromhex(encoded))


@pytest.mark.parametrize("vector", VECTORS["from_uniform"], ids=lambda v: v["element"][:8])
def test_uniform_bytes_map_as_in_appendix_a3(group, vector):
    uniform = bytes.fromhex(vector["uniform64"])
    if "label" in vector:
        assert hashlib.sha512(vector["label"].encode()).digest() == uniform
    element = group.element_from_uniform(uniform)
    assert group.encode_element(element).hex() == vector["element"]
