"""The demo as a newcomer runs it: the real command, three real nodes, and nothing left behind."""

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from node.demo_pictures import picture_paths
from waiting import WITHIN_S, wait_for

PROGRAM = [sys.executable, "-c", "from node.cli.main import run; run()", "demo"]
STEPS = ["flag", "ban", "uploads", "sign-ups", "feedback", "take-back", "erase"]
DONE_WITHIN_S = 5 * WITHIN_S


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Has everything that the demo makes lie in the test's own folder."""
    return {**os.environ, "TMPDIR": str(tmp_path)}


def run(environ: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*PROGRAM, *words],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DONE_WITHIN_S,
        check=False,
    )


def still_running(place: Path) -> list[str]:
    """Command lines of processes that work in a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended by now
        if str(place) in words:
            found.append(words)
    return found


def test_once_with_json_prints_one_document_and_every_step_holds(
    environ: dict[str, str], tmp_path: Path
) -> None:
    done = run(environ, "--once", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["ok"] is True
    assert [step["name"] for step in told["steps"]] == STEPS
    for step in told["steps"]:
        assert step.keys() == {"name", "ok", "ms", "bytes"}
        assert step["ok"] is True
        assert step["ms"] > 0
    # What crosses between the organisations is little: no step needs a megabyte. Uploads are
    # compared at home, so nothing at all need cross meanwhile.
    assert all(step["bytes"] < 1 << 20 for step in told["steps"])
    assert all(step["bytes"] > 0 for step in told["steps"] if step["name"] != "uploads")
    assert "Traceback" not in done.stderr
    wait_for(lambda: not still_running(tmp_path), "nothing of it is left")
    assert not list(tmp_path.glob("schutznetz-demo-*"))


def test_a_file_that_is_no_picture_gets_one_sentence(
    environ: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "letter.jpg").write_text("Dear Nora,")
    done = run(environ, "--once", "--image", str(tmp_path / "letter.jpg"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("schutznetz-demo-*"))


def test_with_the_readers_own_picture_the_nodes_go_on_until_ctrl_c_and_the_printed_call_works(
    environ: dict[str, str], tmp_path: Path
) -> None:
    said: list[str] = []
    with subprocess.Popen(
        [*PROGRAM, "--image", str(picture_paths()[3])],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        reader = threading.Thread(target=said.extend, args=[demo.stdout])
        reader.start()
        try:
            wait_for(
                lambda: any("curl" in line for line in said) or demo.poll() is not None,
                "the demo prints its call",
                at_most_s=DONE_WITHIN_S,
            )
            told = "".join(said)
            assert demo.poll() is None, told
            assert "NOT " not in told
            call = next(line for line in said if "curl" in line)
            words = shlex.split(call)
            answer = subprocess.run(words, capture_output=True, check=True, timeout=WITHIN_S)
            assert json.loads(answer.stdout)["result"]["decision"] == "hold"
        finally:
            demo.send_signal(signal.SIGINT)
        assert demo.wait(WITHIN_S) == 0
        reader.join()
    assert "Traceback" not in "".join(said)
    wait_for(lambda: not still_running(tmp_path), "nothing of it is left")
    assert not list(tmp_path.glob("schutznetz-demo-*"))
