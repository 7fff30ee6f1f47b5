"""What reaches the terminal, and what does not."""

import io
import json
import os
import pty
import sys
import time

import pytest

from node.cli import output
from waiting import WITHIN_S


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat.jpg", "cat.jpg"),
        ("größe.jpg", "größe.jpg"),
        ("a\x1b[31mb", "a\ufffd[31mb"),
        ("a\nb\r\tc", "a\ufffdb\ufffd\ufffdc"),
        ("gpj.\u202etac", "gpj.\ufffdtac"),
        ("a\x9bb", "a\ufffdb"),
        (os.fsdecode(b"a\xffb"), "a\ufffdb"),
    ],
)
def test_a_text_from_elsewhere_cannot_move_the_cursor_or_forge_a_line(text, shown):
    assert output.readable(text) == shown


def test_results_and_remarks_go_to_different_places(capsys):
    output.show("result")
    output.note("remark")
    assert capsys.readouterr() == ("result\n", "remark\n")


def test_json_is_ascii_whatever_it_holds(capsys):
    output.show_json({"file": "größe\n"})
    text = capsys.readouterr().out
    assert text.isascii()
    assert json.loads(text) == {"file": "größe\n"}


def test_what_the_terminal_cannot_show_is_replaced(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    output.show("größe")
    assert raw.getvalue() == b"gr??e\n"


def test_a_table_has_columns_and_no_blanks_at_the_end_of_a_line(capsys):
    output.show_table(("name", "state"), [("hotline.example", "ok"), ("b", "\x1b")])
    assert capsys.readouterr().out == (
        "name             state\nhotline.example  ok\nb                \ufffd\n"
    )


def test_fields_stand_under_one_another(capsys):
    output.show_fields([("a", 1), ("bcd", "x")])
    assert capsys.readouterr().out == "a    1\nbcd  x\n"


def test_without_a_terminal_there_is_no_progress_bar(capsys):
    with output.progress("Reading", 2) as step:
        step()
        step()
    assert capsys.readouterr() == ("", "")


def test_without_standard_input_nobody_can_be_asked(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert not output.is_at_terminal()


class Terminal:
    """A terminal, and what it was sent."""

    def __init__(self):
        self._ours, theirs = pty.openpty()
        os.set_blocking(self._ours, False)
        self.stream = os.fdopen(theirs, "w")

    def read(self):
        self.stream.flush()
        try:
            return os.read(self._ours, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            return ""

    def close(self):
        self.stream.close()
        os.close(self._ours)


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    yield terminal
    terminal.close()


def test_at_a_terminal_a_bar_shows_once_it_takes_long(terminal, monkeypatch):
    # not in the fixture: pytest puts its own streams back before the test itself
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    monkeypatch.setattr(output, "PATIENCE_S", 0.01)
    seen = ""
    deadline = time.monotonic() + WITHIN_S
    with output.progress("Reading pictures", 2) as step:
        step()
        while "1/2" not in seen and time.monotonic() < deadline:
            seen += terminal.read()
    assert "Reading pictures" in seen
    assert "1/2" in seen


def test_what_is_quick_shows_no_bar_even_at_a_terminal(terminal, monkeypatch):
    monkeypatch.setattr(sys, "stderr", terminal.stream)
    monkeypatch.setattr(output, "PATIENCE_S", WITHIN_S)  # no machine is so busy that this is long
    assert sys.stderr.isatty()
    with output.progress("Reading pictures", 1) as step:
        step()
    assert "Reading" not in terminal.read()
