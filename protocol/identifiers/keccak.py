"""Keccak-256 as Ethereum uses it: Keccak-f[1600] with the padding from before SHA-3.

hashlib has only the SHA-3 of FIPS 202, which differs in one byte of padding. Used for the checksum
of public addresses alone, so it may be slow (0.3 ms) and need not run in constant time.
"""

_RATE_BYTES = 136  # 1600 bits less twice the 256 of the output
_MASK = (1 << 64) - 1

_ROUND_CONSTANTS = (
    0x0000000000000001, 0x0000000000008082, 0x800000000000808A, 0x8000000080008000,
    0x000000000000808B, 0x0000000080000001, 0x8000000080008081, 0x8000000000008009,
    0x000000000000008A, 0x0000000000000088, 0x0000000080008009, 0x000000008000000A,
    0x000000008000808B, 0x800000000000008B, 0x8000000000008089, 0x8000000000008003,
    0x8000000000008002, 0x8000000000000080, 0x000000000000800A, 0x800000008000000A,
    0x8000000080008081, 0x8000000000008080, 0x0000000080000001, 0x8000000080008008,
)  # fmt: skip
"""FIPS 202 section 3.2.5, one for each of 24 rounds."""

_ROTATIONS = (
    0, 1, 62, 28, 27,
    36, 44, 6, 55, 20,
    3, 10, 43, 25, 39,
    41, 45, 15, 21, 8,
    18, 2, 61, 56, 14,
)  # fmt: skip
"""FIPS 202 table 2 modulo 64, for lane x + 5y."""

_TARGETS = tuple(y + 5 * ((2 * x + 3 * y) % 5) for y in range(5) for x in range(5))
"""Where step pi moves lane x + 5y."""


def keccak256(data: bytes) -> bytes:
    """Returns the 32 bytes of Keccak-256 of `data`."""
    return sponge256(data, suffix=0x01)


def sponge256(data: bytes, *, suffix: int) -> bytes:
    """Returns 32 bytes of the sponge with capacity 512.

    Args:
        data: any bytes.
        suffix: first byte of padding: 0x01 is Keccak-256, 0x06 is SHA3-256.
    """
    padded = bytearray(data)
    padded.append(suffix)
    padded.extend(bytes(-len(padded) % _RATE_BYTES))
    padded[-1] |= 0x80
    lanes = [0] * 25
    for start in range(0, len(padded), _RATE_BYTES):
        block = padded[start : start + _RATE_BYTES]
        for index in range(_RATE_BYTES // 8):
            lanes[index] ^= int.from_bytes(block[8 * index : 8 * index + 8], "little")
        lanes = _permute(lanes)
    return b"".join(lane.to_bytes(8, "little") for lane in lanes[:4])


def _permute(lanes: list[int]) -> list[int]:
    """Returns Keccak-f[1600] of 25 lanes of 64 bits, lane x + 5y (FIPS 202 section 3.3)."""
    for constant in _ROUND_CONSTANTS:
        # theta
        columns = [
            lanes[x] ^ lanes[x + 5] ^ lanes[x + 10] ^ lanes[x + 15] ^ lanes[x + 20]
            for x in range(5)
        ]
        effect = [columns[x - 1] ^ _rotate(columns[(x + 1) % 5], 1) for x in range(5)]
        # rho and pi
        moved = [0] * 25
        for index, (rotation, target) in enumerate(zip(_ROTATIONS, _TARGETS, strict=True)):
            moved[target] = _rotate(lanes[index] ^ effect[index % 5], rotation)
        # chi and iota
        lanes = [
            moved[i] ^ (~moved[i - i % 5 + (i + 1) % 5] & _MASK & moved[i - i % 5 + (i + 2) % 5])
            for i in range(25)
        ]
        lanes[0] ^= constant
    return lanes


def _rotate(lane: int, by: int) -> int:
    return (lane << by | lane >> (64 - by)) & _MASK
