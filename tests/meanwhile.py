"""Lets something happen between what a service read and what it writes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from node.storage.engine import Store
from node.storage.transaction import Transaction


def before_the_next_write(
    store: Store, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]
) -> None:
    """Has `act` done when the store is next asked for a transaction that writes, and before it."""
    write = store.write

    @contextmanager
    def late() -> Iterator[Transaction]:
        monkeypatch.setattr(store, "write", write)
        act()
        with write() as transaction:
            yield transaction

    monkeypatch.setattr(store, "write", late)
