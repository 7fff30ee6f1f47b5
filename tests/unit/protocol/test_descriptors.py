"""Descriptors of nodes, and the fingerprint that is read over the telephone."""

import itertools
import string

import pytest

from payloads import ID, KEY, NODE_KEY, T0, payload
from protocol.descriptors import NodeDescriptor, NodeKey, fingerprint_of, parse_fingerprint
from protocol.errors import MalformedError, ProtocolError
from protocol.statements import parse_as

# docs/protocol.md section 7.3
DESCRIPTOR_ID = "cc180c0107decb5dff8a6767a34bd25d0efcaf69e6869468ab32d96d3edad39f"
FINGERPRINT = "zqma-yaih-33fv-374k-m5t2-gs6s-luhp-zl3j-vj4q"


def read(**changes) -> NodeDescriptor:
    return parse_as(NodeDescriptor, payload("node-descriptor", **changes))


def test_a_later_version_names_the_one_before():
    assert read(version=2, previous=ID).previous == ID


@pytest.mark.parametrize(
    ("changes", "match", "where"),
    [
        ({"version": 2}, "Version 1", ""),
        ({"previous": ID}, "Version 1", ""),
        ({"version": 0}, "version", "version"),
        ({"expires": "2026-02-30T00:00:00Z"}, "no such day", "expires"),
        ({"issued": "2026-02-30T00:00:00Z"}, "no such day", "issued"),
        ({"log_origin": "other.example/log/1"}, "begins with the node's name", ""),
        ({"log_origin": "hotline.example.evil/log"}, "begins with the node's name", ""),
        ({"issuer": "hotline.example/anna"}, "begins with the node's name", ""),
        ({"keys": []}, "keys", "keys"),
        ({"keys": [{**NODE_KEY, "use": "root"}]}, "allowed", "keys[0].use"),
        ({"keys": [{**NODE_KEY, "not_after": T0}]}, "not after the beginning", "keys[0]"),
        ({"url": "https://999.1.1.1"}, "no host", "url"),
        ({"url": "https://xn--a"}, "no host", "url"),
        ({"url": "https://[::::]:80"}, "no host", "url"),
        ({"url": "https://hotline.example/"}, "form", "url"),
    ],
)
def test_a_descriptor_that_contradicts_itself_is_refused(changes, match, where):
    with pytest.raises(MalformedError, match=match) as refused:
        read(**changes)
    assert refused.value.where == where


@pytest.mark.parametrize(
    "bad", ["hotline.example/log 1", "hotline.example/a+b", "hotline.example/\xa0"]
)
def test_a_log_origin_could_be_the_name_of_a_key(bad):
    with pytest.raises(MalformedError, match="neither spaces nor plus signs"):
        read(log_origin=bad)


@pytest.mark.parametrize("bad", ["+49 30\x1b[2K", "+49 30\r", "+49\n30", "+49\u202e30"])
def test_a_contact_cannot_paint_over_the_fingerprint_beside_it(bad):
    with pytest.raises(MalformedError, match="contact"):
        read(contact=bad)


def test_a_key_hides_itself():
    assert KEY not in repr(NodeKey(**NODE_KEY)) + repr(read())


def test_the_fingerprint_of_the_specification_is_computed():
    assert fingerprint_of(DESCRIPTOR_ID) == FINGERPRINT
    assert parse_fingerprint(FINGERPRINT) == FINGERPRINT


@pytest.mark.parametrize(
    "typed",
    [
        FINGERPRINT.upper(),
        FINGERPRINT.replace("-", ""),
        FINGERPRINT.replace("-", " "),
        FINGERPRINT.replace("-", " - "),
        f"\t{FINGERPRINT}\n",
        " ".join(FINGERPRINT),
    ],
)
def test_case_blanks_and_dashes_of_a_typed_fingerprint_do_not_matter(typed):
    assert parse_fingerprint(typed) == FINGERPRINT


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "-",
        FINGERPRINT[:-1],
        FINGERPRINT + "a",
        FINGERPRINT + FINGERPRINT,
        FINGERPRINT.replace("z", "0"),
        FINGERPRINT.replace("q", "1"),
        FINGERPRINT.replace("-", "_"),
        FINGERPRINT.replace("a", "ä"),
        "ß" * 36,
        "\ud800" * 36,
        "K" * 36 + "\0",
    ],
)
def test_what_is_no_fingerprint_is_refused(typed):
    with pytest.raises(MalformedError, match="nine groups"):
        parse_fingerprint(typed)


def test_a_kelvin_sign_is_no_k():
    text = fingerprint_with("k")
    assert parse_fingerprint(text) == text
    with pytest.raises(MalformedError, match="nine groups"):
        parse_fingerprint(text.replace("k", "\N{KELVIN SIGN}"))


def fingerprint_with(char: str) -> str:
    """Some fingerprint that has the character."""
    return next(
        text
        for text in (fingerprint_of(f"{n:064x}"[::-1]) for n in itertools.count())
        if char in text
    )


def test_a_wrong_character_anywhere_is_noticed():
    for at, char in enumerate(FINGERPRINT):
        for other in string.ascii_lowercase + "234567":
            if char in ("-", other):
                continue
            with pytest.raises(ProtocolError, match="typing error"):
                parse_fingerprint(FINGERPRINT[:at] + other + FINGERPRINT[at + 1 :])


def test_two_characters_that_changed_places_are_noticed():
    text = FINGERPRINT.replace("-", "")
    for at in range(len(text) - 1):
        swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        if swapped != text:
            with pytest.raises(MalformedError, match="typing error"):
                parse_fingerprint(swapped)


def test_the_fingerprint_holds_the_first_160_bits_of_the_id():
    other = f"{int(DESCRIPTOR_ID, 16) ^ 1 << 96:064x}"
    assert fingerprint_of(other) != FINGERPRINT
    assert fingerprint_of(DESCRIPTOR_ID[:40] + "0" * 24) == FINGERPRINT
