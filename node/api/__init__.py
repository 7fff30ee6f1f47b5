"""The HTTP surface of a node: requests in, one service call, answers or problem documents out.

HTTP is nowhere else in the node, and nothing here knows a row, an index or a key.
"""
