"""One encoding for each value: strict JSON, base64, times."""

import json
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import pytest

from protocol import limits
from protocol.encoding import (
    check_order,
    check_span,
    convert,
    encode_json,
    format_time,
    from_base64,
    from_base64url,
    parse_json,
    parse_time,
    to_base64,
    to_base64url,
)
from protocol.errors import LimitError, MalformedError, ProtocolError

MIB = 1 << 20


def read(data: bytes, max_bytes: int = MIB):
    return parse_json(data, max_bytes=max_bytes)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"null", None),
        (b"true", True),
        (b"0", 0),
        (b"-0", 0),
        (b"9007199254740991", 2**53 - 1),
        (b"-9007199254740991", 1 - 2**53),
        (b' [ 1 ,\t"a"\r\n] ', [1, "a"]),
        (b'{"b":1,"a":2}', {"b": 1, "a": 2}),
        ('"Grüße 🦊"'.encode(), "Grüße 🦊"),
        (b'"\\u00fc\\ud83e\\udd8a"', "ü🦊"),
        (b'{"\\u0061":"\\n"}', {"a": "\n"}),
        (b'[["\\u0041"],{"a":["\\u0042"],"b":1}]', [["A"], {"a": ["B"], "b": 1}]),
    ],
)
def test_strict_json_is_read(data, value):
    assert read(data) == value


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b"{'a':1}",
        b'{"a":1,}',
        b"[1] x",
        b"01",
        b"+1",
        b".5",
        b"0x10",
        b"1_000",
        b"nul",
        b"// no\n1",
        b'"\x00"',
        b'"\n"',
        b'"\\x41"',
        b'"\\u12"',
        b"\x00",
        b"1\x00",
        "１".encode(),  # a digit of full width
        "\N{NO-BREAK SPACE}1".encode(),
    ],
)
def test_what_is_no_json_is_refused(data):
    with pytest.raises(MalformedError, match=r"^Not JSON: "):
        read(data)


def test_a_byte_order_mark_is_refused():
    with pytest.raises(MalformedError, match="Not JSON"):
        read(b"\xef\xbb\xbf{}")


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b'"\xc3"',
        b'"\xed\xa0\x80"',
        b'"\xc0\x80"',
        "{}".encode("utf-16"),
        b'"\xf4\x90\x80\x80"',
    ],
)
def test_what_is_no_utf_8_is_refused(data):
    with pytest.raises(MalformedError, match="not UTF-8"):
        read(data)


@pytest.mark.parametrize(
    "data", [b"1.0", b"1e3", b"1E400", b"-0.0", b"NaN", b"Infinity", b"-Infinity"]
)
def test_no_number_has_a_fraction_or_an_exponent(data):
    with pytest.raises(MalformedError, match="Floating-point"):
        read(b'{"a":[' + data + b"]}")


@pytest.mark.parametrize(
    "data", [b"9007199254740992", b"-9007199254740992", b"1" * 17, b"1" * 18, b"-" + b"9" * 5000]
)
def test_an_integer_outside_the_interoperable_range_is_refused(data):
    with pytest.raises(LimitError, match="integer"):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"b":2,"a":3}',
        b'{"a":1,"\\u0061":2}',
        b'[{"x":{"a":1,"a":2}}]',
        b'{"":1,"":2}',
    ],
)
def test_a_key_stands_once_however_it_is_spelt(data):
    with pytest.raises(MalformedError, match="twice"):
        read(data)


def test_keys_that_only_look_alike_are_different():
    # Nothing is normalised: U+00E9 and e with U+0301 are two keys.
    assert len(read('{"é":1,"e\N{COMBINING ACUTE ACCENT}":2,"E":3}'.encode())) == 3


@pytest.mark.parametrize("text", ["\\u0000", "\\ud800", "\\udfff", "\\udc00\\ud800", "a\\ud83e"])
@pytest.mark.parametrize("form", ['"{}"', '["a",["{}"]]', '{{"{}":1}}', '{{"a":{{"b":"{}"}}}}'])
def test_no_text_and_no_key_holds_nul_or_a_lone_surrogate(text, form):
    with pytest.raises(MalformedError, match="NUL or a lone surrogate"):
        read(form.format(text).encode())


def test_an_escaped_backslash_before_u_is_a_text_like_any_other():
    assert read(b'"\\\\u0000"') == "\\u0000"


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("inside", [b"1", b"[]", b"{}", b'"\\u0041"'])
def test_depth_is_counted_to_the_innermost_container(opening, closing, inside):
    outer = limits.MAX_JSON_DEPTH - (inside in (b"[]", b"{}"))
    read(opening * outer + inside + closing * outer)
    with pytest.raises(LimitError, match="16 levels"):
        read(opening * (outer + 1) + inside + closing * (outer + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"[" * MIB,
        b'{"a":' * (MIB // 5),
        b"[" * 900 + b"]" * 900,
        b"[" * 100_000 + b"]" * 100_000,
        b"1" * MIB,
        b"-" + b"1" * (MIB - 1),
    ],
)
def test_a_text_that_is_nothing_but_depth_or_digits_is_refused(data):
    with pytest.raises(LimitError, match=r"levels|integer"):
        read(data)


def test_a_text_is_measured_before_it_is_read():
    assert read(b"[1]", 3) == [1]
    with pytest.raises(LimitError, match="longer than the 2 bytes"):
        read(b"\xff\xff\xff", 2)


def test_what_is_refused_is_not_repeated():
    secret = "someone@example.com"
    for data in (
        f'{{"{secret}":1,"{secret}":2}}',
        f'["{secret}\\ud800"]',
        f'["{secret}"',
        f"[{secret}]",
        f'["\\u0000{secret}"]',
    ):
        with pytest.raises(ProtocolError) as refused:
            read(data.encode())
        assert "someone" not in str(refused.value)


class Inner(msgspec.Struct):
    n: Annotated[int, msgspec.Meta(ge=0, le=5)]


class Outer(msgspec.Struct):
    word: Annotated[str, msgspec.Meta(pattern=r"\A[a-z]*\Z", max_length=9)] = ""
    choice: Literal["yes", "no"] = "yes"
    inner: tuple[Inner, ...] = ()
    short: Annotated[tuple[int, ...], msgspec.Meta(max_length=2)] = ()

    def __post_init__(self):
        if self.word == "bad":
            raise ValueError("the word is bad.")


@pytest.mark.parametrize(
    ("value", "message", "where"),
    [
        ({"word": "SECRET"}, "Not of the form that this field has in word.", "word"),
        ({"choice": "SECRET"}, "Not one of the values allowed in choice.", "choice"),
        ({"inner": [{"n": 1}, {}]}, "Object missing required field `n` in inner[1].", "inner[1]"),
        ({"inner": [{"n": 6}]}, "Expected `int` <= 5 in inner[0].n.", "inner[0].n"),
        ({"inner": [{"n": True}]}, "Expected `int`, got `bool` in inner[0].n.", "inner[0].n"),
        ({"inner": [{"n": "1"}]}, "Expected `int`, got `str` in inner[0].n.", "inner[0].n"),
        ({"word": "bad"}, "the word is bad.", ""),
        ([], "Expected `object`, got `array`.", ""),
    ],
)
def test_a_refused_field_is_named_and_its_value_is_not(value, message, where):
    with pytest.raises(MalformedError) as refused:
        convert(value, Outer)
    assert (str(refused.value), refused.value.where) == (message, where)
    assert "SECRET" not in str(refused.value)


def test_too_long_a_list_is_beyond_a_limit():
    assert convert({"short": [1, 2]}, Outer).short == (1, 2)
    with pytest.raises(LimitError, match=r"^More than 2 entries in short\.$") as refused:
        convert({"short": [1, 2, 3]}, Outer)
    assert refused.value.where == "short"


def test_json_is_written_compactly_in_the_order_of_the_fields():
    assert (
        encode_json(Outer(word="ü")) == '{"word":"ü","choice":"yes","inner":[],"short":[]}'.encode()
    )


@pytest.mark.parametrize("size", range(9))
def test_base64_has_one_spelling(size):
    data = bytes(range(250, 250 + size)) if size < 6 else b"\xfb\xff" * size
    assert from_base64(to_base64(data)) == data
    assert from_base64url(to_base64url(data), length=len(data)) == data
    assert "=" not in to_base64url(data)


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AA=",
        "AAA",
        "AB==",
        "AAB=",
        "AA==\n",
        " AA==",
        "A A==",
        "AA==AA==",
        "AA===",
        "=",
        "-_8=",
        "_w==",
        "ü",
        "AA\0=",
        "\ud800",
    ],
)
def test_base64_that_is_not_canonical_is_refused(text):
    with pytest.raises(MalformedError, match="base64") as refused:
        from_base64(text, where="payload")
    assert refused.value.where == "payload"


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AB",
        "AAB",
        "AA==",
        "AA=",
        "AA\n",
        "A A",
        "+w",
        "/w",
        "=",
        "AAAAA",
        "ü",
        "\ud800",
        "A=A",
    ],
)
def test_base64url_that_is_not_canonical_is_refused(text):
    with pytest.raises(MalformedError, match="base64url") as refused:
        from_base64url(text, where="key")
    assert refused.value.where == "key"


def test_base64url_of_another_length_is_refused():
    with pytest.raises(MalformedError, match="exactly 3 bytes"):
        from_base64url("AAA", length=3)


@pytest.mark.parametrize(
    ("text", "unix_s"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-22T10:00:00Z", 1_795_341_600),
        ("2024-02-29T23:59:59Z", 1_709_251_199),
        ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ],
)
def test_an_instant_has_one_form(text, unix_s):
    assert parse_time(text) == unix_s
    assert format_time(unix_s) == text
    assert datetime.fromtimestamp(unix_s, UTC).isoformat() == text.replace("Z", "+00:00")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-22",
        "2026-11-22T10:00:00",
        "2026-11-22T10:00:00z",
        "2026-11-22t10:00:00Z",
        "2026-11-22 10:00:00Z",
        "2026-11-22T10:00:00+00:00",
        "2026-11-22T10:00:00.0Z",
        "2026-11-22T10:00:00Z\n",
        "2026-11-22T24:00:00Z",
        "2026-11-22T99:00:00Z",
        "20261122T100000Z",
        "2026-W47-7T10:00:00Z",
        "٢٠٢٦-11-22T10:00:00Z",
        "-2026-11-22T10:00:00Z",
    ],
)
def test_another_form_of_an_instant_is_refused(text):
    with pytest.raises(MalformedError, match="is written as"):
        parse_time(text, where="issued")


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-11-22T10:60:00Z",
        "2016-12-31T23:59:60Z",
    ],
)
def test_a_day_or_a_time_that_does_not_exist_is_refused(text):
    with pytest.raises(MalformedError, match="no such day") as refused:
        parse_time(text, where="issued")
    assert refused.value.where == "issued"


def test_an_end_comes_after_its_beginning():
    first, last = format_time(1000), format_time(1001)
    check_order(first, last)
    for wrong in (first, format_time(999)):
        with pytest.raises(MalformedError, match="not after the beginning"):
            check_order(first, wrong)


def test_a_span_is_measured_to_the_second():
    day_s = 86_400
    check_span(format_time(0), format_time(2 * day_s), max_days=2)
    with pytest.raises(MalformedError, match="more than 2 days"):
        check_span(format_time(0), format_time(2 * day_s + 1), max_days=2)


def test_the_numbers_of_json_are_those_of_python_unless_refused():
    assert read(json.dumps(list(range(-9, 9))).encode()) == list(range(-9, 9))
