"""Flaggers of this organisation: people whose key the node vouches for, in the log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from node.services.audit import Audit
from node.services.authoring import Author
from node.services.directory import StoredDirectory
from node.storage.engine import Store
from protocol.encoding import format_time, from_base64url, to_base64url
from protocol.errors import InvalidError, NotFoundError
from protocol.fields import organisation_of
from protocol.messages import Receipt
from protocol.statements import Accredit, Revocation
from signing.keys import KeyUse, PublicKey

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class FlaggerState:
    """One key of one flagger, and what it is good for."""

    name: str
    keyid: str
    categories: tuple[str, ...]
    not_before: str
    not_after: str
    status: str


class Flaggers:
    """Accredits flaggers under the node's own name."""

    def __init__(
        self,
        store: Store,
        author: Author,
        audit: Audit,
        *,
        name: str,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._author = author
        self._audit = audit
        self._name = name
        self._clock = clock

    def add(
        self,
        key_text: str,
        name: str,
        categories: Sequence[str],
        days: int,
        *,
        languages: Sequence[str] = (),
    ) -> Receipt:
        """Vouches for a flagger's key.

        Args:
            key_text: the line of the flagger's card, ``schutznetz-key:flagger:…``.
            name: this node's name, a slash, and the flagger's, such as ``hotline.example/anna``.
            categories: categories, branches such as ``csam.*``, or ``*``.
            days: for how long.
            languages: ISO 639 codes, for information.

        Raises:
            MalformedError: the key was mistyped.
            InvalidError: the key is for another use, or the name belongs to another node.
        """
        key = PublicKey.from_text(key_text.strip())
        if key.use is not KeyUse.FLAGGER:
            raise InvalidError("This is not a flagger's key.", where="key")
        if organisation_of(name) != self._name or name == self._name:
            raise InvalidError(
                f"A flagger of this node has a name such as {self._name}/anna.", where="name"
            )
        now = int(self._clock())
        return self._author.issue(
            Accredit,
            also=self._audit.with_statement(
                "operator", "flagger.add", subject=name, detail=key.kid
            ),
            flagger=name,
            key=to_base64url(key.raw),
            categories=tuple(categories),
            languages=tuple(languages),
            not_before=format_time(now),
            not_after=format_time(now + days * _SECONDS_PER_DAY),
            status="active",
        )

    def list(self) -> list[FlaggerState]:
        """Returns every flagger of this node, with every key."""
        return [_state(one) for one in self._latest()]

    def set_status(
        self,
        name: str,
        status: str,
        *,
        keyid: str | None = None,
        revoked: Revocation | None = None,
    ) -> Sequence[Receipt]:
        """Suspends, revokes or restores a flagger's keys; what was said before stays.

        Args:
            name: of the flagger.
            status: ``active``, ``suspended`` or ``revoked``.
            keyid: of one key; None for all of them.
            revoked: with ``revoked``: from where on what was said counts no more, here and at
                everybody else.

        Raises:
            NotFoundError: no such key of this flagger is known.
        """
        known = [
            one
            for one in self._latest()
            if one.flagger == name and keyid in (None, _state(one).keyid)
        ]
        if not known:
            raise NotFoundError("There is no flagger of this name.")
        return [
            self._author.issue(
                Accredit,
                also=self._audit.with_statement(
                    "operator", f"flagger.{status}", subject=name, detail=_state(one).keyid
                ),
                flagger=name,
                key=one.key,
                categories=one.categories,
                languages=one.languages,
                not_before=one.not_before,
                not_after=one.not_after,
                status=status,
                revoked=revoked,
            )
            for one in known
        ]

    def _latest(self) -> Sequence[Accredit]:
        with self._store.read() as transaction:
            directory = StoredDirectory(transaction)
            return [
                directory.accreditation_at(place)
                for flagger, place in transaction.trust.all_accreditations()
                if organisation_of(flagger) == self._name
            ]


def _state(accredit: Accredit) -> FlaggerState:
    return FlaggerState(
        name=accredit.flagger,
        keyid=PublicKey(KeyUse.FLAGGER, from_base64url(accredit.key)).kid,
        categories=accredit.categories,
        not_before=accredit.not_before,
        not_after=accredit.not_after,
        status=accredit.status,
    )
