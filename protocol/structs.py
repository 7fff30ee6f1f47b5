"""What statements and messages are built on: structures that hide their values, and their refusal.

Statements and messages are full of pdqs, fingerprints and keys, and one of them in a log line or
in a traceback would be one too many. So their `repr` shows the type alone.
"""

from typing import Any

import msgspec

from protocol.errors import MalformedError


class Hidden(msgspec.Struct, frozen=True):
    """A frozen structure whose values no `repr` shows, not even Rich's."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("values", "hidden")]


class ContradictionError(MalformedError, ValueError):
    """The fields of a structure are each as they should be, but not together.

    It is a `ValueError` too, because msgspec adds the place of the structure to those, and lets
    others through as they are.
    """
