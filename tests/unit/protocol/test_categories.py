"""The vocabulary of categories and its bridges."""

import json
from typing import Any

import msgspec
import pytest

from protocol import fields
from protocol.categories import (
    MAX_VOCABULARY_BYTES,
    CategoryKind,
    builtin_vocabulary,
    parse_vocabulary,
)
from protocol.errors import LimitError, MalformedError, ProtocolError

V = builtin_vocabulary()
CSAM = ["csam.act.prepub", "csam.pose.prepub", "csam.act.pub", "csam.pose.pub"]
ACCOUNT = ["grooming", "sextortion", "livestream", "purchase", "distribution", "exposure-group"]


def small(**changes: Any) -> bytes:
    category = {
        "id": "a.b", "kind": "both", "title": "t", "definition": "d", "review_only": False,
        "ban_reason": True,
    }  # fmt: skip
    flag = {"id": "f", "definition": "d"}
    text = {"name": "mine", "version": 1, "categories": [category], "flags": [flag]}
    for path, value in changes.items():
        where = {"top": text, "category": category, "flag": flag}[path.partition("__")[0]]
        where[path.partition("__")[2]] = value
    return json.dumps(text).encode()


def ids(categories: Any) -> list[str]:
    return [category.id for category in categories]


def test_the_vocabulary_holds_the_categories_and_flags_of_the_domain():
    assert (V.name, V.version) == ("schutznetz", 1)
    assert ids(V.categories) == [
        *CSAM, "csam.selfgen", "exploitative", "ncii.minor", "ncii.adult",
        *[f"account.{name}" for name in ACCOUNT],
    ]  # fmt: skip
    assert ids(V.flags) == ["live_stream", "generative_ai", "known_minor", "meme_or_viral"]


def test_account_categories_are_of_accounts_and_all_others_of_media():
    for category in V.categories:
        account = category.id.startswith("account.")
        assert category.kind is (CategoryKind.ACCOUNT if account else CategoryKind.MEDIA)


def test_every_category_is_explained_in_one_sentence():
    for entry in (*V.categories, *V.flags):
        assert entry.definition.endswith(".")
        assert entry.definition.count(".") == 1


def test_every_id_may_stand_in_a_statement():
    for category in V.categories:
        assert msgspec.convert(category.id, fields.Category) == category.id
    for flag in V.flags:
        assert msgspec.convert(flag.id, fields.Flag) == flag.id


def test_only_the_exploitative_category_is_review_only():
    assert [category.id for category in V.categories if category.review_only] == ["exploitative"]


def test_material_that_a_minor_made_is_never_a_ban_reason_by_itself():
    assert not V.get("csam.selfgen").ban_reason
    assert not V.get("exploitative").ban_reason
    assert all(V.get(f"account.{name}").ban_reason for name in ACCOUNT)


@pytest.mark.parametrize("code", ["", "csam", "csam.act.prepub ", "account.new", "\0"])
def test_an_unknown_category_is_kept_and_review_only(code):
    category = V.get(code)
    assert category.id == code
    assert not category.known
    assert category.review_only
    assert not category.ban_reason
    assert category.kind is CategoryKind.BOTH


def test_a_known_category_is_known():
    category = V.get("csam.act.pub")
    assert category.known
    assert category.bridges.ncmec == ("B1",)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("A1", ["csam.act.prepub"]),
        ("a2", ["csam.pose.prepub"]),
        ("B1", ["csam.act.pub"]),
        ("B2", ["csam.pose.pub"]),
        ("exploitative", ["exploitative"]),
        ("C1", []),
        ("*", []),
        ("", []),
    ],
)
def test_ncmec_codes_mean_one_category(code, expected):
    assert ids(V.from_ncmec(code)) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("A", ["csam.act.prepub", "csam.act.pub"]),
        ("b", ["csam.act.prepub", "csam.pose.prepub", "csam.act.pub"]),
        ("C", ["csam.pose.prepub", "csam.pose.pub"]),
        ("D", []),
    ],
)
def test_iwf_codes_grade_the_act_and_leave_the_age_open(code, expected):
    assert ids(V.from_iwf(code)) == expected


@pytest.mark.parametrize("code", ["A1", "B2", "anything"])
def test_self_production_goes_before_every_code(code):
    assert ids(V.from_ncmec(code, self_production=True)) == ["csam.selfgen"]
    assert ids(V.from_iwf(code, self_production=True)) == ["csam.selfgen"]


def test_the_builtin_vocabulary_is_read_once():
    assert builtin_vocabulary() is V


def test_a_vocabulary_of_an_operators_own_is_read():
    vocabulary = parse_vocabulary(small())
    assert vocabulary.get("a.b").known
    assert vocabulary.get("a.b").kind is CategoryKind.BOTH
    assert parse_vocabulary(msgspec.json.encode(V)) == V


@pytest.mark.parametrize(
    "changes",
    [
        {"top__version": 0},
        {"top__version": "1"},
        {"top__name": "A name"},
        {"top__extra": 1},
        {"top__categories": {}},
        {"category__id": "Not An Id"},
        {"category__kind": "person"},
        {"category__title": ""},
        {"category__definition": "x" * 513},
        {"category__ban": True},
        {"category__bridges": {"ncmec": [1]}},
        {"category__known": False},
        {"flag__id": "Flag"},
    ],
)
def test_a_vocabulary_with_a_wrong_field_is_refused(changes):
    with pytest.raises(MalformedError, match=r"\.$"):
        parse_vocabulary(small(**changes))


@pytest.mark.parametrize("part", ["categories", "flags"])
def test_an_id_that_stands_twice_is_refused(part):
    text = json.loads(small())
    text[part] *= 2
    with pytest.raises(MalformedError, match="twice"):
        parse_vocabulary(json.dumps(text).encode())


def test_a_vocabulary_over_the_limit_is_refused():
    with pytest.raises(LimitError, match="longer"):
        parse_vocabulary(b" " * (MAX_VOCABULARY_BYTES + 1))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 99, b'{"name":1.5}'])
def test_what_is_no_vocabulary_is_refused(data):
    with pytest.raises(ProtocolError):
        parse_vocabulary(data)
