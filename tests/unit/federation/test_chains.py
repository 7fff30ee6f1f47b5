"""Which later descriptors of a node are believed, and what a chain that breaks says about whom."""

import pytest
from msgspec.structs import replace

from federation.chains import Version, go_on, open_chain
from federation.descriptors import newest, parse_descriptor, pin, valid_at
from protocol import limits
from protocol.encoding import format_time, to_base64url
from protocol.envelope import Envelope, encode_envelope, parse_envelope
from protocol.errors import (
    ChainError,
    ConflictError,
    LimitError,
    MalformedError,
    RevokedError,
    VersionError,
)
from signing.envelopes import add_signature, sign_statement
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, make_key, media_flag
from successions import Chain

NAME = "hotline.example"
NEW_ROOT = make_key(KeyUse.ROOT, "the next root")


@pytest.fixture
def chain():
    return Chain.of(Peer(NAME))


def known(chain, count=1):
    """What a reader knows that has believed the first `count` versions, and how it looks them up."""
    versions = open_chain([chain.first, *chain.later][:count], now=NOW)
    return versions[
        -1
    ], lambda number: versions[number - 1] if 0 < number <= len(versions) else None


def test_a_chain_leads_from_the_first_descriptor_to_the_latest(chain):
    chain.go_on(KeyUse.REQUEST)
    chain.go_on(KeyUse.STATEMENT, root=NEW_ROOT)
    chain.go_on(KeyUse.LOG)
    found = open_chain([chain.first, *chain.later], now=NOW)
    assert [one.descriptor.version for one in found] == [1, 2, 3, 4]
    assert found[-1].descriptor.root == to_base64url(NEW_ROOT.public.raw)
    assert found[-1].envelope == chain.latest


def test_only_the_latest_descriptor_must_not_have_expired(chain):
    chain.go_on(KeyUse.REQUEST, expires=format_time(NOW + DAY_S))
    chain.go_on(KeyUse.REQUEST, generation=3)
    late = NOW + 500 * DAY_S
    assert len(open_chain([chain.first, *chain.later], now=late)) == 3
    with pytest.raises(RevokedError, match="expired"):
        open_chain([chain.first, chain.later[0]], now=late)


def test_a_chain_has_a_beginning(chain):
    with pytest.raises(LimitError):
        open_chain([], now=NOW)
    chain.go_on(KeyUse.REQUEST)
    with pytest.raises(MalformedError, match="first descriptor"):
        open_chain(chain.later, now=NOW)


def test_what_is_known_is_passed_over_and_what_follows_is_believed(chain):
    for generation in (2, 3, 4):
        chain.go_on(KeyUse.REQUEST, generation=generation)
    new = go_on(*known(chain, 2), [chain.first, *chain.later], now=NOW)
    assert [one.descriptor.version for one in new] == [3, 4]
    again = [*chain.later, chain.latest]
    assert [one.descriptor.version for one in go_on(*known(chain, 2), again, now=NOW)] == [3, 4]
    assert go_on(*known(chain, 4), chain.later, now=NOW) == []


def test_a_gap_is_no_broken_chain(chain):
    chain.go_on(KeyUse.REQUEST)
    chain.go_on(KeyUse.REQUEST, generation=3)
    with pytest.raises(ConflictError, match="missing"):
        go_on(*known(chain), chain.later[1:], now=NOW)


def test_a_version_that_has_expired_is_not_gone_on_to(chain):
    chain.go_on(KeyUse.REQUEST)
    with pytest.raises(RevokedError, match="expired"):
        go_on(*known(chain), chain.later, now=NOW + 701 * DAY_S)


def test_a_root_key_that_the_old_one_has_not_introduced_breaks_the_chain_and_proves_nothing(chain):
    draft = replace(chain.draft(KeyUse.REQUEST), root=to_base64url(NEW_ROOT.public.raw))
    with pytest.raises(ChainError, match="does not follow") as raised:
        go_on(*known(chain), [sign_statement(draft, NEW_ROOT)], now=NOW)
    assert not raised.value.proven


@pytest.mark.parametrize("kept", [0, 1])
def test_who_takes_a_signature_out_of_a_right_descriptor_proves_nothing(chain, kept):
    whole = parse_envelope(chain.go_on(KeyUse.REQUEST, root=NEW_ROOT))
    stripped = encode_envelope(
        Envelope(whole.payload_type, whole.payload, (whole.signatures[kept],))
    )
    with pytest.raises(ChainError, match="does not follow") as raised:
        go_on(*known(chain), [stripped], now=NOW)
    assert not raised.value.proven


def test_another_first_descriptor_breaks_the_chain_and_proves_nothing(chain):
    stranger = Peer(NAME, generation=2).descriptor_envelope
    with pytest.raises(ChainError, match="Another version 1") as raised:
        go_on(*known(chain), [stranger], now=NOW)
    assert not raised.value.proven


@pytest.mark.parametrize("number", [2, 3])
def test_two_versions_of_one_number_under_one_root_key_prove_that_its_holder_made_both(
    chain, number
):
    other = Chain.of(Peer(NAME))
    if number == 3:
        for one in (chain, other):
            one.go_on(KeyUse.REQUEST)
    chain.go_on(KeyUse.STATEMENT)
    contradiction = other.go_on(KeyUse.LOG)
    with pytest.raises(ChainError, match=f"Another version {number}") as raised:
        go_on(*known(chain, number), [contradiction], now=NOW)
    assert raised.value.proven
    assert raised.value.evidence == chain.latest + b"\n" + contradiction


def test_the_root_key_that_was_replaced_still_shows_who_made_two_versions(chain):
    chain.go_on(KeyUse.STATEMENT, root=NEW_ROOT)
    other = Chain.of(Peer(NAME)).go_on(KeyUse.LOG)
    with pytest.raises(ChainError, match="Another version 2") as raised:
        go_on(*known(chain, 2), [other], now=NOW)
    assert raised.value.proven


def test_a_version_behind_another_history_is_the_word_of_who_signed_it(chain):
    other = Chain.of(Peer(NAME))
    chain.go_on(KeyUse.STATEMENT)
    other.go_on(KeyUse.LOG)
    following = other.go_on(KeyUse.REQUEST)
    with pytest.raises(ChainError, match="does not follow") as raised:
        go_on(*known(chain, 2), [following], now=NOW)
    assert raised.value.proven


def test_a_descriptor_of_another_node_is_none_of_this_one(chain):
    with pytest.raises(ChainError, match="another node") as raised:
        go_on(*known(chain), [Peer("other.example").descriptor_envelope], now=NOW)
    assert not raised.value.proven


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", MalformedError),
        (b"x" * (limits.MAX_DESCRIPTOR_BYTES + 1), LimitError),
        (Peer(NAME).sign(media_flag(NAME)), VersionError),
    ],
)
def test_what_is_no_descriptor_is_refused_and_says_nothing_about_the_node(chain, data, kind):
    with pytest.raises(kind):
        go_on(*known(chain), [data], now=NOW)


def test_a_descriptor_dated_ahead_is_refused_and_says_nothing_about_the_node(chain):
    chain.at = NOW + DAY_S
    chain.go_on(KeyUse.REQUEST)
    with pytest.raises(LimitError, match="ahead"):
        go_on(*known(chain), chain.later, now=NOW)


def test_a_second_signature_of_a_stranger_changes_nothing(chain):
    signed = add_signature(chain.go_on(KeyUse.REQUEST), NEW_ROOT)
    (new,) = go_on(*known(chain), [signed], now=NOW)
    assert new == Version(*parse_descriptor(chain.latest), signed)


def test_old_and_new_keys_count_until_the_old_one_ends(chain):
    chain.go_on(KeyUse.REQUEST, KeyUse.LOG)
    versions = open_chain([chain.first, *chain.later], now=NOW)
    node = pin(versions[-1].descriptor, versions[0].id, authority=False)
    assert node.request_key == chain.key(KeyUse.REQUEST).public
    assert node.log_key == chain.key(KeyUse.LOG).public
    old = make_key(KeyUse.REQUEST, NAME).public
    for day, count in ((0, 2), (13, 2), (15, 1), (366, 0)):
        assert len(node.at(NOW + day * DAY_S).request_keys) == count
        assert len(node.at(NOW + day * DAY_S).log_keys) == count
    assert old in [one.key for one in node.at(NOW).request_keys]
    assert node.expires == NOW + 365 * DAY_S


def test_a_key_is_not_used_before_its_time_but_for_the_difference_of_two_clocks(chain):
    chain.go_on(KeyUse.REQUEST)
    node = pin(parse_descriptor(chain.latest)[0], parse_descriptor(chain.first)[1], authority=False)
    new = newest(node.request_keys)
    assert new in valid_at(node.request_keys, NOW - limits.MAX_FUTURE_S)
    assert new not in valid_at(node.request_keys, NOW - limits.MAX_FUTURE_S - 1)
