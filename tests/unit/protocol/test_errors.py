"""One tree of errors, as its drawing shows it."""

import inspect
import re

import pytest

from protocol import errors
from protocol.structs import ContradictionError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == "protocol.errors"
}
DRAWN = re.compile(r"^    (?P<indent>[│ ├└─]*)(?P<name>[A-Z]\w+Error)\b", re.MULTILINE)


def drawn() -> dict[str, str | None]:
    """Each class of the drawing and the one above it."""
    parents: dict[str, str | None] = {}
    above: list[str] = []
    for match in DRAWN.finditer(errors.__doc__ or ""):
        level = len(match["indent"]) // 4
        above[level:] = [match["name"]]
        parents[match["name"]] = above[level - 1] if level else None
    return parents


def test_the_drawing_is_the_tree():
    actual = {
        name: None if cls is errors.SchutznetzError else cls.__base__.__name__
        for name, cls in CLASSES.items()
    }
    assert drawn() == actual
    assert list(drawn()) == list(CLASSES)


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_says_when_it_is_raised(name):
    doc = CLASSES[name].__doc__ or ""
    assert doc.splitlines()[0].endswith(".")
    assert name.endswith("Error")


@pytest.mark.parametrize("name", CLASSES)
def test_every_error_is_one_of_ours_and_shows_its_message_alone(name):
    extra = {
        "PeerRefusedError": {"status": 403},
        "PeerMisbehavedError": {"evidence": b"SECRET"},
        "RateLimitedError": {"retry_after_s": 9},
        "EquivocationError": {"circle": "SECRET", "known": "SECRET"},
        "ChainError": {"evidence": b"SECRET", "proven": False},
    }
    error = CLASSES[name]("One sentence.", **extra.get(name, {}))
    assert isinstance(error, errors.SchutznetzError)
    assert str(error) == "One sentence."
    assert "SECRET" not in repr(error)


@pytest.mark.parametrize("name", ["ProtocolError", "MalformedError", "LimitError", "InvalidError"])
def test_a_refusal_names_the_place_if_it_is_known(name):
    assert CLASSES[name]("No.").where == ""
    assert CLASSES[name]("No.", where="items[3].pdq").where == "items[3].pdq"


def test_a_refusing_peer_says_why_and_until_when():
    refused = errors.PeerRefusedError("No.", status=429, retry_after_s=7)
    assert (refused.status, refused.retry_after_s) == (429, 7)
    assert errors.PeerRefusedError("No.", status=403).retry_after_s is None
    assert errors.RateLimitedError("No.", retry_after_s=3).retry_after_s == 3
    assert errors.PeerMisbehavedError("No.", evidence=b"x").evidence == b"x"


def test_a_contradiction_is_malformed_and_is_what_msgspec_names_the_place_of():
    assert issubclass(ContradictionError, errors.MalformedError)
    assert issubclass(ContradictionError, ValueError)
    assert ContradictionError("No.").where == ""
