"""Webhooks: where a platform is told of matches, and how it knows that its node says so.

Messages are signed as the Standard Webhooks specification 1.0 says (section "Signature scheme",
symmetric): HMAC-SHA256 over ``id.timestamp.body`` in the header ``webhook-signature``. The id of a
message stays the same however often it is sent, so that a receiver can pass over what it knows; the
timestamp is that of the attempt. A message has ids, a decision and its rule, and no media hash.

A secret is not stored: it is made of a salt in the database and of a key in a file of the node's
directory, so that neither alone can sign. What is sent when is decided here; `node.webhook_sender`
sends.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node.services.clients import Client
from node.services.remedies import task_data
from node.services.retro import to_answer
from node.storage.engine import Store
from node.storage.webhooks import Backlog, MessageRecord, WebhookRecord
from protocol.encoding import encode_json, format_time
from protocol.errors import InvalidError, NotFoundError, SettingsError
from protocol.limits import MAX_URL_CHARS

KEY_FILE: Final = "webhook.key"
"""In the node's directory: 32 random bytes that every secret is made with."""

OVERLAP_S: Final = 86_400
"""So long after a change of the secret the one before signs too."""

MOST_ATTEMPTS: Final = 20
"""After so many, some two days, a message is given up until somebody asks for it again."""

_KEY_BYTES = 32
_SALT_BYTES = 16
_FIRST_DELAY_S = 5
_LONGEST_DELAY_S = 6 * 3_600
_DUE_AT_ONCE = 32
_NO_WEBHOOK = "There is no webhook."


@dataclass(frozen=True)
class WebhookState:
    """A client's webhook, as the client and the operator may see it.

    Attributes:
        old_until: until when the secret before signs too; None if there is none.
        waiting: messages that are to be sent.
        dead: messages that were given up.
        problem: what went wrong last with one of these.
    """

    client: int
    url: str
    old_until: str | None
    waiting: int
    dead: int
    problem: str | None


@dataclass(frozen=True, repr=False)
class Delivery:
    """One message, ready to be sent once."""

    number: int
    attempts: int
    url: str
    headers: dict[str, str]
    body: bytes


class Webhooks:
    """Keeps webhooks and makes their messages."""

    def __init__(
        self,
        store: Store,
        *,
        directory: Path,
        allow_http: bool,
        allow_private: bool,
        clock: Callable[[], float],
    ) -> None:
        """Keeps what is needed; the key file is made when it is first needed.

        Args:
            store: of the node.
            directory: of the node.
            allow_http: whether addresses without TLS are taken.
            allow_private: whether an address may be one of this machine or of a private network;
                then this machine's own need no TLS.
            clock: Unix time in seconds.
        """
        self._store = store
        self._file = directory / KEY_FILE
        self._allow_http = allow_http
        self._allow_private = allow_private
        self._clock = clock

    def put(self, url: str, *, client: Client) -> str:
        """A client is told under `url` from now on; returns the secret, which is shown this once.

        Raises:
            InvalidError: the address must not be called.
        """
        self._check(url)
        now, salt = int(self._clock()), secrets.token_bytes(_SALT_BYTES)
        with self._store.write() as transaction:
            transaction.webhooks.put(client.id, url, salt)
            transaction.journal.audit(
                client.name, "webhook.put", at=now, subject=urlsplit(url).hostname, detail=None
            )
        return _shown(self._secret(salt))

    def rotate(self, *, client: Client) -> str:
        """Returns a new secret; the one before signs too for `OVERLAP_S`.

        Raises:
            NotFoundError: the client has no webhook.
        """
        now, salt = int(self._clock()), secrets.token_bytes(_SALT_BYTES)
        with self._store.write() as transaction:
            if transaction.webhooks.of_client(client.id) is None:
                raise NotFoundError(_NO_WEBHOOK)
            transaction.webhooks.rotate(client.id, salt, old_until=now + OVERLAP_S)
            transaction.journal.audit(
                client.name, "webhook.rotate", at=now, subject=None, detail=None
            )
        return _shown(self._secret(salt))

    def state(self, *, client: Client) -> WebhookState:
        """Returns a client's webhook.

        Raises:
            NotFoundError: the client has none.
        """
        with self._store.read() as transaction:
            hook = transaction.webhooks.of_client(client.id)
            if hook is None:
                raise NotFoundError(_NO_WEBHOOK)
            return self._state(hook, transaction.webhooks.backlog(hook.number))

    def all(self) -> list[WebhookState]:
        """Returns the webhooks of all clients."""
        with self._store.read() as transaction:
            return [
                self._state(hook, transaction.webhooks.backlog(hook.number))
                for hook in transaction.webhooks.all()
            ]

    def retry(self, *, client: Client) -> int:
        """Puts what was given up in line again; returns how many messages."""
        now = int(self._clock())
        with self._store.write() as transaction:
            count = transaction.webhooks.revive(client.id, now=now)
            transaction.journal.audit(
                client.name, "webhook.retry", at=now, subject=None, detail=f"messages={count}"
            )
        return count

    def remove(self, *, client: Client) -> None:
        """A client is told nothing more.

        Raises:
            NotFoundError: the client has no webhook.
        """
        now = int(self._clock())
        with self._store.write() as transaction:
            if not transaction.webhooks.remove(client.id):
                raise NotFoundError(_NO_WEBHOOK)
            transaction.journal.audit(
                client.name, "webhook.remove", at=now, subject=None, detail=None
            )

    def due(self) -> list[Delivery]:
        """Returns what is to be sent now, signed for this attempt."""
        now = int(self._clock())
        with self._store.read() as transaction:
            messages = transaction.webhooks.due(now, limit=_DUE_AT_ONCE)
            hooks = {one.number: one for one in transaction.webhooks.all()} if messages else {}
            told = {one.number: transaction.retro.at(one.matches) for one in messages}
            records = transaction.statements.by_indices(
                {match.log_index for matches in told.values() for match in matches}
            )
            tasks = {
                one.number: task_data(transaction, one.task, client=hooks[one.webhook].client)
                for one in messages
                if one.task is not None
            }
        return [
            self._delivery(
                hooks[one.webhook],
                one,
                tasks.get(one.number)
                or {
                    "matches": [
                        _told(to_answer(match, records[match.log_index].id))
                        for match in told[one.number]
                    ]
                },
                now,
            )
            for one in messages
        ]

    def settle(self, delivery: Delivery, problem: str | None) -> None:
        """Notes what came of sending; `problem` is a sentence, or None where it was taken."""
        state, due = "delivered", 0
        if problem is not None:
            state = "waiting" if delivery.attempts + 1 < MOST_ATTEMPTS else "dead"
            due = int(self._clock()) + delay_s(delivery.attempts)
        with self._store.write() as transaction:
            transaction.webhooks.settle(delivery.number, state=state, due=due, problem=problem)

    def _delivery(
        self, hook: WebhookRecord, message: MessageRecord, data: dict[str, Any], now: int
    ) -> Delivery:
        body = encode_json(
            {
                "type": message.kind,
                "timestamp": format_time(message.created),
                "data": data,
            }
        )
        salts = [hook.salt]
        if hook.old_salt is not None and hook.old_until > now:
            salts.append(hook.old_salt)
        signatures = [sign(self._secret(salt), message.id, now, body) for salt in salts]
        headers = {
            "content-type": "application/json",
            "webhook-id": message.id,
            "webhook-timestamp": str(now),
            "webhook-signature": " ".join(signatures),
        }
        return Delivery(message.number, message.attempts, hook.url, headers, body)

    def _state(self, hook: WebhookRecord, backlog: Backlog) -> WebhookState:
        is_old = hook.old_salt is not None and hook.old_until > self._clock()
        return WebhookState(
            client=hook.client,
            url=hook.url,
            old_until=format_time(hook.old_until) if is_old else None,
            waiting=backlog.waiting,
            dead=backlog.dead,
            problem=backlog.problem,
        )

    def _check(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            is_whole = bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_whole = False
        if (
            not is_whole
            or len(url) > MAX_URL_CHARS
            or not url.isascii()
            or not url.isprintable()
            or " " in url
            or parts.scheme not in {"https", "http"}
            or parts.username is not None
            or parts.fragment
        ):
            raise InvalidError(
                "The address is an https URL with a host, and without user or fragment.",
                where="url",
            )
        is_own = parts.hostname in {"localhost", "127.0.0.1", "::1"} and self._allow_private
        if parts.scheme == "http" and not (self._allow_http or is_own):
            raise InvalidError("The address has to be https.", where="url")

    def _secret(self, salt: bytes) -> bytes:
        return hmac.digest(self._key(), b"schutznetz webhook" + salt, hashlib.sha256)

    def _key(self) -> bytes:
        """The node's key for secrets; made once, whichever process is first.

        Raises:
            SettingsError: the file is not what was written.
        """
        if not self._file.exists():
            draft = self._file.with_suffix(f".{secrets.token_hex(8)}")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(draft, self._file)  # refused where another process was first
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        key = self._file.read_bytes()
        if len(key) != _KEY_BYTES:
            raise SettingsError(f"{KEY_FILE}: the file is damaged; restore it, or delete it.")
        return key


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """Returns the signature of a message (Standard Webhooks 1.0, scheme ``v1``).

    Args:
        secret: raw bytes.
        message_id: the header ``webhook-id``.
        timestamp: of the attempt, Unix seconds.
        body: as it is sent.
    """
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def delay_s(attempts: int) -> int:
    """Returns how long to wait after so many attempts and one more: twice as long each time.

    Between half of it and all of it at random, so that what failed together is not sent together.
    """
    longest = min(_FIRST_DELAY_S << min(attempts, 32), _LONGEST_DELAY_S)
    return longest // 2 + secrets.randbelow(longest - longest // 2) + 1


def _shown(secret: bytes) -> str:
    return "whsec_" + base64.b64encode(secret).decode()


def _told(match: Any) -> dict[str, Any]:
    said = asdict(match)
    # What a repeated message says must not depend on what happened meanwhile.
    del said["state"], said["change"]
    return said
