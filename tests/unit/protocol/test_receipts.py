"""Receipts as text: the form of C2SP tlog-proof, and the refusal of every other."""

import pytest

from protocol import limits
from protocol.errors import LimitError, MalformedError
from protocol.receipts import LogProof, parse_log_proof

HASHES = (b"a" * 32, b"b" * 32)
NOTE = b"log.example\n3\nroot\n\n-- signature\n"
A, B = (
    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=",
    "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=",
)
PLAIN = f"c2sp.org/tlog-proof@v1\nindex 2\n{A}\n{B}\n\n".encode() + NOTE


def test_a_receipt_has_the_lines_of_tlog_proof():
    assert LogProof(2, HASHES, NOTE).to_bytes() == PLAIN
    assert parse_log_proof(PLAIN) == LogProof(2, HASHES, NOTE)


def test_extra_data_stands_before_the_index():
    data = PLAIN.replace(b"\nindex", b"\nextra AAE=\nindex")
    assert parse_log_proof(data) == LogProof(2, HASHES, NOTE, b"\0\1")
    assert parse_log_proof(data).to_bytes() == data


def test_the_only_entry_of_a_log_needs_no_hash():
    data = b"c2sp.org/tlog-proof@v1\nindex 0\n\n" + NOTE
    assert parse_log_proof(data) == LogProof(0, (), NOTE)
    assert LogProof(0, (), NOTE).to_bytes() == data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v2"),
        ("c2sp.org/tlog-proof@v1\n", ""),
        ("c2sp.org/tlog-proof@v1\n", "c2sp.org/tlog-proof@v1\r\n"),
        ("index 2\n", ""),
        ("index 2", "index 02"),
        ("index 2", "index -2"),
        ("index 2", "index 2 "),
        ("index 2", "index  2"),
        ("index 2", "index ٢"),
        ("index 2", "index " + "9" * 17),
        ("index 2", "Index 2"),
        ("index 2", "extra \nindex 2"),
        ("index 2", "extra AAE\nindex 2"),
        ("index 2", "extra AAE=\nextra AAE=\nindex 2"),
        ("index 2", "index 2\nextra AAE="),
        (A, A[:-1]),
        (A, A[:-5] + "="),
        (A, " " + A),
        (A + "\n", A + "\r\n"),
        (A, "AA=="),
        ("\n\n", "\n"),
    ],
)
def test_another_form_is_refused(old, new):
    data = PLAIN.decode().partition("\n\n")[0] + "\n\n"
    assert old in data
    with pytest.raises((MalformedError, LimitError), match=r"receipt|index|base64|hash|ASCII|log"):
        parse_log_proof(data.replace(old, new, 1).encode())


def test_more_than_a_receipt_may_hold_is_refused():
    with pytest.raises(LimitError, match="at most 53 hashes"):
        LogProof(2, HASHES * 27, NOTE)
    with pytest.raises(LimitError, match="at most 53 hashes"):
        parse_log_proof(PLAIN.replace(A.encode(), b"\n".join([A.encode()] * 53)))
    with pytest.raises(LimitError, match="at most 2"):
        LogProof(limits.MAX_LOG_SIZE, (), NOTE)
    with pytest.raises(LimitError, match="at most 98304 bytes"):
        parse_log_proof(PLAIN + bytes(limits.MAX_RECEIPT_BYTES))
    with pytest.raises(LimitError, match="at most 98304 bytes"):
        LogProof(2, HASHES, bytes(limits.MAX_RECEIPT_BYTES)).to_bytes()


def test_a_hash_of_another_length_is_refused():
    with pytest.raises(MalformedError, match="32 bytes"):
        LogProof(2, (b"a" * 31,), NOTE)
    with pytest.raises(MalformedError, match="no line"):
        LogProof(2, HASHES, NOTE, b"")
