"""Fingerprints of accounts: RFC 9497 VOPRF(ristretto255, SHA-512), its groups and its shares.

::

    elements      what every backend checks before a byte reaches C
    group         the interface of a group, and the choice of a backend
    group_sodium  the group by ctypes on the system's libsodium
    group_pynacl  the group by PyNaCl's edwards25519 and RFC 9496 in Python
    voprf         blind, evaluate, verify_evaluation, finalize
    shares        the same among several key holders, t of n
    fingerprints  what is hashed, and what is kept
"""
