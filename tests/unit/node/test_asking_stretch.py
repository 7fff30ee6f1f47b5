"""What a circle stretches is stretched before it is asked, in the thread of whoever asks."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from nacl import pwhash

from protocol.circles import CircleDescriptor, Epoch, Holder, Member, Stretch
from protocol.encoding import format_time, to_base64url
from protocol.errors import UnavailableError
from protocol.identifiers import NormalisedIdentifier, normalise
from signing.envelopes import new_nonce
from signing.oprf.fingerprints import fingerprint_from_output, fingerprint_input
from signing.oprf.stretch import argon2id
from signing.oprf.voprf import evaluate_unblinded
from simulator import DAY_S, NOW
from unit.node.exchange_station import CIRCLE, KEY, OWN, A, Station, open_station
from waiting import WITHIN_S

PHONE = normalise("phone", "+49 30 23125 001")
EMAIL = normalise("email", "offender@example.com")
STRETCH = Stretch(kinds=("phone",), memory_kib=8, passes=1, salt="A" * 22)
EPOCH = Epoch(
    epoch=1,
    not_before=format_time(NOW - DAY_S),
    not_after=format_time(NOW + DAY_S),
    threshold=1,
    commitments=(to_base64url(KEY.public),),
    holders=(Holder(index=1, node=A),),
    stretch=STRETCH,
)
DESCRIPTOR = CircleDescriptor(
    issuer=OWN,
    nonce=new_nonce(),
    issued=format_time(NOW),
    audience=("peers",),
    circle=CIRCLE,
    version=1,
    members=(Member(node=OWN, budget_per_day=100),),
    admins=(OWN,),
    admin_threshold=1,
    epochs=(EPOCH,),
)


@pytest.fixture
def station(sqlite_url: str, tmp_path: Path) -> Iterator[Station]:
    with open_station(sqlite_url, tmp_path) as station:
        station.peer(A, share=(1, KEY))
        with station.asking_circles():
            yield station


def ask(station: Station, *identifiers: NormalisedIdentifier, epoch: Epoch = EPOCH) -> list[bytes]:
    return station.asking.ask_circle(DESCRIPTOR, epoch, identifiers)


def expected(one: NormalisedIdentifier, *, stretched: bool) -> bytes:
    given = fingerprint_input(one.kind.value, one.scheme, one.value)
    if stretched:
        given = argon2id(given, memory_kib=8, passes=1, salt=bytes(16))
    return fingerprint_from_output(evaluate_unblinded(KEY, given))


def test_the_kinds_that_the_epoch_names_are_stretched_and_no_other(station: Station) -> None:
    assert ask(station, PHONE, EMAIL) == [
        expected(PHONE, stretched=True),
        expected(EMAIL, stretched=False),
    ]


def test_an_epoch_without_a_stretch_stretches_nothing(station: Station) -> None:
    plain = msgspec.structs.replace(EPOCH, stretch=None)
    assert ask(station, PHONE, epoch=plain) == [expected(PHONE, stretched=False)]


def test_each_check_pays_again_and_no_event_loop_pays(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that was kept, or made beforehand, would let whoever finds it skip the cost."""
    threads = []
    true_kdf = pwhash.argon2id.kdf

    def kdf(*arguments: object, **cost: object) -> bytes:
        threads.append(threading.current_thread())
        return true_kdf(*arguments, **cost)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(pwhash.argon2id, "kdf", kdf)
    before = station.asking.__dict__.keys()
    for _ in range(3):
        ask(station, PHONE)
    assert threads == [threading.current_thread()] * 3
    assert station.asking.__dict__.keys() == before


def test_a_machine_that_is_busy_stretching_says_so_and_decides_nothing(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, full = threading.Event(), threading.Semaphore(0)

    def wait(size: int, *_arguments: object, **_cost: object) -> bytes:
        full.release()
        assert go.wait(WITHIN_S)
        return bytes(size)

    monkeypatch.setattr(pwhash.argon2id, "kdf", wait)
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(ask, station, PHONE) for _ in range(2)]
        assert all(full.acquire(timeout=WITHIN_S) for _ in jobs)
        with pytest.raises(UnavailableError, match="stretched at once"):
            ask(station, PHONE)
        go.set()
        assert len({tuple(job.result()) for job in jobs}) == 1
