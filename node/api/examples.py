"""Examples for the description of the surface; a test parses each with the type that it shows."""

from typing import Any, Final

from protocol.ceremonies import ceremony_id

STATEMENT: Final = "5f2b7c0e8d1a4b3c9e6f7a8b0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d"
DISPUTE: Final = "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
PDQ: Final = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"
SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA1: Final = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
MD5: Final = "d41d8cd98f00b204e9800998ecf8427e"
_BYTES32: Final = "6OMqZ8bpqm0bTq1fBHgIJ5bxYUmg9w6hPO2AyqHCRHg"

_HASHES: Final[dict[str, Any]] = {"pdq": PDQ, "quality": 98, "sha256": SHA256}
_LIST: Final[dict[str, Any]] = {"entries": 12_034, "size": 40_211, "age_s": 12}
_RESULT: Final[dict[str, Any]] = {
    "decision": "block",
    "rule": "confirmed abuse",
    "why": ["confirmed abuse: 2 independent issuers of 2, distance 4 of at most 31: block"],
    "matches": [
        {
            "statement": STATEMENT,
            "item": 0,
            "kind": "pdq",
            "distance": 4,
            "category": "csam.act.prepub",
            "issuer_code": "A1",
            "flags": ["known_minor"],
            "issuers": ["hotline.example", "ngo.example"],
            "accredited": True,
            "disputed": False,
            "issued": "2026-11-22T10:00:00Z",
            "at_ms": None,
            "film": None,
            "variant": "plain",
        }
    ],
}

MATCH: Final = {"surface": "public", "items": [_HASHES]}
MATCH_ANSWER: Final = {"results": [_RESULT], "list": _LIST}
FILE_ANSWER: Final = {
    "result": _RESULT,
    "list": _LIST,
    "hashes": {
        "pdq": PDQ,
        "quality": 98,
        "sha256": SHA256,
        "sha1": SHA1,
        "md5": MD5,
        "width": 1_600,
        "height": 1_200,
        "format": "JPEG",
        "frames": [],
    },
}
STREAM: Final = {"surface": "public"}
OPENED_STREAM: Final = {"id": MD5, "window_ms": 30_000, "idle_s": 60}
STREAM_FRAMES: Final = {"frames": [{"pdq": PDQ, "quality": 98, "at_ms": 61_000}]}
STREAM_ANSWER: Final = {
    "decision": "hold",
    "rule": "hold-accredited",
    "why": ["hold-accredited: fired, 1 independent issuer, 1 accredited"],
    "matches": [
        {
            "statement": STATEMENT,
            "item": 0,
            "kind": "film",
            "distance": 4,
            "category": "csam.act.prepub",
            "issuer_code": "A1",
            "flags": [],
            "issuers": ["hotline.example/anna"],
            "accredited": True,
            "disputed": False,
            "issued": "2026-11-22T10:00:00Z",
            "variant": "plain",
            "film": {
                "target_share": 5,
                "frames": 3,
                "query": {"from_ms": 59_000, "to_ms": 61_000},
                "target": {"from_ms": 12_000, "to_ms": 14_000},
            },
        }
    ],
}
FLAG: Final = {
    "items": [_HASHES],
    "category": "csam.pose.pub",
    "reviewers": 2,
    "purpose": "removal",
    "legal_basis": "dsa-art-16",
    "review_days": 365,
    "issuer_code": "B2",
    "flags": ["generative_ai"],
    "surfaces": ["public", "hosted"],
    "jurisdictions": ["DE"],
    "audience": ["peers"],
}
RECEIPT: Final = {"id": STATEMENT, "index": 40_211}
RECEIPT_AGAIN: Final = {"id": STATEMENT, "index": 40_211, "duplicate": True}
CHECK: Final = {
    "identifiers": [
        {"kind": "email", "value": "someone@example.com"},
        {"kind": "phone", "value": "+49 30 23125 001"},
    ],
    "region": "DE",
}
CHECK_ANSWER: Final = {
    "decision": "review",
    "rule": "two identifiers",
    "why": ["two identifiers: 2 kinds of 2: review"],
    "leads": [
        {
            "statement": STATEMENT,
            "kinds": ["email", "phone"],
            "category": "account.grooming",
            "issuers": ["platform-a.example"],
            "independent": 1,
            "expires": "2027-11-22T10:00:00Z",
            "disputed": False,
            "name_looks_alike": False,
        }
    ],
    "unavailable": False,
    "unavailable_circles": [],
}
BATCH: Final = {
    "accounts": [
        {"identifiers": CHECK["identifiers"]},
        {"identifiers": [{"kind": "email", "value": "no address"}]},
    ],
    "region": "DE",
}
BATCH_ANSWER: Final = {
    "results": [
        {"answer": CHECK_ANSWER, "error": None},
        {
            "answer": None,
            "error": {
                "field": "accounts[1].identifiers[0].value",
                "message": "Not an e-mail address: there is no single @ in it.",
            },
        },
    ]
}
BAN: Final = {
    "identifiers": [{"kind": "phone", "value": "+49 30 23125 001"}],
    "category": "account.distribution",
    "reviewers": 2,
    "scope": "person",
    "purpose": "prevention",
    "legal_basis": "gdpr-6-1-f",
    "expires_days": 365,
    "audience": ["circle:hotline.example/de-minors-1"],
    "avatar": {"pdq": PDQ, "quality": 98},
}
REISSUE: Final = {"identifiers": BAN["identifiers"]}
RETRACT: Final = {"reason": "wrong", "items": [0]}
ERASE: Final = {"reason": "subject-request"}
DISPUTE_BODY: Final = {"reason": "not-a-match", "items": [0]}
RESOLVE: Final = {"dispute": DISPUTE, "outcome": "upheld"}
FEEDBACK: Final = {"day": "2026-11-22", "rows": [{"item": 0, "confirmed": 3, "refuted": 1}]}
STATUS: Final = {
    "id": STATEMENT,
    "kind": "media-flag",
    "index": 40_211,
    "state": "active",
    "peers": [{"node": "platform-a.example", "state": "acknowledged"}],
    "matches": 4,
    "confirmed": 3,
    "refuted": 1,
}
STATUSES: Final = {"statements": [STATUS], "next": 40_210}
REMEDIES: Final = {
    "remedies": [
        {
            "id": 7,
            "statement": STATEMENT,
            "kind": "media-flag",
            "items": [0],
            "reason": "dispute upheld",
            "since": "2026-11-22T10:00:00Z",
            "state": "open",
        }
    ]
}
REGISTER: Final = {"uploads": [{"id": "u-1029", "surface": "public", **_HASHES}]}
REGISTERED: Final = {"added": 1, "replaced": 0, "known": 0}
DELETE_UPLOADS: Final = {"ids": ["u-1029"]}
RETRO_MATCHES: Final = {
    "matches": [
        {
            "id": 7,
            "change": 9,
            "upload": "u-1029",
            "statement": STATEMENT,
            "item": 0,
            "kind": "pdq",
            "distance": 4,
            "decision": "block",
            "rule": "confirmed abuse",
            "found": "2026-11-22T10:00:00Z",
            "state": "open",
        }
    ],
    "next": 9,
}
WEBHOOK: Final = {"url": "https://platform.example/schutznetz"}
SECRET: Final = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="}
WEBHOOK_STATE: Final = {
    "client": 2,
    "url": "https://platform.example/schutznetz",
    "old_until": None,
    "waiting": 0,
    "dead": 0,
    "problem": None,
}
ENVELOPE: Final = {
    "payload": "eyJpc3N1ZXIiOiJob3RsaW5lLmV4YW1wbGUvYW5uYSJ9",
    "payloadType": "application/vnd.schutznetz.media-flag.v1+json",
    "signatures": [{"keyid": MD5, "sig": "A" * 86 + "=="}],
}
ENTRIES_REQUEST: Final = {"start": 40_000, "limit": 1_000}
ENTRIES: Final = {"start": 40_000, "entries": [STATEMENT]}
ENVELOPES_REQUEST: Final = {"ids": [STATEMENT]}
ENVELOPES: Final = {"envelopes": [{"id": STATEMENT, "state": "withheld"}]}
ACKNOWLEDGEMENT: Final = {
    "origin": "hotline.example/log",
    "size": 40_212,
    "root": _BYTES32,
    "set_aside": [{"id": STATEMENT, "reason": "Signed with a key that nobody here vouches for."}],
}
POKE: Final = {"origin": "hotline.example/log", "size": 40_212}
OPRF_REQUEST: Final = {"circle": "hotline.example/de-minors-1", "epoch": 1, "blinded": [_BYTES32]}
OPRF_ANSWER: Final = {
    "index": 1,
    "epoch": 1,
    "evaluated": [_BYTES32],
    "proof": "A" * 86,
}
_PLAN: Final = (
    '{"circle":"hotline.example/de-minors-1","version":1,"coordinator":"hotline.example",'
    '"nonce":"AAAAAAAAAAAAAAAAAAAAAA","issued":"2026-11-22T10:00:00Z",'
    '"expires":"2026-12-06T10:00:00Z","members":[{"node":"hotline.example","budget_per_day":0},'
    '{"node":"platform.example","budget_per_day":5000}],"admins":["hotline.example",'
    '"platform.example"],"admin_threshold":2,"generate":{"epoch":1,'
    '"not_before":"2026-11-22T10:00:00Z","not_after":"2027-11-22T10:00:00Z","threshold":2,'
    '"holders":[{"index":1,"node":"hotline.example"},{"index":2,"node":"platform.example"}]}}'
)
CEREMONY_REQUEST: Final = {"ceremony": ceremony_id(_PLAN.encode()), "plan": _PLAN}
CEREMONY_ANSWER: Final = {"state": "unconfirmed"}
FINGERPRINT: Final = "aaaa-bbbb-cccc-dddd-eeee-ffff-gggg-hhhh-tdvs"
WELL_KNOWN: Final = {
    "name": "hotline.example",
    "url": "https://hotline.example",
    "fingerprint": FINGERPRINT,
    "protocol": 1,
}
JOIN_REQUEST: Final = {
    "code": "CwsLCwsLCwsLCwsLCwsLCw",
    "descriptors": ['{"payload":"…","payloadType":"…","signatures":[]}'],
}
DESCRIPTORS: Final = {"descriptors": ['{"payload":"…","payloadType":"…","signatures":[]}']}
PEER: Final = {
    "name": "platform-a.example",
    "url": "https://schutznetz.platform-a.example",
    "fingerprint": FINGERPRINT,
    "authority": False,
    "state": "active",
    "seen_size": 812,
    "synced": "2026-11-22T10:00:00Z",
    "problem": "No answer within 10 s.",
    "acked_size": 40_211,
    "acked_at": "2026-11-22T10:00:01Z",
    "set_aside": 0,
}
ADD_PEER: Final = {
    "descriptor": '{"payload":"…","payloadType":"…","signatures":[]}',
    "fingerprint": FINGERPRINT,
    "authority": False,
}
BUDGET_USE: Final = {
    "circle": "hotline.example/de-minors-1",
    "party": "platform-a.example",
    "allowed": {"per_day": 5_000, "per_minute": 600},
    "used": 4_120,
    "left": 880,
    "alarm": 80,
    "members": {"platform-a.example": 4_000, "shop.platform-a.example": 120},
}
BUDGETS: Final = {"day": "2026-11-22", "budgets": [BUDGET_USE]}
OWN_LOG_REQUEST: Final = {"start": 0, "limit": 4_096}
OWN_LOG: Final = {
    "origin": "a.example/log/1",
    "size": 1,
    "start": 0,
    "entries": [STATEMENT],
    "checkpoint": "a.example/log/1\n1\nWU8CUQcpqCNXgxKfwAvfzrIYd+6MH72R2j3Ze0GwzFQ=\n\n— …\n",
}
EVIDENCE: Final = {
    "format": "schutznetz-evidence",
    "version": 1,
    "kind": "two-roots",
    "node": "hotline.example",
    "found": "2026-11-22T10:00:00Z",
    "descriptors": ['{"payload":"…","payloadType":"…","signatures":[]}'],
    "notes": [
        "hotline.example/log/1\n3\nWU8CUQcpqCNXgxKfwAvfzrIYd+6MH72R2j3Ze0GwzFQ=\n\n— …\n",
        "hotline.example/log/1\n3\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n\n— …\n",
    ],
}
NODE_STATUS: Final = {
    "name": "hotline.example",
    "url": "https://hotline.example",
    "fingerprint": FINGERPRINT,
    "log_size": 40_212,
    "list_entries": 12_034,
    "ready": True,
    "reasons": [],
    "quarantined": 1,
    "publication": {"is_asked": True, "size": 40_210, "asked_size": 40_212, "missing": 1},
    "budget_alarms": [BUDGET_USE],
    "peers": [PEER],
}
CREATE_CLIENT: Final = {"name": "upload service", "scopes": ["match", "check"]}
CREATED_CLIENT: Final = {
    "id": 3,
    "name": "upload service",
    "scopes": ["check", "match"],
    "token": "snk_" + "A" * 43,
}
CLIENT: Final = {
    "id": 3,
    "name": "upload service",
    "scopes": ["check", "match"],
    "created": "2026-11-22T10:00:00Z",
    "revoked": "2027-01-31T10:00:00Z",
}
AUDIT_LINE: Final = (
    '{"number":1,"at":"2026-11-22T10:00:00Z","actor":"operator","action":"peer.add",'
    '"subject":"platform-a.example","detail":"authority=False"}\n'
)
POLICY: Final = {
    "text": "[[rule]]\nname = 3\n",
    "problem": "policy.toml: rule 1: name has to be a text; "
    "the policy from before the change stays in force",
}
SET_ASIDE: Final = {
    "set_aside": [
        {
            "id": STATEMENT,
            "origin": "platform-a.example/log",
            "reason": "Signed with a key that nobody here vouches for.",
            "retry": True,
            "seen": "2026-11-22T10:00:00Z",
        }
    ]
}

FROZEN_HOLDERS: Final = {
    "frozen": [
        {
            "circle": "hotline.example/minors-1",
            "node": "holder-2.example",
            "since": "2026-11-22T10:00:00Z",
            "message": (
                "Holder 2 of the circle's key, holder-2.example, gave a proof that does not hold."
            ),
        }
    ],
    "failing": {"hotline.example/minors-1": ["holder-3.example"]},
}
THAW_HOLDER: Final = {"circle": "hotline.example/minors-1", "node": "holder-2.example"}
