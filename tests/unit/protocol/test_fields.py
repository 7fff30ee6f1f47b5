"""The form of every field: what is accepted, and what only looks like it."""

from typing import Any

import pytest

from protocol import fields, limits
from protocol.encoding import convert, to_base64url
from protocol.errors import MalformedError

LABEL = "a" * 63
LONG_NAME = f"{LABEL}.{'b' * 62}.c"

ACCEPTED: dict[str, list[Any]] = {
    "Digest256": ["0" * 64, "0123456789abcdef" * 4],
    "Digest160": ["f" * 40],
    "Digest128": ["f" * 32],
    "Nonce": ["A" * 22, "_-" * 10 + "_w"],
    "Bytes32": ["A" * 43, "_-" * 21 + "8"],
    "Bytes64": ["A" * 86, "_-" * 42 + "_w"],
    "Salt": ["A" * 22, "_-" * 10 + "_w"],
    "Digest512": ["f" * 128],
    "TimeField": ["2026-11-22T10:00:00Z", "0000-12-31T23:59:59Z"],
    "Day": ["2026-11-22", "2026-02-31"],
    "NodeName": ["a", "0", "hotline.example", "a-b.c--d.e", LABEL, LONG_NAME],
    "IssuerName": ["hotline.example", "hotline.example/anna", "a/b", LONG_NAME],
    "VocabularyName": ["schutznetz", LABEL],
    "CircleName": ["hotline.example/de-minors-1", f"a/{LABEL}"],
    "AudienceName": ["peers", "circle:a/b", f"circle:a.b/{LABEL}", "node:a.b", f"node:{LONG_NAME}"],
    "Category": ["csam.act.prepub", "a", "a-1.-", "a" * 64],
    "CategoryPattern": ["*", "csam.*", "csam", "a" * 64 + ".*"],
    "Flag": ["live_stream", "a1", "a" * 32],
    "Text": ["a", "ü 🦊", "x" * 512, "🦊" * 512, " "],
    "Code": ["A1", "DSA-22", "a:b/c.d_e", "9" * 64],
    "Jurisdiction": ["DE"],
    "Language": ["de", "nds"],
    "Scheme": ["email-v1", "a-v9999", "a" * 16 + "-v1"],
    "IdentifierKindName": ["email", "phone", "device", "payment", "username", "invite"],
    "Surface": ["public", "hosted", "private"],
    "Url": [
        "https://hotline.example",
        "http://127.0.0.1:8080",
        "http://[::1]:1",
        "https://a:65535",
    ],
    "Index": [0, limits.MAX_ITEMS - 1],
    "Count": [0, 10**9],
    "Quality": [0, 100],
    "Milliseconds": [0, 10**9],
    "LogSize": [0, limits.MAX_LOG_SIZE],
}

REFUSED: dict[str, list[Any]] = {
    "Digest256": ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n", "٠" * 64, None, 0],
    "Digest160": ["f" * 39, "f" * 41, "F" * 40],
    "Digest128": ["f" * 31, "f" * 33, "F" * 32],
    "Nonce": ["A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "=", "+" + "A" * 21, "A" * 22 + "\n"],
    "Bytes32": ["A" * 42, "A" * 44, "A" * 42 + "B", "A" * 43 + "=", "/" + "A" * 42],
    "Salt": ["A" * 21, "A" * 23, "A" * 21 + "B", "A" * 21 + "="],
    "Digest512": ["f" * 127, "f" * 129, "F" * 128],
    "Bytes64": ["A" * 85, "A" * 87, "A" * 85 + "B", "A" * 86 + "=="],
    "TimeField": [
        "2026-11-22T24:00:00Z",
        "2026-11-22T10:00:60Z",
        "2026-13-22T10:00:00Z",
        "2026-11-32T10:00:00Z",
        "2026-11-22T10:00:00Z\n",
        "٢٠٢٦-11-22T10:00:00Z",
    ],
    "Day": ["2026-11-00", "2026-11-32", "2026-00-01", "2026-1-1", "٢٠٢٦-11-22", "2026-11-2２"],
    "NodeName": [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "A",
        "a_b",
        "ä",
        "a/b",
        "a b",
        "a\n",
        "a" * 64,
        "a." * 64 + "a",
    ],
    "IssuerName": ["/a", "a/", "a/b/c", "a/b.c", "a//b", "a/B", LONG_NAME + "c"],
    "VocabularyName": ["", "a.b", "A", "a" * 64, "-"],
    "CircleName": ["", "a", "a/", "/a", "a/b.c", "a/B", "a/" + "a" * 64, LONG_NAME + "c"],
    "AudienceName": [
        "",
        "all",
        "Peers",
        "peers\n",
        "circle:",
        "circle:a.b",
        "circle:a",
        "node:",
        "node:a/b",
    ],
    "Category": ["", ".a", "a.", "a..b", "1a", "A", "a*", "a.*", "a" * 65],
    "CategoryPattern": ["", "**", "*.a", "a*", "a.*.b", ".*", "a.**", "a" * 65 + ".*"],
    "Flag": ["", "1a", "a-b", "A", "a" * 33],
    "Text": ["", "x" * 513, "🦊" * 513],
    "Code": ["", "-a", " ", "a b", "ü", "a" * 65, "a\n"],
    "Jurisdiction": ["de", "D", "DEU", "ÄÖ", "DE\n"],
    "Language": ["DE", "d", "germ"],
    "Scheme": ["email", "email-v0", "email-v01", "email-v10000", "-v1", "a" * 17 + "-v1"],
    "IdentifierKindName": ["ip", "Email", ""],
    "Surface": ["Public", "", None],
    "Url": [
        "hotline.example",
        "ftp://a",
        "HTTPS://a",
        "https://",
        "https://a/",
        "https://a?b",
        "https://a#b",
        "https://u@a",
        "https://a:",
        "https://a:0",
        "https://a:080",
        "https://a:65536",
        "https://a:99999",
        "https://a:100000",
        "https://[::1",
        "https://[]",
        "https://[fe80::1%25a]",
        "https://A",
        "https://a\n",
        "https://a\\b",
        "https://" + "a." * 260 + "a",
    ],
    "Index": [-1, limits.MAX_ITEMS, "0", True, None],
    "Count": [-1, 10**9 + 1, False],
    "Quality": [-1, 101],
    "Milliseconds": [-1, 10**9 + 1],
    "LogSize": [-1, limits.MAX_LOG_SIZE + 1],
}


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(ACCEPTED))
def test_a_field_of_the_right_form_is_accepted_as_it_is(name, value):
    assert convert(value, getattr(fields, name)) == value


@pytest.mark.parametrize(("name", "value"), cases(REFUSED))
def test_a_field_of_another_form_is_refused(name, value):
    with pytest.raises(MalformedError, match=r"\.$"):
        convert(value, getattr(fields, name))


def test_every_field_has_cases_on_both_sides():
    helpers = {"StatementId", "Annotated", "Literal", "NewType", "Meta", "Time"}
    types = {
        name
        for name, value in vars(fields).items()
        if name[0].isupper() and name not in helpers and not isinstance(value, type)
    }
    assert types == set(ACCEPTED) == set(REFUSED)


@pytest.mark.parametrize("bad", range(0x20))
def test_no_text_carries_a_control_character_to_a_terminal(bad):
    for code in (bad, 0x7F, 0x80 + bad):
        with pytest.raises(MalformedError, match="form"):
            convert(f"Tel. 1{chr(code)}2", fields.Text)


@pytest.mark.parametrize(
    "bad", "\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
def test_no_text_turns_the_direction_of_what_stands_beside_it(bad):
    with pytest.raises(MalformedError, match="form"):
        convert(f"Tel. 1{bad}2", fields.Text)


@pytest.mark.parametrize(("name", "size"), [("Nonce", 16), ("Bytes32", 32), ("Bytes64", 64)])
def test_every_last_character_of_binary_fields_that_is_canonical_is_accepted(name, size):
    ends = {to_base64url(bytes(size - 1) + bytes([last]))[-1] for last in range(256)}
    stem = to_base64url(bytes(size))[:-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for char in alphabet:
        if char in ends:
            convert(stem + char, getattr(fields, name))
        else:
            with pytest.raises(MalformedError, match="form"):
                convert(stem + char, getattr(fields, name))


@pytest.mark.parametrize(
    "url",
    [
        "https://hotline.example:8443",
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]:8080",
        "http://[::ffff:1.2.3.4]",
        "https://xn--mnchen-3ya.example",
        "https://1.example",
    ],
)
def test_a_host_that_could_be_called_is_accepted(url):
    fields.check_url(convert(url, fields.Url))


@pytest.mark.parametrize(
    "url",
    [
        "https://999.1.1.1",
        "https://1",
        "https://1.2.3",
        "https://01.2.3.4",
        "https://a.5",
        "https://[::::]",
        "https://[1.2.3.4]:80",
        "https://[.]",
        "https://xn--a",
        "https://xn--zz--0",
        "https://a.xn--0.example:80",
    ],
)
def test_a_host_that_nobody_could_call_is_refused(url):
    assert convert(url, fields.Url) == url
    with pytest.raises(MalformedError, match="no host") as refused:
        fields.check_url(url, where="url")
    assert refused.value.where == "url"


@pytest.mark.parametrize(
    ("issuer", "organisation"),
    [("hotline.example", "hotline.example"), ("hotline.example/anna", "hotline.example")],
)
def test_the_organisation_is_what_stands_before_the_slash(issuer, organisation):
    assert fields.organisation_of(issuer) == organisation
