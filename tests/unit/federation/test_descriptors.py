import pytest
from msgspec.structs import replace

from federation.descriptors import follow, open_descriptor, pin
from protocol.descriptors import NodeDescriptor, fingerprint_of
from protocol.encoding import format_time, to_base64url
from protocol.envelope import Envelope, Signature, encode_envelope, pae, parse_envelope
from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    QuorumError,
    RevokedError,
    UnknownKeyError,
    VersionError,
)
from protocol.statements import parse_as
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, make_key, media_flag

NAME = "hotline.example"
ROOT = make_key(KeyUse.ROOT, NAME)
NEW_ROOT = make_key(KeyUse.ROOT, "the next root")


@pytest.fixture
def first():
    return open_descriptor(Peer(NAME).descriptor_envelope, now=NOW)


def sign_by(descriptor: NodeDescriptor, *keys):
    envelope = parse_envelope(sign_statement(descriptor, keys[0]))
    message = pae(envelope.payload_type, envelope.payload)
    signatures = tuple(Signature(key.kid, key.sign(message)) for key in keys)
    return encode_envelope(Envelope(envelope.payload_type, envelope.payload, signatures))


def second(first, **changes):
    old, old_id = first
    return replace(old, **({"version": 2, "previous": old_id} | changes))


def with_root(descriptor, key):
    return replace(descriptor, root=to_base64url(key.public.raw))


def test_a_first_descriptor_is_signed_by_its_own_root_key(first):
    descriptor, statement_id = first
    assert descriptor.issuer == NAME
    assert statement_id == parse_envelope(Peer(NAME).descriptor_envelope).statement_id


def test_a_descriptor_signed_by_another_key_is_refused(first):
    with pytest.raises(UnknownKeyError):
        open_descriptor(sign_by(first[0], NEW_ROOT), now=NOW)


def test_a_descriptor_with_a_broken_signature_is_refused(first):
    envelope = parse_envelope(sign_by(first[0], ROOT))
    broken = (Signature(ROOT.kid, bytes(64)),)
    with pytest.raises(BadSignatureError):
        open_descriptor(
            encode_envelope(Envelope(envelope.payload_type, envelope.payload, broken)), now=NOW
        )


def test_another_kind_of_statement_is_no_descriptor():
    with pytest.raises(VersionError):
        open_descriptor(Peer(NAME).sign(media_flag(NAME)), now=NOW)


def test_an_expired_descriptor_is_refused(first):
    with pytest.raises(RevokedError, match="expired"):
        open_descriptor(sign_by(first[0], ROOT), now=NOW + 401 * DAY_S)


def test_a_descriptor_dated_ahead_is_refused(first):
    with pytest.raises(LimitError, match="ahead"):
        open_descriptor(sign_by(first[0], ROOT), now=NOW - DAY_S)


def test_a_node_is_introduced_by_version_1_only(first):
    with pytest.raises(MalformedError, match="first descriptor"):
        open_descriptor(sign_by(second(first), ROOT), now=NOW)


def test_one_key_has_one_purpose(first):
    descriptor, _ = first
    doubled = (*descriptor.keys, replace(descriptor.keys[0], use="log"))
    with pytest.raises(MalformedError, match="two purposes"):
        open_descriptor(sign_by(replace(descriptor, keys=doubled), ROOT), now=NOW)


def test_the_root_key_has_no_second_purpose(first):
    descriptor, _ = first
    doubled = (*descriptor.keys, replace(descriptor.keys[0], key=descriptor.root))
    with pytest.raises(MalformedError, match="two purposes"):
        open_descriptor(sign_by(replace(descriptor, keys=doubled), ROOT), now=NOW)


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_descriptor_has_a_key_for_each_use(first, missing):
    descriptor, _ = first
    fewer = tuple(key for at, key in enumerate(descriptor.keys) if at != missing)
    with pytest.raises(MalformedError, match="lacks"):
        open_descriptor(sign_by(replace(descriptor, keys=fewer), ROOT), now=NOW)


def test_a_descriptor_with_a_small_order_key_is_refused(first):
    descriptor, _ = first
    weak = replace(descriptor.keys[1], key=to_base64url(bytes(32)))
    with pytest.raises(MalformedError, match="small order"):
        open_descriptor(sign_by(replace(descriptor, keys=(*descriptor.keys, weak)), ROOT), now=NOW)


def test_the_next_version_is_signed_by_the_same_root(first):
    new, new_id = follow(*first, sign_by(second(first), ROOT), now=NOW)
    assert new.version == 2
    assert new_id != first[1]


def test_a_new_root_is_introduced_by_the_old_one(first):
    new = with_root(second(first), NEW_ROOT)
    assert follow(*first, sign_by(new, NEW_ROOT, ROOT), now=NOW)[0] == new
    with pytest.raises(QuorumError, match="version before"):
        follow(*first, sign_by(new, NEW_ROOT), now=NOW)
    with pytest.raises(UnknownKeyError):
        follow(*first, sign_by(new, ROOT), now=NOW)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"issuer": "other.example", "log_origin": "other.example/log/1"}, "another node"),
        ({"version": 3}, "next version"),
        ({"version": 1, "previous": None}, "next version"),
        ({"previous": "ab" * 32}, "Another version"),
    ],
)
def test_a_descriptor_follows_the_one_before(first, changes, complaint):
    with pytest.raises(MalformedError, match=complaint):
        follow(*first, sign_by(second(first, **changes), ROOT), now=NOW)


def test_a_pinned_node_has_the_fingerprint_of_its_first_descriptor(first):
    new, _ = follow(*first, sign_by(second(first), ROOT), now=NOW)
    node = pin(new, first[1], authority=True, state="frozen")
    assert node.fingerprint == fingerprint_of(first[1])
    assert (node.name, node.log_origin) == (NAME, f"{NAME}/log/1")
    assert node.request_key == make_key(KeyUse.REQUEST, NAME).public
    assert node.log_key == make_key(KeyUse.LOG, NAME).public
    assert node.authority
    assert node.state == "frozen"


def test_no_statement_key_outlives_its_descriptor(first):
    short = replace(first[0], expires=format_time(NOW + DAY_S))
    node = pin(short, first[1], authority=False)
    assert [one.not_after for one in node.statement_keys] == [NOW + DAY_S] == [node.expires]


def test_a_descriptor_survives_its_own_encoding(first):
    payload = parse_envelope(Peer(NAME).descriptor_envelope).payload
    assert parse_as(NodeDescriptor, payload) == first[0]
