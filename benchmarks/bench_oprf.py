"""Microseconds of each step of the OPRF, beside the scalar multiplications it cannot avoid.

Run: ``python benchmarks/bench_oprf.py``. Figures are the minimum of several rounds, for the whole
batch. The floor is measured in the same run on the same library, called bare: no hashing, no
decoding, no addition, no check. RFC 9497 prescribes, for a batch of m,

    blind     m                  finalize  m
    evaluate  2m + 2, 1 of base  verify    2m + 3, 1 of base
"""

import ctypes
import functools
import time

from nacl import bindings

from signing.oprf import voprf
from signing.oprf.group import Group
from signing.oprf.group_pynacl import PyNaClGroup
from signing.oprf.group_sodium import LIBRARY_NAMES, load_group

BATCHES = (1, 8, 64)
ROUND_S = 0.3
# Multiplications of any element and of the base, as functions of the batch.
FLOOR = {
    "blind": lambda m: (m, 0),
    "evaluate": lambda m: (2 * m + 2, 1),
    "verify": lambda m: (2 * m + 3, 1),
    "finalize": lambda m: (m, 0),
}


def best_us(function):
    """Return the shortest time of one call in microseconds."""
    best, end = float("inf"), time.perf_counter() + ROUND_S
    while time.perf_counter() < end:
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best * 1e6


def bare_sodium(scalar, point):
    """Return libsodium's two multiplications with buffers made beforehand."""
    name = next(name for name in LIBRARY_NAMES if can_load(name))
    library, out = ctypes.CDLL(name), ctypes.create_string_buffer(32)
    return (
        functools.partial(library.crypto_scalarmult_ristretto255, out, scalar, point),
        functools.partial(library.crypto_scalarmult_ristretto255_base, out, scalar),
    )


def can_load(name):
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def bare_pynacl(scalar, _point):
    """Return PyNaCl's two multiplications on edwards25519."""
    point = bindings.crypto_scalarmult_ed25519_base_noclamp(scalar)
    return (
        functools.partial(bindings.crypto_scalarmult_ed25519_noclamp, scalar, point),
        functools.partial(bindings.crypto_scalarmult_ed25519_base_noclamp, scalar),
    )


def steps_of(group, key, batch):
    """Return each step of one exchange, ready to be called again and again."""
    inputs = [f"input {i}".encode() for i in range(batch)]
    blinded = voprf.blind(inputs, group=group)
    answer = voprf.evaluate(key, blinded.elements, group=group)
    verified = voprf.verify_evaluation(key.public, blinded, answer, group=group)
    return {
        "blind": lambda: voprf.blind(inputs, group=group),
        "evaluate": lambda: voprf.evaluate(key, blinded.elements, group=group),
        "verify": lambda: voprf.verify_evaluation(key.public, blinded, answer, group=group),
        "finalize": lambda: voprf.finalize(blinded, verified, group=group),
    }


def bench(group: Group, bare):
    key = voprf.generate_key(group=group)
    multiply, multiply_base = map(best_us, bare(key.private, key.public))
    print(f"\n{group.name}: bare multiplication {multiply:.1f} µs, of the base {multiply_base:.1f}")
    print(f"{'step':9}{'batch':>6}{'µs':>10}{'floor µs':>10}{'ratio':>7}{'per element µs':>16}")
    for batch in BATCHES:
        for name, step in steps_of(group, key, batch).items():
            measured = best_us(step)
            points, bases = FLOOR[name](batch)
            floor = points * multiply + bases * multiply_base
            ratio, each = measured / floor, measured / batch
            print(f"{name:9}{batch:6}{measured:10.0f}{floor:10.0f}{ratio:7.2f}{each:16.1f}")


if __name__ == "__main__":
    system = load_group()
    if system is not None:
        bench(system, bare_sodium)
    bench(PyNaClGroup(), bare_pynacl)
