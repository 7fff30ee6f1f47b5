"""Paths of the HTTP surface that other organisations call; both sides take them from here."""

WELL_KNOWN = "/.well-known/schutznetz"
"""Name, URL and fingerprint of a node, for anyone."""

DESCRIPTOR = "/federation/v1/descriptor"
"""The node's latest descriptor envelope, or all behind one version, for anyone; and, to it, the
later descriptors of a node that it has pinned."""

JOIN = "/federation/v1/join"
"""A newcomer applies with an invite; its own new key signs the request."""

CHECKPOINT = "/checkpoint"
"""The node's latest signed checkpoint (C2SP tlog-tiles path), for peers."""

PUBLISHED = "/federation/v1/published"
"""The node's latest checkpoint that carries the cosignatures its policy asks for, for peers."""

ADD_CHECKPOINT = "/add-checkpoint"
"""A node asks a witness to cosign its new checkpoint (C2SP tlog-witness path)."""

WITNESSED = "/witness/{origin}/checkpoint"
"""The latest checkpoint of a log that this node cosigned, by SHA-256 of the origin (likewise)."""

TILE = "/tile/{level}/{place}"
"""Hashes of the node's log (C2SP tlog-tiles), for peers."""

BUNDLE = "/tile/entries/{place}"
"""Entries of the node's log (C2SP tlog-tiles), for peers."""

MIRROR_CHECKPOINT = "/mirror/{origin}/checkpoint"
"""The origin's own checkpoint of a log that this node mirrors, by SHA-256 of the origin."""

MIRROR_TILE = "/mirror/{origin}/tile/{level}/{place}"
"""Hashes of a mirrored log (C2SP tlog-tiles under a prefix), for peers."""

MIRROR_BUNDLE = "/mirror/{origin}/tile/entries/{place}"
"""Entries of a mirrored log (likewise)."""

MIRROR_ENTRIES = "/mirror/{origin}/entries"
"""Entries of a mirrored log, more of them in one answer, for peers."""

ENTRIES = "/federation/v1/entries"
"""Log entries, for peers."""

ENVELOPES = "/federation/v1/envelopes"
"""Envelopes by statement id, for peers in their audience."""

ACKNOWLEDGE = "/federation/v1/ack"
"""A peer says up to where it has taken over this node's log."""

OWN_LOG = "/federation/v1/own-log"
"""A node that was restored asks a peer for its own log, as the peer took it over."""

EVIDENCE = "/federation/v1/evidence"
"""A peer hands over what proves that a node has contradicted itself."""

POKE = "/federation/v1/poke"
"""A peer says that its log has grown."""

OPRF = "/federation/v1/oprf"
"""Evaluation of blinded elements under this node's share."""

CEREMONY = "/federation/v1/ceremony"
"""A step of a ceremony, from its coordinator to a participant."""

STATEMENTS = "/v1/statements"
"""Submission of one envelope, for flaggers."""

MY_STATEMENTS = "/v1/my/statements"
"""What became of a flagger's statements."""

MY_RECEIPT = "/v1/my/statements/{statement_id}/receipt"
"""Receipt of one of a flagger's statements."""
