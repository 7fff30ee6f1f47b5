"""Argon2id against libsodium's own expectations (jedisct1/libsodium, test/default/pwhash_argon2id).

RFC 9106 section 5.3 has a secret, associated data and four lanes, none of which PyNaCl lets one
give. libsodium's vectors were made with the reference implementation, one lane.
"""

import base64

import pytest

from signing.oprf.stretch import argon2id

FIRST_INPUT = (
    "a347ae92bce9f80f6f595a4480fc9c2fe7e7d7148d371e9487d75f5c23008ffae065577a928febd9b1973a5a95073acd"
    "beb6a030cfc0d79caa2dc5cd011cef02c08da232d76d52dfbca38ca8dcbd665b17d1665f7cf5fe59772ec909733b24de"
    "97d6f58d220b20c60d7c07ec1fd93c52c31020300c6c1facd77937a597c7a6"
)
FIRST_TAG = (
    "18acec5d6507739f203d1f5d9f1d862f7c2cdac4f19d2bdff64487e60d969e3ced615337b9eec6ac4461c6ca07f09397"
    "41e57c24d0005c7ea171a0ee1e7348249d135b38f222e4dad7b9a033ed83f5ca27277393e316582033c74affe2566a2b"
    "ea47f91f0fd9fe49ece7e1f79f3ad6e9b23e0277c8ecc4b313225748dd2a80f5679534a0700e246a79a49b3f74eb89ec"
    "6205fe1eeb941c73b1fcf1"
)


def unbase64(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


@pytest.mark.parametrize(
    ("data", "salt", "memory_kib", "passes", "tag"),
    [
        (
            bytes.fromhex(FIRST_INPUT),
            bytes.fromhex("5541fbc995d5c197ba290346d2c559de"),
            7_256_678 // 1024,
            5,
            bytes.fromhex(FIRST_TAG),
        ),
        (
            b"",
            unbase64("bA81arsiXysd3WbTRzmEOw"),
            4_882,
            2,
            unbase64("Nm8QBM+7RH1DXo9rvp5cwKEOOOfD2g6JuxlXihoNcpE"),
        ),
    ],
    ids=["155 bytes", "32 bytes"],
)
def test_the_tag_is_the_one_that_libsodium_expects(data, salt, memory_kib, passes, tag):
    found = argon2id(data, memory_kib=memory_kib, passes=passes, salt=salt, size=len(tag))
    assert found == tag
