"""Whatever stands in a request's header, the answer is a signer or one of our errors."""

from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import ProtocolError, SigningError, UnknownKeyError
from signing.keys import KeyUse, PublicKey, SigningKey
from signing.requests import SignedRequest, sign_request, verify_request

NOW = 1_795_000_000
URL = "https://node-a.example/v1/statements?x=%20"
KEY = SigningKey.from_seed(KeyUse.REQUEST, bytes(range(32)))
NAMES = ["Content-Digest", "Signature-Input", "Signature"]

# What a server hands over: any byte, decoded as Latin-1; and worse, any text.
VALUES = st.binary(max_size=600).map(lambda data: data.decode("latin-1")) | st.text(max_size=100)

# Text that looks like the fields, to get past the first look.
PIECES = st.sampled_from(
    [
        "sig1=",
        "sig2=",
        '("@method" "@authority" "@target-uri" "content-digest")',
        '("@method")',
        "()",
        f";created={NOW}",
        f";expires={NOW + 60}",
        ";expires=999999999999999",
        ";created=0",
        ';nonce="AAAAAAAAAAAAAAAAAAAAAA"',
        ';nonce="-_AAAAAAAAAAAAAAAAAAAA"',
        f';keyid="{KEY.kid}"',
        ';keyid="00000000000000000000000000000000"',
        ';alg="ed25519"',
        ';tag="schutznetz/v1"',
        ";x",
        ", ",
        f":{'A' * 86}==:",
        f"sha-256=:{'A' * 43}=:",
        '"',
        "\\",
        "\n",
        "\0",
        " ",
    ]
)
LOOKALIKES = st.lists(PIECES, max_size=12).map("".join)


def find_key(keyid: str) -> PublicKey:
    if keyid != KEY.kid:
        raise UnknownKeyError("Nobody here vouches for this key.")
    return KEY.public


def outcome(
    headers: dict[str, str], *, method: str = "POST", url: str = URL, body: bytes = b"body"
) -> SignedRequest | None:
    try:
        return verify_request(
            method=method, url=url, headers=headers, body=body, now=NOW, find_key=find_key
        )
    except (ProtocolError, SigningError):
        return None


def signed(body: bytes = b"body") -> dict[str, str]:
    return sign_request(method="POST", url=URL, body=body, key=KEY, now=NOW, nonce=bytes(16))


@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=20), VALUES | LOOKALIKES))
def test_any_headers_are_refused_with_our_errors_only(headers):
    assert outcome(headers) is None


@given(st.sampled_from(NAMES), VALUES | LOOKALIKES)
def test_any_other_value_of_one_field_is_refused_with_our_errors_only(name, value):
    headers = signed()
    if headers[name] != value:
        assert outcome(headers | {name: value}) is None


@given(st.sampled_from(NAMES), st.data())
def test_any_changed_character_of_a_field_is_refused(name, data):
    headers = signed()
    value = headers[name]
    place = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(codec="latin-1").filter(lambda char: char != value[place]))
    headers[name] = value[:place] + other + value[place + 1 :]
    assert outcome(headers) is None


@given(st.text(max_size=20), st.text(max_size=60), st.binary(max_size=40))
def test_any_other_method_url_or_body_is_refused_with_our_errors_only(method, url, body):
    if method != "POST":
        assert outcome(signed(), method=method) is None
    for other in (url, "https://node-a.example/" + url):
        if other != URL:
            assert outcome(signed(), url=other) is None
    if body != b"body":
        assert outcome(signed(), body=body) is None


@given(st.binary(max_size=2000), st.binary(min_size=16, max_size=16), st.integers(0, 10**10))
@settings(max_examples=50)
def test_what_is_signed_verifies(body, nonce, now):
    headers = sign_request(method="PUT", url=URL, body=body, key=KEY, now=now, nonce=nonce)
    found = verify_request(
        method="PUT", url=URL, headers=headers, body=body, now=now, find_key=find_key
    )
    assert (found.keyid, found.created) == (KEY.kid, now)
