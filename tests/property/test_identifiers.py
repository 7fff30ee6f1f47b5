"""Any text gives a canonical value or a MalformedError, and a canonical value gives itself."""

import hashlib
import string
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from protocol import limits
from protocol.categories import parse_vocabulary
from protocol.errors import MalformedError, ProtocolError
from protocol.identifiers import CURRENT_SCHEMES, IdentifierKind, normalise
from protocol.identifiers.keccak import sponge256

any_text = st.text(st.characters(codec=None), max_size=80)
words = st.text(string.ascii_letters + string.digits + ".-_+äßİﬁΣ", min_size=1, max_size=12)
digits = st.text(string.digits + " -/()", min_size=3, max_size=18)
hosts = st.lists(words, min_size=1, max_size=3).map(".".join)
hexes = st.text(string.hexdigits + ":-.", min_size=8, max_size=40)
base32 = st.text("qpzry9x8gf2tvdw0s3jn54khce6mua7l", min_size=1, max_size=60)
near_misses = st.one_of(
    st.builds("{}@{}".format, words, hosts),
    st.builds("{}@{}".format, words, st.sampled_from(["gmail.com", "pm.me", "live.de"])),
    st.builds("{}{}".format, st.sampled_from(["+49", "+1", "+39", "00", "0049", "tel:+"]), digits),
    st.builds("{}{}".format, st.sampled_from(["", "imei:", "uuid:", "mac:", "0x", "evm:"]), hexes),
    st.builds("{}{}".format, st.sampled_from(["bc1", "BC1Q", "bc1p", "btc:1", "3", "tb1"]), base32),
    st.builds("{}{}".format, st.sampled_from(["card:", "DE89", "IBAN ", "iban:"]), words),
    st.builds(
        "{}{}/{}".format,
        st.sampled_from(["https://", "www.", "t.me/", "discord.gg/", "signal.group/#", "%"]),
        hosts,
        words,
    ),
)
texts = st.one_of(any_text, near_misses)
scopes = st.one_of(st.none(), st.just("example.social"), hosts)
regions = st.sampled_from([None, "DE", "de", "US", "GB", "IT", "XX", ""])


@settings(max_examples=400)
@given(st.sampled_from(IdentifierKind), texts, regions, scopes)
@example(IdentifierKind.EMAIL, "a.+b@live.de", None, None)
@example(IdentifierKind.INVITE, "www.www.example.org/g/a", None, None)
@example(IdentifierKind.USERNAME, "@@anna", None, "www.www.example.social")
@example(IdentifierKind.PAYMENT, "btc:", None, None)
@example(IdentifierKind.DEVICE, "\ud800", None, None)
def test_any_text_gives_a_stable_canonical_value_or_a_malformed_error(kind, raw, region, scope):
    try:
        found = normalise(kind, raw, region=region, scope=scope)
    except MalformedError as error:
        assert str(error).endswith(".")  # noqa: PT017  # a whole sentence, whatever was refused
        return
    assert found.kind is kind
    assert found.scheme == CURRENT_SCHEMES[kind]
    assert 0 < len(found.value) <= 2 * limits.MAX_IDENTIFIER_CHARS
    again = found.value
    if kind is IdentifierKind.USERNAME:  # the one kind whose input is two texts
        scope, _, again = found.value.partition("/")
    assert normalise(kind, again, scope=scope) == found


@settings(max_examples=100)
@given(st.sampled_from(IdentifierKind), any_text.filter(lambda text: len(text.strip()) > 12))
def test_no_message_and_no_repr_holds_the_value(kind, raw):
    try:
        found = normalise(kind, raw, scope="example.social")
    except MalformedError as error:
        assert raw.strip() not in str(error)  # noqa: PT017
        assert error.__cause__ is None  # noqa: PT017
        assert error.__suppress_context__ or error.__context__ is None  # noqa: PT017
    else:
        assert found.value not in repr(found)


@settings(max_examples=100)
@given(words, st.sampled_from(string.ascii_letters), words)
def test_case_width_and_surrounding_space_of_an_address_make_no_difference(name, letter, tag):
    address = f"{letter}{name.strip('.')}@example.org"
    try:
        expected = normalise("email", address)
    except MalformedError:
        return
    wide = "".join(chr(ord(c) + 0xFEE0) if c in string.ascii_letters else c for c in address)
    for spelling in (address.upper(), f" {address}\n", wide):
        assert normalise("email", spelling) == expected


@settings(max_examples=60)
@given(st.binary(max_size=600))
def test_the_sponge_agrees_with_the_standard_library_on_sha3(data):
    assert sponge256(data, suffix=0x06) == hashlib.sha3_256(data).digest()


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_bytes_give_a_vocabulary_or_a_protocol_error(data):
    with suppress(ProtocolError):
        parse_vocabulary(data)
