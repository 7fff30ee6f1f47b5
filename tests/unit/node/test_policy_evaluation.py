"""node.policy.evaluation: what a policy makes of evidence."""

from dataclasses import replace

import pytest

from node.policy import AccountEvidence, MediaEvidence, parse_policy
from node.policy.model import Overlap

RULE = """
[[rule]]
name = "block-known-csam"
applies_to = "media"
categories = ["csam.act.*"]
min_issuers = 2
accredited = true
max_distance = 16
action = "block"
"""

REVIEW = """
[[rule]]
name = "review-rest"
applies_to = "media"
categories = ["*"]
action = "review"
"""

ACCOUNT = """
[[rule]]
name = "review-account"
applies_to = "account"
categories = ["account.*"]
kinds = ["email", "phone", "device"]
min_kinds = 2
action = "review"
"""

MATCH = MediaEvidence(
    statement="aa" * 32,
    item=0,
    kind="pdq",
    distance=4,
    category="csam.act.prepub",
    review_only=False,
    issuer="hotline.example/anna",
    organisation="hotline.example",
    accredited=True,
    disputed=False,
    surfaces=(),
    jurisdictions=(),
)
SECOND = replace(
    MATCH,
    statement="bb" * 32,
    issuer="police.example",
    organisation="police.example",
    accredited=False,
)
LEAD = AccountEvidence(
    statement="cc" * 32,
    kinds=("phone", "device"),
    category="account.grooming",
    review_only=False,
    issuer="platform-a.example",
    organisation="platform-a.example",
    accredited=False,
    disputed=False,
    jurisdictions=(),
)


def film(query, target, *, frames=10, of=10, is_stream=False, **changes):
    """A flagged film of which so many frames are like so many frames of the upload."""
    overlap = Overlap((4,) * query, frames, (4,) * target, of, is_stream)
    return replace(MATCH, kind="film", overlap=overlap, **changes)


def media(text, *evidence, surface="public"):
    return parse_policy(text).decide_media(evidence, surface=surface)


def account(text, *evidence):
    return parse_policy(text).decide_account(evidence)


def test_a_rule_fires_when_everything_it_asks_for_is_there():
    decision = media(RULE, MATCH, SECOND)
    assert (decision.action, decision.rule) == ("block", "block-known-csam")
    assert decision.why == ("block-known-csam: fired, 2 independent issuers, 1 accredited",)


def test_without_a_rule_nothing_happens():
    assert media("", MATCH).why == ("the policy has no rule that applies to media",)
    assert account(RULE, LEAD).why == ("the policy has no rule that applies to account",)
    assert media("", MATCH).action == account(RULE, LEAD).action == "none"


def test_without_a_match_nothing_happens():
    decision = media(RULE)
    assert (decision.action, decision.rule) == ("none", None)
    assert decision.why == ("block-known-csam: not fired, no match in its categories",)


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        ((MATCH,), "1 independent issuer, the rule wants 2"),
        (
            (replace(SECOND, organisation="a.example"), SECOND),
            "no accredited issuer, the rule wants one",
        ),
        (
            (SECOND,),
            "1 independent issuer, the rule wants 2; no accredited issuer, the rule wants one",
        ),
        (
            (replace(MATCH, distance=17), replace(SECOND, distance=20)),
            "the nearest match is at distance 17, the rule wants 16 or less",
        ),
        ((replace(MATCH, category="csam.pose.pub"),), "no match in its categories"),
        (
            (replace(MATCH, disputed=True), replace(SECOND, disputed=True)),
            "every match is disputed",
        ),
        (
            (MATCH, replace(SECOND, disputed=True)),
            "1 independent issuer, the rule wants 2, 1 disputed match left out",
        ),
    ],
)
def test_a_rule_says_exactly_what_it_lacks(evidence, sentence):
    decision = media(RULE, *evidence)
    assert decision.action == "none"
    assert decision.why == (f"block-known-csam: not fired, {sentence}",)


def test_two_flaggers_of_one_organisation_are_one_independent_issuer():
    again = replace(MATCH, statement="dd" * 32, issuer="hotline.example/ben")
    assert media(RULE, MATCH, again).action == "none"


@pytest.mark.parametrize("kind", ["sha256", "sha1", "md5"])
def test_an_exact_digest_is_within_every_distance(kind):
    text = RULE.replace("max_distance = 16", "max_distance = 0")
    exact = replace(MATCH, kind=kind, distance=0)
    assert media(text, exact, replace(SECOND, kind=kind, distance=0)).action == "block"
    assert media(text, MATCH, SECOND).action == "none"


def test_the_distance_limit_itself_still_counts():
    at_limit = (replace(MATCH, distance=16), replace(SECOND, distance=16))
    assert media(RULE, *at_limit).action == "block"


def test_the_strongest_action_wins_wherever_it_stands():
    for text in (RULE + REVIEW, REVIEW + RULE):
        decision = media(text, MATCH, SECOND)
        assert (decision.action, decision.rule) == ("block", "block-known-csam")
        assert len(decision.why) == 2


def test_of_equal_actions_the_first_rule_in_the_file_wins():
    text = REVIEW + REVIEW.replace("review-rest", "review-other")
    assert media(text, MATCH).rule == "review-rest"


def test_a_rule_is_only_for_its_surfaces():
    text = RULE.replace("min_issuers", 'surfaces = ["hosted"]\nmin_issuers')
    assert media(text, MATCH, SECOND, surface="hosted").action == "block"
    decision = media(text, MATCH, SECOND, surface="public")
    assert decision.why == ("block-known-csam: not fired, the rule is not for the surface public",)


def test_private_messages_are_matched_only_if_the_operator_and_the_rule_say_so():
    named = REVIEW.replace("action", 'surfaces = ["private"]\naction')
    switched_on = "[operator]\nmatch_private_messages = true\n"
    off = media(named, MATCH, surface="private")
    assert off.why == ("private messages are not matched: match_private_messages is false",)
    assert media(switched_on + REVIEW, MATCH, surface="private").action == "none"
    assert media(switched_on + named, MATCH, surface="private").action == "review"


def test_a_statement_limited_to_some_surfaces_does_not_apply_on_others():
    limited = replace(MATCH, surfaces=("hosted",))
    assert media(REVIEW, limited, surface="hosted").action == "review"
    assert media(REVIEW, limited, surface="public").why == (
        "1 match not applied: limited to other surfaces",
        "review-rest: not fired, no match in its categories",
    )


@pytest.mark.parametrize(
    ("limit", "own", "action"),
    [
        ((), "[]", "review"),
        (("DE", "AT"), '["BE", "AT"]', "review"),
        (("DE", "AT"), '["BE"]', "none"),
        (("DE",), "[]", "none"),
    ],
)
def test_a_statement_limited_to_some_countries_applies_only_to_operators_there(limit, own, action):
    operator = f"[operator]\njurisdictions = {own}\n"
    found = media(operator + REVIEW, replace(MATCH, jurisdictions=limit))
    lead = account(operator + ACCOUNT, replace(LEAD, jurisdictions=limit))
    assert found.action == lead.action == action
    if action == "none":
        nothing = media(operator + REVIEW), account(operator + ACCOUNT)
        assert (found, lead) == nothing, "nothing tells that there was anything"


def test_several_left_aside_statements_are_counted():
    limited = (replace(MATCH, surfaces=("hosted",)), replace(SECOND, surfaces=("hosted",)))
    assert media(REVIEW, *limited).why[0] == "2 matches not applied: limited to other surfaces"


def test_what_is_limited_to_other_countries_and_surfaces_is_not_counted():
    limited = replace(MATCH, surfaces=("hosted",), jurisdictions=("FR",))
    assert media(REVIEW, limited) == media(REVIEW)


def test_a_review_only_category_never_goes_beyond_review():
    capped = (replace(MATCH, review_only=True), replace(SECOND, review_only=True))
    decision = media(RULE, *capped)
    assert (decision.action, decision.rule) == ("review", "block-known-csam")
    assert decision.why == (
        (
            "block-known-csam: fired as review instead of block, without disputed and review-only "
            "matches 0 independent issuers, the rule wants 2; no accredited issuer, the rule wants one"
        ),
    )


def test_one_review_only_match_does_not_lift_another_to_a_block():
    assert media(RULE, MATCH, replace(SECOND, review_only=True)).action == "review"


def test_disputed_matches_still_reach_a_review_rule():
    disputed = replace(MATCH, disputed=True)
    decision = media(RULE + REVIEW, disputed, replace(SECOND, disputed=True))
    assert (decision.action, decision.rule) == ("review", "review-rest")


def test_a_review_rule_may_leave_disputed_matches_out():
    text = REVIEW.replace("action", "not_disputed = true\naction")
    assert media(text, replace(MATCH, disputed=True)).action == "none"
    assert media(text, MATCH).action == "review"


def test_a_block_rule_that_takes_disputed_matches_is_capped_at_review():
    text = RULE.replace("action", "not_disputed = false\naction")
    assert media(text, MATCH, SECOND).action == "block"
    assert media(text, MATCH, replace(SECOND, disputed=True)).action == "review"


def test_a_pattern_fits_what_is_below_it_and_nothing_else():
    text = REVIEW.replace('"*"', '"csam.act.*", "ncii.adult"')
    fitting = ("csam.act.prepub", "csam.act.pub", "ncii.adult")
    for category in fitting:
        assert media(text, replace(MATCH, category=category)).action == "review"
    for category in ("csam.act", "csam.action", "ncii.adult.x", "ncii", "csam.pose.pub"):
        assert media(text, replace(MATCH, category=category)).action == "none"


def test_a_surface_that_does_not_exist_is_a_programming_mistake():
    with pytest.raises(RuntimeError, match="surface that does not exist"):
        media(REVIEW, MATCH, surface="secret")


def test_the_search_distance_is_the_greatest_that_any_rule_takes():
    assert parse_policy(RULE).max_distance() == 16
    assert parse_policy(RULE + REVIEW).max_distance() == 31
    assert parse_policy(ACCOUNT).max_distance() == 0


def test_a_rule_may_want_a_certain_combination_of_kinds_in_one_statement():
    rule = ACCOUNT.replace("min_kinds = 2", 'kinds_all = ["device", "username"]')
    names = replace(LEAD, kinds=("username", "device"))
    assert account(rule, names).action == "review"
    assert account(rule, replace(LEAD, kinds=("phone", "device", "username"))).action == "review"
    phone = replace(LEAD, kinds=("phone", "device"))
    name = replace(LEAD, statement="dd" * 32, kinds=("username",))
    apart = account(rule, phone, name)
    assert apart.action == "none"
    assert "no match of device and username together" in apart.why[0]


def test_independent_issuers_of_a_combination_are_those_who_hold_all_of_it():
    rule = ACCOUNT + "min_issuers = 2\n"
    other = replace(
        LEAD,
        statement="dd" * 32,
        kinds=("phone",),
        issuer="b.example",
        organisation="b.example",
    )
    assert account(rule, LEAD, other).action == "none"
    assert account(rule, LEAD, replace(other, kinds=("phone", "device"))).action == "review"


def test_an_account_rule_counts_different_kinds_within_one_statement():
    decision = account(ACCOUNT, LEAD)
    assert (decision.action, decision.rule) == ("review", "review-account")
    assert decision.why == ("review-account: fired, 1 independent issuer, none accredited",)
    phone = replace(LEAD, kinds=("phone", "phone"))
    device = replace(LEAD, statement="dd" * 32, kinds=("device", "username"))
    assert account(ACCOUNT, phone, device).why == (
        (
            "review-account: not fired, 1 kind of identifier that the rule counts matched, "
            "the rule wants 2"
        ),
    )
    weak = replace(LEAD, kinds=("username", "invite"))
    assert "0 kinds of identifier" in account(ACCOUNT, weak).why[0]


def test_an_account_rule_is_only_for_its_categories():
    other = replace(LEAD, category="csam.act.pub")
    assert account(ACCOUNT, other).why == ("review-account: not fired, no match in its categories",)


def test_an_account_is_blocked_only_by_a_rule_that_the_operator_took_the_decision_for():
    decides = (
        'i_decide_to_act_on_accounts = "I, Jo Doe, director of Example, decide to block these."\n'
    )
    text = ACCOUNT.replace('action = "review"', 'min_issuers = 1\naction = "block"')
    assert account(decides + text, LEAD).action == "block"
    assert account(decides + text, replace(LEAD, review_only=True)).action == "review"
    assert account(decides + text, replace(LEAD, disputed=True)).action == "none"


def test_no_sentence_repeats_what_a_statement_says():
    text = RULE + REVIEW + ACCOUNT
    sentences = " ".join(media(text, MATCH, SECOND).why + account(text, LEAD).why)
    for value in ("aa" * 32, "cc" * 32, "hotline.example", "csam.act.prepub", "account.grooming"):
        assert value not in sentences


# films and streams


@pytest.mark.parametrize(
    ("keys", "query", "target", "fires"),
    [
        ("", 1, 8, True),
        ("", 10, 7, False),
        ("min_query_share = 50\n", 5, 8, True),
        ("min_query_share = 50\n", 4, 10, False),
        ("min_query_share = 80\nmin_target_share = 0\n", 8, 1, True),
        ("min_query_share = 80\nmin_target_share = 0\n", 7, 10, False),
    ],
)
def test_a_film_has_to_reach_both_shares_that_a_rule_asks_for(keys, query, target, fires):
    decision = media(REVIEW + keys, film(query, target))
    assert decision.action == ("review" if fires else "none")
    if not fires:
        assert f"{query * 10} % of the upload's frames and {target * 10} %" in decision.why[0]


@pytest.mark.parametrize(
    ("query", "target", "of", "fires"),
    [(3, 3, 50, True), (2, 3, 50, False), (3, 2, 50, False), (3, 2, 2, True), (3, 1, 1, True)],
)
def test_a_stream_has_to_show_enough_frames_of_one_thing(query, target, of, fires):
    found = film(query, target, of=of, is_stream=True)
    decision = media(REVIEW, found)
    assert decision.action == ("review" if fires else "none")
    if not fires:
        assert f"{query} frames of the stream matched within the window" in decision.why[0]
    assert media(REVIEW + "min_stream_frames = 4\n", found).action == "none"


def test_frames_that_are_too_far_for_a_rule_are_not_counted_by_it():
    overlap = Overlap((2, 2, 2, 20, 20, 20), 6, (2, 2, 2, 20, 20, 20), 6)
    found = replace(MATCH, kind="film", distance=2, overlap=overlap)
    assert media(REVIEW + "max_distance = 19\n", found).action == "none"
    assert media(REVIEW + "max_distance = 20\n", found).action == "review"


def test_without_a_rule_for_media_only_films_of_equal_frames_are_shown():
    policy = parse_policy("[operator]\n")
    assert policy.takes(Overlap((0,) * 8, 8, (0,) * 8, 10))
    assert not policy.takes(Overlap((1,) * 8, 8, (1,) * 8, 10))
