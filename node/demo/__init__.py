"""The story of the network on one machine: `schutznetz demo`.

Three real node processes on loopback, two platforms and a hotline; real pictures, signatures and
evaluations. Only the clock is short: the nodes poll every second, and their key files, which live
for minutes, are cheap to open.
"""
