"""A key that is revoked as of a size of a log still counts for what stood there before."""

import pytest
from msgspec.structs import replace

from federation.descriptors import pin
from protocol.descriptors import NodeKey
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.errors import MalformedError, RevokedError
from protocol.statements import Revocation
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, accredit, make_key, media_flag
from successions import Chain
from unit.federation.memory_node import MemoryNode

HOTLINE = "hotline.example"
ANNA = f"{HOTLINE}/anna"
LOG = f"{HOTLINE}/log/1"
MARK = Revocation(at=format_time(NOW), log=LOG, size=7, reason="compromised")


def flag(number=1, **changes):
    return Peer(HOTLINE).sign(media_flag(ANNA, number, **changes))


@pytest.fixture
def node():
    node = MemoryNode()
    peer = Peer(HOTLINE)
    node.know(peer)
    node.believe(peer.sign(accredit(ANNA, 1)))
    return node


def revoke(node, mark=MARK, **changes):
    later = format_time(NOW + 1)
    statement = accredit(ANNA, 2, issued=later, status="revoked", revoked=mark, **changes)
    node.believe(Peer(HOTLINE).sign(statement))


def at(node, envelope, place):
    """Says where in the hotline's log a statement stands."""
    node.places[HOTLINE, parse_envelope(envelope).statement_id] = place


def test_what_stood_before_the_revocation_is_believed_whenever_it_comes(node):
    revoke(node)
    early = flag(1)
    at(node, early, 6)
    assert node.believe(early).organisation == HOTLINE


@pytest.mark.parametrize("place", [7, 8, None])
def test_what_stood_later_or_nowhere_is_refused(node, place):
    revoke(node)
    late = flag(2)
    if place is not None:
        at(node, late, place)
    with pytest.raises(RevokedError, match="revoked"):
        node.believe(late)


def test_a_revocation_without_a_place_refuses_everything_new(node):
    revoke(node, mark=None)
    early = flag(1)
    at(node, early, 0)
    with pytest.raises(RevokedError):
        node.believe(early)


def test_a_place_in_another_log_is_none(node):
    revoke(node, mark=replace(MARK, log=f"{HOTLINE}/log/2"))
    early = flag(1)
    at(node, early, 0)
    with pytest.raises(RevokedError):
        node.believe(early)


def test_scope_and_dates_hold_before_the_revocation_too(node):
    revoke(node, categories=("terror.*",))
    early = flag(1)
    at(node, early, 1)
    with pytest.raises(RevokedError, match="scope"):
        node.believe(early)
    old = flag(3, issued=format_time(NOW - 2 * DAY_S))
    at(node, old, 1)
    revoke(node, not_before=format_time(NOW - DAY_S))
    with pytest.raises(RevokedError, match="not valid when"):
        node.believe(old)


def test_only_what_is_revoked_says_as_of_where():
    with pytest.raises(MalformedError, match="revoked"):
        accredit(ANNA, 3, revoked=MARK)
    with pytest.raises(MalformedError, match="statement key"):
        NodeKey(
            use="request",
            key=to_base64url(make_key(KeyUse.REQUEST, HOTLINE).public.raw),
            not_before=format_time(NOW),
            not_after=format_time(NOW + DAY_S),
            revoked=MARK,
        )


def test_a_statement_key_is_revoked_by_the_descriptor_in_the_same_way(node):
    chain = Chain.of(Peer(HOTLINE))
    draft = chain.draft(KeyUse.STATEMENT)
    keys = tuple(
        replace(one, revoked=MARK) if one.use == "statement" else one for one in draft.keys[:-1]
    )
    draft = replace(draft, keys=(*keys, draft.keys[-1]))
    node.nodes[HOTLINE] = pin(draft, "ab" * 32, authority=False)
    early, late = (Peer(HOTLINE).sign(media_flag(HOTLINE, number)) for number in (11, 12))
    at(node, early, 6)
    at(node, late, 7)
    assert node.believe(early).organisation == HOTLINE
    with pytest.raises(RevokedError, match="revoked since"):
        node.believe(late)
    fresh = sign_statement(media_flag(HOTLINE, 13), chain.key(KeyUse.STATEMENT))
    assert node.believe(fresh).organisation == HOTLINE
