"""Every limit from its far side: exactly so much is accepted, one more is refused."""

import re
from pathlib import Path
from typing import Any

import pytest

from payloads import (
    EPOCH,
    FINGERPRINT,
    FRAME,
    ID,
    ITEM,
    KEY,
    MESSAGES,
    NODE_KEY,
    TYPES,
    payload,
    to_bytes,
)
from protocol import limits, messages
from protocol.encoding import convert
from protocol.errors import LimitError, MalformedError, ProtocolError
from protocol.fields import Text, Url
from protocol.messages import parse_message
from protocol.statements import parse_as

PACKAGES = ("protocol", "signing", "federation", "node")
ROOT = Path(__file__).parents[3]


def node(number: int) -> str:
    return f"n{number}.example"


def members(count: int) -> list[Any]:
    made = [{"node": node(number), "budget_per_day": 1} for number in range(count - 1)]
    return [{"node": "hotline.example", "budget_per_day": 1}, *made][:count]


def epochs(count: int) -> list[Any]:
    return [{**EPOCH, "epoch": number + 1} for number in range(count)]


def holders(count: int) -> list[Any]:
    return [{"index": number + 1, "node": node(number)} for number in range(count)]


def of_one_epoch(**changes: Any) -> list[Any]:
    return [{**EPOCH, **changes}]


def shared() -> list[Any]:
    return of_one_epoch(threshold=2, commitments=[KEY] * 2, holders=holders(2))


LISTS = [
    ("media-flag", "items", limits.MAX_ITEMS, lambda n: [ITEM] * n, "items"),
    (
        "media-flag",
        "items",
        limits.MAX_FRAMES,
        lambda n: [{"frames": [FRAME] * n}],
        "items[0].frames",
    ),
    ("media-flag", "flags", 16, lambda n: ["live_stream"] * n, "flags"),
    ("media-flag", "surfaces", 3, lambda n: ["public"] * n, "surfaces"),
    ("media-flag", "jurisdictions", limits.MAX_LIST, lambda n: ["DE"] * n, "jurisdictions"),
    ("media-flag", "audience", limits.MAX_AUDIENCE, lambda n: ["peers"] * n, "audience"),
    ("account-ban", "jurisdictions", limits.MAX_LIST, lambda n: ["DE"] * n, "jurisdictions"),
    (
        "account-ban",
        "fingerprints",
        limits.MAX_FINGERPRINTS,
        lambda n: [FINGERPRINT] * n,
        "fingerprints",
    ),
    ("retract", "items", limits.MAX_ITEMS, lambda n: [0] * n, "items"),
    ("dispute", "items", limits.MAX_ITEMS, lambda n: [0] * n, "items"),
    ("feedback", "rows", limits.MAX_ITEMS, lambda n: [{}] * n, "rows"),
    ("accredit", "categories", 64, lambda n: ["*"] * n, "categories"),
    ("accredit", "languages", 64, lambda n: ["de"] * n, "languages"),
    ("circle-descriptor", "members", limits.MAX_MEMBERS, members, "members"),
    ("circle-descriptor", "epochs", limits.MAX_EPOCHS, epochs, "epochs"),
    (
        "circle-descriptor",
        "epochs",
        limits.MAX_HOLDERS,
        lambda n: of_one_epoch(holders=holders(n)),
        "epochs[0].holders",
    ),
    ("node-descriptor", "keys", limits.MAX_KEYS, lambda n: [NODE_KEY] * n, "keys"),
    *(
        (kind, "crit", limits.MAX_LIST, lambda n: ["issuer"] * n, "crit")
        for kind in ("media-flag", "erase", "node-descriptor")
    ),
]


@pytest.mark.parametrize(
    ("kind", "field", "most", "make", "where"), LISTS, ids=[f"{one[0]} {one[4]}" for one in LISTS]
)
def test_a_list_of_a_statement_is_as_long_as_allowed_and_not_longer(kind, field, most, make, where):
    # Several members share no key that one node holds alone.
    more = {"epochs": shared()} if field == "members" else {}
    parse_as(TYPES[kind], payload(kind, **more, **{field: make(most)}))
    with pytest.raises(LimitError, match=f"More than {most} entries") as refused:
        parse_as(TYPES[kind], payload(kind, **more, **{field: make(most + 1)}))
    assert refused.value.where == where


@pytest.mark.parametrize(
    ("kind", "field", "make"),
    [
        ("media-flag", "items", list),
        ("media-flag", "audience", list),
        ("account-ban", "fingerprints", list),
        ("feedback", "rows", list),
        ("accredit", "categories", list),
        ("circle-descriptor", "members", list),
        ("circle-descriptor", "epochs", list),
        ("circle-descriptor", "epochs", lambda: of_one_epoch(holders=[])),
        ("circle-descriptor", "epochs", lambda: of_one_epoch(commitments=[])),
        ("node-descriptor", "keys", list),
    ],
)
def test_a_list_that_must_say_something_is_not_empty(kind, field, make):
    with pytest.raises(MalformedError, match="length >= 1"):
        parse_as(TYPES[kind], payload(kind, **{field: make()}))


def test_as_many_frames_as_allowed_fit_into_one_statement():
    frames = [FRAME] * (limits.MAX_FRAMES_PER_STATEMENT // 4)
    items = [{"frames": frames}] * 4
    parse_as(TYPES["media-flag"], payload("media-flag", items=items))
    with pytest.raises(LimitError, match="frames"):
        parse_as(TYPES["media-flag"], payload("media-flag", items=[*items, {"frames": [FRAME]}]))


def test_a_threshold_is_at_most_the_number_of_holders_allowed():
    most = limits.MAX_HOLDERS
    for count, refusal in ((most, None), (most + 1, ProtocolError)):
        made = of_one_epoch(
            threshold=count, commitments=[KEY] * count, holders=holders(min(count, most))
        )
        data = payload("circle-descriptor", epochs=made)
        if refusal is None:
            parse_as(TYPES["circle-descriptor"], data)
        else:
            with pytest.raises(refusal, match="epochs"):
                parse_as(TYPES["circle-descriptor"], data)


MESSAGE_LISTS = [
    (messages.Entries, "entries", limits.MAX_ENTRIES_PER_REQUEST, ID),
    (messages.EnvelopesRequest, "ids", limits.MAX_ENVELOPES_PER_REQUEST, ID),
    (
        messages.Envelopes,
        "envelopes",
        limits.MAX_ENVELOPES_PER_REQUEST,
        {"id": ID, "state": "erased"},
    ),
    (messages.Acknowledgement, "set_aside", limits.MAX_LIST, {"id": ID, "reason": "x"}),
    (messages.OprfRequest, "blinded", limits.MAX_OPRF_ELEMENTS, KEY),
    (messages.OprfAnswer, "evaluated", limits.MAX_OPRF_ELEMENTS, KEY),
    (
        messages.StatementStatuses,
        "statements",
        limits.MAX_ITEMS,
        {"id": ID, "kind": "erase", "index": 1, "state": "active"},
    ),
]


def body(kind: type[messages.Message], **changes: Any) -> messages.Message:
    data = to_bytes({**MESSAGES[kind], **changes})
    return parse_message(kind, data, max_bytes=limits.MAX_PEER_RESPONSE_BYTES)


@pytest.mark.parametrize(("kind", "field", "most", "one"), MESSAGE_LISTS)
def test_a_list_of_a_body_is_as_long_as_allowed_and_not_longer(kind, field, most, one):
    assert len(getattr(body(kind, **{field: [one] * most}), field)) == most
    with pytest.raises(LimitError, match=f"More than {most} entries"):
        body(kind, **{field: [one] * (most + 1)})


def test_the_peers_of_one_status_are_bounded_too():
    peer = {"node": "a", "state": "pending"}
    status = {"id": ID, "kind": "erase", "index": 1, "state": "active"}
    body(messages.StatementStatuses, statements=[{**status, "peers": [peer] * limits.MAX_ITEMS}])
    with pytest.raises(LimitError, match="More than 1000 entries"):
        body(
            messages.StatementStatuses,
            statements=[{**status, "peers": [peer] * (limits.MAX_ITEMS + 1)}],
        )


@pytest.mark.parametrize(
    ("kind", "field", "least", "most"),
    [
        (messages.EntriesRequest, "limit", 1, limits.MAX_ENTRIES_PER_REQUEST),
        (messages.EntriesRequest, "start", 0, limits.MAX_LOG_SIZE),
        (messages.Entries, "start", 0, limits.MAX_LOG_SIZE),
        (messages.Acknowledgement, "size", 0, limits.MAX_LOG_SIZE),
        (messages.Poke, "size", 0, limits.MAX_LOG_SIZE),
        (messages.Receipt, "index", 0, limits.MAX_LOG_SIZE),
        (messages.OprfRequest, "epoch", 1, 10**6),
        (messages.OprfAnswer, "index", 1, 255),
        (messages.WellKnown, "protocol", 1, 1),
    ],
)
def test_a_number_lies_between_its_bounds(kind, field, least, most):
    for good in (least, most):
        body(kind, **{field: good})
    for bad in (least - 1, most + 1):
        with pytest.raises(ProtocolError, match=r"\.$"):
            body(kind, **{field: bad})


def test_the_envelope_in_an_answer_is_as_long_as_an_envelope_may_be():
    def answer(size: int) -> list[Any]:
        return [{"id": ID, "state": "present", "envelope": " " * size}]

    body(messages.Envelopes, envelopes=answer(limits.MAX_ENVELOPE_BYTES))
    with pytest.raises(MalformedError, match="length <= 1048576"):
        body(messages.Envelopes, envelopes=answer(limits.MAX_ENVELOPE_BYTES + 1))


def test_texts_and_urls_are_as_long_as_allowed_and_not_longer():
    convert("🦊" * limits.MAX_TEXT_CHARS, Text)
    with pytest.raises(MalformedError, match="length <= 512"):
        convert("x" * (limits.MAX_TEXT_CHARS + 1), Text)
    url = "https://" + "a." * ((limits.MAX_URL_CHARS - 8) // 2 - 1) + "aa"
    assert len(convert(url, Url)) == limits.MAX_URL_CHARS
    with pytest.raises(MalformedError, match="length <= 512"):
        convert(url + "a", Url)


@pytest.mark.parametrize("kind", TYPES)
def test_a_payload_is_as_long_as_an_envelope_may_be(kind):
    data = payload(kind)
    spare = b" " * (limits.MAX_ENVELOPE_BYTES - len(data))
    parse_as(TYPES[kind], data + spare)
    with pytest.raises(LimitError, match="longer than"):
        parse_as(TYPES[kind], data + spare + b" ")


def test_a_nonce_is_kept_for_longer_than_its_request_can_be_good():
    assert limits.NONCE_KEPT_S > limits.REQUEST_LIFETIME_S + limits.REQUEST_SKEW_S


def test_an_answer_and_a_request_hold_an_envelope_however_it_is_escaped():
    # Inside JSON, each byte of an envelope's text takes two at most.
    assert limits.MAX_PEER_RESPONSE_BYTES > 2 * limits.MAX_ENVELOPE_BYTES + 1_000
    assert limits.MAX_PEER_REQUEST_BYTES > limits.MAX_ENVELOPE_BYTES


def test_every_limit_is_a_positive_integer_with_a_sentence():
    source = Path(limits.__file__).read_text(encoding="utf-8")
    names = [name for name in vars(limits) if name.isupper()]
    assert names
    for name in names:
        assert type(getattr(limits, name)) is int
        assert getattr(limits, name) > 0
        assert re.search(rf'^{name} = .*\n"""[A-Z]', source, re.MULTILINE)


def test_every_limit_is_used():
    sources = [
        path.read_text(encoding="utf-8")
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path != Path(limits.__file__)
    ]
    unused = {
        name
        for name in vars(limits)
        if name.isupper() and not any(re.search(rf"\b{name}\b", text) for text in sources)
    }
    assert unused == set()
