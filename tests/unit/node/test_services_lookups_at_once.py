"""A picture that resembles nothing is answered at once, and as it would be otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from desks import PLATFORM_PROGRAM, Desk, pdq_at
from node.matching import scan
from node.services.lookups import MatchAnswer, MediaQuery
from node.storage.engine import Store
from uploads import ask, flag
from worlds import PDQ

GOOD = MediaQuery(pdq=pdq_at(100), quality=90)


def at_once(desk: Desk, query: MediaQuery = GOOD, surface: str = "public") -> MatchAnswer | None:
    return desk.lookups.match_at_once(query, surface=surface, client=PLATFORM_PROGRAM)


@pytest.fixture
def asked(desk: Desk) -> Desk:
    """A desk with one flag, that was asked before."""
    flag(desk)
    ask(desk, GOOD)
    return desk


def test_it_is_the_answer_that_takes_longer(asked: Desk) -> None:
    assert at_once(asked) == ask(asked, GOOD)
    assert at_once(asked, surface="private") == ask(asked, GOOD, surface="private")


def test_the_database_is_asked_for_nothing(asked: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def refuse(_store: Store, **_more: Any) -> Iterator[None]:
        raise AssertionError("the database was asked")
        yield

    monkeypatch.setattr(Store, "read", refuse)
    monkeypatch.setattr(Store, "write", refuse)
    assert at_once(asked) is not None


@pytest.mark.parametrize(
    "query",
    [
        MediaQuery(pdq=PDQ, quality=90),
        MediaQuery(pdq=pdq_at(31), quality=90),
        MediaQuery(pdq=pdq_at(100)),
        MediaQuery(pdq=pdq_at(100), quality=49),
        MediaQuery(pdq=pdq_at(100), quality=90, md5="ab" * 16),
        MediaQuery(sha256="ab" * 32),
        MediaQuery(),
    ],
    ids=["same", "near", "unknown quality", "low quality", "digest too", "digest", "nothing"],
)
def test_what_is_found_or_needs_more_than_a_search_takes_longer(
    asked: Desk, query: MediaQuery
) -> None:
    assert at_once(asked, query) is None


def test_who_has_not_been_asked_or_has_something_new_takes_longer(desk: Desk) -> None:
    assert at_once(desk) is None
    flag(desk)
    ask(desk, GOOD)
    assert at_once(desk) is not None
    flag(desk, 1)
    assert at_once(desk) is None


def test_a_list_that_takes_long_to_scan_takes_longer(
    asked: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "QUICK_ROWS", 0)
    assert at_once(asked) is None


def test_it_is_written_down_as_every_look_up_is(asked: Desk) -> None:
    at_once(asked)
    assert (
        asked.audited() == [("upload-check", "media.match", "public", "items=1 decisions=none")] * 2
    )
