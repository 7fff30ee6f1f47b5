"""Doubles of what answers a platform: look-ups, accounts, pictures, films and streams.

They have behaviour, and no database. `api_fakes.fake_services` puts them together.
"""

from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any

from fake_callers import FILM, KNOWN, STREAM_ID
from fake_federation import FakeStatements
from node.matching.variant_names import VariantPdq
from node.services.accounts import CheckAnswer
from node.services.clients import Client
from node.services.judging import MediaMatch, MediaResult
from node.services.leads import Lead
from node.services.lookups import ListState, MatchAnswer
from node.services.retro import RetroMatch
from node.services.streams import OpenedStream
from node.services.uploads import Registered
from node.services.webhooks import WebhookState
from protocol.errors import (
    InvalidError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from protocol.messages import (
    Receipt,
)
from protocol.pdq import Pdq


class FakeLookups:
    def __init__(self) -> None:
        self.down = False
        self.asked: list[Any] = []
        self.variants: frozenset[str] = frozenset()
        self.nothing_like: set[str] = set()

    def match_at_once(self, item: Any, *, surface: str, client: Client) -> MatchAnswer | None:
        if item.md5 not in self.nothing_like:
            return None
        assert client.scopes == {"match"}
        return MatchAnswer((MediaResult("none", None, (), ()),), self.list_state())

    def families(self, surface: str) -> frozenset[str]:
        return self.variants if surface == "public" else frozenset()

    def list_state(self) -> ListState:
        return ListState(entries=7, size=1, age_s=None)

    def match(
        self, items: Any, *, surface: str, client: Client, references: Sequence[str] = ()
    ) -> MatchAnswer:
        if self.down:
            raise UnavailableError("secret reason")
        self.asked = list(items)
        hit = MediaMatch(
            statement=KNOWN,
            item=0,
            kind="pdq",
            distance=4,
            category="csam.act.prepub",
            issuer_code=None,
            flags=(),
            issuers=("ngo.example",),
            accredited=True,
            disputed=False,
            issued="2026-11-22T10:00:00Z",
        )
        none = MediaResult("none", None, ("no rule",), ())
        found = MediaResult("block", "confirmed abuse", ("fired",), (hit,))
        results = tuple(found if one.pdq == "ab" * 32 else none for one in items)
        return MatchAnswer(results, self.list_state())


class FakeAccounts:
    def __init__(self, statements: FakeStatements) -> None:
        self.down = False
        self.spent = False
        self.statements = statements

    def check(
        self,
        identifiers: Any,
        *,
        client: Client,
        region: Any,
        scope: Any,
        avatar: Any = None,
    ) -> CheckAnswer:
        self._ask(identifiers)
        if "bad@example.com" in {value for _, value in identifiers}:
            lead = Lead(
                statement=KNOWN,
                kinds=("email",),
                category="account.grooming",
                issuers=("a.example",),
                independent=1,
                expires="2027-11-22T10:00:00Z",
                disputed=False,
                name_looks_alike=False,
            )
            return CheckAnswer("review", "one identifier", ("fired",), (lead,))
        return CheckAnswer("none", None, ("no rule",), ())

    def check_batch(
        self, accounts: Any, avatars: Any, *, client: Client, region: Any, scope: Any
    ) -> list[CheckAnswer | InvalidError]:
        found: list[CheckAnswer | InvalidError] = []
        for number, one in enumerate(accounts):
            try:
                found.append(self.check(one, client=client, region=region, scope=scope))
            except InvalidError as error:
                found.append(InvalidError(str(error), where=f"accounts[{number}].{error.where}"))
        return found

    def ban(self, identifiers: Any, **said: Any) -> Receipt:
        self._ask(identifiers)
        return self.statements._receipt(**said)

    def _ask(self, identifiers: Any) -> None:
        if self.down:
            raise UnavailableError("secret reason")
        if self.spent:
            raise RateLimitedError("The budget is used up.", retry_after_s=77)
        for number, (kind, value) in enumerate(identifiers):
            if kind == "email" and "@" not in value:
                raise InvalidError("Not an e-mail address.", where=f"identifiers[{number}].value")


class FakeReissues:
    def __init__(self, statements: FakeStatements) -> None:
        self.statements = statements

    def reissue(self, statement_id: str, identifiers: Any, **said: Any) -> Receipt:
        if statement_id != KNOWN:
            raise NotFoundError("There is no such statement.")
        return self.statements._receipt(identifiers=identifiers, **said)


class FakePool:
    """Knows one picture; a draft of it is of lower quality."""

    def hash(self, data: bytes, *, draft: bool = False, variants: Collection[str] = ()) -> Any:
        if not data.startswith(b"PICTURE"):
            raise InvalidError("the file is not a picture that can be read here")
        mirrored = VariantPdq("mirrored", Pdq(b"\xcd" * 32), 90)
        return SimpleNamespace(
            pdq=b"\xab" * 32,
            quality=80 if draft else 90,
            sha256="1" * 64,
            sha1="2" * 40,
            md5="3" * 32,
            width=2,
            height=3,
            format="PNG",
            variants=(mirrored,) if "mirror" in variants else (),
        )


class FakeStreams:
    """Watches one stream, which matches at once; None of its frames is kept but for the test."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.full = False

    def open(self, *, surface: str, client: Any) -> Any:
        if self.full:
            raise UnavailableError("full", retry_after_s=7)
        return OpenedStream(STREAM_ID, 30_000, 60)

    def look(self, stream_id: str, frames: Sequence[Any], *, client: Any) -> MediaResult:
        self._own(stream_id)
        self.asked += frames
        return MediaResult("review", "review-any-match", ("fired",), ())

    def close(self, stream_id: str, *, client: Any) -> None:
        self._own(stream_id)

    def _own(self, stream_id: str) -> None:
        if stream_id != STREAM_ID:
            raise NotFoundError("There is no such stream, or it is over.")


class FakeFilms:
    """Sees two frames in any film."""

    def hash(self, data: bytes) -> Any:
        assert data.startswith(FILM)
        frames = [SimpleNamespace(pdq=b"\xab" * 32, quality=90, at_ms=at) for at in (0, 1_000)]
        return SimpleNamespace(
            frames=frames,
            sha256="1" * 64,
            sha1="2" * 40,
            md5="3" * 32,
            width=2,
            height=3,
            format="WEBM",
            duration_ms=1_900,
        )


class FakeUploads:
    """Knows one upload."""

    def register(self, uploads: Sequence[Any], *, client: Client) -> Registered:
        return Registered(len(uploads), 0, 0)

    def delete(self, ids: Sequence[str], *, client: Client) -> int:
        return len(ids)

    def delete_one(self, upload_id: str, *, client: Client) -> None:
        if upload_id != "u-1029":
            raise NotFoundError("No upload of this id is registered.")


class FakeRetro:
    """Has found one match."""

    def matches(self, client: Client, *, after: int, limit: int) -> list[RetroMatch]:
        found = "2026-11-22T10:00:00Z"
        match = RetroMatch(7, 9, "u-1029", KNOWN, 0, "pdq", 4, "block", "rule", found, "open")
        return [match] if after < match.change else []

    def done(self, number: int, *, client: Client) -> None:
        if number != 7:
            raise NotFoundError("No match of this number is open.")


class FakeWebhooks:
    """Calls one address."""

    def put(self, url: str, *, client: Client) -> str:
        if not url.startswith("https:"):
            raise InvalidError("The address has to be https.", where="url")
        return "whsec_" + "A" * 44

    def rotate(self, *, client: Client) -> str:
        return "whsec_" + "B" * 44

    def state(self, *, client: Client) -> WebhookState:
        return self.all()[0]

    def all(self) -> list[WebhookState]:
        return [WebhookState(2, "https://platform.example/hook", None, 1, 0, None)]

    def retry(self, *, client: Client) -> int:
        return 3

    def remove(self, *, client: Client) -> None:
        return None
