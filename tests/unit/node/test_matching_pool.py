import os
import resource
import signal
import socket
import subprocess
import sys
import threading

import psutil
import pytest
from PIL import Image

from node.demo_pictures import picture_paths
from node.matching import frames, worker
from node.matching.media import MAX_FILE_BYTES, hash_picture
from node.matching.pool import HashPool, memory_for
from protocol.errors import (
    InvalidError,
    LimitError,
    MalformedError,
    RateLimitedError,
    UnavailableError,
)
from unit.node import matching_pictures as made
from waiting import WITHIN_S, wait_for

PICTURE = picture_paths()[0].read_bytes()


@pytest.fixture(scope="module")
def pool():
    with HashPool(2, max_pixels=4_000_000, timeout_s=WITHIN_S) as pool:
        yield pool


def workers_of(pool):
    """The idle workers' processes."""
    return [psutil.Process(place._process.pid) for place in pool._idle]


def test_the_pool_says_what_hashing_in_this_process_says(pool):
    assert pool.hash(PICTURE) == hash_picture(PICTURE)


def test_many_threads_get_each_their_own_answer(pool):
    pictures = [made.encoded(made.synthetic(size=(64 + i, 64))) for i in range(12)]
    answers = {}

    def ask(number):
        answers[number] = pool.hash(pictures[number])

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(pictures))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {i: answers[i].width for i in answers} == {i: 64 + i for i in range(12)}


@pytest.mark.parametrize(
    ("data", "error", "sentence"),
    [
        (b"", InvalidError, "the file is empty"),
        (b"hello", InvalidError, "not a picture that can be read here"),
        (PICTURE[:9_000], InvalidError, "damaged or cut short"),
        (made.png(60_000, 60_000, b""), LimitError, "more than 4 million pixels"),
        (made.zip_bomb_png(16_000, 12_000), LimitError, "more than 4 million pixels"),
        (made.webp_bomb(), LimitError, "more than 4 million pixels"),
        (made.encoded(Image.new("RGB", (1, 1))), LimitError, "less than 16 pixels"),
        (b"\0\0\0\x18ftypheic", InvalidError, "HEIC pictures are not read here"),
        (bytes(MAX_FILE_BYTES + 1), LimitError, "larger than 64 MiB"),
    ],
)
def test_each_hostile_file_gets_its_sentence_and_the_pool_lives_on(pool, data, error, sentence):
    before = {child.pid for child in workers_of(pool)}
    with pytest.raises(error, match=sentence):
        pool.hash(data)
    assert pool.hash(PICTURE).quality == 100
    assert {child.pid for child in workers_of(pool)} == before


def test_a_picture_that_needs_too_much_memory_costs_its_worker_and_no_more():
    bomb = made.zip_bomb_png(8_000, 8_000)
    assert len(bomb) < 100_000
    with HashPool(1, memory_mib=400, timeout_s=WITHIN_S) as pool:
        (first,) = workers_of(pool)
        with pytest.raises(LimitError, match="needs more than 400 MiB to read"):
            pool.hash(bomb)
        assert not psutil.pid_exists(first.pid)
        assert pool.hash(PICTURE).quality == 100
        (second,) = workers_of(pool)
    assert not psutil.pid_exists(second.pid)


def test_a_worker_holds_no_more_memory_than_it_may():
    with HashPool(1, max_pixels=16_000_000, timeout_s=WITHIN_S) as pool:
        pool.hash(made.zip_bomb_png(4_000, 4_000))
        (child,) = workers_of(pool)
        soft, _hard = resource.prlimit(child.pid, resource.RLIMIT_AS)
        assert soft == memory_for(16_000_000) << 20
        assert resource.prlimit(child.pid, resource.RLIMIT_CORE) == (0, 0)


def test_a_picture_that_takes_too_long_costs_its_worker_and_no_more():
    with HashPool(1, timeout_s=1) as pool:
        with pytest.raises(LimitError, match="took longer than 1 s to read"):
            pool.hash(made.zip_bomb_png(8_000, 7_900))
        pool._timeout_s = WITHIN_S  # a second may be too little for the good one on a busy machine
        assert pool.hash(PICTURE).quality == 100


def test_a_worker_that_stops_reading_is_given_up_in_time():
    with HashPool(1, timeout_s=1) as pool:
        (child,) = workers_of(pool)
        child.suspend()
        with pytest.raises(LimitError, match="took longer"):
            pool.hash(os.urandom(8 << 20))
        pool._timeout_s = WITHIN_S  # a second may be too little for the good one on a busy machine
        assert pool.hash(PICTURE).quality == 100


@pytest.mark.parametrize("data", [PICTURE, bytes(32 << 20)], ids=["small", "large"])
def test_a_worker_that_dies_over_a_picture_is_replaced(monkeypatch, tmp_path, data):
    """The first worker reads four bytes and ends; every later one is a real one."""
    script = tmp_path / "python"
    ready = frames.encode_answer(frames.Ready())
    script.write_text(
        f"#!{sys.executable}\nimport os, pathlib, socket, sys\n"
        f"flag = pathlib.Path({str(tmp_path / 'flag')!r})\n"
        f"if flag.exists():\n"
        f"    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])\n"
        f"flag.touch()\n"
        f"with socket.socket(fileno=0) as s:\n"
        f"    s.sendall(len({ready!r}).to_bytes(4) + {ready!r})\n"
        f"    s.recv(4)\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with HashPool(1, timeout_s=WITHIN_S) as pool:
        with pytest.raises(InvalidError, match="the picture cannot be read: its decoder failed"):
            pool.hash(data)
        assert pool.hash(PICTURE).quality == 100


def test_a_worker_that_died_while_idle_is_replaced_without_anyone_noticing():
    with HashPool(1, timeout_s=WITHIN_S) as pool:
        (child,) = workers_of(pool)
        child.kill()
        wait_for(lambda: child.status() == psutil.STATUS_ZOMBIE, "it is dead")
        assert pool.hash(PICTURE).quality == 100


def test_other_callers_are_unaffected_by_a_stuck_picture():
    with HashPool(2, timeout_s=WITHIN_S) as pool:
        next_to_be_asked = workers_of(pool)[-1]
        next_to_be_asked.suspend()
        answers = []
        stuck = threading.Thread(target=lambda: answers.append(pool.hash(PICTURE)))
        stuck.start()
        wait_for(lambda: pool._busy == 1, "it is being read")
        assert [pool.hash(PICTURE).quality for _ in range(4)] == [100] * 4
        assert answers == []
        next_to_be_asked.resume()
        stuck.join()
        assert answers == [hash_picture(PICTURE)]


def test_more_callers_than_may_wait_are_told_to_come_back():
    with HashPool(1, timeout_s=WITHIN_S, max_waiting=1) as pool:
        (child,) = workers_of(pool)
        child.suspend()
        threads = [threading.Thread(target=pool.hash, args=(PICTURE,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        wait_for(lambda: pool._waiting == 1, "somebody waits")
        with pytest.raises(RateLimitedError, match="too many pictures are waiting") as caught:
            pool.hash(PICTURE)
        assert caught.value.retry_after_s == WITHIN_S
        child.resume()
        for thread in threads:
            thread.join()


def test_closing_answers_what_is_under_way_and_refuses_the_rest():
    pool = HashPool(1, timeout_s=WITHIN_S)
    (child,) = workers_of(pool)
    child.suspend()
    outcomes = []

    def ask():
        try:
            outcomes.append(pool.hash(PICTURE).quality)
        except UnavailableError as error:
            outcomes.append(str(error))

    asking = [threading.Thread(target=ask) for _ in range(2)]
    for thread in asking:
        thread.start()
    wait_for(lambda: pool._waiting == 1, "somebody waits")
    closing = threading.Thread(target=pool.close)
    closing.start()
    wait_for(lambda: pool._closed, "it is closing")
    child.resume()
    for thread in [*asking, closing]:
        thread.join()
    assert sorted(outcomes, key=str) == [
        100,
        "pictures are no longer hashed: the node is stopping",
    ]
    with pytest.raises(UnavailableError, match="the node is stopping"):
        pool.hash(PICTURE)
    assert not psutil.pid_exists(child.pid)


def test_a_worker_that_does_not_stop_when_asked_is_killed(monkeypatch):
    monkeypatch.setattr("node.matching.pool._STOP_TIMEOUT_S", 0.1)
    pool = HashPool(1, timeout_s=WITHIN_S)
    (child,) = workers_of(pool)
    child.suspend()
    pool.close()
    assert not psutil.pid_exists(child.pid)


def test_a_pool_whose_workers_cannot_start_says_so_and_leaves_none_behind(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(UnavailableError, match="could not be started"):
        HashPool(2)


def test_a_pool_whose_workers_hang_at_the_start_says_so(monkeypatch, tmp_path):
    hanging = tmp_path / "python"
    hanging.write_text("#!/bin/sh\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    monkeypatch.setattr("node.matching.pool._START_TIMEOUT_S", 0.2)
    with pytest.raises(UnavailableError, match="could not be started"):
        HashPool(1, timeout_s=WITHIN_S)


@pytest.fixture
def speaking(monkeypatch, tmp_path):
    """Makes every worker one that is ready, and then says only what the test tells it to."""

    def arrange(*payloads):
        script = tmp_path / "python"
        said = [frames.encode_answer(frames.Ready()), *payloads]
        script.write_text(
            f"#!{sys.executable}\nimport socket\n"
            f"with socket.socket(fileno=0) as s:\n"
            f"    for payload in {said!r}:\n"
            f"        s.sendall(len(payload).to_bytes(4) + payload)\n"
            f"    while s.recv(65536):\n        pass\n"
        )
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))

    return arrange


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"not json",
        b"\xff",
        b'{"type":"other"}',
        b'{"type":"hashed","hashes":{"pdq":"AAAA"}}',
        b'{"type":"refused","kind":"new","sentence":""}',
        b" " * (frames.MAX_ANSWER_BYTES + 1),
    ],
)
def test_a_worker_that_was_taken_over_is_not_believed(speaking, payload):
    speaking(payload)
    with (
        HashPool(1, timeout_s=WITHIN_S) as pool,
        pytest.raises(InvalidError, match="its decoder failed"),
    ):
        pool.hash(PICTURE)


def test_a_worker_whose_pdqhash_is_wrong_keeps_the_pool_from_starting(monkeypatch, tmp_path):
    script = tmp_path / "python"
    answer = frames.encode_answer(frames.Refused("unavailable", "it computes other values"))
    script.write_text(
        f"#!{sys.executable}\nimport socket\n"
        f"socket.socket(fileno=0).sendall(len({answer!r}).to_bytes(4) + {answer!r})\n"
    )
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    with pytest.raises(UnavailableError, match="it computes other values"):
        HashPool(1, timeout_s=WITHIN_S)


def test_a_worker_is_told_no_setting_of_the_node(monkeypatch):
    monkeypatch.setenv("SCHUTZNETZ_PASSPHRASE", "a secret")
    with HashPool(1, timeout_s=WITHIN_S) as pool:
        (child,) = workers_of(pool)
        environment = child.environ()
    assert "SCHUTZNETZ_PASSPHRASE" not in environment
    assert environment["OPENBLAS_NUM_THREADS"] == "1"


def test_ctrl_c_in_a_terminal_does_not_reach_the_workers(pool):
    assert all(os.getpgid(child.pid) == child.pid for child in workers_of(pool))


def test_a_worker_loads_no_part_of_the_server():
    code = (
        "import sys, node.matching.worker as w, node.matching.pixels;"
        "bad = {'fastapi', 'sqlmodel', 'sqlalchemy', 'nacl', 'signing', 'federation', 'httpx'};"
        "sys.exit(bool(bad & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=WITHIN_S)


def test_a_worker_answers_until_the_other_side_hangs_up(monkeypatch):
    limits = {}
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for data in (PICTURE, b"hello", made.png(9_000, 9_000, b"")):
            frames.send_request(ours, data, draft=False)
        ours.shutdown(socket.SHUT_WR)
        worker.serve(theirs, max_pixels=4_000_000, memory_mib=1_000, timeout_s=7)
        answers = [
            frames.decode_answer(frames.receive(ours, max_bytes=frames.MAX_ANSWER_BYTES))
            for _ in range(4)
        ]
    assert answers[0] == frames.Ready()
    assert answers[1] == frames.Hashed(hash_picture(PICTURE))
    assert [answer.kind for answer in answers[2:]] == ["invalid", "limit"]
    assert limits[resource.RLIMIT_CORE] == (0, 0)
    assert limits[resource.RLIMIT_AS][0] == 1_000 << 20
    used = resource.getrusage(resource.RUSAGE_SELF)
    assert limits[resource.RLIMIT_CPU][0] <= used.ru_utime + used.ru_stime + 9


def test_a_worker_with_the_kernel_says_the_same_before_and_after_it_is_loaded(monkeypatch):
    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda *limit: limits.append(limit))
    kernel = worker.Kernel()
    ours, theirs = socket.socketpair()
    serving = threading.Thread(
        target=worker.serve,
        args=(theirs,),
        kwargs={"max_pixels": 4_000_000, "memory_mib": 1, "timeout_s": 7, "kernel": kernel},
    )

    def ask():
        frames.send_request(ours, PICTURE, draft=False)
        return frames.receive(ours, max_bytes=frames.MAX_ANSWER_BYTES)

    with ours, theirs:
        serving.start()
        assert frames.decode_answer(frames.receive(ours, max_bytes=4_096)) == frames.Ready()
        before = ask()
        kernel.wait()
        assert kernel.pdq_of is not None
        assert ask() == before
        ours.shutdown(socket.SHUT_WR)
        serving.join()
    assert frames.decode_answer(before) == frames.Hashed(hash_picture(PICTURE))


def test_a_kernel_that_may_not_use_enough_memory_is_done_without(monkeypatch):
    def exhausted():
        raise MemoryError

    monkeypatch.setattr("node.matching.pixels.load_kernel", exhausted)
    kernel = worker.Kernel()
    kernel.load_soon()
    kernel.wait()
    assert kernel.pdq_of is None
    assert not kernel.is_loading()


def test_a_pool_with_the_kernel_has_room_for_its_compiler_and_says_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))  # nothing is compiled there yet
    with HashPool(1, max_pixels=1_000_000, timeout_s=WITHIN_S, kernel=True) as pool:
        (child,) = workers_of(pool)
        soft, _hard = resource.prlimit(child.pid, resource.RLIMIT_AS)
        assert soft == memory_for(1_000_000, kernel=True) << 20
        assert pool.hash(PICTURE) == hash_picture(PICTURE)
        wait_for(lambda: any(tmp_path.rglob("*transform*.nbc")), "the kernel is compiled")
        assert pool.hash(PICTURE) == hash_picture(PICTURE)
        assert workers_of(pool) == [child]


def test_a_pool_may_be_asked_for_a_draft(pool):
    data = made.encoded(made.photograph().resize((1_600, 1_200)), "JPEG")
    assert pool.hash(data, draft=True) == hash_picture(data, draft=True)
    assert pool.hash(data) == hash_picture(data)


def test_a_worker_with_a_wrong_pdqhash_says_so_and_ends(monkeypatch):
    def wrong():
        raise UnavailableError("it computes other values")

    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    monkeypatch.setattr(worker, "check_pdqhash", wrong)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        worker.serve(theirs, max_pixels=1, memory_mib=1_000, timeout_s=7)
        answer = frames.decode_answer(frames.receive(ours, max_bytes=frames.MAX_ANSWER_BYTES))
    assert answer == frames.Refused("unavailable", "it computes other values")


def test_a_worker_out_of_memory_says_so(monkeypatch):
    def exhausted(*_, **__):
        raise MemoryError

    monkeypatch.setattr(worker, "hash_picture", exhausted)
    assert worker.answer_to(PICTURE, max_pixels=1) == frames.Exhausted()


def test_a_worker_never_asks_for_more_than_its_hard_limit(monkeypatch):
    limits = {}
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 200))
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    worker._limit(resource.RLIMIT_AS, 300)
    assert limits == {resource.RLIMIT_AS: (200, 200)}


def test_the_kernel_ends_a_worker_that_spins_after_its_caller_is_gone():
    code = "from node.matching import worker\nworker._allow_cpu(0.1)\nwhile True: pass\n"
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=WITHIN_S)
    assert done.returncode == -signal.SIGXCPU


def test_a_message_that_comes_too_slowly_is_given_up():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall((100).to_bytes(4) + b"some")
        with pytest.raises(TimeoutError):
            frames.receive(theirs, max_bytes=100, timeout_s=0.05)
        with pytest.raises(TimeoutError):
            frames.receive(theirs, max_bytes=100, timeout_s=0)


def test_a_message_longer_than_agreed_is_refused_unread():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall((101).to_bytes(4))
        with pytest.raises(MalformedError, match="disagree about the length"):
            frames.receive(theirs, max_bytes=100)
