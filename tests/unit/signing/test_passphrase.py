"""Where the passphrase of the key files comes from."""

import os

import pytest

from protocol.errors import KeystoreError
from signing.keystore import read_passphrase


@pytest.fixture
def passphrase_file(tmp_path):
    path = tmp_path / "passphrase"
    path.write_bytes(b"from the file\n")
    path.chmod(0o600)
    return path


def test_the_passphrase_is_sought_in_file_environment_and_prompt_in_this_order(
    passphrase_file, monkeypatch
):
    monkeypatch.setenv("PASSPHRASE", "from the environment")
    prompt = lambda: "from the prompt"  # noqa: E731  # one word is enough for a fake of one word
    every = {"file": passphrase_file, "env": "PASSPHRASE", "prompt": prompt}
    assert read_passphrase(**every) == b"from the file"
    assert read_passphrase(**every | {"file": None}) == b"from the environment"
    assert read_passphrase(**every | {"file": None, "env": None}) == b"from the prompt"
    monkeypatch.delenv("PASSPHRASE")
    assert read_passphrase(**every | {"file": None}) == b"from the prompt"


@pytest.mark.parametrize(
    ("content", "passphrase"),
    [
        (b"word", b"word"),
        (b"word\n", b"word"),
        (b"word\r\n", b"word"),
        (b"word\n\n", b"word\n"),
        (b" two words ", b" two words "),
        (b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_one_line_end_is_no_part_of_the_passphrase(passphrase_file, content, passphrase):
    passphrase_file.write_bytes(content)
    assert read_passphrase(file=passphrase_file, env=None, prompt=None) == passphrase


def test_an_unusable_source_is_an_error_and_not_passed_over(passphrase_file, monkeypatch):
    monkeypatch.setenv("PASSPHRASE", "good")
    passphrase_file.chmod(0o644)
    with pytest.raises(KeystoreError, match="chmod 600"):
        read_passphrase(file=passphrase_file, env="PASSPHRASE", prompt=None)
    passphrase_file.chmod(0o600)
    passphrase_file.write_bytes(b"\n")
    with pytest.raises(KeystoreError, match="passphrase is empty"):
        read_passphrase(file=passphrase_file, env="PASSPHRASE", prompt=None)
    monkeypatch.setenv("PASSPHRASE", "")
    with pytest.raises(KeystoreError, match="The variable PASSPHRASE: the passphrase is empty"):
        read_passphrase(file=None, env="PASSPHRASE", prompt=lambda: "good")
    with pytest.raises(KeystoreError, match="The prompt: the passphrase is empty"):
        read_passphrase(file=None, env=None, prompt=lambda: "")


def test_bytes_of_the_environment_that_are_no_utf_8_are_taken_as_they_are(monkeypatch):
    monkeypatch.setenv("PASSPHRASE", os.fsdecode(b"\xff\xfe"))
    assert read_passphrase(file=None, env="PASSPHRASE", prompt=None) == b"\xff\xfe"


def test_a_prompt_that_nobody_answers_is_an_error():
    def closed() -> str:
        raise EOFError

    for prompt in (closed, lambda: "\ud800"):
        with pytest.raises(KeystoreError, match="gave no passphrase"):
            read_passphrase(file=None, env=None, prompt=prompt)


def test_with_no_source_the_sentence_names_those_that_there_could_be(monkeypatch):
    monkeypatch.delenv("PASSPHRASE", raising=False)
    with pytest.raises(KeystoreError, match="name a passphrase file, set PASSPHRASE, or run it at"):
        read_passphrase(file=None, env="PASSPHRASE", prompt=None)
    with pytest.raises(KeystoreError, match="name a passphrase file, or run it at a terminal"):
        read_passphrase(file=None, env=None, prompt=None)
