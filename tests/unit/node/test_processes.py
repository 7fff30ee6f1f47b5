"""What a node of several processes does when one of them ends, with programs that only sleep."""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

import pytest

from node import processes, serving_process
from node.processes import run_processes
from protocol.errors import UnavailableError


@pytest.fixture
def listening():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


@pytest.fixture
def program(monkeypatch, tmp_path):
    """Makes every process one that runs a line of shell."""

    def arrange(line):
        script = tmp_path / "python"
        script.write_text(f"#!/bin/sh\necho begun >> {tmp_path}/begun\n{line}\n")
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return tmp_path / "begun"

    return arrange


def test_a_process_that_cannot_begin_ends_all(program, listening):
    begun = program("exit 3")
    with pytest.raises(UnavailableError, match="ended as soon as it had begun"):
        run_processes(Path("/nowhere"), listening, count=2, environ=os.environ)
    assert len(begun.read_text().splitlines()) <= 2


def test_a_process_that_dies_later_is_replaced(program, listening, monkeypatch):
    begun = program("exit 3")
    monkeypatch.setattr(processes, "_BEGUN_S", 0)
    ages = iter([1.0, 1.0, -1.0])
    monkeypatch.setattr(processes._Process, "age_s", lambda _self: next(ages))
    with pytest.raises(UnavailableError, match="ended as soon as it had begun"):
        run_processes(Path("/nowhere"), listening, count=1, environ=os.environ)
    assert begun.read_text().splitlines() == ["begun"] * 3


def test_a_process_that_does_not_end_is_killed(program, listening, monkeypatch):
    program("trap '' TERM; exec sleep 60")
    monkeypatch.setattr(processes, "_STOP_S", 0.1)

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(processes.os, "waitid", interrupted)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        run_processes(Path("/nowhere"), listening, count=2, environ=os.environ)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_process_ends_when_the_other_end_of_its_input_is_closed(monkeypatch):
    told = []
    monkeypatch.setattr(serving_process.os, "kill", lambda *what: told.append(what))
    read, write = os.pipe()
    waiting = threading.Thread(target=serving_process.end_when_left_alone, args=(read,))
    waiting.start()
    os.write(write, b"x")
    os.close(write)
    waiting.join()
    os.close(read)
    assert told == [(os.getpid(), signal.SIGTERM)]
