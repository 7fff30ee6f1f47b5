"""Two ways for a finding to reach a node: signed by a flagger, or handed over by its platform."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from node.cli import options
from node.cli.assess import Chosen
from node.cli.cards import spoken
from node.cli.conversation import Flagger, submit
from node.cli.own_node import Platform
from node.cli.sheet import Finding
from protocol.encoding import format_time
from protocol.statements import Basis, MediaFlag, MediaItem
from signing.envelopes import new_nonce, sign_statement

_SECONDS_PER_DAY: Final = 86_400


class Sender(Protocol):
    """How pictures get to a node."""

    @property
    def to(self) -> str:
        """Address of the node."""

    @property
    def signed_by(self) -> str:
        """Whose key signs, in words."""

    @property
    def who(self) -> str:
        """Options with which a later verb acts as the same, each after a blank."""

    def send(self, parts: Sequence[Sequence[Chosen]]) -> Iterator[str]:
        """Sends one statement for each part, and gives their ids as they arrive.

        Raises:
            ProtocolError: the finding is not one that a statement can carry; nothing was sent.
            FederationError: one did not arrive, and those after it were not sent.
        """


class FlaggerSender:
    """Signs with a flagger's key; the node can change nothing."""

    def __init__(self, flagger: Flagger, finding: Finding, *, key_file: Path) -> None:
        self.flagger = flagger
        self._finding = finding
        self.to = flagger.node
        self.signed_by = f"{flagger.name}, key id {spoken(flagger.key.kid)}"
        self.who = options.repeated(flagger.node, key_file=key_file)

    def send(self, parts: Sequence[Sequence[Chosen]]) -> Iterator[str]:
        """Signs all parts before the first is sent; see `Sender`."""
        now = int(time.time())
        envelopes = [self.sign([one.item for one in part], now) for part in parts]
        for receipt in submit(self.flagger, envelopes):
            yield receipt.id

    def sign(self, items: Sequence[MediaItem], now: int) -> bytes:
        """Returns the envelope of one statement.

        Args:
            items: 1 to 1000 pictures or films.
            now: Unix time in seconds.

        Raises:
            ProtocolError: the finding is not one that a statement can carry.
        """
        finding = self._finding
        statement = MediaFlag(
            issuer=self.flagger.name,
            nonce=new_nonce(),
            issued=format_time(now),
            audience=finding.audience,
            items=tuple(items),
            category=finding.category,
            basis=Basis(reviewers=finding.reviewers, reviewed=format_time(now)),
            purpose=finding.purpose,
            legal_basis=finding.legal_basis,
            review_by=format_time(now + finding.review_days * _SECONDS_PER_DAY),
            issuer_code=finding.issuer_code,
            flags=finding.flags,
            surfaces=finding.surfaces,  # type: ignore[arg-type]  # checked when it is signed
            jurisdictions=finding.jurisdictions,
        )
        return sign_statement(statement, self.flagger.key)


class PlatformSender:
    """Hands the finding to the platform's own node, which signs it with its key."""

    def __init__(
        self, platform: Platform, finding: Finding, *, url: str, api_key_file: Path | None
    ) -> None:
        self._platform = platform
        self._finding = finding
        self.to = url
        self.signed_by = "the node itself"
        self.who = options.repeated(url, api_key_file=api_key_file)

    def send(self, parts: Sequence[Sequence[Chosen]]) -> Iterator[str]:
        """See `Sender`."""
        about = {
            name: value
            for name, value in msgspec.to_builtins(self._finding).items()
            if value not in (None, [], ())
        }
        for part in parts:
            items: list[Any] = [msgspec.to_builtins(one.item) for one in part]
            yield str(self._platform.post("/v1/media/flag", {"items": items, **about})["id"])
