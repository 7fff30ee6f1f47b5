"""Files that are checked or checked with: bounded, whole or not there, and named where at fault."""

import pytest

from node.cli.key_files import about, read_envelopes, read_file
from node.cli.log_folder import LogFolder
from protocol.errors import InvalidError, MalformedError


def test_a_file_is_read_up_to_its_bound_and_refused_beyond_it(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"1234")
    assert read_file(path, 4) == b"1234"
    with pytest.raises(InvalidError, match=r"file: the file has more than 3 bytes"):
        read_file(path, 3)
    with pytest.raises(InvalidError, match="cannot be read"):
        read_file(tmp_path, 3)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}\n', [b'{"a":1}']),
        (b'{"a":1}\n\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
        (b'{\n"a":1\n}\n', [b'{\n"a":1\n}']),
        (b"a letter", [b"a letter"]),
    ],
)
def test_a_file_holds_one_envelope_or_one_on_each_line(tmp_path, data, found):
    path = tmp_path / "envelopes"
    path.write_bytes(data)
    assert read_envelopes(path) == found


def test_an_error_names_what_it_is_about():
    assert str(about("policy.txt", MalformedError("Not so."))) == "policy.txt: Not so."


def test_a_folder_gives_what_is_there_and_writes_whole_files(tmp_path):
    folder = LogFolder(tmp_path / "log")
    assert folder.read("tile/0/000", 10) is None
    assert folder.size("tile/0/000") is None
    folder.write("tile/0/000", b"12345")
    assert folder.read("tile/0/000", 3) == b"123"
    assert folder.size("tile/0/000") == 5
    assert folder.read("tile/0/000/more", 3) is None
    assert [one.name for one in (tmp_path / "log").rglob("*") if one.is_file()] == ["000"]


def test_a_folder_that_cannot_be_read_or_written_is_named(tmp_path):
    folder = LogFolder(tmp_path)
    (tmp_path / "tile").mkdir()
    with pytest.raises(InvalidError, match="tile: the file cannot be read"):
        folder.read("tile", 10)
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(InvalidError, match="taken/000: the file cannot be written"):
        folder.write("taken/000", b"1")
