"""The database: SQL is here and nowhere else.

Rows stay inside; repositories take and return protocol values and small frozen records. A
repository works inside a transaction that a service opened, and never commits.
"""
