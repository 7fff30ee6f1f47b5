"""What a policy file says of whole lists."""

from pathlib import Path

import pytest

from node.policy import parse_policy
from node.policy.gates import LIMIT_KEYS, QUARANTINE_KEYS, SOURCE_KEYS, Gates, Limits, Source
from node.policy.gates import Quarantine as Quarantined
from protocol.errors import SettingsError

GUIDE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")


def test_a_file_that_says_nothing_of_lists_has_the_defaults() -> None:
    assert parse_policy("").gates == Gates()
    assert Gates().limits.issuer_per_day >= 1_000_000, "the first import of a large list goes in"


def test_every_key_about_lists_is_read() -> None:
    gates = parse_policy(
        "[limits]\nissuer_per_day = 1\ncategory_per_day = 2\norganisation_per_day = 3\n"
        "[quarantine]\ngrowth = 4\nmax_share = 5\nmin_matches = 6\ntell_issuer = false\n"
        '[[source]]\norganisation = "a.example"\nshadow = true\n'
        '[[source]]\norganisation = "b.example"\nenabled_share = 25\n'
    ).gates
    assert gates.limits == Limits(1, 2, 3)
    assert gates.quarantine == Quarantined(4, 5, 6, tell_issuer=False)
    assert dict(gates.sources) == {
        "a.example": Source("a.example", 0),
        "b.example": Source("b.example", 25),
    }


@pytest.mark.parametrize("key", LIMIT_KEYS)
def test_every_key_about_limits_stands_in_the_guide_with_its_default(key: str) -> None:
    assert f"| `{key}` | number | {getattr(Limits(), key)} |" in GUIDE


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("limits = 3", r"line 1: 'limits' has to be a table"),
        (
            "[limits]\nissuer_per_day = -1",
            r"line 2: \[limits\]: 'issuer_per_day' has to be a whole",
        ),
        ("[limits]\nissuer = 1", r"unknown key 'issuer', did you mean 'issuer_per_day'\?"),
        ("[quarantine]\ngrowth = 1", r"'growth' is 2 or more, or 0"),
        ("[quarantine]\nmax_share = 101", r"'max_share' has to be a whole number from 0 to 100"),
        ("[source]\n", r"'source' has to be a list of tables"),
        ("[[source]]\nshadow = true", r"'organisation' is missing"),
        ('[[source]]\norganisation = "A B"', r"has to be the name of a node"),
        (
            '[[source]]\norganisation = "a.example"\nshadow = true\nenabled_share = 1',
            r"which one counts\?",
        ),
        (
            '[[source]]\norganisation = "a.example"\n[[source]]\norganisation = "a.example"',
            r"line 4: source 'a.example': another source has the same organisation",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        parse_policy(text)


@pytest.mark.parametrize(
    ("matches", "usual", "lookups", "reason"),
    [
        (199, 1, 10**6, None),
        (200, 20, 10**6, None),
        (201, 20, 10**6, "growth"),
        (10**5, 0, 10**9, None),
        (200, 0, 4_000, None),
        (200, 0, 3_999, "share"),
        (200, 100, 3_999, "share"),
    ],
)
def test_an_entry_is_out_of_step_by_growth_or_by_share(
    matches: int, usual: int, lookups: int, reason: str | None
) -> None:
    found = Quarantined().reason(matches=matches, usual=usual, lookups=lookups)
    assert found == reason


def test_both_measures_can_be_switched_off() -> None:
    off = Quarantined(growth=0, max_share=100, min_matches=1)
    assert off.reason(matches=10**9, usual=1, lookups=10**9) is None


@pytest.mark.parametrize("key", [*QUARANTINE_KEYS, *SOURCE_KEYS])
def test_every_key_about_quarantine_and_sources_stands_in_the_guide(key: str) -> None:
    assert f"| `{key}` |" in GUIDE
