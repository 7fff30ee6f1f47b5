"""A circle whose key all three nodes hold together, and sign-ups that are checked under it.

Later keys are dealt like the first one (`faults.dealing`).
"""

import itertools
import time

import httpx

from faults.dealing import HOLDERS
from faults.field import Field, until
from node.demo.cast import HOTLINE, keep_share
from node.services.directory import StoredDirectory
from nodes import CIRCLE, DAY_S, Node
from protocol.circles import CircleDescriptor, Epoch, Holder
from protocol.encoding import format_time, to_base64url
from protocol.fields import StatementId
from protocol.succession import Change, next_descriptor, next_epoch_number
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse
from signing.oprf.shares import split_key
from signing.oprf.voprf import generate_key
from three_nodes import join_circle

_people = itertools.count(1)


def begin(field: Field) -> None:
    """Has the platform check sign-ups in the circle, if it does not yet."""
    if not check(field).is_success:
        join_circle(field.first)
        until(lambda: check(field).is_success, "sign-ups are checked")


def check(field: Field) -> httpx.Response:
    """Has the platform check somebody whom nobody has checked before."""
    person = {"kind": "email", "value": f"person-{next(_people)}@mail.example"}
    return field.first.call("POST", "/v1/accounts/check", json={"identifiers": [person]})


def end_the_key(field: Field, at: int) -> None:
    """Has the newest key of the circle end at an instant, as its admin decides."""
    _, current = _latest(field.hotline)
    _follow(field, Change(ends={next_epoch_number(current) - 1: at}))


def bring_a_key(field: Field) -> None:
    """Brings the circle a new key, which begins at once."""
    _, current = _latest(field.hotline)
    number, now = next_epoch_number(current), int(time.time())
    split = split_key(generate_key().private, len(HOLDERS), len(HOLDERS))
    for index, name in enumerate(HOLDERS, 1):
        keep_share(field.nodes[name].directory, CIRCLE, number, split.shares[index].private)
    key = Epoch(
        epoch=number,
        not_before=format_time(now),
        not_after=format_time(now + 30 * DAY_S),
        threshold=len(HOLDERS),
        commitments=tuple(map(to_base64url, split.commitments)),
        holders=tuple(Holder(index=at, node=name) for at, name in enumerate(HOLDERS, 1)),
    )
    _follow(field, Change(epoch=key))
    join_circle(field.first)  # its operator looks at the new key, and agrees to it


def _follow(field: Field, change: Change) -> None:
    """Has a version of the circle follow; returns once all nodes act on it."""
    current_id, current = _latest(field.hotline)
    following = next_descriptor(
        current, current_id, change, issuer=HOTLINE, nonce=new_nonce(), now=int(time.time())
    )
    envelope = sign_statement(following, field.hotline.key(KeyUse.STATEMENT))
    with field.hotline.services() as services:
        services.ingest.submit(envelope, caller=HOTLINE)
    until(
        lambda: all(_latest(one)[1].version == following.version for one in field.nodes.values()),
        "all know the circle's new version",
    )


def _latest(node: Node) -> tuple[StatementId, CircleDescriptor]:
    with node.store() as store, store.read() as transaction:
        directory = StoredDirectory(transaction)
        found, found_id = directory.circle(CIRCLE), directory.circle_id(CIRCLE)
    assert found is not None
    assert found_id is not None
    return found_id, found
