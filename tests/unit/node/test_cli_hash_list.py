"""Lists of media hashes: what a row says, what is wrong with it, and nothing of its values."""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from node.cli.hash_list import MISSING, read_rows
from protocol.errors import InvalidError
from worlds import PDQ

SHA = "ab" * 32
MD5 = "cd" * 16


def written(tmp_path, text, name="list.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def faults(tmp_path, text, name="list.csv"):
    rows = list(read_rows(written(tmp_path, text, name)))
    assert all(PDQ not in repr(row) and SHA not in repr(row) for row in rows)
    return [(row.line, *fault) for row in rows for fault in row.faults]


def test_any_subset_of_the_columns_is_read_from_each_kind_of_list(tmp_path):
    table = pa.table(
        {
            "pdq": [bytes.fromhex(PDQ), None],
            "quality": [90, None],
            "md5": [None, MD5],
            "label": ["a", None],
        }
    )
    pq.write_table(table, tmp_path / "list.parquet")
    lists = (
        written(tmp_path, f"label,pdq,quality,md5\na,{PDQ},90,\n,,,{MD5.upper()}\n"),
        written(
            tmp_path,
            f'{{"pdq": "{PDQ}", "quality": 90, "label": "a"}}\n{{"md5": "{MD5}"}}\n',
            "list.jsonl",
        ),
        tmp_path / "list.parquet",
    )
    for path in lists:
        first, second = read_rows(path)
        assert (first.item.pdq, first.item.quality, first.item.md5) == (PDQ, 90, None)
        assert (first.label, second.label) == ("a", "")
        assert (second.item.pdq, second.item.md5) == (None, MD5)


@pytest.mark.parametrize("begin", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_mark_at_the_begin_and_both_ends_of_a_line_are_understood(tmp_path, begin, end):
    for text, name in (
        (f"md5{end}{MD5}{end}{end}", "list.csv"),
        (f'{{"md5": "{MD5}"}}{end}{end}', "list.jsonl"),
    ):
        (row,) = read_rows(written(tmp_path, begin + text.encode(), name))
        assert row.item.md5 == MD5


def test_each_fault_is_named_by_line_and_column_and_never_by_its_value(tmp_path):
    text = f"pdq,quality,md5,label\n{PDQ}0,90,,\n{PDQ},101,{MD5} ,\n{PDQ},,,\n,50,,\n,,,x\n{MD5}\n"
    assert faults(tmp_path, text) == [
        (2, "pdq", "not 64 hexadecimal digits"),
        (3, "md5", "not 32 hexadecimal digits"),
        (3, "quality", "not a whole number from 0 to 100"),
        (4, "quality", "a pdq stands with its quality"),
        (5, "pdq", "a quality stands with its pdq"),
        (6, "", "it has no media hash"),
        (7, "", "it has 1 cells, and the first line names 4"),
    ]


def test_a_line_of_json_is_read_as_strictly_as_what_was_signed(tmp_path):
    text = f'{{"md5": "{MD5}", "md5": "{MD5}"}}\n[]\n{{"pdq": "{PDQ}", "quality": true}}\n'
    text += f'{{"url": "x"}}\n{{"sha1": 5}}\n{{"md5": "{MD5}", "label": "{"x" * 201}"}}\n'
    assert [(line, column) for line, column, _ in faults(tmp_path, text, "list.jsonl")] == [
        (1, ""), (2, ""), (3, "quality"), (4, ""), (5, "sha1"), (6, "label"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "name", "told"),
    [
        ("", "list.csv", "no column of media hashes"),
        ("md5,md5\n", "list.csv", "the columns are"),
        ("md5,url\n", "list.csv", "the columns are"),
        ("label,quality\n", "list.csv", "no column of media hashes"),
        (f'md5\n"{MD5}"x\n', "list.csv", "line 2 is not CSV"),
        (b"md5\n\xff\n", "list.csv", "line 2 is not UTF-8"),
        ("md5\n" + "a" * 20_000, "list.csv", "line 2 is too long"),
        ("PAR1", "list.parquet", "not Parquet"),
    ],
)
def test_what_is_no_list_as_a_whole_is_refused_in_one_sentence(tmp_path, text, name, told):
    with pytest.raises(InvalidError, match=told):
        list(read_rows(written(tmp_path, text, name)))


def test_parquet_without_its_extra_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidError) as seen:
        list(read_rows(written(tmp_path, "", "list.parquet")))
    assert str(seen.value) == MISSING
