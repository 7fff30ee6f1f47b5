"""node.policy.loader: a policy that is not understood is not used."""

from pathlib import Path

import pytest

from node.policy import Operator, Rule, default_policy, parse_policy
from node.policy.loader import OPERATOR_KEYS, RULE_KEYS
from node.policy.table import DECISION_KEY
from protocol.errors import SettingsError

MEDIA = 'name = "r"\napplies_to = "media"\ncategories = ["csam.*"]\n'
ACCOUNT = 'name = "r"\napplies_to = "account"\ncategories = ["account.*"]\n'
DECIDES = (
    'i_decide_to_act_on_accounts = "I, Jo Doe, director of Example Ltd, decide to block these."\n'
)


GUIDE = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")


def rule(text, action="review"):
    return f'[[rule]]\n{text}action = "{action}"\n'


def test_a_rule_that_says_little_gets_the_cautious_defaults():
    policy = parse_policy(rule(MEDIA))
    assert policy.operator == Operator(jurisdictions=(), match_private_messages=False)
    assert policy.decision_on_accounts is None
    assert policy.rules == (
        Rule(
            name="r",
            applies_to="media",
            action="review",
            categories=("csam.*",),
            surfaces=("public", "hosted"),
            min_issuers=1,
            accredited=False,
            max_distance=31,
            not_disputed=False,
        ),
    )


def test_every_key_is_read():
    policy = parse_policy(
        DECIDES
        + '[operator]\njurisdictions = ["DE", "AT"]\nmatch_private_messages = true\n'
        + rule(
            MEDIA + 'surfaces = ["private"]\nmin_issuers = 3\naccredited = true\n'
            "max_distance = 8\nvariants = ['crop', 'mirror']\nnot_disputed = false\n",
            "hold",
        )
        + rule(
            ACCOUNT.replace('"r"', '"s"') + 'kinds = ["phone", "email"]\nmin_kinds = 2\n'
            "min_issuers = 2\n",
            "block",
        )
    )
    assert policy.operator == Operator(("DE", "AT"), match_private_messages=True)
    assert policy.decision_on_accounts.startswith("I, Jo Doe")
    first, second = policy.rules
    assert (first.surfaces, first.min_issuers, first.accredited) == (("private",), 3, True)
    assert first.variants == ("crop", "mirror")
    assert (first.max_distance, first.not_disputed, first.action) == (8, False, "hold")
    assert (second.kinds, second.min_kinds, second.action) == (("phone", "email"), 2, "block")
    assert second.not_disputed


@pytest.mark.parametrize(
    "families", [["mirror", "crop"], ["rotation", "border"], ["banner", "mirror", "rotation"]]
)
def test_combined_stands_with_what_is_combined(families):
    text = rule(MEDIA + f"variants = {[*families, 'combined']}\n", "review")
    (found,) = parse_policy(text).rules
    assert found.variants == (*families, "combined")


def test_the_digest_tells_two_texts_apart():
    assert parse_policy("").digest != parse_policy("# changed").digest
    assert len(parse_policy("# \udc80").digest) == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = \nb = 1", "the policy is not valid TOML: .*line 1"),
        ("a = " + "[" * 5000, "nested too deeply|not valid TOML"),
        ("rules = []", "line 1: unknown key 'rules', did you mean 'rule'\\?"),
        ("zzz = 1", "line 1: unknown key 'zzz'$"),
        ("operator = 1", "line 1: 'operator' has to be a table"),
        ("rule = 1", "line 1: 'rule' has to be a list of tables"),
        ("rule = [1]", "line 1: 'rule' has to be a list of tables"),
        ("[rule]\nname = 'x'", "line 1: 'rule' has to be a list of tables"),
        (rule(MEDIA) * 257, "line 1: the policy has more than 256 rules"),
        ("\n[operator]\ncountry = 'DE'", r"line 3: \[operator\]: unknown key 'country'"),
        (
            "[operator]\n" + DECIDES,
            r"line 2: \[operator\]: 'i_decide_to_act_on_accounts' belongs at the top",
        ),
        ("[operator]\njurisdictions = 'DE'", "line 2: .*'jurisdictions' has to be a list of texts"),
        ("[operator]\njurisdictions = [1]", "line 2: .*'jurisdictions' has to be a list of texts"),
        ("[operator]\njurisdictions = ['de']", "'jurisdictions' holds 'de', which is not of its"),
        ("[operator]\njurisdictions = ['DE', 'DE']", "'jurisdictions' says the same thing twice"),
        (
            f"[operator]\njurisdictions = {['DE'] * 257}",
            "'jurisdictions' holds more than 256 texts",
        ),
        (
            "[operator]\nmatch_private_messages = 'yes'",
            "line 2: .*'match_private_messages' has to be true or false",
        ),
        ("i_decide_to_act_on_accounts = true", "line 1: .* has to be a text in quotation marks"),
        ("i_decide_to_act_on_accounts = 'yes'", "has to be a whole sentence in your own words"),
        (f"i_decide_to_act_on_accounts = '{'x' * 60}'", "has to be a whole sentence"),
        (f"i_decide_to_act_on_accounts = 'a{' ' * 60}b c d e f'", "has to be a whole sentence"),
    ],
)
def test_a_file_that_says_something_else_is_refused_with_its_place(text, message):
    with pytest.raises(SettingsError, match=message):
        parse_policy(text)


@pytest.mark.parametrize(
    ("text", "action", "message"),
    [
        ("", "review", "line 1: rule 1: 'name' is missing"),
        ("name = 'No'\n", "review", "line 2: rule 'No': 'name' is 1 to 64 lower-case"),
        ("name = 'a\\n'\n".replace("'", '"'), "review", "'name' is 1 to 64 lower-case"),
        ("name = 'a'\n", "review", "line 1: rule 'a': 'applies_to' is missing"),
        (MEDIA.replace("media", "medium"), "review", "'applies_to' has to be one of media, acc"),
        (MEDIA, "ban", "line 5: rule 'r': 'action' has to be one of note, review, hold, block"),
        (MEDIA, "none", "'action' has to be one of note"),
        (MEDIA + "min_issuer = 2\n", "review", "line 5: .* did you mean 'min_issuers'"),
        (MEDIA + "rule = 2\n", "review", "'rule' belongs at the top"),
        (MEDIA + "min_issuers = 0\n", "review", "'min_issuers' has to be a whole number from 1 to"),
        (MEDIA + "min_issuers = true\n", "review", "'min_issuers' has to be a whole number"),
        (MEDIA + "min_issuers = 1.0\n", "review", "'min_issuers' has to be a whole number"),
        (MEDIA + "max_distance = 32\n", "review", "'max_distance' has to be .* from 0 to 31"),
        (MEDIA + "max_distance = -1\n", "review", "'max_distance' has to be .* from 0 to 31"),
        (MEDIA + "variants = ['upside']\n", "review", "'variants' may hold mirror, rotation, bord"),
        (MEDIA + "variants = ['crop', 'crop']\n", "review", "'variants' says the same thing twice"),
        (MEDIA + "variants = 'crop'\n", "review", "'variants' has to be a list of texts"),
        (MEDIA + "variants = ['combined']\n", "review", "'combined' stands with \"mirror\" or"),
        (MEDIA + "variants = ['combined', 'mirror', 'rotation']\n", "review", "'combined' stands"),
        (MEDIA + "variants = ['combined', 'rotation', 'crop']\n", "review", "'combined' stands"),
        (
            ACCOUNT + "variants = ['crop']\n",
            "review",
            "'variants' is not for rules that apply to ac",
        ),
        (MEDIA + "accredited = 1\n", "review", "'accredited' has to be true or false"),
        (MEDIA + "surfaces = ['publik']\n", "review", "'surfaces' may hold public, hosted, priv"),
        (MEDIA + "surfaces = []\n", "review", "'surfaces' is empty, so the rule would never fire"),
        (MEDIA.replace('"csam.*"', '"csam*"'), "review", "'categories' holds 'csam\\*'"),
        (MEDIA.replace('"csam.*"', ""), "review", "'categories' is empty"),
        (MEDIA.replace("categories", "#"), "review", "'categories' is missing"),
        (MEDIA + "min_kinds = 1\n", "review", "'min_kinds' is not for rules that apply to media"),
        (MEDIA + "kinds = ['email']\n", "review", "'kinds' is not for rules that apply to media"),
        (
            MEDIA + "min_query_share = 101\n",
            "review",
            "'min_query_share' has to be .* from 0 to 100",
        ),
        (MEDIA + "min_target_share = 0\n", "review", "are both 0: one frame, such as a title"),
        (MEDIA + "min_stream_frames = 0\n", "review", "'min_stream_frames' has to be .* from 1"),
        (ACCOUNT + "min_stream_frames = 1\n", "review", "'min_stream_frames' is not for rules"),
        (ACCOUNT + "max_distance = 1\n", "review", "'max_distance' is not for .* to account"),
        (ACCOUNT + "surfaces = ['public']\n", "review", "'surfaces' is not for .* to account"),
        (ACCOUNT + "kinds = ['ip']\n", "review", "'kinds' may hold email, phone, .*not 'ip'"),
        (ACCOUNT + "min_kinds = 7\n", "review", "'min_kinds' has to be .* from 1 to 6"),
        (
            ACCOUNT + "kinds = ['email']\nmin_kinds = 2\n",
            "review",
            "line 6: .*'min_kinds' asks for more kinds than 'kinds' names",
        ),
        (
            MEDIA.replace("csam.*", "*") + "min_issuers = 2\nmax_distance = 1\n",
            "block",
            "line 4: .*has to name its categories",
        ),
        (
            MEDIA + "max_distance = 9\n",
            "block",
            "a rule that says 'block' has to say 'min_issuers'",
        ),
        (MEDIA + "min_issuers = 2\n", "hold", "a rule that says 'hold' has to say 'max_distance'"),
    ],
)
def test_a_rule_that_is_not_understood_is_refused_with_its_line(text, action, message):
    with pytest.raises(SettingsError, match=message):
        parse_policy(rule(text, action))


@pytest.mark.parametrize("pattern", ["csam.acts.*", "exploitative", "csam", "inhope.one"])
def test_a_block_that_could_never_happen_is_refused(pattern):
    text = MEDIA.replace("csam.*", pattern) + "min_issuers = 2\nmax_distance = 1\n"
    with pytest.raises(
        SettingsError, match=r"line 4: .* no such category that may go beyond review"
    ):
        parse_policy(rule(text, "block"))
    assert parse_policy(rule(text, "review")).rules


@pytest.mark.parametrize("action", ["block", "hold"])
def test_account_rules_go_beyond_review_only_if_the_file_says_so_in_words(action):
    text = rule(ACCOUNT + "min_issuers = 2\n", action)
    with pytest.raises(
        SettingsError, match=f"may not say '{action}' unless the file says in words"
    ):
        parse_policy(text)
    assert parse_policy(DECIDES + text).rules[0].action == action


def test_two_rules_with_one_name_are_refused_at_the_second():
    with pytest.raises(SettingsError, match="line 8: rule 'r': another rule has the same name"):
        parse_policy(rule(MEDIA) + "\n" + rule(MEDIA))


def test_the_line_is_left_out_where_the_file_is_written_unusually():
    with pytest.raises(SettingsError, match=r"^rule 'x': 'applies_to' is missing$"):
        parse_policy('"rule" = [{name = "x"}]')


@pytest.mark.parametrize("key", [DECISION_KEY, *OPERATOR_KEYS, *RULE_KEYS])
def test_every_key_is_described_in_the_guide(key):
    assert f"| `{key}` |" in GUIDE


def test_the_policies_in_the_guide_are_understood():
    examples = [block.partition("```")[0] for block in GUIDE.split("```toml\n")[1:]]
    assert len(examples) >= 2
    for example in examples:
        assert parse_policy(example).rules


def test_the_guide_and_the_default_policy_name_the_same_rules():
    for one in parse_policy(default_policy()).rules:
        assert f"`{one.name}`" in GUIDE


def test_an_avatar_counts_together_with_an_identifier_and_never_for_one():
    policy = parse_policy(rule(ACCOUNT + 'kinds_all = ["username", "avatar"]\n'))
    assert policy.rules[0].kinds_all == ("username", "avatar")
    assert "avatar" not in policy.rules[0].kinds
    with pytest.raises(SettingsError, match="'kinds'"):
        parse_policy(rule(ACCOUNT + 'kinds = ["avatar"]\n'))
