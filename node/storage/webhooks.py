"""Webhooks of clients, and the messages that wait to be delivered."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from node.storage.retro import RetroMatchRecord
from node.storage.sql import join_list, split_numbers, table
from node.storage.upload_rows import WebhookMessageRow, WebhookRow

_HOOK = table(WebhookRow)
_MESSAGE = table(WebhookMessageRow)
_PER_MESSAGE = 100
"""Matches that one message tells of at the most."""


@dataclass(frozen=True, repr=False)
class WebhookRecord:
    """Where a client is told of its matches.

    Attributes:
        salt: what the secret is made of, together with the node's own key.
        old_salt: that of the secret before, which signs too until `old_until`.
    """

    number: int
    client: int
    url: str
    salt: bytes
    old_salt: bytes | None
    old_until: int


@dataclass(frozen=True, repr=False)
class MessageRecord:
    """One message; `id` stays the same however often it is sent.

    Attributes:
        matches: numbers of the matches that it tells of.
        task: number of the task that it tells of, if it tells of one.
        due: when it is to be sent next.
        state: ``waiting``, ``delivered`` or ``dead``.
        problem: what went wrong last, in a sentence.
    """

    number: int
    id: str
    webhook: int
    kind: str
    matches: tuple[int, ...]
    created: int
    attempts: int
    due: int
    state: str
    problem: str | None
    task: int | None = None


@dataclass(frozen=True)
class Backlog:
    """What a webhook has not taken: messages that wait, that were given up, and why the last."""

    waiting: int
    dead: int
    problem: str | None


class WebhookRepository:
    """Webhooks and messages."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def put(self, client: int, url: str, salt: bytes) -> None:
        """A client is told under this address from now on, and what waited is given up."""
        self.remove(client)
        values = {"client": client, "url": url, "salt": salt, "old_salt": None, "old_until": 0}
        self._connection.execute(insert(_HOOK), [values])

    def rotate(self, client: int, salt: bytes, *, old_until: int) -> None:
        """A new secret signs; the one before signs too until `old_until`, any older no more."""
        self._connection.execute(
            update(_HOOK)
            .where(_HOOK.c.client == client)
            .values(old_salt=_HOOK.c.salt, salt=salt, old_until=old_until)
        )

    def of_client(self, client: int) -> WebhookRecord | None:
        """Returns a client's webhook."""
        row = self._connection.execute(select(_HOOK).where(_HOOK.c.client == client)).first()
        return None if row is None else _hook(row)

    def all(self) -> list[WebhookRecord]:
        """Returns every webhook."""
        return [_hook(row) for row in self._connection.execute(select(_HOOK))]

    def remove(self, client: int) -> bool:
        """Deletes a client's webhook and its messages; returns whether there was one."""
        hook = self.of_client(client)
        if hook is None:
            return False
        self._connection.execute(delete(_MESSAGE).where(_MESSAGE.c.webhook == hook.number))
        self._connection.execute(delete(_HOOK).where(_HOOK.c.number == hook.number))
        return True

    def announce(self, matches: Iterable[RetroMatchRecord], kind: str, *, now: int) -> None:
        """Puts messages about matches in line, for those clients that have a webhook."""
        by_client: dict[int, list[int]] = {}
        for one in matches:
            by_client.setdefault(one.client, []).append(one.number)
        for client, numbers in by_client.items():
            hook = self.of_client(client)
            if hook is not None:
                self._put_in_line(hook.number, kind, numbers, now)

    def _put_in_line(self, webhook: int, kind: str, numbers: Sequence[int], now: int) -> None:
        self._connection.execute(
            insert(_MESSAGE),
            [
                _new(webhook, kind, now) | {"matches": join_list(numbers[at : at + _PER_MESSAGE])}
                for at in range(0, len(numbers), _PER_MESSAGE)
            ],
        )

    def ask_restore(self, task: int, clients: Iterable[int], kind: str, *, now: int) -> None:
        """Puts a message about a task in line, for those clients that have a webhook."""
        for client in sorted(clients):
            hook = self.of_client(client)
            if hook is not None:
                self._connection.execute(
                    insert(_MESSAGE), [_new(hook.number, kind, now) | {"task": task}]
                )

    def due(self, now: int, *, limit: int) -> list[MessageRecord]:
        """Returns messages that are to be sent, those that have waited longest first."""
        found = self._connection.execute(
            select(_MESSAGE)
            .where(_MESSAGE.c.state == "waiting", _MESSAGE.c.due <= now)
            .order_by(_MESSAGE.c.due, _MESSAGE.c.number)
            .limit(limit)
        )
        return [_message(row) for row in found]

    def settle(self, number: int, *, state: str, due: int, problem: str | None) -> None:
        """Notes what came of an attempt to send a message."""
        self._connection.execute(
            update(_MESSAGE)
            .where(_MESSAGE.c.number == number)
            .values(state=state, due=due, problem=problem, attempts=_MESSAGE.c.attempts + 1)
        )

    def revive(self, client: int, *, now: int) -> int:
        """Puts the messages that were given up in line again; returns how many."""
        hook = self.of_client(client)
        if hook is None:
            return 0
        done = self._connection.execute(
            update(_MESSAGE)
            .where(_MESSAGE.c.webhook == hook.number, _MESSAGE.c.state == "dead")
            .values(state="waiting", due=now, attempts=0)
        )
        return done.rowcount

    def backlog(self, webhook: int) -> Backlog:
        """Returns what a webhook has not taken."""
        of_it = _MESSAGE.c.webhook == webhook
        counted = self._connection.execute(
            select(_MESSAGE.c.state, func.count().label("messages"))
            .where(of_it)
            .group_by(_MESSAGE.c.state)
        )
        counts = {row.state: row.messages for row in counted}
        problem = self._connection.execute(
            select(_MESSAGE.c.problem)
            .where(of_it, _MESSAGE.c.state != "delivered", _MESSAGE.c.problem.is_not(None))
            .order_by(_MESSAGE.c.number.desc())
            .limit(1)
        ).scalar()
        return Backlog(counts.get("waiting", 0), counts.get("dead", 0), problem)

    def forget(self, *, before: int) -> None:
        """Deletes messages that were made before a time, and those that were delivered."""
        old = (_MESSAGE.c.created < before) | (_MESSAGE.c.state == "delivered")
        self._connection.execute(delete(_MESSAGE).where(old))


def _new(webhook: int, kind: str, now: int) -> dict[str, object]:
    return {
        "id": f"msg_{secrets.token_hex(16)}",
        "webhook": webhook,
        "kind": kind,
        "matches": "",
        "created": now,
        "attempts": 0,
        "due": now,
        "state": "waiting",
        "problem": None,
        "task": None,
    }


def _hook(row: Any) -> WebhookRecord:
    return WebhookRecord(**row._asdict())


def _message(row: Any) -> MessageRecord:
    said = row._asdict() | {"matches": split_numbers(row.matches)}
    return MessageRecord(**said)
