"""One table of the policy file, read strictly, and where in the text it stands."""

import difflib
import re
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import msgspec

from protocol.errors import SettingsError
from protocol.limits import MAX_LIST

DECISION_KEY: Final = "i_decide_to_act_on_accounts"
"""Top-level key that holds the operator's own words; without it account rules stop at review."""

TOP_KEYS: Final = (DECISION_KEY, "operator", "rule", "limits", "quarantine", "source")
"""What may stand at the top of the file: one sentence, and tables."""

_HEADER = re.compile(r"\s*\[{1,2}\s*([A-Za-z0-9_.-]+)\s*\]{1,2}")
_KEY = re.compile(r"""\s*["']?([A-Za-z0-9_-]+)["']?\s*=""")


class Table:
    """One table of the file, with readers that refuse what is not of the right form."""

    def __init__(self, values: dict[str, Any], label: str, line: Callable[[str], int]) -> None:
        self.values = values
        self.label = label
        self._line = line

    def error(self, key: str, sentence: str) -> SettingsError:
        """Returns the error that says where, and then the sentence."""
        line = self._line(key)
        place = [f"line {line}"] if line else []
        place += [self.label] if self.label else []
        return SettingsError(": ".join([*place, sentence]))

    def refuse_unknown(self, known: Collection[str]) -> None:
        """Raises for the first key that is none of `known`."""
        for key in self.values:
            if key in known:
                continue
            if key in TOP_KEYS:
                raise self.error(key, f"{key!r} belongs at the top, before the first [table]")
            near = difflib.get_close_matches(key, known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise self.error(key, f"unknown key {key!r}{hint}")

    def text(self, key: str, allowed: Sequence[str] | None = None) -> str:
        """Returns a text that has to be there."""
        value = self.values.get(key)
        if value is None:
            raise self.error(key, f"{key!r} is missing")
        if not isinstance(value, str):
            raise self.error(key, f"{key!r} has to be a text in quotation marks")
        if allowed is not None and value not in allowed:
            raise self.error(key, f"{key!r} has to be one of {', '.join(allowed)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Returns true or false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, f"{key!r} has to be true or false, without quotation marks")
        return value

    def number(self, key: str, default: int, low: int, high: int) -> int:
        """Returns a whole number from `low` to `high`."""
        value = self.values.get(key, default)
        # bool is an int in Python, but `min_issuers = true` is no number of issuers
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, f"{key!r} has to be a whole number from {low} to {high}")
        return value

    def words(self, key: str, default: tuple[str, ...] | None, form: Any) -> tuple[str, ...]:
        """Returns a list of different texts.

        Args:
            key: the key.
            default: what an absent key means; None if it has to be there.
            form: the allowed texts, or a msgspec type that each has to be.
        """
        if key not in self.values:
            if default is None:
                raise self.error(key, f"{key!r} is missing")
            return default
        value = self.values[key]
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self.error(key, f'{key!r} has to be a list of texts, such as ["…", "…"]')
        if len(value) > MAX_LIST:
            raise self.error(key, f"{key!r} holds more than {MAX_LIST} texts")
        for word in value:
            self._check_word(key, word, form)
        if len(set(value)) != len(value):
            raise self.error(key, f"{key!r} says the same thing twice")
        return tuple(value)

    def _check_word(self, key: str, word: str, form: Any) -> None:
        if isinstance(form, tuple):
            if word not in form:
                raise self.error(key, f"{key!r} may hold {', '.join(form)}, but not {word!r}")
            return
        try:
            msgspec.convert(word, form)
        except msgspec.ValidationError:
            raise self.error(key, f"{key!r} holds {word!r}, which is not of its form") from None


def line_of(text: str, table: str, place: int, key: str) -> int:
    """Returns the line, from 1, where a key of a table stands; 0 if it was not found.

    Args:
        text: the file.
        table: name of the table; empty for the top of the file.
        place: which of several tables of that name, from 0.
        key: the key; if the table does not have it, the line of the table's header counts.
    """
    current, seen, header_line = "", -1, 0
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            current = header[1]
            if current == table:
                seen += 1
                header_line = number if seen == place else header_line
            if not table and current == key:
                return number
            continue
        inside = current == table and (not table or seen == place)
        found = _KEY.match(line) if inside else None
        if found and found[1] == key:
            return number
    return header_line
