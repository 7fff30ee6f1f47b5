"""Writes ceremony-v1.json: from the plan of a ceremony to what its key generation is bound to.

    PYTHONPATH=.:tests python tests/vectors/make_ceremony_v1.py

Every key is made from the name of its owner, so the same bytes come of every run. The messages of
round 1 are bytes of the right length and no commitments: their ids are all that counts here.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from federation.ceremony import read_commitments, read_confirmations
from federation.descriptors import PinnedNode
from protocol.ceremonies import Commitment, Confirmation, NewEpoch, Plan, ceremony_id, encode_plan
from protocol.circles import Holder, Member
from protocol.encoding import format_time, to_base64url
from protocol.statements import Statement
from signing.oprf.voprf import derive_key_pair
from simulator import DAY_S, NOW, Peer, fields

FILE = Path(__file__).with_name("ceremony-v1.json")

NAMES = ("hotline.example", "platform-a.example", "platform-b.example")
CIRCLE = f"{NAMES[0]}/de-minors-1"
MESSAGE_BYTES = 640


def plan() -> Plan:
    """Returns the plan: three nodes, each of them member, admin and holder, 2 of 3."""
    return Plan(
        circle=CIRCLE,
        version=1,
        coordinator=NAMES[0],
        nonce=to_base64url(bytes(range(16))),
        issued=format_time(NOW),
        expires=format_time(NOW + DAY_S),
        members=tuple(Member(node=name, budget_per_day=5_000) for name in NAMES),
        admins=NAMES,
        admin_threshold=2,
        generate=NewEpoch(
            epoch=1,
            not_before=format_time(NOW + DAY_S),
            not_after=format_time(NOW + 365 * DAY_S),
            threshold=2,
            holders=tuple(Holder(index=at, node=name) for at, name in enumerate(NAMES, start=1)),
        ),
    )


def document() -> dict[str, Any]:
    """Returns what the file holds."""
    peers = {name: Peer(name) for name in NAMES}

    def find_node(name: str) -> PinnedNode | None:
        return peers[name].pinned() if name in peers else None

    data = encode_plan(plan())
    ceremony = ceremony_id(data)
    keys = {name: derive_key_pair(_seed(name, "static"), b"ceremony").public for name in NAMES}
    confirmations = [
        _said(peers[name], Confirmation, at, ceremony, key=to_base64url(keys[name]))
        for at, name in enumerate(NAMES)
    ]
    roll = read_confirmations(plan(), ceremony, confirmations, find_node)
    assert roll.session is not None
    commitments = [
        _said(
            peers[name],
            Commitment,
            16 + at,
            ceremony,
            session=roll.session.context.hex(),
            message=to_base64url(hashlib.shake_256(_seed(name, "message")).digest(MESSAGE_BYTES)),
        )
        for at, name in enumerate(NAMES)
    ]
    shown = read_commitments(plan(), ceremony, commitments, find_node, roll=roll)
    return {
        "about": "What a key generation is bound to, docs/protocol.md 8.15 (make_ceremony_v1.py).",
        "plan": data.decode(),
        "ceremony": ceremony,
        "confirmations": [one.decode() for one in confirmations],
        "context": roll.session.context.hex(),
        "commitments": [one.decode() for one in commitments],
        "seen": list(shown.ids),
        "extension": shown.extension.hex(),
    }


def render(found: dict[str, Any]) -> str:
    """Returns the text of the file."""
    return json.dumps(found, indent=1) + "\n"


def _said(peer: Peer, kind: type[Statement], number: int, ceremony: str, **more: str) -> bytes:
    values = fields(peer.name, number) | {"audience": (f"circle:{CIRCLE}",)}
    return peer.sign(kind(ceremony=ceremony, **values, **more))


def _seed(name: str, use: str) -> bytes:
    return hashlib.sha256(f"{use}:{name}".encode()).digest()


if __name__ == "__main__":
    FILE.write_text(render(document()), encoding="utf-8")
