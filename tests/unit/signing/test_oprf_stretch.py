"""What is done to an input before it is blinded, and how many do it at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import nacl.exceptions
import pytest
from nacl import pwhash

from protocol.circles import Stretch
from protocol.errors import LimitError, MalformedError, UnavailableError
from protocol.limits import MAX_STRETCH_PASSES
from signing.oprf.stretch import (
    LEAST_KIB,
    LEAST_PASSES,
    MOST_KIB,
    STRETCHED_BYTES,
    Stretcher,
    argon2id,
    choose_stretch,
    measure_stretch,
    seconds_of,
)
from waiting import WITHIN_S

CHEAP = Stretch(kinds=("phone",), memory_kib=8, passes=1, salt="A" * 22)
SALT = bytes(16)


def test_an_input_of_a_kind_that_is_named_is_replaced_and_no_other():
    stretcher = Stretcher(1)
    stretched = stretcher.stretch("phone", b"input", CHEAP, wait_s=1)
    assert stretched == argon2id(b"input", memory_kib=8, passes=1, salt=SALT)
    assert len(stretched) == STRETCHED_BYTES
    assert stretcher.stretch("email", b"input", CHEAP, wait_s=1) == b"input"
    assert stretcher.stretch("phone", b"input", None, wait_s=1) == b"input"


def test_every_parameter_counts():
    base = {"data": b"input", "memory_kib": 8, "passes": 1, "salt": SALT}
    others = ({"data": b"inpuT"}, {"memory_kib": 12}, {"passes": 2}, {"salt": b"\1" * 16})
    assert len({argon2id(**base), *(argon2id(**(base | one)) for one in others)}) == 5


class Meter:
    """Argon2id that waits, and counts who is in it."""

    def __init__(self, wanted: int) -> None:
        self.now = self.most = self.runs = 0
        self.lock = threading.Lock()
        self.full = threading.Event()
        self.go = threading.Event()
        self.wanted = wanted

    def __call__(self, size, password, salt, **_cost):
        with self.lock:
            self.now, self.runs = self.now + 1, self.runs + 1
            self.most = max(self.most, self.now)
            if self.now == self.wanted:
                self.full.set()
        assert self.go.wait(WITHIN_S)
        with self.lock:
            self.now -= 1
        return bytes(size)


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meter]:
    made = Meter(2)
    monkeypatch.setattr(pwhash.argon2id, "kdf", made)
    yield made
    made.go.set()


def test_of_32_checks_at_once_only_as_many_take_memory_as_are_allowed(meter: Meter):
    stretcher = Stretcher(2)
    with ThreadPoolExecutor(32) as pool:
        jobs = [
            pool.submit(stretcher.stretch, "phone", b"input", CHEAP, wait_s=WITHIN_S)
            for _ in range(32)
        ]
        assert meter.full.wait(WITHIN_S)
        meter.go.set()
        assert [job.result() for job in jobs] == [bytes(32)] * 32
    assert (meter.most, meter.runs) == (2, 32)


def test_who_finds_no_place_in_time_is_told_that_it_is_busy(meter: Meter):
    stretcher = Stretcher(2)
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(stretcher.stretch, "phone", b"input", CHEAP, wait_s=WITHIN_S)
            for _ in range(2)
        ]
        assert meter.full.wait(WITHIN_S)
        with pytest.raises(UnavailableError, match="stretched at once"):
            stretcher.stretch("phone", b"input", CHEAP, wait_s=0)
        meter.go.set()
        assert all(job.result() for job in jobs)
    assert stretcher.stretch("phone", b"input", CHEAP, wait_s=0) == bytes(32)


def test_the_same_input_again_costs_again(meter: Meter):
    """What was kept would let whoever finds it skip the cost."""
    meter.go.set()
    stretcher = Stretcher(2)
    for _ in range(3):
        stretcher.stretch("phone", b"input", CHEAP, wait_s=1)
    assert meter.runs == 3
    assert list(vars(stretcher)) == ["_places"]


def test_a_failure_gives_the_place_back(monkeypatch: pytest.MonkeyPatch):
    def no_memory(*_arguments, **_cost):
        raise nacl.exceptions.RuntimeError("Unexpected failure")

    stretcher = Stretcher(1)
    monkeypatch.setattr(pwhash.argon2id, "kdf", no_memory)
    for _ in range(3):
        with pytest.raises(UnavailableError, match="not enough memory"):
            stretcher.stretch("phone", b"input", CHEAP, wait_s=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": bytearray(b"input")},
        {"data": "input"},
        {"salt": bytes(15)},
        {"salt": bytes(17)},
        {"salt": bytearray(16)},
        {"memory_kib": 7},
        {"passes": 0},
    ],
)
def test_what_is_no_argument_is_refused_before_any_c_code(wrong):
    with pytest.raises(MalformedError, match="stretch"):
        argon2id(**({"data": b"input", "memory_kib": 8, "passes": 1, "salt": SALT} | wrong))


def test_an_input_longer_than_the_oprf_takes_is_refused():
    with pytest.raises(LimitError, match="at most 65535"):
        argon2id(bytes(65_536), memory_kib=8, passes=1, salt=SALT)


class Machine:
    """One that takes so many seconds for a MiB and a pass."""

    def __init__(self, each_s: float) -> None:
        self.each_s = each_s
        self.asked: list[tuple[int, int]] = []

    def __call__(self, memory_kib: int, passes: int) -> float:
        self.asked.append((memory_kib, passes))
        return memory_kib / 1024 * passes * self.each_s


@pytest.mark.parametrize(
    ("each_ms", "chosen"),
    [
        (100.0, (LEAST_KIB, LEAST_PASSES)),  # however slow
        (1.0, (20 << 10, 2)),
        (0.5, (40 << 10, 2)),
        (0.25, (MOST_KIB, 2)),
        (0.1, (MOST_KIB, 6)),
        (0.0001, (MOST_KIB, MAX_STRETCH_PASSES)),
    ],
)
def test_memory_grows_first_then_passes_and_neither_without_bound(each_ms, chosen):
    assert measure_stretch(40, time_of=Machine(each_ms / 1000)) == chosen


def test_a_measured_cost_is_no_less_than_the_least():
    memory_kib, passes = measure_stretch(1)
    assert (memory_kib, passes) == (LEAST_KIB, LEAST_PASSES)
    assert seconds_of(memory_kib, passes) > seconds_of(1 << 10, 1)


def test_a_new_epoch_stretches_telephone_numbers_under_a_salt_of_its_own():
    one, other = choose_stretch(1), choose_stretch(1)
    assert one.kinds == ("phone",)
    assert (one.memory_kib, one.passes) == (LEAST_KIB, LEAST_PASSES)
    assert one.salt != other.salt
