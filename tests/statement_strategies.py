"""Hypothesis strategies for every statement that the protocol allows."""

from typing import Any

from hypothesis import strategies as st

from protocol import limits, statements
from protocol.circles import CircleDescriptor, Epoch, Holder, Member, Stretch
from protocol.descriptors import NodeDescriptor, NodeKey, fingerprint_of
from protocol.encoding import format_time, parse_time, to_base64url
from protocol.fields import StatementId
from protocol.memberships import Membership

DAY_S = 86_400
_LAST = parse_time("9999-12-31T23:59:59Z")

digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
keys = st.binary(min_size=32, max_size=32).map(to_base64url)
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
nodes = st.lists(labels, min_size=1, max_size=4).map(".".join)
issuers = st.builds(
    lambda node, label: f"{node}/{label}" if label else node, nodes, labels | st.none()
)
circles = st.builds("{}/{}".format, nodes, labels)
categories = st.from_regex(r"[a-z][a-z0-9-]{0,9}(\.[a-z0-9-]{1,9}){0,3}", fullmatch=True)
codes = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,20}", fullmatch=True)
# Every character but controls, line separators and what turns the direction of writing round.
texts = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]).filter(
        lambda char: char not in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    ),
    min_size=1,
    max_size=40,
)
seconds = st.integers(parse_time("0001-01-01T00:00:00Z"), _LAST - 1000 * DAY_S)
times = seconds.map(format_time)


def tuples(values: st.SearchStrategy[Any], low: int = 0, high: int = 4, **more: Any) -> Any:
    return st.lists(values, min_size=low, max_size=high, **more).map(tuple)


@st.composite
def spans(draw: st.DrawFn, max_days: int = limits.MAX_REVIEW_DAYS) -> tuple[str, str]:
    """Two instants, the second after the first by at most so many days."""
    first = draw(seconds)
    return format_time(first), format_time(first + draw(st.integers(1, max_days * DAY_S)))


def common(names: type, issued: Any = times) -> dict[str, Any]:
    audiences = st.one_of(
        st.just("peers"), circles.map("circle:{}".format), nodes.map("node:{}".format)
    )
    return {
        "issuer": issuers,
        "nonce": st.binary(min_size=16, max_size=16).map(to_base64url),
        "issued": issued,
        "audience": tuples(audiences, 1),
        "crit": tuples(st.sampled_from(names.__struct_fields__)),
    }


basis = st.builds(statements.Basis, reviewers=st.integers(1, 99), reviewed=times)
frames = st.builds(
    statements.Frame, pdq=digests, quality=st.integers(0, 100), at_ms=st.integers(0, 10**9)
)


@st.composite
def items(draw: st.DrawFn) -> statements.MediaItem:
    pdq = draw(digests | st.none())
    return statements.MediaItem(
        pdq=pdq,
        quality=None if pdq is None else draw(st.integers(0, 100)),
        sha256=draw(digests if pdq is None else digests | st.none()),
        sha1=draw(st.none() | st.binary(min_size=20, max_size=20).map(bytes.hex)),
        md5=draw(st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex)),
        frames=draw(tuples(frames, 0, 2)),
    )


fingerprints = st.builds(
    statements.Fingerprint,
    kind=st.sampled_from(["email", "phone", "device", "payment", "username", "invite"]),
    circle=circles,
    epoch=st.integers(1, 10**6),
    scheme=st.from_regex(r"[a-z]{1,16}-v[1-9][0-9]{0,3}", fullmatch=True),
    value=keys,
)
countries = tuples(st.from_regex(r"[A-Z]{2}", fullmatch=True))
indices = st.integers(0, limits.MAX_ITEMS - 1)
counts = st.integers(0, 10**9)


def judged() -> dict[str, Any]:
    return {
        "category": categories,
        "basis": basis,
        "purpose": codes,
        "legal_basis": codes,
        "issuer_code": codes | st.none(),
        "jurisdictions": countries,
    }


@st.composite
def built(draw: st.DrawFn, kind: type, end: str, max_days: int, **more: Any) -> Any:
    """A statement with an end that lies in the right distance from `issued`."""
    issued, until = draw(spans(max_days))
    values = {**common(kind, st.just(issued)), **more}
    return kind(**{name: draw(value) for name, value in values.items()}, **{end: until})


media_flags = built(
    statements.MediaFlag,
    "review_by",
    limits.MAX_REVIEW_DAYS,
    **judged(),
    items=tuples(items(), 1),
    flags=tuples(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True)),
    surfaces=tuples(st.sampled_from(["public", "hosted", "private"]), 0, 3),
)
avatars = st.builds(statements.Avatar, pdq=digests, quality=st.integers(0, 100))
account_bans = built(
    statements.AccountBan,
    "expires",
    limits.MAX_ACCOUNT_DAYS,
    **judged(),
    fingerprints=tuples(fingerprints, 1),
    avatar=st.none() | avatars,
    scope=st.sampled_from(["account", "person"]),
)


def simple(kind: type, **more: Any) -> st.SearchStrategy[Any]:
    return st.builds(kind, **{**common(kind), **more})


@st.composite
def feedbacks(draw: st.DrawFn) -> statements.Feedback:
    issued = draw(times)
    row = st.builds(
        statements.FeedbackRow, item=indices, confirmed=counts, refuted=counts, unreviewed=counts
    )
    return draw(
        st.builds(
            statements.Feedback,
            **common(statements.Feedback, st.just(issued)),
            target=digests,
            day=st.just(issued[:10]),
            rows=tuples(row, 1),
        )
    )


@st.composite
def accreditations(draw: st.DrawFn) -> statements.Accredit:
    first, last = draw(spans())
    patterns = st.just("*") | categories | categories.map("{}.*".format)
    return draw(
        simple(
            statements.Accredit,
            flagger=issuers,
            key=keys,
            categories=tuples(patterns, 1),
            not_before=st.just(first),
            not_after=st.just(last),
            status=st.sampled_from(["active", "suspended", "revoked"]),
            languages=tuples(st.from_regex(r"[a-z]{2,3}", fullmatch=True)),
        )
    )


def stretches() -> st.SearchStrategy[Stretch]:
    return st.builds(
        Stretch,
        kinds=tuples(st.sampled_from(["phone", "email", "payment"]), 1, unique_by=lambda one: one),
        memory_kib=st.integers(8, 1 << 20),
        passes=st.integers(1, 16),
        salt=st.binary(min_size=16, max_size=16).map(to_base64url),
    )


@st.composite
def epochs(draw: st.DrawFn, least: int = 1) -> Epoch:
    first, last = draw(spans())
    threshold = draw(st.integers(least, 3))
    numbers = draw(st.lists(st.integers(1, 32), min_size=threshold, max_size=5, unique=True))
    named = draw(st.lists(nodes, min_size=len(numbers), max_size=len(numbers), unique=True))
    return Epoch(
        epoch=draw(st.integers(1, 10**6)),
        not_before=first,
        not_after=last,
        threshold=threshold,
        commitments=draw(tuples(keys, threshold, threshold)),
        holders=tuple(
            Holder(index=one, node=node) for one, node in zip(numbers, named, strict=True)
        ),
        stretch=draw(st.none() | stretches()),
        transcript=draw(st.none() | st.binary(min_size=64, max_size=64).map(bytes.hex)),
    )


def versions(most: int = 10**6) -> st.SearchStrategy[dict[str, Any]]:
    first = st.just({"version": 1, "previous": None})
    later = st.fixed_dictionaries({"version": st.integers(2, most), "previous": digests})
    return first | later


@st.composite
def circle_descriptors(draw: st.DrawFn) -> CircleDescriptor:
    members = st.builds(Member, node=nodes, budget_per_day=st.integers(0, 10**7))
    values = {
        **common(CircleDescriptor),
        "circle": circles,
        "members": tuples(members, 1, unique_by=lambda one: one.node),
    }
    made = {name: draw(value) for name, value in values.items()}
    least = min(len(made["members"]), 2)
    made["epochs"] = draw(tuples(epochs(least), 1, 2, unique_by=lambda one: one.epoch))
    named = [member.node for member in made["members"]][:16]
    admins = draw(st.lists(st.sampled_from(named), min_size=1, unique=True))
    made |= {"admins": tuple(admins), "admin_threshold": draw(st.integers(1, len(admins)))}
    return CircleDescriptor(**made, **draw(versions()))


@st.composite
def node_keys(draw: st.DrawFn) -> NodeKey:
    first, last = draw(spans())
    use = draw(st.sampled_from(["request", "log", "witness", "statement"]))
    return NodeKey(use=use, key=draw(keys), not_before=first, not_after=last)


@st.composite
def node_descriptors(draw: st.DrawFn) -> NodeDescriptor:
    issuer = draw(nodes)
    tail = draw(
        st.none()
        | texts.filter(lambda text: not set(text) & {"+"} and not any(map(str.isspace, text)))
    )
    hosts = labels.map("{}.example".format).filter(lambda host: not host.startswith("xn--"))
    ports = st.none() | st.integers(1, 65_535)
    made = {name: draw(value) for name, value in common(NodeDescriptor, times).items()}
    return NodeDescriptor(
        **{**made, "issuer": issuer},
        **draw(versions(limits.MAX_DESCRIPTORS)),
        url=draw(
            st.builds(
                lambda scheme, host, port: f"{scheme}://{host}" + (f":{port}" if port else ""),
                st.sampled_from(["http", "https"]),
                hosts,
                ports,
            )
        ),
        root=draw(keys),
        keys=draw(tuples(node_keys(), 1)),
        log_origin=issuer if tail is None else f"{issuer}/{tail}",
        expires=draw(times),
        contact=draw(texts | st.none()),
    )


@st.composite
def memberships(draw: st.DrawFn) -> Membership:
    node, other = draw(nodes), draw(nodes)
    event = draw(st.sampled_from(["verified", "admitted", "left", "expelled"]))
    issuer = node if event == "left" or other == node else other
    if issuer == node:
        event = "left"
    how = draw(st.sampled_from(["telephone", "in-person", "other"]))
    return Membership(
        **{one: draw(each) for one, each in common(Membership).items()} | {"issuer": issuer},
        node=node,
        fingerprint=fingerprint_of(StatementId(draw(digests))),
        event=event,
        at=draw(times),
        how=how if event in ("verified", "admitted") else None,
    )


def _pointing(kind: type, reasons: list[str], **more: Any) -> st.SearchStrategy[Any]:
    return simple(kind, target=digests, reason=st.sampled_from(reasons), **more)


VALID: dict[str, st.SearchStrategy[Any]] = {
    "media-flag": media_flags,
    "account-ban": account_bans,
    "retract": _pointing(
        statements.Retract,
        ["wrong", "expired", "appeal-upheld", "duplicate", "other"],
        items=tuples(indices),
    ),
    "erase": _pointing(statements.Erase, ["subject-request", "court-order", "retention", "other"]),
    "dispute": _pointing(
        statements.Dispute,
        ["not-illegal", "wrong-person", "wrong-category", "not-a-match", "lawful-use", "other"],
        items=tuples(indices),
    ),
    "resolve": simple(
        statements.Resolve,
        target=digests,
        dispute=digests,
        outcome=st.sampled_from(["upheld", "rejected"]),
    ),
    "feedback": feedbacks(),
    "remedied": simple(
        statements.Remedied,
        target=digests,
        cause=digests,
        outcome=st.sampled_from(["not-acted", "restoring", "restored", "settled"]),
    ),
    "erased": simple(
        statements.Erased, target=digests, cause=digests, erased=times, places=tuples(codes, 1)
    ),
    "membership": memberships(),
    "accredit": accreditations(),
    "circle-descriptor": circle_descriptors(),
    "node-descriptor": node_descriptors(),
}
"""A strategy for every kind; each value is one that the protocol allows."""
