"""Where secrets come from: a file, the environment, a person; never an argument."""

import pytest
import typer

from node.cli import passphrases
from node.cli.passphrases import node_environment, read_api_key, read_passphrase
from protocol.errors import InvalidError, KeystoreError

API_KEY = "snk_" + "A" * 43


@pytest.fixture(autouse=True)
def nobody_there(monkeypatch):
    monkeypatch.setattr(passphrases, "is_at_terminal", lambda: False)
    monkeypatch.delenv("SCHUTZNETZ_PASSPHRASE", raising=False)
    monkeypatch.delenv("SCHUTZNETZ_API_KEY", raising=False)


def private(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_the_file_counts_before_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SCHUTZNETZ_PASSPHRASE", "from the environment")
    assert read_passphrase(private(tmp_path / "p", "from a file\n")) == b"from a file"
    assert read_passphrase(None) == b"from the environment"


def test_without_anything_and_anyone_there_is_no_passphrase():
    with pytest.raises(KeystoreError, match="SCHUTZNETZ_PASSPHRASE"):
        read_passphrase(None)


@pytest.mark.parametrize(("new", "words"), [(True, "Choose"), (False, "Passphrase of")])
def test_a_person_is_asked_unseen_and_twice_when_it_is_new(monkeypatch, new, words):
    asked = []

    def prompt(text, *, hide_input, confirmation_prompt, err):
        asked.append((text, hide_input, confirmation_prompt, err))
        return "correct horse"

    monkeypatch.setattr(passphrases, "is_at_terminal", lambda: True)
    monkeypatch.setattr(typer, "prompt", prompt)
    assert read_passphrase(None, new=new) == b"correct horse"
    ((text, hidden, twice, err),) = asked
    assert words in text
    assert (hidden, twice, err) == (True, new, True)


def test_an_api_key_comes_from_a_file_or_the_environment(tmp_path, monkeypatch):
    assert read_api_key(private(tmp_path / "k", f"{API_KEY}\n")) == API_KEY
    monkeypatch.setenv("SCHUTZNETZ_API_KEY", API_KEY)
    assert read_api_key(None) == API_KEY


def test_without_an_api_key_the_use_is_wrong():
    with pytest.raises(typer.BadParameter, match="SCHUTZNETZ_API_KEY"):
        read_api_key(None)


def test_a_file_that_others_may_read_holds_no_secret(tmp_path):
    path = private(tmp_path / "k", API_KEY)
    path.chmod(0o644)
    with pytest.raises(KeystoreError, match="chmod 600"):
        read_api_key(path)


@pytest.mark.parametrize("text", ["secret", API_KEY[:-1], API_KEY + "A", "snk_" + "ä" * 43])
def test_what_is_no_api_key_is_refused_and_not_repeated(tmp_path, monkeypatch, text):
    with pytest.raises(InvalidError, match="begins with snk_") as refused:
        read_api_key(private(tmp_path / "k", text))
    assert text not in str(refused.value)
    monkeypatch.setenv("SCHUTZNETZ_API_KEY", text)
    with pytest.raises(InvalidError, match="SCHUTZNETZ_API_KEY: this is not an API key"):
        read_api_key(None)


def test_a_node_does_not_hear_what_is_said_to_the_command_alone(monkeypatch):
    monkeypatch.setenv("SCHUTZNETZ_API_KEY", API_KEY)
    monkeypatch.setenv("SCHUTZNETZ_PASSPHRASE", "x")
    assert "SCHUTZNETZ_API_KEY" not in node_environment()
    assert node_environment()["SCHUTZNETZ_PASSPHRASE"] == "x"
