import pytest
from msgspec.structs import replace

from federation.validity import FLAGGER_KINDS, TARGET_KINDS
from protocol.encoding import format_time, to_base64url
from protocol.envelope import Envelope, Signature, encode_envelope, pae, parse_envelope
from protocol.errors import (
    BadSignatureError,
    LimitError,
    MalformedError,
    RevokedError,
    UnknownKeyError,
    UnknownTargetError,
    VersionError,
)
from protocol.limits import MAX_FUTURE_S
from protocol.statements import (
    Dispute,
    Erase,
    Feedback,
    FeedbackRow,
    MediaItem,
    Resolve,
    Retract,
    Statement,
)
from signing.envelopes import sign_statement
from signing.keys import KeyUse
from simulator import DAY_S, NOW, Peer, account_ban, accredit, fields, make_key, media_flag
from unit.federation.memory_node import MemoryNode

HOTLINE = "hotline.example"
ANNA = "hotline.example/anna"
UNKNOWN_ID = "ab" * 32


@pytest.fixture
def hotline():
    return Peer(HOTLINE)


@pytest.fixture
def platform():
    return Peer("platform.example")


@pytest.fixture
def here(hotline, platform):
    node = MemoryNode()
    node.know(hotline, platform)
    return node


def retract(issuer, target, number=100, **changes):
    return Retract(**fields(issuer, number), target=target, reason="wrong", **changes)


def erase(issuer, target, number=101):
    return Erase(**fields(issuer, number), target=target, reason="other")


def dispute(issuer, target, number=102, **changes):
    return Dispute(**fields(issuer, number), target=target, reason="other", **changes)


def resolve(issuer, target, about, number=103):
    return Resolve(**fields(issuer, number), target=target, dispute=about, outcome="upheld")


def feedback(issuer, target, number=104, item=0):
    rows = (FeedbackRow(item=item, confirmed=1),)
    return Feedback(**fields(issuer, number), target=target, day="2026-11-21", rows=rows)


def test_a_statement_of_a_pinned_node_is_believed(here, hotline):
    data = hotline.sign(media_flag(HOTLINE))
    trusted = here.believe(data)
    assert trusted.organisation == HOTLINE
    assert trusted.verified.envelope == data
    assert not trusted.accredited


def test_what_an_authority_says_is_accredited(here, hotline):
    here.know(hotline, authority=True)
    assert here.believe(hotline.sign(media_flag(HOTLINE))).accredited


def test_what_a_flagger_under_an_authority_says_is_accredited(here, hotline):
    here.know(hotline, authority=True)
    here.believe(hotline.sign(accredit(ANNA)))
    trusted = here.believe(hotline.sign(media_flag(ANNA)))
    assert trusted.accredited
    assert trusted.organisation == HOTLINE


def test_a_node_that_is_not_pinned_is_not_known(here):
    stranger = Peer("stranger.example")
    with pytest.raises(UnknownKeyError, match="no key"):
        here.believe(stranger.sign(media_flag("stranger.example")))


def test_a_flagger_under_a_node_that_is_not_pinned_is_not_known(here):
    with pytest.raises(UnknownKeyError):
        here.believe(Peer("stranger.example").sign(media_flag("stranger.example/eve")))


def test_a_flagger_without_accreditation_is_not_known(here, hotline):
    with pytest.raises(UnknownKeyError):
        here.believe(hotline.sign(media_flag(ANNA)))


def test_a_node_does_not_speak_for_another(here, platform):
    forged = sign_statement(media_flag(HOTLINE), make_key(KeyUse.STATEMENT, platform.name))
    with pytest.raises(UnknownKeyError):
        here.believe(forged)


@pytest.mark.parametrize("use", [KeyUse.REQUEST, KeyUse.LOG, KeyUse.ROOT])
def test_a_key_for_another_use_signs_no_statement(here, use):
    with pytest.raises(UnknownKeyError):
        here.believe(sign_statement(media_flag(HOTLINE), make_key(use, HOTLINE)))


def test_a_changed_payload_is_refused(here, hotline):
    envelope = parse_envelope(hotline.sign(media_flag(HOTLINE)))
    changed = envelope.payload.replace(b"csam.act.prepub", b"csam.act.pub")
    with pytest.raises(BadSignatureError):
        here.believe(encode_envelope(Envelope(envelope.payload_type, changed, envelope.signatures)))


def test_a_kind_that_belongs_in_no_log_is_refused(here, hotline):
    with pytest.raises(VersionError):
        here.believe(hotline.descriptor_envelope)


def test_a_frozen_node_is_believed_nothing_new(here, hotline):
    here.freeze(HOTLINE)
    with pytest.raises(RevokedError, match="frozen"):
        here.believe(hotline.sign(media_flag(HOTLINE)))


def test_the_flaggers_of_a_frozen_node_are_believed_nothing_new(here, hotline):
    here.believe(hotline.sign(accredit(ANNA)))
    here.freeze(HOTLINE)
    with pytest.raises(RevokedError, match="frozen"):
        here.believe(hotline.sign(media_flag(ANNA)))


@pytest.mark.parametrize("at", [NOW - 401 * DAY_S, NOW + 401 * DAY_S])
def test_a_node_key_signs_only_within_its_validity(here, hotline, at):
    ban = account_ban(HOTLINE, issued=format_time(at), expires=format_time(at + DAY_S))
    with pytest.raises(RevokedError, match="not valid when"):
        here.believe(hotline.sign(ban), now=at)


def test_a_forged_statement_does_not_learn_that_a_key_has_ended(here, hotline):
    envelope = parse_envelope(hotline.sign(media_flag(HOTLINE)))
    here.freeze(HOTLINE)
    broken = Signature(envelope.signatures[0].keyid, bytes(64))
    with pytest.raises(BadSignatureError):
        here.believe(encode_envelope(Envelope(envelope.payload_type, envelope.payload, (broken,))))


@pytest.mark.parametrize("status", ["suspended", "revoked"])
def test_the_latest_accreditation_counts(here, hotline, status):
    here.believe(hotline.sign(accredit(ANNA)))
    later = format_time(NOW + 1)
    here.believe(hotline.sign(accredit(ANNA, 1, status=status, issued=later)))
    with pytest.raises(RevokedError, match=status):
        here.believe(hotline.sign(media_flag(ANNA)))


@pytest.mark.parametrize("at", [NOW - 2 * DAY_S, NOW + 2 * DAY_S])
def test_a_flagger_signs_only_within_the_accreditation(here, hotline, at):
    here.believe(hotline.sign(accredit(ANNA)))
    flag = media_flag(ANNA, issued=format_time(at), review_by=format_time(at + 9 * DAY_S))
    with pytest.raises(RevokedError, match="not valid when"):
        here.believe(hotline.sign(flag), now=at)


@pytest.mark.parametrize(
    ("patterns", "category"),
    [
        (("*",), "ncii.adult"),
        (("csam.*",), "csam.act.prepub"),
        (("csam.act.*", "ncii.adult"), "ncii.adult"),
        (("csam.act.prepub",), "csam.act.prepub"),
    ],
)
def test_a_flagger_flags_within_the_scope(here, hotline, patterns, category):
    here.believe(hotline.sign(accredit(ANNA, categories=patterns)))
    here.believe(hotline.sign(media_flag(ANNA, category=category)))


@pytest.mark.parametrize(
    ("patterns", "category"),
    [
        (("csam.*",), "ncii.adult"),
        (("csam.*",), "csam"),
        (("csam.*",), "csamx.act"),
        (("csam.act",), "csam.act.prepub"),
    ],
)
def test_a_flagger_does_not_flag_outside_the_scope(here, hotline, patterns, category):
    here.believe(hotline.sign(accredit(ANNA, categories=patterns)))
    with pytest.raises(RevokedError, match="scope"):
        here.believe(hotline.sign(media_flag(ANNA, category=category)))


def test_the_scope_holds_for_bans_too(here, hotline):
    here.believe(hotline.sign(accredit(ANNA)))
    with pytest.raises(RevokedError, match="scope"):
        here.believe(hotline.sign(account_ban(ANNA)))


def test_each_key_of_a_flagger_has_its_own_accreditation(here, hotline):
    other = make_key(KeyUse.FLAGGER, "another key")
    here.believe(hotline.sign(accredit(ANNA, status="revoked")))
    raw = to_base64url(other.public.raw)
    here.believe(hotline.sign(accredit(ANNA, 1, key=raw)))
    here.believe(sign_statement(media_flag(ANNA), other))
    with pytest.raises(RevokedError):
        here.believe(hotline.sign(media_flag(ANNA, 1)))


def test_a_statement_dated_ahead_is_refused_until_its_time(here, hotline):
    ahead = hotline.sign(media_flag(HOTLINE, issued=format_time(NOW + MAX_FUTURE_S + 1)))
    with pytest.raises(LimitError, match="ahead"):
        here.believe(ahead)
    here.believe(ahead, now=NOW + 1)


@pytest.mark.parametrize("flagger", ["platform.example/bob", HOTLINE, "platform.example"])
def test_a_node_vouches_only_for_flaggers_under_its_own_name(here, hotline, flagger):
    with pytest.raises(RevokedError, match="own name"):
        here.believe(hotline.sign(accredit(flagger, issuer=HOTLINE)))


def test_a_flagger_vouches_for_nobody(here, hotline):
    here.believe(hotline.sign(accredit(ANNA, categories=("*",))))
    with pytest.raises(RevokedError, match="for nodes"):
        here.believe(hotline.sign(accredit("hotline.example/bob", issuer=ANNA)))


def test_nobody_vouches_for_a_small_order_key(here, hotline):
    with pytest.raises(MalformedError, match="small order"):
        here.believe(hotline.sign(accredit(ANNA, key=to_base64url(bytes(32)))))


@pytest.mark.parametrize("make", [retract, erase, dispute, feedback])
def test_a_pointer_to_an_unknown_statement_is_refused_as_such(here, hotline, make):
    with pytest.raises(UnknownTargetError, match="not known here"):
        here.believe(hotline.sign(make(HOTLINE, UNKNOWN_ID)))


@pytest.mark.parametrize("make", [retract, erase, dispute, feedback])
def test_a_pointer_to_a_pointer_is_refused(here, hotline, make):
    target = here.believe(hotline.sign(media_flag(HOTLINE))).verified.id
    pointer = here.believe(hotline.sign(retract(HOTLINE, target))).verified.id
    with pytest.raises(MalformedError, match="Only a media-flag"):
        here.believe(hotline.sign(make(HOTLINE, pointer, 300)))


@pytest.mark.parametrize("make", [retract, erase])
def test_another_organisation_takes_nothing_back(here, hotline, platform, make):
    target = here.believe(hotline.sign(media_flag(HOTLINE))).verified.id
    with pytest.raises(RevokedError, match="target's issuer"):
        here.believe(platform.sign(make(platform.name, target)))


@pytest.mark.parametrize("make", [retract, erase])
@pytest.mark.parametrize("issuer", [ANNA, HOTLINE])
def test_a_flagger_and_the_node_behind_it_take_back_what_the_flagger_said(
    here, hotline, make, issuer
):
    here.believe(hotline.sign(accredit(ANNA)))
    target = here.believe(hotline.sign(media_flag(ANNA))).verified.id
    here.believe(hotline.sign(make(issuer, target)))


def test_a_flagger_does_not_take_back_what_a_colleague_said(here, hotline):
    bob = "hotline.example/bob"
    here.believe(hotline.sign(accredit(ANNA)))
    here.believe(hotline.sign(accredit(bob, 1)))
    target = here.believe(hotline.sign(media_flag(ANNA))).verified.id
    with pytest.raises(RevokedError, match="target's issuer"):
        here.believe(hotline.sign(retract(bob, target)))


@pytest.mark.parametrize("make", [dispute, feedback])
def test_a_node_contests_and_reports_on_what_another_said(here, hotline, platform, make):
    target = here.believe(hotline.sign(media_flag(HOTLINE))).verified.id
    here.believe(platform.sign(make(platform.name, target)))


@pytest.mark.parametrize("make", [dispute, feedback])
def test_a_flagger_neither_contests_nor_reports(here, hotline, make):
    here.believe(hotline.sign(accredit(ANNA)))
    target = here.believe(hotline.sign(media_flag(HOTLINE))).verified.id
    with pytest.raises(RevokedError, match="for nodes"):
        here.believe(hotline.sign(make(ANNA, target)))


def test_item_numbers_lie_within_the_target(here, hotline):
    two = (MediaItem(sha256="01" * 32), MediaItem(sha256="02" * 32))
    target = here.believe(hotline.sign(media_flag(HOTLINE, items=two))).verified.id
    for good in (retract(HOTLINE, target, items=(0, 1)), feedback(HOTLINE, target, item=1)):
        here.believe(hotline.sign(good))
    for bad in (
        retract(HOTLINE, target, items=(0, 2)),
        dispute(HOTLINE, target, items=(2,)),
        feedback(HOTLINE, target, item=2),
    ):
        with pytest.raises(MalformedError, match="no item"):
            here.believe(hotline.sign(bad))


def test_the_issuer_resolves_a_dispute(here, hotline, platform):
    here.believe(hotline.sign(accredit(ANNA)))
    target = here.believe(hotline.sign(media_flag(ANNA))).verified.id
    about = here.believe(platform.sign(dispute(platform.name, target))).verified.id
    for issuer in (ANNA, HOTLINE):
        here.believe(hotline.sign(resolve(issuer, target, about)))
    with pytest.raises(RevokedError, match="target's issuer"):
        here.believe(platform.sign(resolve(platform.name, target, about)))


def test_a_dispute_that_is_not_known_is_not_resolved(here, hotline):
    target = here.believe(hotline.sign(media_flag(HOTLINE))).verified.id
    with pytest.raises(UnknownTargetError, match="dispute"):
        here.believe(hotline.sign(resolve(HOTLINE, target, UNKNOWN_ID)))


def test_a_dispute_is_resolved_for_its_own_target_only(here, hotline, platform):
    first = here.believe(hotline.sign(media_flag(HOTLINE))).verified.id
    second = here.believe(hotline.sign(media_flag(HOTLINE, 1))).verified.id
    about = here.believe(platform.sign(dispute(platform.name, first))).verified.id
    with pytest.raises(MalformedError, match="another statement"):
        here.believe(hotline.sign(resolve(HOTLINE, second, about)))


def test_one_of_several_signatures_suffices(here, hotline):
    envelope = parse_envelope(hotline.sign(media_flag(HOTLINE)))
    stranger = make_key(KeyUse.STATEMENT, "stranger.example")
    foreign = Signature(stranger.kid, stranger.sign(pae(envelope.payload_type, envelope.payload)))
    both = (foreign, *envelope.signatures)
    here.believe(encode_envelope(Envelope(envelope.payload_type, envelope.payload, both)))


def test_every_kind_that_a_flagger_signs_is_a_kind():
    from protocol.kinds import KINDS

    assert TARGET_KINDS < FLAGGER_KINDS < set(KINDS)


def test_an_audience_is_never_empty(hotline):
    statement: Statement = replace(media_flag(HOTLINE), audience=())
    with pytest.raises(MalformedError, match="audience"):
        hotline.sign(statement)


@pytest.mark.parametrize("speak", [dispute, feedback])
def test_nobody_speaks_about_a_statement_that_is_not_addressed_to_him(here, hotline, speak):
    """The log shows every id to everyone."""
    outsider = Peer("outsider.example")
    here.know(outsider)
    flag = here.believe(hotline.sign(media_flag(HOTLINE, audience=("node:platform.example",))))
    target = flag.verified.id
    with pytest.raises(RevokedError, match="may not speak about"):
        here.believe(outsider.sign(speak(outsider.name, target)))
    for reader in (hotline, Peer("platform.example")):
        here.believe(reader.sign(speak(reader.name, target)))
