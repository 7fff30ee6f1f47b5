"""What is said on the wire: bytes in, verified values out.

No I/O, no clock, no randomness, no settings. The normative text is docs/protocol.md; the code cites
it. Nothing here checks a signature: that is the work of `signing`.
"""
