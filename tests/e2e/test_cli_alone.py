"""The verbs that need no node: hashing, and making a key."""

import csv
import io
import shutil

import pytest

from cli_stage import PICTURES, call, copy_pictures, secret_file


@pytest.fixture
def pictures(tmp_path):
    return copy_pictures(tmp_path)


def test_hashes_stay_here_in_three_forms(pictures):
    (pictures / "=1+1.txt").write_text("no picture")
    text = call("hash", pictures)
    assert text.code == 1
    assert "=1+1.txt: the file is not a picture" in text.err
    assert "1 of 8 files could not be read." in text.err
    assert "green.png" in text.out
    assert "only exact copies will be found" in text.out
    shutil.copy(pictures / "cat.jpg", pictures / "=2.jpg")
    document = call("hash", pictures, "--json", "--workers", 2).json
    assert [one["file"] for one in document["failed"]] == [str(pictures / "=1+1.txt")]
    table = call("hash", pictures, "--csv")
    rows = list(csv.DictReader(io.StringIO(table.out)))
    assert [row["pdq"] for row in rows] == [one["pdq"] for one in document["files"]]
    assert {row["format"] for row in rows} == {"JPEG", "PNG"}


def test_a_name_is_no_formula_in_a_spreadsheet(tmp_path, monkeypatch):
    shutil.copy(PICTURES / "cat.jpg", tmp_path / "=cmd.jpg")
    monkeypatch.chdir(tmp_path)
    assert "\n./=cmd.jpg," in call("hash", "=cmd.jpg", "--csv").out


def test_a_table_and_a_document_at_once_is_wrong_use(pictures):
    assert call("hash", pictures, "--csv", "--json").code == 2


def test_without_a_passphrase_no_key_and_no_card_is_left(tmp_path):
    done = call("flagger", "init", "--name", "hotline.example/bo", "--out", tmp_path)
    assert (done.code, list(tmp_path.iterdir())) == (1, [])
    empty = secret_file(tmp_path, "")
    done = call("flagger", "init", "--name", "hotline.example/bo", "--out", tmp_path,
                "--passphrase-file", empty)  # fmt: skip
    assert (done.code, list(tmp_path.iterdir())) == (1, [empty])


def test_a_folder_that_others_may_write_to_gets_no_key(tmp_path):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    passphrase = secret_file(tmp_path)
    done = call("flagger", "init", "--name", "hotline.example/bo", "--out", folder,
                "--passphrase-file", passphrase)  # fmt: skip
    assert (done.code, list(folder.iterdir())) == (1, [])
    assert "chmod go-w" in done.err
