"""Witness policies: one quorum, no name twice, and the line that is wrong is named."""

import re

import pytest

from protocol.checkpoint import COSIGNATURE, ED25519, NoteKey, format_vkey
from protocol.errors import LimitError, MalformedError, ProtocolError
from protocol.witness_policy import MAX_POLICY_BYTES, WitnessPolicy, parse_witness_policy


def key(name: str, algorithm: int = COSIGNATURE) -> NoteKey:
    return NoteKey(f"{name}.example/witness", algorithm, name.encode().ljust(32, b"."))


def vkey(name: str, algorithm: int = COSIGNATURE) -> str:
    return format_vkey(key(name, algorithm))


def witness(name: str) -> str:
    return f"witness {name} {vkey(name)}\n"


def parse(text: str) -> WitnessPolicy:
    return parse_witness_policy(text.encode())


SIX = "".join(witness(name) for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3"))
# The example of C2SP tlog-policy.
EXAMPLE = (
    f"log {vkey('log', ED25519)}\n\n{SIX}group X-witnesses 2 X1 X2 X3\n"
    "group Y-witnesses any Y1 Y2 Y3\n\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)


@pytest.mark.parametrize(
    ("cosigned", "missing"),
    [
        ("", 3),
        ("X1", 2),
        ("Y1", 2),
        ("Y1 Y2 Y3", 2),
        ("X1 X2 X3", 1),
        ("X1 Y2", 1),
        ("X1 X3 Y2", 0),
        ("X1 X2 X3 Y1 Y2 Y3", 0),
    ],
)
def test_the_example_of_the_specification_counts_as_it_says(cosigned: str, missing: int) -> None:
    policy = parse(EXAMPLE)
    keys = {key(name) for name in cosigned.split()}
    assert policy.missing(keys) == missing
    assert policy.is_met(keys) == (missing == 0)
    assert policy.missing(keys | {key("stranger")}) == missing


def test_what_a_line_may_say_besides_is_kept() -> None:
    text = (
        f"# a comment\n \t\n\tlog  {vkey('log', ED25519)} https://log.example\n"
        f"witness W {vkey('W')}\thttps://w.example/prefix  \nquorum W\n"
    )
    policy = parse(text)
    assert policy.logs == ((key("log", ED25519), "https://log.example"),)
    ((found,),) = (policy.witnesses,)
    assert (found.name, found.key, found.url) == (b"W", key("W"), "https://w.example/prefix")
    assert policy.keys == (key("W"),)


def test_no_quorum_is_met_by_nothing() -> None:
    assert parse("quorum none\n").is_met(())


def test_names_are_bytes() -> None:
    data = b"witness \xff\xfe " + vkey("a").encode() + b"\nquorum \xff\xfe\n"
    assert parse_witness_policy(data).missing(()) == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nonsense\n", 1),
        (f"{witness('a')}quorum b\n", 2),
        (f"quorum a\n{witness('a')}", 1),
        (f"{witness('a')}quorum a\nquorum a\n", 3),
        (f"{witness('a')}quorum\n", 2),
        (f"{witness('a')}quorum a a\n", 2),
        (f"{witness('a')}{witness('a')}quorum a\n", 2),
        (f"{witness('a')}witness b {vkey('a')}\nquorum a\n", 2),
        (f"witness none {vkey('a')}\nquorum none\n", 1),
        (f"witness a {vkey('a', ED25519)}\nquorum a\n", 1),
        (f"witness a {vkey('a')[:-2]}\nquorum a\n", 1),
        (f"witness a {vkey('a')} https://a.example more\nquorum a\n", 1),
        (f"witness a {vkey('a')} {'h' * 513}\nquorum a\n", 1),
        ("witness a\nquorum a\n", 1),
        (f"log {vkey('a')}\nquorum none\n", 1),
        ("log\nquorum none\n", 1),
        (f"log {vkey('a', ED25519)}\nlog {vkey('a', ED25519)}\nquorum none\n", 2),
        (f"{witness('a')}group g all\nquorum a\n", 2),
        (f"{witness('a')}group g 0 a\nquorum a\n", 2),
        (f"{witness('a')}group g 2 a\nquorum a\n", 2),
        (f"{witness('a')}group g 01 a\nquorum a\n", 2),
        (f"{witness('a')}group g some a\nquorum a\n", 2),
        (f"{witness('a')}group g any a a\nquorum a\n", 2),
        (f"{witness('a')}group g any none\nquorum a\n", 2),
        (f"{witness('a')}group a any a\nquorum a\n", 2),
        (f"{witness('a')}group g any g\nquorum a\n", 2),
        (f"{witness('a')}group g any a\ngroup h any a\nquorum g\n", 3),
        (f"{witness('a')}quorum a\x00\n", 2),
        (f"{witness('a')}quorum a\r\n", 2),
        ("".join(witness(f"w{n}") for n in range(65)) + "quorum none\n", 65),
    ],
    ids=range(30),
)
def test_the_line_that_is_wrong_is_named(text: str, line: int) -> None:
    with pytest.raises(ProtocolError, match=f"^line {line}: ") as caught:
        parse(text)
    assert caught.value.where == f"line {line}"
    assert not re.search(r"\+[0-9a-f]{8}\+", str(caught.value)), "no key in a sentence"


@pytest.mark.parametrize("url", [b"\xff", b"caf\xc3"])
def test_an_address_or_a_key_that_is_no_text_is_refused(url: bytes) -> None:
    with pytest.raises(MalformedError, match="line 1"):
        parse_witness_policy(b"witness a " + vkey("a").encode() + b" " + url + b"\nquorum a\n")
    with pytest.raises(MalformedError, match="line 1"):
        parse_witness_policy(b"witness a " + url + b"\nquorum a\n")


def test_a_policy_without_a_quorum_or_cut_short_is_none() -> None:
    with pytest.raises(MalformedError, match="one quorum line"):
        parse(witness("a"))
    with pytest.raises(MalformedError, match="one quorum line"):
        parse("")
    with pytest.raises(MalformedError, match="newline"):
        parse(f"{witness('a')}quorum a")
    with pytest.raises(LimitError):
        parse("#" * MAX_POLICY_BYTES + "\n")
