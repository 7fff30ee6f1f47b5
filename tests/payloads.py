"""Statements and messages as plain JSON values: one full example of every kind.

Tests of parsers change them field by field. What has the right form here is all that is said: keys
and ids are made up, and nothing is signed.
"""

import json
from typing import Any

from protocol import messages
from protocol.descriptors import NodeDescriptor
from protocol.kinds import KINDS
from protocol.statements import Statement

ID = "ab" * 32
KEY = "A" * 43
"""32 zero bytes in base64url."""

T0 = "2026-11-22T10:00:00Z"
T1 = "2027-11-22T10:00:00Z"

TYPES: dict[str, type[Statement]] = {**KINDS, NodeDescriptor.KIND: NodeDescriptor}
"""Every kind of statement, those that stand in no log included."""

COMMON: dict[str, Any] = {
    "issuer": "hotline.example",
    "nonce": "CwsLCwsLCwsLCwsLCwsLCw",
    "issued": T0,
    "audience": ["peers", "circle:hotline.example/minors-1", "node:platform.example"],
    "crit": ["audience"],
}
BASIS = {"reviewers": 2, "reviewed": T0}
FRAME = {"pdq": ID, "quality": 80, "at_ms": 0}
ITEM = {"pdq": ID, "quality": 98, "sha256": ID, "sha1": "cd" * 20, "md5": "ef" * 16}
FINGERPRINT = {
    "kind": "email",
    "circle": "hotline.example/minors-1",
    "epoch": 1,
    "scheme": "email-v1",
    "value": KEY,
}
JUDGED = {
    "category": "csam.act.prepub",
    "basis": BASIS,
    "purpose": "detection",
    "legal_basis": "DSA-22",
    "issuer_code": "A1",
    "jurisdictions": ["DE", "NL"],
}
EPOCH = {
    "epoch": 1,
    "not_before": T0,
    "not_after": T1,
    "threshold": 1,
    "commitments": [KEY],
    "holders": [{"index": 1, "node": "hotline.example"}],
    "stretch": {"kinds": ["phone"], "memory_kib": 19456, "passes": 2, "salt": "A" * 22},
    "transcript": "ab" * 64,
}
NODE_KEY = {"use": "request", "key": KEY, "not_before": T0, "not_after": T1}

PAYLOADS: dict[str, dict[str, Any]] = {
    kind: {**COMMON, **own}
    for kind, own in {
        "media-flag": {
            **JUDGED,
            "items": [{**ITEM, "frames": [FRAME]}, {"sha256": ID}],
            "review_by": T1,
            "flags": ["live_stream"],
            "surfaces": ["public", "hosted", "private"],
        },
        "account-ban": {
            **JUDGED,
            "fingerprints": [FINGERPRINT],
            "scope": "person",
            "expires": T1,
        },
        "retract": {"target": ID, "reason": "wrong", "items": [0, 999]},
        "erase": {"target": ID, "reason": "court-order"},
        "dispute": {"target": ID, "reason": "not-illegal", "items": [1]},
        "resolve": {"target": ID, "dispute": "cd" * 32, "outcome": "upheld"},
        "feedback": {
            "target": ID,
            "day": "2026-11-21",
            "rows": [{"item": 1, "confirmed": 3, "refuted": 2, "unreviewed": 1}],
        },
        "remedied": {"target": ID, "cause": ID, "outcome": "restored"},
        "erased": {"target": ID, "cause": ID, "erased": T0, "places": ["body", "index"]},
        "membership": {
            "node": "platform-a.example",
            "fingerprint": "vov2-xk5l-vov2-xk5l-vov2-xk5l-vov2-xk5l-p7lm",
            "event": "verified",
            "at": T0,
            "how": "telephone",
        },
        "accredit": {
            "flagger": "hotline.example/anna",
            "key": KEY,
            "categories": ["csam.*", "*", "ncii.minor"],
            "not_before": T0,
            "not_after": T1,
            "status": "active",
            "languages": ["de", "nds"],
        },
        "circle-descriptor": {
            "circle": "hotline.example/minors-1",
            "version": 2,
            "previous": ID,
            "members": [
                {
                    "node": "hotline.example",
                    "budget_per_day": 1000,
                    "burst_per_minute": 60,
                    "party": "hotline.example",
                }
            ],
            "admins": ["hotline.example"],
            "admin_threshold": 1,
            "epochs": [EPOCH],
        },
        "node-descriptor": {
            "version": 1,
            "url": "https://hotline.example:8443",
            "root": KEY,
            "keys": [NODE_KEY],
            "log_origin": "hotline.example/log/1",
            "expires": T1,
            "contact": "Tel. +49 30 23125 000",
        },
    }.items()
}

_STATUS = {
    "id": ID,
    "kind": "media-flag",
    "index": 7,
    "state": "active",
    "peers": [{"node": "platform.example", "state": "set-aside", "reason": "An unknown key."}],
    "matches": 1,
    "confirmed": 2,
    "refuted": 3,
    "unreviewed": 4,
}
MESSAGES: dict[type[messages.Message], dict[str, Any]] = {
    messages.WellKnown: {
        "name": "hotline.example",
        "url": "https://hotline.example",
        "fingerprint": "aaaa-bbbb",
    },
    messages.EntriesRequest: {"start": 0, "limit": 4096},
    messages.Entries: {"start": 0, "entries": [ID]},
    messages.EnvelopesRequest: {"ids": [ID]},
    messages.Envelopes: {
        "envelopes": [
            {"id": ID, "state": "present", "envelope": "{}"},
            {"id": ID, "state": "withheld"},
        ]
    },
    messages.Acknowledgement: {
        "origin": "hotline.example/log/1",
        "size": 2**53 - 1,
        "root": KEY,
        "set_aside": [{"id": ID, "reason": "An unknown key."}],
    },
    messages.Descriptors: {"descriptors": ["{}"]},
    messages.JoinRequest: {"code": "A" * 22, "descriptors": ["{}"]},
    messages.OwnLogRequest: {"start": 3, "limit": 100},
    messages.OwnLogAnswer: {
        "origin": "hotline.example/log/1",
        "size": 4,
        "start": 3,
        "entries": [ID],
        "checkpoint": "hotline.example/log/1\n…",
    },
    messages.Poke: {"origin": "hotline.example/log/1", "size": 3},
    messages.OprfRequest: {"circle": "hotline.example/minors-1", "epoch": 1, "blinded": [KEY]},
    messages.OprfAnswer: {"index": 1, "epoch": 1, "evaluated": [KEY], "proof": "A" * 86},
    messages.BudgetLeft: {
        "day_limit": 5_000,
        "day_left": 12,
        "minute_limit": 600,
        "minute_left": 0,
    },
    messages.Receipt: {"id": ID, "index": 3, "duplicate": True},
    messages.StatementStatuses: {"statements": [_STATUS], "next": 6},
}
"""Every body that is parsed by itself."""


def to_bytes(value: object) -> bytes:
    """The compact JSON of `value`, keys in their order."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def payload(kind: str, **changes: Any) -> bytes:
    """The example of that kind with some fields changed; `...` leaves a field out."""
    values = {**PAYLOADS[kind], **changes}
    return to_bytes({name: value for name, value in values.items() if value is not ...})
