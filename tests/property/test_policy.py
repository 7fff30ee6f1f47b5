"""What holds for every policy and every evidence (node.policy)."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.matching.variant_names import FAMILIES, NAMES, PLAIN
from node.policy import AccountEvidence, MediaEvidence, Policy, default_policy, parse_policy
from node.policy.model import ACTIONS, IDENTIFIER_KINDS, SURFACES, Operator, Overlap, Rule, strength
from protocol.errors import SettingsError

CATEGORIES = ("csam.act.prepub", "csam.pose.pub", "csam.selfgen", "ncii.adult", "account.grooming")
PATTERNS = (*CATEGORIES, "csam.*", "csam.act.*", "account.*", "*")
ORGANISATIONS = ("a.example", "b.example", "c.example")
COUNTRIES = ("DE", "BE", "FR")
DECISION = "I, Jo Doe, director of Example Ltd, decide to block these accounts."

some = {"unique": True, "max_size": 2}
countries = st.lists(st.sampled_from(COUNTRIES), **some).map(tuple)
surfaces = st.lists(st.sampled_from(SURFACES), **some).map(tuple)
flags = st.booleans()

distances = st.lists(st.integers(0, 31), max_size=4).map(tuple)
overlaps = st.builds(
    Overlap,
    query=distances,
    query_frames=st.integers(4, 8),
    target=distances,
    target_frames=st.integers(4, 8),
    is_stream=flags,
)
media = st.builds(
    MediaEvidence,
    statement=st.sampled_from(("aa" * 32, "bb" * 32)),
    item=st.integers(0, 3),
    kind=st.sampled_from(("pdq", "sha256", "md5")),
    distance=st.integers(0, 31),
    category=st.sampled_from(CATEGORIES),
    review_only=flags,
    issuer=st.sampled_from(ORGANISATIONS),
    organisation=st.sampled_from(ORGANISATIONS),
    accredited=flags,
    disputed=flags,
    surfaces=surfaces,
    jurisdictions=countries,
    overlap=st.none() | overlaps,
    variant=st.sampled_from((PLAIN, *NAMES)),
)
accounts = st.builds(
    AccountEvidence,
    statement=st.sampled_from(("aa" * 32, "bb" * 32)),
    kinds=st.lists(st.sampled_from(IDENTIFIER_KINDS), min_size=1, max_size=3).map(tuple),
    category=st.sampled_from(CATEGORIES),
    review_only=flags,
    issuer=st.sampled_from(ORGANISATIONS),
    organisation=st.sampled_from(ORGANISATIONS),
    accredited=flags,
    disputed=flags,
    jurisdictions=countries,
)
rules = st.builds(
    Rule,
    name=st.uuids().map(str),
    applies_to=st.sampled_from(("media", "account")),
    action=st.sampled_from(ACTIONS[1:]),
    categories=st.lists(st.sampled_from(PATTERNS), min_size=1, max_size=2).map(tuple),
    surfaces=st.lists(st.sampled_from(SURFACES), min_size=1, unique=True).map(tuple),
    min_issuers=st.integers(1, 3),
    accredited=flags,
    max_distance=st.integers(0, 31),
    variants=st.lists(st.sampled_from(FAMILIES), max_size=3, unique=True).map(tuple),
    min_query_share=st.integers(0, 100),
    min_target_share=st.integers(1, 100),
    min_stream_frames=st.integers(1, 4),
    kinds=st.lists(st.sampled_from(IDENTIFIER_KINDS), min_size=1, unique=True).map(tuple),
    min_kinds=st.integers(1, 2),
    kinds_all=st.lists(st.sampled_from(IDENTIFIER_KINDS), max_size=2, unique=True).map(tuple),
    not_disputed=flags,
)
policies = st.builds(
    Policy,
    operator=st.builds(Operator, jurisdictions=countries, match_private_messages=flags),
    rules=st.lists(rules, max_size=5).map(tuple),
    decision_on_accounts=st.just(DECISION),
    digest=st.just("00" * 32),
)
surface = st.sampled_from(SURFACES)
many_media = st.lists(media, max_size=6)
many_accounts = st.lists(accounts, max_size=6)


@settings(deadline=None)
@given(many_media, many_accounts, surface)
def test_without_a_rule_there_is_no_action(found, leads, where):
    policy = parse_policy("[operator]\nmatch_private_messages = true\n")
    assert policy.decide_media(found, surface=where).action == "none"
    assert policy.decide_account(leads).action == "none"


@settings(max_examples=200, deadline=None)
@given(policies, many_media, many_media, surface)
def test_further_matches_never_weaken_a_decision(policy, found, more, where):
    before = policy.decide_media(found, surface=where)
    after = policy.decide_media([*found, *more], surface=where)
    assert strength(after.action) >= strength(before.action)


@settings(max_examples=200, deadline=None)
@given(policies, many_accounts, many_accounts)
def test_further_leads_never_weaken_a_decision(policy, leads, more):
    before = policy.decide_account(leads)
    after = policy.decide_account([*leads, *more])
    assert strength(after.action) >= strength(before.action)


@settings(max_examples=200, deadline=None)
@given(policies, many_media, st.integers(0, 5), surface)
def test_a_dispute_never_strengthens_a_decision(policy, found, place, where):
    disputed = [
        replace(entry, disputed=True) if number == place else entry
        for number, entry in enumerate(found)
    ]
    before = policy.decide_media(found, surface=where)
    after = policy.decide_media(disputed, surface=where)
    assert strength(after.action) <= strength(before.action)


@settings(max_examples=200, deadline=None)
@given(policies, many_media, many_accounts, surface, st.randoms(use_true_random=False))
def test_the_order_of_the_evidence_makes_no_difference(policy, found, leads, where, chance):
    mixed_found, mixed_leads = list(found), list(leads)
    chance.shuffle(mixed_found)
    chance.shuffle(mixed_leads)
    assert policy.decide_media(found, surface=where) == policy.decide_media(
        mixed_found, surface=where
    )
    assert policy.decide_account(leads) == policy.decide_account(mixed_leads)


@settings(max_examples=200, deadline=None)
@given(policies, many_media, many_accounts, surface)
def test_disputed_and_review_only_evidence_never_leads_beyond_review(policy, found, leads, where):
    found = [entry for entry in found if entry.disputed or entry.review_only]
    leads = [lead for lead in leads if lead.disputed or lead.review_only]
    assert policy.decide_media(found, surface=where).action not in {"block", "hold"}
    assert policy.decide_account(leads).action not in {"block", "hold"}


@settings(max_examples=200, deadline=None)
@given(policies, many_media, many_accounts, surface)
def test_an_action_always_has_a_rule_and_every_rule_a_sentence(policy, found, leads, where):
    for decision, applies_to in (
        (policy.decide_media(found, surface=where), "media"),
        (policy.decide_account(leads), "account"),
    ):
        asked = [rule for rule in policy.rules if rule.applies_to == applies_to]
        assert (decision.rule is None) == (decision.action == "none")
        if decision.rule is not None:
            assert any(f"{decision.rule}: fired" in sentence for sentence in decision.why)
        if where != "private" or applies_to == "account":
            said = [s for s in decision.why if any(s.startswith(rule.name) for rule in asked)]
            assert len(said) == len(asked)
        text = " ".join(decision.why)
        assert not any(value in text for value in (*ORGANISATIONS, "aa" * 32, *CATEGORIES))


@settings(deadline=None)
@given(many_media)
def test_private_messages_are_never_acted_on_by_default(found):
    policy = parse_policy(
        default_policy()
        + '[[rule]]\nname = "p"\napplies_to = "media"\ncategories = ["*"]\n'
        + 'surfaces = ["private"]\naction = "review"\n'
    )
    assert policy.decide_media(found, surface="private").action == "none"


@settings(deadline=None)
@given(many_accounts, st.sampled_from(("block", "hold")))
def test_accounts_are_never_blocked_or_held_without_the_words(leads, action):
    text = '[[rule]]\nname = "r"\napplies_to = "account"\ncategories = ["account.*"]\n'
    with pytest.raises(SettingsError, match="unless the file says in words"):
        parse_policy(text + f'min_issuers = 1\naction = "{action}"\n')
    assert parse_policy(default_policy()).decide_account(leads).action in {"none", "note", "review"}


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.text(),
        st.text(alphabet="[]{}=\"'\n ,.#rulename1true", max_size=60),
        st.dictionaries(
            st.sampled_from(("name", "applies_to", "action", "categories", "kinds", "zzz")),
            st.sampled_from(('"media"', '"account"', '"block"', "1", "true", "[]", '["*"]', "{}")),
        ).map(lambda keys: "[[rule]]\n" + "\n".join(f"{k} = {v}" for k, v in keys.items())),
    )
)
def test_any_text_is_a_policy_or_a_settings_error(text):
    try:
        policy = parse_policy(text)
    except SettingsError as error:
        assert str(error)  # noqa: PT017  # either outcome is right; the error has a sentence
    else:
        assert isinstance(policy, Policy)
