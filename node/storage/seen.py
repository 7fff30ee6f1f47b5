"""What one transaction has read and need not ask the database for again.

All writers take turns (`node.storage.engine.Store`), and a reader sees one snapshot: so what a
transaction has read changes only by what it writes itself. Each repository that keeps something
here forgets it where it writes to that table, and a transaction forgets everything where it undoes
some of its writes.
"""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Seen:
    """Rows by the kind of thing, and by key; of one transaction."""

    def __init__(self) -> None:
        self._found: dict[str, dict[object, Any]] = {}

    def get(self, kind: str, key: object, read: Callable[[], T]) -> T:
        """Returns what was found under a key before, or else what `read` finds now.

        Args:
            kind: of thing; the same key may name several.
            key: hashable, and the same only where the answer is.
            read: asks the database. What it returns is given to everybody who asks, so it is
                something that nobody changes.
        """
        known = self._found.setdefault(kind, {})
        if key not in known:
            known[key] = read()
        found: T = known[key]
        return found

    def put(self, kind: str, key: object, value: object) -> None:
        """Takes note of what was just written under a key."""
        self._found.setdefault(kind, {})[key] = value

    def forget(self, kind: str) -> None:
        """Has everything of a kind asked for anew: some of it was written."""
        self._found.pop(kind, None)

    def forget_all(self) -> None:
        """Has everything asked for anew: some of what was written is undone."""
        self._found.clear()
