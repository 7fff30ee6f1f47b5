"""What a node does: one verb, one transaction.

A handler or a command calls one method here; the method opens a transaction, commits, and returns
protocol values or the small frozen records below. Nothing here knows HTTP, and nothing below knows
a service.
"""
