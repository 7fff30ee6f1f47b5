"""A list of accounts: what is taken, and what is wrong with it without a value being repeated."""

import codecs
from pathlib import Path

import pytest

from node.cli.user_list import MAX_FILE_BYTES, Fault, UserList, read_users
from protocol.errors import InvalidError

SECRET = "mallory@example.com"


def read(folder: Path, text: str | bytes) -> UserList:
    path = folder / "users.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_users(path)


def faults(folder: Path, *rows: str, header: str = "id,email,phone") -> list[Fault]:
    found = read(folder, "\n".join([header, *rows, ""])).faults
    assert SECRET not in repr(found)
    return found


def test_each_row_is_an_account_with_the_kinds_of_its_columns(tmp_path: Path) -> None:
    users = read(tmp_path, f'phone,id,email\r\n"+49 30 23125 001",u-1,{SECRET}\r\n,u-2,b@b.example')
    first, second = users.rows
    assert (first.line, first.id) == (2, "u-1")
    assert first.identifiers == (("phone", "+49 30 23125 001"), ("email", SECRET))
    assert first.columns == (1, 3)
    assert second.identifiers == (("email", "b@b.example"),)
    assert users.faults == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_list_of_any_spreadsheet_is_read(tmp_path: Path, delimiter: str) -> None:
    text = delimiter.join(("ID", "Email")) + "\n" + delimiter.join(("7", SECRET)) + "\n\n"
    (row,) = read(tmp_path, codecs.BOM_UTF8 + text.encode()).rows
    assert (row.id, row.identifiers) == ("7", (("email", SECRET),))


def test_a_kind_may_have_several_columns_and_a_value_counts_once(tmp_path: Path) -> None:
    (row,) = read(tmp_path, f"id,email,email,email\n7,{SECRET},{SECRET},b@b.example\n").rows
    assert row.identifiers == (("email", SECRET), ("email", "b@b.example"))
    assert row.columns == (2, 4)


def test_an_id_that_was_there_before_is_told_by_both_lines(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, f"7,{SECRET},", f"8,{SECRET},", f"7,{SECRET},")
    assert (fault.line, fault.message) == (4, "column id: the same as in line 2.")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (f"7,{SECRET}", "there are 2 cells, and 3 in the header."),
        (f"{SECRET},{SECRET},", "column id: 1 to 64 characters"),
        ("4930231250,,4930231250", "column id: it is an identifier of the account"),
        (f",{SECRET},", "column id: 1 to 64 characters"),
        ("7,,", "there is no identifier."),
        (f"7,{SECRET * 30},", "column 2 (email): this is no identifier."),
        (f"7,{SECRET}\x00,", "column 2 (email): this is no identifier."),
    ],
)
def test_a_row_that_cannot_be_checked_is_told_by_line_and_column(
    tmp_path: Path, row: str, message: str
) -> None:
    (fault,) = faults(tmp_path, "6,a@a.example,", row)
    assert fault.line == 3
    assert fault.message.startswith(message)
    assert fault.id in (None, "7")


def test_a_row_has_eight_identifiers_at_most(tmp_path: Path) -> None:
    cells = [f"{number}@a.example" for number in range(9)]
    header = ",".join(["id", *["email"] * 9])
    (fault,) = faults(tmp_path, ",".join(["7", *cells]), header=header)
    assert fault.message == "there are more than 8 identifiers."
    assert len(read(tmp_path, f"{header}\n7,{','.join(cells[:8])},\n").rows) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"id,{SECRET}\n7,x\n", "line 1, column 2: the name of a column is one of id, email"),
        (f"7,{SECRET}\n", "line 1, column 1: the name of a column"),
        ("email,phone\na,b\n", "line 1: exactly one column is named id"),
        ("id,id,email\n7,7,a\n", "line 1: exactly one column is named id"),
        ("id\n7\n", "line 1: there is no column of an identifier"),
        ("id,email\n", "There is no account"),
        ("", "exactly one column is named id"),
        (f'id,email\n7,"{SECRET}\n', "line 2: this is no CSV from here on"),
        (f'id,email\n7,"{SECRET}"x\n', "line 2: this is no CSV from here on"),
        (b"id,email\n7,a@a.example\n8,\xff\n", "line 3: this is not UTF-8"),
        ("id,email\n7,a\n".encode("utf-16"), "line 1: this is not UTF-8"),
    ],
)
def test_what_is_no_list_is_refused_by_line_and_not_repeated(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        read(tmp_path, text)
    assert SECRET not in str(caught.value)


def test_a_list_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(InvalidError, match="larger than 64 MiB"):
        read_users(path)


def test_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="cannot be read: No such file"):
        read_users(tmp_path / "none.csv")


def test_neither_a_list_nor_a_row_shows_itself(tmp_path: Path) -> None:
    users = read(tmp_path, f"id,email\n7,{SECRET}\n")
    assert SECRET not in f"{users!r}{users.rows!r}"


PDQ = "0123456789abcdef" * 4


def test_a_row_may_have_the_picture_of_the_account(tmp_path: Path) -> None:
    header = "id,email,avatar_pdq,avatar_quality"
    users = read(tmp_path, f"{header}\n7,{SECRET},{PDQ},98\n8,b@b.example,,\n")
    assert [one.avatar for one in users.rows] == [(PDQ, 98), None]
    assert users.rows[0].identifiers == (("email", SECRET),)
    assert PDQ not in repr(users.rows)


@pytest.mark.parametrize(
    ("cells", "column"),
    [
        (f"{PDQ},", "avatar_quality"),
        (f"{PDQ},101", "avatar_quality"),
        (f"{PDQ},-1", "avatar_quality"),
        (f"{PDQ},007", "avatar_quality"),
        (f"{PDQ},९", "avatar_quality"),
        (",98", "avatar_pdq"),
        (f"{PDQ[1:]},98", "avatar_pdq"),
        (f"{PDQ.upper()},98", "avatar_pdq"),
    ],
)
def test_a_picture_that_is_none_is_told_by_its_column(
    tmp_path: Path, cells: str, column: str
) -> None:
    header = "id,email,avatar_pdq,avatar_quality"
    (fault,) = faults(tmp_path, f"7,{SECRET},{cells}", header=header)
    assert (fault.line, fault.id) == (2, "7")
    assert fault.message.startswith(f"column {column}: ")
    assert PDQ[1:] not in fault.message


@pytest.mark.parametrize(
    "header",
    [
        "id,email,avatar_pdq",
        "id,email,avatar_quality",
        "id,email,avatar_pdq,avatar_pdq,avatar_quality",
    ],
)
def test_pdq_and_quality_stand_in_a_list_together(tmp_path: Path, header: str) -> None:
    with pytest.raises(InvalidError, match="stand there once each"):
        read(tmp_path, f"{header}\n")


def test_a_picture_alone_identifies_nobody(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="no column of an identifier"):
        read(tmp_path, "id,avatar_pdq,avatar_quality\n")
