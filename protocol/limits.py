"""Every limit of the wire, in one place (docs/protocol.md, section 9).

Names carry their unit. A limit protects the one who reads: it is checked before the cost that it
bounds is paid.
"""

MAX_ENVELOPE_BYTES = 1 << 20
"""One DSSE envelope as it travels."""

MAX_JSON_DEPTH = 16
"""Nesting of arrays and objects in any JSON that we read."""

MAX_JSON_INT = 2**53 - 1
"""Greatest magnitude of an integer in JSON (RFC 8259 section 6, interoperable range)."""

MAX_SIGNATURES = 16
"""Signatures on one envelope or one note."""

MAX_ITEMS = 1_000
"""Pictures or films in one media-flag, and items in one look-up."""

MAX_FRAMES = 3_600
"""Video frames in one item."""

MAX_FRAMES_PER_STATEMENT = 4_000
"""Video frames in all items of one statement together."""

MAX_FINGERPRINTS = 8
"""Fingerprints of one account in one account-ban, and identifiers in one check."""

MAX_IDENTIFIER_CHARS = 512
"""An identifier as it is given, before and after NFKC: an address has 254, an invite link more."""

MAX_AUDIENCE = 64
"""Names in an audience."""

MAX_MEMBERS = 256
"""Members of one circle."""

MAX_HOLDERS = 32
"""Holders of shares in one epoch."""

MAX_PARTICIPANTS = 64
"""Who has a part in one ceremony: holders, and the admins of two versions."""

MAX_ADMINS = 16
"""Admins of one circle: as many as may sign one envelope."""

MAX_BUDGET = 10**7
"""Elements a day, or a minute, that a member of a circle may have evaluated."""

BURST_PER_MINUTE = 600
"""Elements a minute, where a circle descriptor does not say."""

MAX_KINDS = 8
"""Kinds of identifier in a list of them."""

MAX_STRETCH_KIB = 1 << 20
"""Memory of one run of a stretch."""

MAX_STRETCH_PASSES = 16
"""Passes of a stretch."""

MAX_CEREMONY_ENVELOPE_BYTES = 16 << 10
"""One envelope of a ceremony: a message of round 1 among `MAX_HOLDERS` fills a third of it."""

MAX_CEREMONY_DAYS = 30
"""How long a ceremony may take: its plan ends at most so long after it was proposed."""

MAX_OPEN_CEREMONIES = 16
"""Ceremonies that wait at one node for its operator, of one coordinator."""

MAX_EPOCHS = 8
"""Epochs listed in one circle descriptor."""

MAX_KEYS = 64
"""Keys in one node descriptor."""

MAX_DESCRIPTORS = 1_024
"""Versions of one node's descriptor: everybody who has pinned it keeps them all."""

MAX_DESCRIPTORS_PER_MESSAGE = 16
"""Descriptors in one message; `MAX_PEER_REQUEST_BYTES` holds so many."""

MAX_DESCRIPTOR_BYTES = 64 << 10
"""One node descriptor's envelope; `MAX_KEYS` keys fill a third of it."""

MAX_INVITE_S = 259_200
"""How long an invite is good for: 72 hours."""

MAX_LIST = 256
"""Any other list (jurisdictions, crit, what an acknowledgement says was set aside)."""

MAX_NAME_CHARS = 128
"""Name of a node, a flagger or a circle."""

MAX_TEXT_CHARS = 512
"""Any other text in a statement."""

MAX_URL_CHARS = 512
"""A URL in a descriptor."""

MAX_NOTE_BYTES = 64 << 10
"""A signed note (C2SP signed-note), signatures included."""

MAX_RECEIPT_BYTES = 96 << 10
"""A receipt (C2SP tlog-proof): a note, at most 53 hashes, and extra data."""

MAX_LOG_SIZE = 2**53 - 1
"""Greatest tree size that is accepted."""

MAX_EVIDENCE_BYTES = 256 << 10
"""Evidence against a node, as a file or a message."""

MAX_CONSISTENCY_HASHES = 63
"""Hashes of a consistency proof that a witness is shown (C2SP tlog-witness)."""

MAX_ENTRIES_PER_REQUEST = 4_096
"""Log entries (32 bytes each) in one answer."""

MAX_ENVELOPES_PER_REQUEST = 256
"""Envelopes asked for in one request; the answer may stop earlier, at MAX_PEER_RESPONSE_BYTES."""

MAX_PEER_RESPONSE_BYTES = 8 << 20
"""An answer of a peer; content codings are refused."""

MAX_PEER_REQUEST_BYTES = 2 << 20
"""A request between nodes, or from a flagger."""

MAX_OPRF_ELEMENTS = 64
"""Blinded elements in one OPRF request."""

REQUEST_SKEW_S = 30
"""Difference between two clocks that a request signature may show (RFC 9421 section 7.2.2)."""

REQUEST_LIFETIME_S = 60
"""Greatest `expires - created` of a request signature."""

NONCE_KEPT_S = 120
"""How long a request nonce is remembered: more than skew and lifetime together."""

MAX_ACCOUNT_DAYS = 731
"""Expiry of an account-ban: at most 24 months after it was issued (domain rule 5)."""

MAX_REVIEW_DAYS = 731
"""Review date of a media-flag: at most 24 months after it was issued."""

MAX_FEEDBACK_DAYS = 2
"""How far the day of a feedback may lie from the day on which it was issued."""

MAX_FUTURE_S = 300
"""How far ahead of the reader's clock `issued` may lie."""

MAX_SUBMISSION_AGE_S = 86_400
"""How old a statement may be when its issuer submits it: a stolen key that has ended since cannot
be made to sign for the days when it was good."""

PDQ_BITS = 256
"""Length of a pdq (PDQ paper, Meta 2019)."""

PDQ_MATCH_DISTANCE = 31
"""Greatest Hamming distance that counts as a match (PDQ paper, "confidence" section)."""

PDQ_MIN_QUALITY = 50
"""Smallest pdq quality that is accepted; PDQ's authors advise to discard 49 and less."""
