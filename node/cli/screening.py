"""Checking a whole list of accounts, as far as the budget goes, and on from there the next time.

Elements are scarce (docs/protocol.md sections 8.11 and 8.12), so several accounts share a request.
Two files are written: the results, by the platform's own ids, and how far it has come. Neither
holds an identifier, nor anything that could be compared with one.
"""

import csv
import hashlib
import hmac
import io
import json
import os
import re
import secrets
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from node.cli.own_node import Platform
from node.cli.user_list import Fault, Row, UserList
from protocol.errors import (
    ConflictError,
    InvalidError,
    PeerMisbehavedError,
    PeerRefusedError,
    PeerUnreachableError,
)

SIZES: Final = (64, 8, 1)
"""Elements in a request, greatest first: what is between costs as much as the next greater."""

SOON_S: Final = 120
"""A wait that is always made: that for the next minute."""

ATTEMPTS: Final = 3
"""How often the node is asked while it cannot be reached, or the circle cannot."""

_PATH: Final = "/v1/accounts/check-batch"
_TOO_MANY_REQUESTS: Final = 429
_UNAVAILABLE: Final = 503
_PAUSE_S: Final = 5
_LONG_PAUSE_S: Final = 60
_VERSION: Final = 1
_PLACE: Final = re.compile(r"accounts\[\d+\]\.identifiers\[(\d)\]\.value")
_COLUMNS: Final = ("line", "id", "decision", "rule", "kinds", "statements", "problem")


@dataclass
class Outcome:
    """What a run came to.

    Attributes:
        decisions: how many accounts were answered with each.
        refused: rows that could not be checked, in this run.
        left: rows that are still to be checked.
        why: a sentence, where some are.
        go_on_after_s: when it makes sense to go on, where some are.
    """

    decisions: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    left: int = 0
    why: str = ""
    go_on_after_s: int = 0


class Results:
    """The results as they grow, and a second file that says how far they have come.

    A batch is on disk before it is called done. What a crash has left behind the last batch that
    is done is cut off when the work goes on, and asked about again.
    """

    def __init__(self, output: Path, state: Path) -> None:
        """Opens nothing yet.

        Args:
            output: ends in ``.csv`` for CSV; anything else is JSON, one object a line.
            state: there while some rows are left.
        """
        self._output = output
        self._state = state
        self._is_csv = output.suffix.lower() == ".csv"
        self._head: dict[str, object] = {}
        self.done = 0

    def open(self, users: UserList, secret: bytes) -> bool:
        """Finds the place to go on from; says whether there was something before.

        Args:
            users: the list.
            secret: keys the digest by which the list is known again: without it nobody can find
                out whether a list that they have is this one. The API key.

        Raises:
            ConflictError: the files are another list's, or the output is there without a state.
        """
        try:
            text = self._state.read_text(encoding="utf-8")
        except FileNotFoundError:
            self._begin(users, secret)
            return False
        try:
            head = json.loads(text)
            salt, digest = bytes.fromhex(head["salt"]), bytes.fromhex(head["input"])
            rows, size, version = int(head["rows"]), int(head["output"]), head["version"]
        except (ValueError, KeyError, TypeError):
            raise ConflictError(f"{self._state}: this is not the state of a check.") from None
        if version != _VERSION or not hmac.compare_digest(digest, _digest(users, secret, salt)):
            raise ConflictError(
                f"{self._state}: it belongs to another list, or to another API key."
            )
        if not 0 <= rows <= len(users.rows) or not self._cut(size):
            raise ConflictError(f"{self._output}: what was written before is not there any more.")
        self._head, self.done = (
            {"version": _VERSION, "salt": salt.hex(), "input": digest.hex()},
            rows,
        )
        return True

    def add(self, lines: Sequence[dict[str, Any]], *, done: int) -> None:
        """Writes results, and then that so many rows are done."""
        with self._output.open("ab") as file:
            file.write("".join(map(self._line, lines)).encode())
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
        # A crash here leaves results behind that the state does not know: `open` cuts them off.
        self.done = done
        self._save({**self._head, "rows": done, "output": size})

    def close(self) -> None:
        """Everything is done: there is nothing to go on from."""
        self._state.unlink(missing_ok=True)

    def _begin(self, users: UserList, secret: bytes) -> None:
        try:
            os.close(os.open(self._output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            raise ConflictError(
                f"{self._output}: this file is there already, and {self._state} is not, which "
                "would say how to go on; name another one."
            ) from None
        except OSError as error:
            raise InvalidError(f"{self._output}: {error.strerror}.") from None
        salt = secrets.token_bytes(16)
        digest = _digest(users, secret, salt)
        self._head = {"version": _VERSION, "salt": salt.hex(), "input": digest.hex()}
        if self._is_csv:
            self._output.write_text(f"{','.join(_COLUMNS)}\r\n", encoding="utf-8", newline="")
        self.add([_of_fault(one) for one in users.faults], done=0)

    def _cut(self, size: int) -> bool:
        try:
            with self._output.open("r+b") as file:
                if file.seek(0, os.SEEK_END) < size:
                    return False
                file.truncate(size)
        except OSError:
            return False
        return True

    def _save(self, head: dict[str, object]) -> None:
        beside = self._state.with_name(f".{self._state.name}.{os.getpid()}")
        with open(  # noqa: PTH123  # a descriptor: the file is its owner's alone from the begin
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8"
        ) as file:
            json.dump(head, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._state)

    def _line(self, values: dict[str, Any]) -> str:
        if not self._is_csv:
            return json.dumps(values) + "\n"
        text = io.StringIO()
        csv.writer(text).writerow(
            " ".join(one) if isinstance(one, list) else one
            for one in (values.get(name) for name in _COLUMNS)
        )
        return text.getvalue()


def screen(
    users: UserList,
    platform: Platform,
    results: Results,
    *,
    about: dict[str, Any],
    wait: bool,
    step: Callable[[], None],
    say: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Checks the rows that are left, and returns what it came to.

    Args:
        users: the list; `results.open` has been called with it.
        platform: the own node.
        results: where to go on from, and what is written to.
        about: further fields of every request.
        wait: also for the next day, and for a circle that cannot be asked.
        step: is called for every row.
        say: is told in a sentence what is waited for.
        sleep: waits so many seconds.

    Raises:
        PeerRefusedError: the node refused for another reason than the budget.
        PeerMisbehavedError: it is no node that answers.
    """
    outcome, most, attempts = Outcome(), SIZES[0], 0
    while results.done < len(users.rows):
        batch = pack(users.rows, results.done, most)
        try:
            found = _ask(platform, batch, about)
        except PeerRefusedError as error:
            if error.status == _TOO_MANY_REQUESTS:
                smaller = _smaller(error, most)
                if smaller and sum(len(row.identifiers) for row in batch[:1]) <= smaller:
                    most = smaller
                    continue
                pause_s, why = max(1, error.retry_after_s or _LONG_PAUSE_S), str(error)
                is_soon = pause_s <= SOON_S
                most = SIZES[0]
            elif error.status == _UNAVAILABLE:
                attempts += 1
                pause_s, why = error.retry_after_s or _PAUSE_S, str(error)
                is_soon = attempts < ATTEMPTS
            else:
                raise
        except PeerUnreachableError as error:
            attempts += 1
            pause_s, why, is_soon = _PAUSE_S, str(error), attempts < ATTEMPTS
        else:
            attempts = 0
            lines = [_line_of(row, one) for row, one in zip(batch, found, strict=True)]
            results.add(lines, done=results.done + len(batch))
            for line in lines:
                step()
                outcome.refused += "problem" in line
                outcome.decisions.update([line["decision"]] if "decision" in line else [])
            continue
        if not is_soon and not wait:
            outcome.left = len(users.rows) - results.done
            outcome.why, outcome.go_on_after_s = why, pause_s
            return outcome
        pause_s = pause_s if is_soon else max(pause_s, _LONG_PAUSE_S)
        say(f"{why} Going on in {pause_s} s.")
        sleep(pause_s)
    results.close()
    return outcome


def pack(rows: Sequence[Row], start: int, most: int) -> Sequence[Row]:
    """Returns the rows of the next request: as many as have `most` identifiers altogether.

    The rest of the list goes in requests of the next size where those cost less than one more.
    """
    taken = _taken(rows, start, most)
    if most == SIZES[0] and start + taken == len(rows):
        small = at = 0
        while start + at < len(rows):
            small, at = small + 1, at + _taken(rows, start + at, SIZES[1])
        if small * SIZES[1] < SIZES[0]:
            taken = _taken(rows, start, SIZES[1])
    return rows[start : start + taken]


def _taken(rows: Sequence[Row], start: int, most: int) -> int:
    """Returns how many rows have `most` identifiers altogether; one at least."""
    identifiers = 0
    for taken, row in enumerate(rows[start : start + most]):
        identifiers += len(row.identifiers)
        if identifiers > most:
            return max(1, taken)
    return min(most, len(rows) - start)


def _ask(platform: Platform, batch: Sequence[Row], about: dict[str, Any]) -> list[Any]:
    accounts = [_account(row) for row in batch]
    found = platform.post(_PATH, {"accounts": accounts, **about}).get("results")
    if not isinstance(found, list) or len(found) != len(batch):
        raise PeerMisbehavedError("The node's answer is not about what was asked.", evidence=b"")
    return found


def _account(row: Row) -> dict[str, Any]:
    account: dict[str, Any] = {
        "identifiers": [{"kind": kind, "value": value} for kind, value in row.identifiers]
    }
    if row.avatar is not None:
        account["avatar"] = {"pdq": row.avatar[0], "quality": row.avatar[1]}
    return account


def _smaller(error: PeerRefusedError, most: int) -> int:
    """Returns a smaller request that may still find room, 0 if there is none."""
    if error.budget is None:
        return 0
    room = min(error.budget["day_left"], error.budget["minute_limit"])
    return next((size for size in SIZES if size <= room and size < most), 0) if room < most else 0


def _line_of(row: Row, result: dict[str, Any]) -> dict[str, Any]:
    """Returns what is written about a row: no identifier, whatever the node answers."""
    answer, error = result.get("answer"), result.get("error")
    if answer is None:
        return _of_fault(Fault(row.line, row.id, _problem(row, error or {})))
    leads = answer["leads"]
    return {
        "line": row.line,
        "id": row.id,
        "decision": answer["decision"],
        "rule": answer["rule"],
        "kinds": sorted({kind for lead in leads for kind in lead["kinds"]}),
        "statements": [lead["statement"] for lead in leads],
    }


def _problem(row: Row, error: dict[str, Any]) -> str:
    place = _PLACE.fullmatch(str(error.get("field")))
    at = int(place[1]) if place else len(row.columns)
    message = str(error.get("message"))
    if at >= len(row.columns):
        return message
    return f"column {row.columns[at]} ({row.identifiers[at][0]}): {message}"


def _of_fault(fault: Fault) -> dict[str, Any]:
    return {"line": fault.line, "id": fault.id, "problem": fault.message}


def _digest(users: UserList, secret: bytes, salt: bytes) -> bytes:
    return hmac.new(secret, salt + users.data, hashlib.sha256).digest()
