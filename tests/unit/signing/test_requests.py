"""Signed requests: bound to method, URL, body, key and time, in one form."""

import base64
import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver

from protocol.encoding import to_base64url
from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    RevokedError,
    UnknownKeyError,
)
from protocol.limits import NONCE_KEPT_S, REQUEST_LIFETIME_S, REQUEST_SKEW_S
from request_algorithm import RequestAlgorithm
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.requests import MAX_FIELD_CHARS, SignedRequest, sign_request, verify_request

NOW = 1_795_000_000
URL = "https://node-a.example/federation/v1/envelopes?since=7&to=9"
BODY = b'{"ids":["AAAA"]}'
KEY = SigningKey.from_seed(KeyUse.REQUEST, bytes(range(32)))
OTHER = SigningKey.from_seed(KeyUse.REQUEST, bytes(range(1, 33)))
NONCE = bytes(16)


class Directory:
    """The keys that a node vouches for."""

    def __init__(self, *keys: SigningKey) -> None:
        self._keys = {key.kid: key.public for key in keys}

    def find(self, keyid: str) -> PublicKey:
        try:
            return self._keys[keyid]
        except KeyError:
            raise UnknownKeyError("Nobody here vouches for this key.") from None


def signed(**changes) -> dict[str, str]:
    """The headers of a request, signed as `changes` say and otherwise as the constants do."""
    given = {"method": "POST", "url": URL, "body": BODY, "key": KEY, "now": NOW, "nonce": NONCE}
    return sign_request(**given | changes)


def verify(headers, **changes) -> SignedRequest:
    given = {"method": "POST", "url": URL, "body": BODY, "now": NOW}
    find_key = Directory(KEY, OTHER).find
    return verify_request(**{"headers": headers, "find_key": find_key} | given | changes)


def resigned(
    *,
    covered='"@method" "@authority" "@target-uri" "content-digest"',
    params='created={created};expires={expires};nonce="{nonce}";keyid="{keyid}";alg="ed25519";tag="schutznetz/v1"',
    key=KEY,
    created=NOW,
    expires=NOW + REQUEST_LIFETIME_S,
    nonce="A" * 22,
) -> dict[str, str]:
    """Sign by hand (RFC 9421 section 2.5), so that the form may differ and the signature holds."""
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"
    filled = params.format(created=created, expires=expires, nonce=nonce, keyid=key.kid)
    values = {
        '"@method"': "POST",
        '"@authority"': "node-a.example",
        '"@target-uri"': URL,
        '"content-digest"': digest,
        '"date"': "today",
    }
    signature_params = f"({covered});{filled}"
    lines = [f"{name}: {values[name]}" for name in covered.split()]
    base = "\n".join([*lines, f'"@signature-params": {signature_params}'])
    signature = base64.b64encode(key.sign(base.encode())).decode()
    return {
        "content-digest": digest,
        "signature-input": f"sig1={signature_params}",
        "signature": f"sig1=:{signature}:",
        "date": "today",
    }


@pytest.mark.parametrize("url", [URL, "http://Node-A.example:80/x%20y", "https://[::1]:8440/?"])
def test_a_signed_request_is_byte_for_byte_what_the_library_makes(url):
    ours = signed(url=url)
    theirs = SimpleNamespace(method="POST", url=url, headers={})
    keys = MappingKeyResolver(public_keys={KEY.kid: KEY.public}, private_keys={KEY.kid: KEY})
    HTTPMessageSigner(signature_algorithm=RequestAlgorithm, key_resolver=keys).sign(
        theirs,
        key_id=KEY.kid,
        created=datetime.fromtimestamp(NOW, UTC),
        expires=datetime.fromtimestamp(NOW + 60, UTC),
        nonce=to_base64url(NONCE),
        label="sig1",
        tag="schutznetz/v1",
        covered_component_ids=("@method", "@authority", "@target-uri", "content-digest"),
        body=BODY,
    )
    assert ours == theirs.headers


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("POST", URL, BODY),
        ("GET", "https://node-a.example/checkpoint", b""),
        ("GET", "https://node-a.example", b""),
        ("GET", "http://127.0.0.1:8080/tile/0/x001/067?", b""),
        ("GET", "https://[2001:db8::1]:8443/a%2Fb/%C3%A4", b""),
        ("DELETE", URL, b"\x00" * 100_000),
    ],
)
def test_a_signed_request_verifies_and_names_its_signer(method, url, body):
    headers = signed(method=method, url=url, body=body)
    request = verify(headers, method=method, url=url, body=body)
    assert request == SignedRequest(keyid=KEY.kid, nonce="A" * 22, created=NOW)


def test_the_headers_are_the_profiles_and_in_their_canonical_form():
    headers = signed()
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    assert list(headers) == ["Content-Digest", "Signature-Input", "Signature"]
    assert headers["Content-Digest"] == f"sha-256=:{digest}:"
    assert headers["Signature-Input"] == (
        'sig1=("@method" "@authority" "@target-uri" "content-digest")'
        f';created={NOW};keyid="{KEY.kid}";alg="ed25519";expires={NOW + 60}'
        ';nonce="AAAAAAAAAAAAAAAAAAAAAA";tag="schutznetz/v1"'
    )
    assert max(map(len, headers.values())) <= 206 < MAX_FIELD_CHARS


def test_what_another_implementation_signs_verifies_in_any_order_of_parameters():
    assert verify(resigned()).keyid == KEY.kid
    params = 'tag="schutznetz/v1";nonce="{nonce}";alg="ed25519";keyid="{keyid}";expires={expires};created={created}'
    assert verify(resigned(params=params)).keyid == KEY.kid


def test_names_of_header_fields_are_the_same_in_any_case():
    headers = {name.upper(): value for name, value in signed().items()}
    assert verify(headers | {"X-Other": "x" * 10_000}).created == NOW


def test_every_request_gets_its_own_nonce():
    nonces = {verify(signed(nonce=None)).nonce for _ in range(10)}
    assert len(nonces) == 10
    assert {len(nonce) for nonce in nonces} == {22}


def test_a_flaggers_key_signs_requests_too():
    flagger = SigningKey.generate(KeyUse.FLAGGER)
    headers = signed(key=flagger)
    assert verify(headers, find_key=Directory(flagger).find).keyid == flagger.kid


@pytest.mark.parametrize("use", [KeyUse.ROOT, KeyUse.LOG, KeyUse.WITNESS, KeyUse.STATEMENT])
def test_a_key_for_another_use_neither_signs_nor_verifies_requests(use):
    key = SigningKey.generate(use)
    with pytest.raises(RuntimeError, match=f"A key for '{use}' does not sign requests"):
        signed(key=key)
    with pytest.raises(BadSignatureError, match=f"A key for '{use}' does not sign requests"):
        verify(resigned(key=key), find_key=Directory(key).find)


# --- headers that were good once, on another request -------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"body": BODY + b" "}, "The body is not the one"),
        ({"body": b""}, "The body is not the one"),
        ({"method": "PUT"}, "does not fit this method, URL and body"),
        ({"url": URL.replace("/v1/", "/v2/")}, "does not fit"),
        ({"url": URL.replace("envelopes", "%65nvelopes")}, "does not fit"),
        ({"url": URL.replace("since=7", "since=8")}, "does not fit"),
        ({"url": URL.replace("since=7&to=9", "to=9&since=7")}, "does not fit"),
        ({"url": URL.partition("?")[0]}, "does not fit"),
        ({"url": URL.replace("node-a", "node-b")}, "does not fit"),
        ({"url": URL.replace(".example", ".example:8443")}, "does not fit"),
        ({"url": URL.replace("https:", "http:")}, "does not fit"),
    ],
)
def test_headers_replayed_on_another_request_are_refused(changes, message):
    with pytest.raises(BadSignatureError, match=message):
        verify(signed(), **changes)


def test_the_host_field_decides_nothing():
    assert verify(signed() | {"Host": "node-b.example"}).keyid == KEY.kid


def test_a_signature_by_another_key_than_the_named_one_is_refused():
    headers = signed(key=OTHER)
    headers["Signature-Input"] = headers["Signature-Input"].replace(OTHER.kid, KEY.kid)
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(headers)


def test_an_unknown_or_revoked_key_is_refused_as_the_directory_says():
    with pytest.raises(UnknownKeyError, match="Nobody here vouches"):
        verify(signed(), find_key=Directory(OTHER).find)

    def find_key(_keyid: str) -> PublicKey:
        raise RevokedError("Withdrawn.")

    with pytest.raises(RevokedError, match="Withdrawn"):
        verify(signed(), find_key=find_key)


def test_no_key_is_sought_for_a_request_that_is_refused_anyway():
    def find_key(_keyid: str) -> PublicKey:
        pytest.fail("the directory was asked")

    for changes in ({"body": b"other"}, {"now": NOW + 1000}, {"headers": {}}):
        with pytest.raises(BadSignatureError):
            verify(**{"headers": signed(), "find_key": find_key} | changes)


# --- time --------------------------------------------------------------------------------------


def test_a_request_is_good_from_the_skew_before_to_the_skew_after_its_life():
    first, last = NOW - REQUEST_SKEW_S, NOW + REQUEST_LIFETIME_S + REQUEST_SKEW_S - 1
    for now in (first, NOW, last):
        assert verify(signed(), now=now).created == NOW
    with pytest.raises(BadSignatureError, match="31 s ahead of this server's clock"):
        verify(signed(), now=first - 1)
    with pytest.raises(BadSignatureError, match=r"expired 30 s ago by this server's clock.*clocks"):
        verify(signed(), now=last + 1)
    # A nonce forgotten before its request has gone stale would let a replay in.
    assert last + 1 - first <= NONCE_KEPT_S


@pytest.mark.parametrize("life", [-1, REQUEST_LIFETIME_S + 1, 10**9])
def test_a_signature_that_would_be_valid_for_too_long_or_never_is_refused(life):
    with pytest.raises(BadSignatureError, match="valid for 0 to 60 s"):
        verify(resigned(expires=NOW + life))


# --- form --------------------------------------------------------------------------------------

ALL = '"@method" "@authority" "@target-uri" "content-digest"'


@pytest.mark.parametrize(
    "covered",
    [
        "",
        ALL.replace('"@method" ', ""),
        ALL.replace('"@authority" ', ""),
        ALL.replace('"@target-uri" ', ""),
        ALL.replace(' "content-digest"', ""),
        ALL + ' "date"',
        '"content-digest" "@method" "@authority" "@target-uri"',
    ],
)
def test_a_signature_over_other_components_is_refused_though_it_holds(covered):
    with pytest.raises(BadSignatureError, match="has to cover exactly"):
        verify(resigned(covered=covered))


GOOD = 'created={created};expires={expires};nonce="{nonce}";keyid="{keyid}";alg="ed25519";tag="schutznetz/v1"'


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (GOOD.replace("schutznetz/v1", "schutznetz/v2"), "tag is not 'schutznetz/v1'"),
        (GOOD.replace('"ed25519"', '"ed25519ph"'), "alg not 'ed25519'"),
        (GOOD.replace('"ed25519"', '"hmac-sha256"'), "alg not 'ed25519'"),
    ],
)
def test_a_signature_for_another_application_or_algorithm_is_refused(params, message):
    with pytest.raises(BadSignatureError, match=message):
        verify(resigned(params=params))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        *((GOOD.replace(f";{part}", ""), "each once") for part in GOOD.split(";")[1:]),
        (GOOD.partition(";")[2], "each once"),
        (GOOD + ";created={created}", "each once"),
        (GOOD + ';extra="1"', "each once"),
        (GOOD.replace("created={created}", 'created="{created}"'), "each once"),
        (GOOD.replace('nonce="{nonce}"', "nonce=1"), "each once"),
        (GOOD.replace("{keyid}", "x{keyid}"), "keyid has 32 hexadecimal"),
        (GOOD.replace("{keyid}", "{keyid}0"), "keyid has 32 hexadecimal"),
        (GOOD.replace("{nonce}", "AAAA"), "16 bytes"),
        (GOOD.replace("{nonce}", "{nonce}A"), "base64url|16 bytes"),
        (GOOD.replace("{nonce}", "AAAAAAAAAAAAAAAAAAAAAB"), "canonical base64url"),
        (GOOD.replace("{created}", "0{created}"), "no second one"),
        (GOOD.replace("{created}", "{created}.0"), "no second one"),
        (GOOD.replace("{created}", "-1"), "no second one"),
        (GOOD.replace("{created}", "1" * 16), "no second one"),
        (GOOD + ";flag", "no second one"),
        (GOOD + "; x=1", "no second one"),
    ],
)
def test_parameters_that_are_not_the_profiles_are_refused(params, message):
    with pytest.raises(MalformedError, match=message):
        verify(resigned(params=params))


def test_a_request_with_two_signatures_is_refused():
    one, two = signed(), signed(key=OTHER)
    both = {
        **one,
        "Signature-Input": f"{one['Signature-Input']}, {two['Signature-Input'].replace('sig1', 'sig2')}",
        "Signature": f"{one['Signature']}, {two['Signature'].replace('sig1', 'sig2')}",
    }
    with pytest.raises(MalformedError, match="no second one"):
        verify(both)
    with pytest.raises(MalformedError, match="no second one"):
        verify(both | {"Signature": one["Signature"]})


@pytest.mark.parametrize("name", ["Content-Digest", "Signature-Input", "Signature"])
def test_a_field_that_stands_twice_is_missing_or_too_long_is_refused(name):
    headers = signed()
    with pytest.raises(MalformedError, match=f"{name.lower()} stands twice"):
        verify(headers | {name.lower(): headers[name]})
    with pytest.raises(LimitError, match=f"{name.lower()} is longer than 512"):
        verify(headers | {name: "x" * 513})
    del headers[name]
    with pytest.raises(BadSignatureError, match=f"not signed: it has no field {name.lower()}"):
        verify(headers)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("Content-Digest", "{}, sha-512=:AA==:"),
        ("Content-Digest", "{};a=1"),
        ("Content-Digest", "{}\n"),
        ("Content-Digest", "sha-512=:AA==:"),
        ("Content-Digest", "ä"),
        ("Signature", "sig2=:AA==:"),
        ("Signature", "sig1=:AA==:"),
        ("Signature", "{};a"),
        ("Signature-Input", "{}\n"),
        ("Signature-Input", "x{}"),
        ("Signature-Input", "sig1"),
        ("Signature-Input", 'sig1="@method"'),
    ],
)
def test_a_field_in_another_form_is_refused(name, change):
    headers = signed()
    with pytest.raises(MalformedError, match=r"nothing else|no second one"):
        verify(headers | {name: change.format(headers[name])})


def test_a_signature_has_one_base64_form_only():
    headers = signed()
    signature = headers["Signature"]
    for last in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/":
        if last != signature[-4]:
            with pytest.raises((MalformedError, BadSignatureError)):
                verify(headers | {"Signature": f"{signature[:-4]}{last}==:"})


def test_a_method_that_is_not_one_upper_case_word_is_refused_on_both_sides():
    for method in ("post", "", "PO ST", "POST\n", "P" * 17):
        with pytest.raises(MalformedError, match="one word in upper case"):
            signed(method=method)
        with pytest.raises(MalformedError, match="one word in upper case"):
            verify(signed(), method=method)


@pytest.mark.parametrize(
    "url", ["", "/path", "node.example", "https://", "https://a/ä", "https://a/ b"]
)
def test_a_url_that_is_not_absolute_and_encoded_is_refused(url):
    with pytest.raises(MalformedError, match="absolute, encoded"):
        signed(url=url)
    with pytest.raises(BadSignatureError, match="does not fit"):
        verify(signed(), url=url)


@pytest.mark.parametrize("length", [0, 15, 17])
def test_a_nonce_of_another_length_is_a_mistake_of_the_caller(length):
    with pytest.raises(RuntimeError, match="A nonce has 16 bytes"):
        signed(nonce=bytes(length))
