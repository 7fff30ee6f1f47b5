"""The command `schutznetz`: verbs for flaggers, platforms and operators.

It parses what was typed, calls one service or one conversation, and prints. No rule lives here that
another door into the node would need as well. Every verb imports what it needs when it is called
(docs/adr/0006).
"""
