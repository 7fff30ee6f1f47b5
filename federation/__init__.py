"""The calling side of every conversation between organisations, and what is decided about peers."""
