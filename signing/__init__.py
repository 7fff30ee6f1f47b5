"""Keys, signatures and the oblivious pseudo-random function.

The only package that touches a secret or libsodium.
"""
