"""Every kind of statement: what is accepted, what contradicts itself, what is not known."""

import json
from dataclasses import dataclass

import pytest

from payloads import (
    BASIS,
    COMMON,
    EPOCH,
    FINGERPRINT,
    FRAME,
    ID,
    ITEM,
    KEY,
    PAYLOADS,
    T0,
    T1,
    TYPES,
    payload,
    to_bytes,
)
from protocol import limits
from protocol.errors import LimitError, MalformedError, ProtocolError, VersionError
from protocol.kinds import KINDS, parse_statement
from protocol.statements import (
    Basis,
    Fingerprint,
    MediaFlag,
    MediaItem,
    Statement,
    encode_statement,
    parse_as,
)

OPTIONAL = {
    "crit",
    "issuer_code",
    "flags",
    "surfaces",
    "jurisdictions",
    "languages",
    "previous",
    "contact",
}


def read(kind: str, **changes) -> Statement:
    return parse_as(TYPES[kind], payload(kind, **changes))


@pytest.mark.parametrize("kind", TYPES)
def test_a_full_example_of_every_kind_is_read_and_written_unchanged(kind):
    data = payload(kind)
    statement = parse_as(TYPES[kind], data)
    assert json.loads(encode_statement(statement)) == json.loads(data)
    assert parse_as(TYPES[kind], encode_statement(statement)) == statement
    assert kind == statement.KIND


def test_the_kinds_of_a_log_are_found_by_name():
    assert set(KINDS) == set(TYPES) - {"node-descriptor"}
    for kind in KINDS:
        assert type(parse_statement(kind, payload(kind))) is KINDS[kind]


@pytest.mark.parametrize("kind", ["", "node-descriptor", "Media-Flag", "media-flag ", "x" * 99])
def test_a_kind_that_is_not_known_is_refused(kind):
    with pytest.raises(VersionError, match="not known"):
        parse_statement(kind, payload("media-flag"))


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in PAYLOADS for field in PAYLOADS[kind]]
)
def test_a_field_is_there_unless_it_is_optional(kind, field):
    optional = OPTIONAL | ({"items"} if kind in ("retract", "dispute") else set())
    if field in optional and (kind, field) != ("circle-descriptor", "previous"):
        read(kind, **{field: ...})
        return
    with pytest.raises(MalformedError, match=r"missing required field|previous|says how"):
        read(kind, **{field: ...})


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind in PAYLOADS for field in PAYLOADS[kind]]
)
@pytest.mark.parametrize("value", [True, -1, "\n", [[]], {}, [None], 2**53 - 1])
def test_a_field_of_another_type_is_refused(kind, field, value):
    with pytest.raises(ProtocolError, match=r"\.$"):
        read(kind, **{field: value})


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("data", [b"[]", b"null", b'"a"', b"1", b"true", b"[{}]"])
def test_a_statement_is_an_object(kind, data):
    with pytest.raises(MalformedError, match="object"):
        parse_as(TYPES[kind], data)


@pytest.mark.parametrize("kind", TYPES)
def test_keys_that_are_not_known_are_ignored_at_every_depth(kind):
    def decorate(value):
        if isinstance(value, dict):
            return {"x-new": [1], **{key: decorate(inner) for key, inner in value.items()}}
        return [decorate(inner) for inner in value] if isinstance(value, list) else value

    plain = decorate(PAYLOADS[kind])
    assert parse_as(TYPES[kind], to_bytes(plain)) == read(kind)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "crit", [["x-new"], ["issuer", "x-new"], ["items "], ["KIND"], ["basis.reviewers"], [1], [[]]]
)
def test_a_critical_field_that_is_not_known_refuses_before_anything_else(kind, crit):
    for data in (payload(kind, crit=crit), to_bytes({"crit": crit})):
        with pytest.raises(VersionError, match="extension") as refused:
            parse_as(TYPES[kind], data)
        assert refused.value.where == "crit"


@pytest.mark.parametrize("crit", ["x-new", {"x-new": 1}, 1, True, None])
def test_crit_is_a_list(crit):
    with pytest.raises(MalformedError, match="crit"):
        read("erase", crit=crit)


@pytest.mark.parametrize("kind", TYPES)
def test_every_known_field_may_be_critical(kind):
    names = sorted(TYPES[kind].__struct_fields__)
    assert read(kind, crit=names).crit == tuple(names)


@pytest.mark.parametrize("kind", TYPES)
def test_what_equals_its_default_is_left_out_when_written(kind):
    bare = {
        name: value
        for name, value in PAYLOADS[kind].items()
        if name not in OPTIONAL or (kind, name) == ("circle-descriptor", "previous")
    }
    statement = parse_as(TYPES[kind], to_bytes(bare))
    assert set(json.loads(encode_statement(statement))) == set(bare)


@dataclass
class Case:
    kind: str
    changes: dict
    match: str
    where: str = ""


def flag(match, where="", **changes):
    return Case("media-flag", changes, match, where)


def circle(match, where="", **changes):
    epochs = [{**EPOCH, **changes}]
    return Case("circle-descriptor", {"epochs": epochs}, match, where)


LATER = "2028-11-23T10:00:01Z"
"""731 days and one second after T0, and a day more for the leap year."""

CONTRADICTIONS = [
    Case("erase", {"issued": "2026-02-30T00:00:00Z"}, "no such day", "issued"),
    Case("feedback", {"day": "2026-02-30"}, "no such day", "day"),
    Case("feedback", {"day": "2026-11-19", "issued": T0}, "too far from"),
    Case("feedback", {"day": "2026-11-25", "issued": T0}, "too far from"),
    flag("no such day", "basis.reviewed", basis={**BASIS, "reviewed": "2026-02-30T00:00:00Z"}),
    flag("no such day", review_by="2027-02-30T00:00:00Z"),
    flag("together", "items[1]", items=[ITEM, {"pdq": ID}]),
    flag("together", "items[0]", items=[{"quality": 9, "sha256": ID}]),
    flag("media hash", "items[0]", items=[{}]),
    flag("media hash", "items[0]", items=[{"frames": []}]),
    flag("not after the beginning", review_by=T0),
    flag("more than 731 days", review_by=LATER),
    Case("account-ban", {"expires": T0}, "not after the beginning"),
    Case("account-ban", {"expires": LATER}, "more than 731 days"),
    Case("accredit", {"not_before": T1}, "not after the beginning"),
    Case("circle-descriptor", {"version": 1}, "Version 1"),
    Case("circle-descriptor", {"previous": None}, "Version 1"),
    Case(
        "circle-descriptor",
        {"members": [{"node": "a", "budget_per_day": n} for n in (0, 1)]},
        "member is listed twice",
    ),
    Case("circle-descriptor", {"epochs": [EPOCH, EPOCH]}, "epoch is listed twice"),
    circle("not after the beginning", "epochs[0]", not_after=T0),
    circle("one commitment", "epochs[0]", commitments=[KEY, KEY]),
    circle("fewer holders", "epochs[0]", threshold=2, commitments=[KEY, KEY]),
    Case("circle-descriptor", {"admins": ["a.example"]}, "The admins are members"),
    Case("circle-descriptor", {"admins": ["hotline.example"] * 2}, "The admins are members"),
    Case("circle-descriptor", {"admin_threshold": 2}, "fewer admins"),
    Case(
        "circle-descriptor",
        {"members": [{"node": "hotline.example", "budget_per_day": 1, "party": "a.example"}]},
        "budget of a node that is no member",
    ),
    Case(
        "circle-descriptor",
        {
            "members": [
                {"node": "hotline.example", "budget_per_day": 1, "party": "a.example"},
                {"node": "a.example", "budget_per_day": 1, "party": "b.example"},
                {"node": "b.example", "budget_per_day": 1},
            ]
        },
        "has a budget of its own",
    ),
    circle(
        "one share",
        "epochs[0]",
        holders=[{"index": n, "node": "a"} for n in (1, 2)],
    ),
    circle("one index", "epochs[0]", holders=[{"index": 1, "node": n} for n in "ab"]),
    circle("index", "epochs[0].holders[0].index", holders=[{"index": 0, "node": "a"}]),
    circle("index", "epochs[0].holders[0].index", holders=[{"index": 256, "node": "a"}]),
]


@pytest.mark.parametrize("case", CONTRADICTIONS, ids=lambda case: f"{case.kind}: {case.match}")
def test_a_statement_that_contradicts_itself_is_refused_at_its_place(case):
    with pytest.raises(MalformedError, match=case.match) as refused:
        read(case.kind, **case.changes)
    assert refused.value.where == case.where
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    "build",
    [
        MediaItem,
        lambda: MediaItem(pdq=ID),
        lambda: MediaFlag(**fields_of(items=(MediaItem(sha256=ID),), review_by=T0)),
        lambda: Basis(reviewers=1, reviewed="yesterday"),
    ],
)
def test_what_contradicts_itself_cannot_be_built_in_python_either(build):
    # A node's own services build statements from requests: the caller gets a refusal, not a crash.
    with pytest.raises(ProtocolError, match=r"\.$"):
        build()


def fields_of(**changes):
    values = {**COMMON, "audience": ("peers",), "crit": (), "category": "a", "purpose": "p"}
    basis = Basis(reviewers=1, reviewed=T0)
    return {**values, "legal_basis": "l", "basis": basis, "review_by": T1, **changes}


@pytest.mark.parametrize("issuer_code", [object(), "\ud800", 2**70, {object(): 1}])
def test_a_value_that_json_cannot_carry_is_refused_when_written(issuer_code):
    statement = MediaFlag(**fields_of(items=(MediaItem(sha256=ID),), issuer_code=issuer_code))
    with pytest.raises(ProtocolError, match=r"\.$"):
        parse_as(MediaFlag, encode_statement(statement))


def test_too_many_frames_in_one_statement_are_beyond_a_limit():
    half = limits.MAX_FRAMES_PER_STATEMENT // 2
    read("media-flag", items=[{"frames": [FRAME] * half}] * 2)
    with pytest.raises(LimitError, match="frames") as refused:
        read("media-flag", items=[{"frames": [FRAME] * half}] * 2 + [{"frames": [FRAME]}])
    assert refused.value.where == "items"


def test_a_statement_of_the_longest_span_is_accepted():
    longest = "2028-11-22T10:00:00Z"
    assert read("media-flag", review_by=longest).review_by == longest
    assert read("account-ban", expires=longest).expires == longest


def test_an_unknown_category_is_kept():
    assert read("media-flag", category="some.later-thing").category == "some.later-thing"


def test_no_repr_shows_what_a_statement_says():
    from rich.pretty import pretty_repr

    for kind in TYPES:
        statement = read(kind)
        for shown in (repr(statement), str(statement), f"{statement!r}", pretty_repr(statement)):
            assert "hidden" in shown
            assert not any(secret in shown for secret in (ID, KEY, "hotline", "2026"))
    parts = [MediaItem(sha256=ID), Fingerprint(**FINGERPRINT), *read("circle-descriptor").epochs]
    assert [repr(part) for part in parts] == [
        "MediaItem(hidden)",
        "Fingerprint(hidden)",
        "Epoch(hidden)",
    ]


@pytest.mark.parametrize("kind", TYPES)
def test_a_statement_cannot_be_changed(kind):
    with pytest.raises(AttributeError, match="immutable"):
        read(kind).issuer = "other.example"


@pytest.mark.parametrize("kind", TYPES)
def test_no_error_repeats_a_value(kind):
    for field in PAYLOADS[kind]:
        for value in ("SECRET!", ["SECRET!"], {"SECRET!": "SECRET!"}):
            if (field, value) == ("contact", "SECRET!"):
                continue
            with pytest.raises(ProtocolError) as refused:
                read(kind, **{field: value})
            assert "SECRET" not in str(refused.value) + refused.value.where


@pytest.mark.parametrize("day", ["2026-11-20", "2026-11-22", "2026-11-24"])
def test_a_feedback_is_about_a_day_near_the_one_on_which_it_was_issued(day):
    assert read("feedback", issued=T0, day=day).day == day
