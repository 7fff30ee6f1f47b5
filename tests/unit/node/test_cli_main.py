"""From what was typed to an exit code and one sentence."""

import errno
import io
import sys

import pytest
import typer

from node.cli import main as entry
from node.cli.failures import ExitCode, complain, sentence_of
from node.cli.main import main
from protocol.errors import InvalidError


@pytest.fixture
def failing(monkeypatch):
    """Makes the command one verb, `fail`, that raises what it is told."""

    def install(error):
        def build():
            app = typer.Typer(add_completion=False)

            @app.callback()
            def root():
                pass

            @app.command()
            def fail():
                raise error

            return app

        monkeypatch.setattr(entry, "build", build)

    return install


@pytest.mark.parametrize("argv", [[], ["node"], ["node", "peer"], ["flagger"]])
def test_without_a_verb_the_help_is_shown_and_the_use_was_wrong(argv, capsys):
    assert main(argv) == ExitCode.WRONG_USE
    out, err = capsys.readouterr()
    assert out == ""
    assert "Commands:" in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nonsense"], "No such command 'nonsense'; see: schutznetz --help"),
        (["hash"], "Missing argument 'FILES'; see: schutznetz hash --help"),
        (["hash", "x", "--what"], "No such option"),
        (["hash", "no-such-file"], "there is no such file; see: schutznetz hash --help"),
        (["retract", "abc", "--reason", "wrong"], "64 lower-case hexadecimal digits"),
        (["retract", "ab" * 32, "--reason", "no"], "'no' is not one of"),
        (["node", "status", "no-such-folder"], "there is no node here"),
        (["node", "peer", "add", ".", "--url", "hotline"], "https://HOST"),
        (["node", "peer", "freeze", ".", "Hotline"], "characters a-z, 0-9"),
        (["node", "peer", "freeze", ".", "hotline/anna"], "as a host is"),
        (["node", "flagger", "revoke", ".", "anna"], "NODE/FLAGGER"),
        (["flagger", "init", "--name", "hotline.example"], "NODE/FLAGGER"),
    ],
)
def test_wrong_use_is_one_sentence_that_says_where_the_right_use_stands(argv, words, capsys):
    assert main(argv) == ExitCode.WRONG_USE
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.startswith("schutznetz: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://a.example/path",
        "https://a.example?x",
        "https://u@a.example",
        "https://a.example:99999",
        "https://",
        "//a.example",
        "https://[::1",
    ],
)
def test_an_address_is_scheme_host_and_port_and_nothing_else(url, capsys):
    assert main(["match", __file__, "--node", url]) == ExitCode.WRONG_USE
    assert "the address of a node is" in capsys.readouterr().err


def test_help_and_version_are_done(capsys):
    assert main(["--help"]) == ExitCode.DONE
    assert main(["--version"]) == ExitCode.DONE
    assert "schutznetz 0." in capsys.readouterr().out


def test_an_error_of_the_project_is_its_sentence(failing, capsys):
    failing(InvalidError("the file is\nempty"))
    assert main(["fail"]) == ExitCode.FAILED
    assert capsys.readouterr().err == "schutznetz: the file is empty\n"


def test_any_other_error_names_its_type_and_place_and_never_its_text(failing, capsys):
    failing(ValueError("someone@example.com"))
    assert main(["fail"]) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert "unexpected ValueError" in err
    assert "test_cli_main.py:" in err
    assert "CONTRIBUTING.md" in err
    assert "someone" not in out + err
    assert "Traceback" not in err
    assert err.count("\n") == 1


def test_an_error_that_passed_through_nothing_of_ours_is_told_without_a_place():
    assert sentence_of(ValueError("x")).startswith("unexpected ValueError: this is a mistake")


def test_an_interrupt_is_130(failing):
    failing(KeyboardInterrupt())
    assert main(["fail"]) == ExitCode.INTERRUPTED


def test_an_interrupt_outside_a_verb_is_130(monkeypatch):
    def build():
        raise KeyboardInterrupt

    monkeypatch.setattr(entry, "build", build)
    assert main([]) == ExitCode.INTERRUPTED


def test_a_question_without_an_answer_does_nothing(failing, capsys):
    failing(typer.Abort())
    assert main(["fail"]) == ExitCode.FAILED
    assert "nothing was done" in capsys.readouterr().err


def test_a_reader_who_has_seen_enough_gets_no_complaint(failing, monkeypatch, tmp_path):
    failing(BrokenPipeError(errno.ESHUTDOWN, "gone"))
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["fail"]) == ExitCode.FAILED


def test_run_ends_the_process_with_the_exit_code(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["schutznetz", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        entry.run()
    assert ended.value.code == ExitCode.WRONG_USE


def test_a_complaint_that_the_terminal_cannot_show_is_escaped(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(raw, encoding="ascii"))
    complain("größer")
    sys.stderr.flush()
    assert raw.getvalue() == b"schutznetz: gr\\xf6\\xdfer\n"
