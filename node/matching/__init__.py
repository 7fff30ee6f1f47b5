"""From a picture's bytes to its media hashes, and from a pdq to the entries near it.

Knows no row and no HTTP: storage hands keys in, services turn keys back into statements.
"""
