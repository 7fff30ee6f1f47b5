"""Strict JSON, base64, hexadecimal and time: one encoding each, anything else is refused.

JSON (RFC 8259, made strict as docs/protocol.md section 2 asks): UTF-8 without a byte-order mark, no
duplicate keys, no floating-point numbers, integers within ±(2^53 − 1), no NUL and no lone surrogate
in a string, bounded depth. Messages never repeat a value, only the place of it.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, NewType, NoReturn, TypeVar

import msgspec

from protocol import limits
from protocol.errors import LimitError, MalformedError
from protocol.structs import ContradictionError

Time = NewType("Time", str)
"""An instant as RFC 3339 in UTC with whole seconds, ``2026-11-22T10:00:00Z``.

All such texts have one length and sort as the instants do.
"""

T = TypeVar("T")

# Hour 24 is refused here: fromisoformat of later Pythons takes it for the next day.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):\d{2}:\d{2}Z", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_TOO_MANY = re.compile(r"Expected `array` of length <= (\d+)")
_MAX_INT_DIGITS = 17
_DAY_S = 86_400


def parse_json(data: bytes, *, max_bytes: int) -> Any:
    """Returns the JSON value of `data`.

    Args:
        data: untrusted bytes.
        max_bytes: longest text to look at.

    Raises:
        LimitError: too long, too deep, or an integer out of range.
        MalformedError: not strict JSON.
    """
    if len(data) > max_bytes:
        raise LimitError(f"The JSON text is longer than the {max_bytes} bytes allowed.")
    try:
        text = data.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_no_float,
            parse_constant=_no_float,
        )
    except UnicodeDecodeError:
        raise MalformedError("The text is not UTF-8.") from None
    except RecursionError:
        raise LimitError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise MalformedError(f"Not JSON: {error.msg} at character {error.pos}.") from None
    _check_depth([value], 0)
    # Unescaped, a NUL is no JSON and a lone surrogate no UTF-8: only escapes can bring them in.
    if "\\" in text:
        _check_texts(value)
    return value


_TOO_DEEP = f"The JSON is nested deeper than {limits.MAX_JSON_DEPTH} levels."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedError("A key stands twice in one JSON object.")
    return found


def _integer(digits: str) -> int:
    # The length is looked at first: turning a long run of digits into an int costs its square.
    if len(digits) > _MAX_INT_DIGITS or abs(int(digits)) > limits.MAX_JSON_INT:
        raise LimitError("An integer is outside ±(2^53 − 1).")
    return int(digits)


def _no_float(_text: str) -> NoReturn:
    raise MalformedError("Floating-point numbers are not allowed.")


def _check_depth(values: Iterable[object], depth: int) -> None:
    """Refuses what is nested too deep; `depth` counts the objects and arrays around `values`."""
    if depth > limits.MAX_JSON_DEPTH:
        raise LimitError(_TOO_DEEP)
    for value in values:
        if isinstance(value, dict):
            _check_depth(value.values(), depth + 1)
        elif isinstance(value, list):
            _check_depth(value, depth + 1)


def _check_texts(value: object) -> None:
    """Refuses NUL and lone surrogates in keys and strings, at a depth that was checked."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)


def _check_text(text: str) -> None:
    if "\0" in text or (not text.isascii() and _SURROGATE.search(text)):
        raise MalformedError("A text holds NUL or a lone surrogate.")


def convert(value: object, kind: type[T]) -> T:
    """Returns `value`, as `parse_json` gave it, as a value of the typed structure `kind`.

    Raises:
        LimitError: a list is too long; `where` names it.
        MalformedError: a field is missing, of a wrong type or outside its bounds; `where` names it.
    """
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        message, where = _explain(str(error))
        refusal = LimitError if _TOO_MANY.match(str(error)) else MalformedError
        raise refusal(message, where=where) from None


def _explain(text: str) -> tuple[str, str]:
    """Splits msgspec's message into a sentence without values and the place."""
    found = _PLACE.search(text)
    where = found["path"] if found else ""
    sentence = text[: found.start()] if found else text
    if sentence.startswith("Invalid enum value"):
        sentence = "Not one of the values allowed"
    if "matching regex" in sentence:
        sentence = "Not of the form that this field has"
    if too_many := _TOO_MANY.match(sentence):
        sentence = f"More than {too_many[1]} entries"
    return f"{sentence.rstrip('.')}{f' in {where}' if where else ''}.", where


def encode_json(value: object) -> bytes:
    """Returns the compact JSON of a structure, keys in the order of its fields."""
    return msgspec.json.encode(value)


def to_base64(data: bytes) -> str:
    """Returns standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, *, where: str = "") -> bytes:
    """Returns the bytes of canonical standard base64 with padding.

    Raises:
        MalformedError: another alphabet, no padding, or bits set that carry nothing.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise MalformedError("Not standard base64.", where=where) from None
    if to_base64(data) != text:
        raise MalformedError("Not canonical base64.", where=where)
    return data


def to_base64url(data: bytes) -> str:
    """Returns base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def from_base64url(text: str, *, length: int | None = None, where: str = "") -> bytes:
    """Returns the bytes of canonical base64url without padding.

    Args:
        text: untrusted text.
        length: how many bytes it must give, where that is fixed.
        where: the field, for the error.

    Raises:
        MalformedError: another alphabet, padding, bits set that carry nothing, or another length.
    """
    try:
        data = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, UnicodeEncodeError):
        raise MalformedError("Not base64url.", where=where) from None
    if to_base64url(data) != text:
        raise MalformedError("Not canonical base64url without padding.", where=where)
    if length is not None and len(data) != length:
        raise MalformedError(f"This field holds exactly {length} bytes.", where=where)
    return data


def parse_time(text: str, *, where: str = "") -> int:
    """Returns the Unix time, in seconds, of an RFC 3339 instant in the one form allowed.

    Raises:
        MalformedError: another form, or no such day or time of day.
    """
    if not _TIME.fullmatch(text):
        raise MalformedError("A time is written as 2026-11-22T10:00:00Z.", where=where)
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except ValueError:
        raise MalformedError("There is no such day or time of day.", where=where) from None


def check_order(first: str, last: str) -> None:
    """Returns if the instant `last` comes after `first`.

    Raises:
        MalformedError: it does not, or one of them is no instant.
    """
    if not parse_time(first) < parse_time(last):
        raise ContradictionError("The end is not after the beginning.")


def check_span(first: str, last: str, *, max_days: int) -> None:
    """Returns if the instant `last` comes after `first`, by at most `max_days` days.

    Raises:
        MalformedError: it does not, or one of them is no instant.
    """
    check_order(first, last)
    if parse_time(last) - parse_time(first) > max_days * _DAY_S:
        raise ContradictionError(f"The end is more than {max_days} days after the beginning.")


def format_time(unix_s: int) -> Time:
    """Returns the RFC 3339 form of a Unix time in seconds (years 1 to 9999)."""
    return Time(datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").zfill(20))
