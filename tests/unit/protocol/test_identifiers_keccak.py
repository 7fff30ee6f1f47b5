"""Keccak-256 and, through the same sponge, SHA3-256."""

import hashlib

import pytest

from protocol.identifiers.keccak import keccak256, sponge256


@pytest.mark.parametrize(
    ("data", "digest"),
    [
        (b"", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
        (b"abc", "4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45"),
        (
            b"The quick brown fox jumps over the lazy dog",
            "4d741b6f1eb29cb2a9b9911c82f56fa8d73b04959d3d9d222895df6c0b28aa15",
        ),
    ],
)
def test_known_answers_hold(data, digest):
    assert keccak256(data).hex() == digest


def test_with_the_padding_of_fips_202_it_is_sha3_at_every_length_around_a_block():
    for length in [*range(140), *range(270, 275), 1000]:
        data = bytes(i % 251 for i in range(length))
        assert sponge256(data, suffix=0x06) == hashlib.sha3_256(data).digest()
