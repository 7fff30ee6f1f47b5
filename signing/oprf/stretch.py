"""Argon2id over an input before it is blinded, so that each guess costs something without a budget.

Budgets count what a holder is asked. Whoever has the key needs to ask nobody, and guesses at the
speed of the curve: 10^9 telephone numbers in 16 core-hours. A stretch of 40 ms makes that 460
core-days. It is a second fence, and no first one.

What it is not: a cache. A stretched input stands for the identifier as well as the input itself
does, and one that was kept would let whoever finds it skip the cost; nothing here keeps one.
"""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from nacl import exceptions, pwhash

from protocol.circles import Stretch
from protocol.encoding import from_base64url, to_base64url
from protocol.errors import LimitError, MalformedError, UnavailableError
from protocol.fields import IdentifierKindName
from protocol.limits import MAX_STRETCH_PASSES
from signing.oprf.framing import MAX_FRAMED_BYTES

STRETCHED_BYTES: Final = 32
"""Length of what replaces an input."""

LEAST_KIB: Final = 19 << 10
"""Memory below which `measure_stretch` never goes: 19 MiB, with `LEAST_PASSES` the least that
OWASP's Password Storage Cheat Sheet advises for Argon2id."""

MOST_KIB: Final = 64 << 10
"""Memory above which it never goes: 64 MiB, RFC 9106 section 4's second recommended option."""

LEAST_PASSES: Final = 2

TARGET_MS: Final = 40.0
"""What one identifier may cost where nobody says otherwise: little beside a sign-up, and 460
core-days for 10^9 telephone numbers."""

STRETCHED_KINDS: Final[tuple[IdentifierKindName, ...]] = ("phone",)
"""Kinds that are stretched where nobody says otherwise: those that a machine can list whole."""

_MIB: Final = 1 << 10  # in KiB
_SALT_BYTES: Final = 16
_ROUNDS: Final = 3


def argon2id(
    data: bytes, *, memory_kib: int, passes: int, salt: bytes, size: int = STRETCHED_BYTES
) -> bytes:
    """Return the tag of Argon2id, version 1.3, one lane, no key, no associated data (RFC 9106).

    Lets other threads run, takes `memory_kib` while it runs, and gives it back.

    Args:
        data: of at most 65535 bytes.
        memory_kib: from 8 on.
        passes: from 1 on.
        salt: 16 bytes.
        size: of the tag; another one than `STRETCHED_BYTES` in tests only.

    Raises:
        MalformedError: an argument is not of its form.
        LimitError: `data` is longer than any input of the OPRF.
        UnavailableError: the machine has not so much memory.
    """
    if type(data) is not bytes or type(salt) is not bytes or len(salt) != _SALT_BYTES:
        raise MalformedError("A stretch takes bytes, and a salt of 16 of them.")
    if len(data) > MAX_FRAMED_BYTES:
        raise LimitError(f"An OPRF input has at most {MAX_FRAMED_BYTES} bytes.")
    try:
        return pwhash.argon2id.kdf(size, data, salt, opslimit=passes, memlimit=memory_kib * 1024)
    except exceptions.ValueError:
        raise MalformedError("A stretch has at least 8 KiB of memory and one pass.") from None
    except exceptions.RuntimeError:  # what libsodium says when memory cannot be had
        raise UnavailableError("There is not enough memory for the stretch of the epoch.") from None


class Stretcher:
    """Stretches inputs, a few at a time: each run takes the memory that the epoch asks for.

    For any number of threads. Never call it on an event loop: it computes, and it waits.
    """

    def __init__(self, at_once: int) -> None:
        """Allow `at_once` runs at a time, from 1 on, whichever threads want them."""
        self._places = threading.BoundedSemaphore(at_once)

    def stretch(
        self, kind: str, private_input: bytes, stretch: Stretch | None, *, wait_s: float
    ) -> bytes:
        """Return what goes into the OPRF in place of an input (docs/protocol.md section 8.14).

        Args:
            kind: of the identifier, such as ``phone``.
            private_input: from `signing.oprf.fingerprints.fingerprint_input`.
            stretch: of the epoch; None where it stretches nothing.
            wait_s: longest wait for a place.

        Returns:
            `STRETCHED_BYTES`, or the input itself where the epoch does not stretch its kind. As
            secret as the input.

        Raises:
            UnavailableError: no place became free in time, or memory is short.
            MalformedError: the salt is no salt.
        """
        if stretch is None or kind not in stretch.kinds:
            return private_input
        salt = from_base64url(stretch.salt, where="stretch.salt")
        if not self._places.acquire(timeout=wait_s):
            raise UnavailableError("Too many identifiers are being stretched at once.")
        try:
            return argon2id(
                private_input, memory_kib=stretch.memory_kib, passes=stretch.passes, salt=salt
            )
        finally:
            self._places.release()


def choose_stretch(
    target_ms: float = TARGET_MS, *, kinds: Sequence[IdentifierKindName] = STRETCHED_KINDS
) -> Stretch:
    """Return the stretch of a new epoch: measured on this machine, under a fresh salt.

    Every sign-up check at every member pays it, so measure on a machine like theirs.

    Args:
        target_ms: how long one identifier may take, of one core.
        kinds: of identifier whose inputs are stretched.
    """
    memory_kib, passes = measure_stretch(target_ms)
    salt = to_base64url(secrets.token_bytes(_SALT_BYTES))
    return Stretch(kinds=tuple(kinds), memory_kib=memory_kib, passes=passes, salt=salt)


def measure_stretch(
    target_ms: float, *, time_of: Callable[[int, int], float] | None = None
) -> tuple[int, int]:
    """Return the memory in KiB and the passes that take about `target_ms` on this machine.

    Memory is what makes guessing dear on other machines than this, so it grows first, from
    `LEAST_KIB` to `MOST_KIB`; then the passes do. Never less than `LEAST_KIB` and `LEAST_PASSES`,
    however slow the machine is.

    Args:
        target_ms: how long one identifier may take, of one core.
        time_of: seconds that a run with (memory_kib, passes) takes; measured where it is absent.
    """
    time_of = time_of or seconds_of
    target_s = target_ms / 1000
    least_s = time_of(LEAST_KIB, LEAST_PASSES)
    # Time grows with memory times passes, near enough.
    memory = int(LEAST_KIB * target_s / least_s) // _MIB * _MIB
    memory = min(max(memory, LEAST_KIB), MOST_KIB)
    if memory < MOST_KIB:
        return memory, LEAST_PASSES
    each_s = time_of(memory, LEAST_PASSES) / LEAST_PASSES
    return memory, min(max(round(target_s / each_s), LEAST_PASSES), MAX_STRETCH_PASSES)


def seconds_of(memory_kib: int, passes: int) -> float:
    """Return how long one stretch takes on this machine, in seconds: the best of three."""
    best = float("inf")
    for _ in range(_ROUNDS):
        start = time.perf_counter()
        argon2id(b"", memory_kib=memory_kib, passes=passes, salt=bytes(_SALT_BYTES))
        best = min(best, time.perf_counter() - start)
    return best
