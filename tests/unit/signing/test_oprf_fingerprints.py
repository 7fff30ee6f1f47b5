"""What is hashed for an account, and what is kept."""

import pytest

from protocol.errors import LimitError, MalformedError
from signing.oprf.fingerprints import (
    FINGERPRINT_BYTES,
    fingerprint_from_output,
    fingerprint_input,
)


def test_the_input_is_four_parts_each_after_its_length():
    assert fingerprint_input("phone", "e164/1", "+493023125000") == (
        b"\x00\x07acct/v1\x00\x05phone\x00\x06e164/1\x00\x0d+493023125000"
    )


def test_lengths_count_octets_of_utf_8():
    assert fingerprint_input("username", "precis/1", "jörg").endswith(b"\x00\x05j\xc3\xb6rg")


def test_moving_a_character_between_parts_changes_the_input():
    assert fingerprint_input("ab", "c", "d") != fingerprint_input("a", "bc", "d")
    assert fingerprint_input("a", "bc", "d") != fingerprint_input("a", "b", "cd")


@pytest.mark.parametrize("parts", [("", "s", "n"), ("k", "", "n"), ("k", "s", "")])
def test_no_part_is_empty(parts):
    with pytest.raises(MalformedError, match="needs a kind"):
        fingerprint_input(*parts)


def test_a_lone_surrogate_is_refused_without_quoting_the_identifier():
    with pytest.raises(MalformedError, match="not valid Unicode") as caught:
        fingerprint_input("username", "precis/1", "secret\ud800")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_part_has_at_most_65535_octets():
    assert len(fingerprint_input("k", "s", "x" * 65535)) == 9 + 3 + 3 + 2 + 65535
    with pytest.raises(LimitError, match="65535"):
        fingerprint_input("k", "s", "x" * 65536)


def test_a_fingerprint_is_the_first_half_of_an_output():
    output = bytes(range(64))
    assert fingerprint_from_output(output) == output[:FINGERPRINT_BYTES]
    assert FINGERPRINT_BYTES == 32


@pytest.mark.parametrize("bad", [b"", bytes(63), bytes(65), bytearray(64), None], ids=repr)
def test_an_output_has_64_bytes(bad):
    with pytest.raises(MalformedError):
        fingerprint_from_output(bad)
