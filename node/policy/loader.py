"""Reads the text of a policy file, strictly: a policy that is not understood is not used.

Every refusal is one `SettingsError` with one sentence that names the line, the rule and the key.
TOML's reader keeps no positions, so the line is looked for in the text afterwards; it is a hint,
and left out where the file is written in an unusual way.
"""

import hashlib
import re
import tomllib
from functools import partial
from typing import Final

from node.matching.variant_names import FAMILIES, VARIANTS
from node.policy.evaluation import Policy
from node.policy.gates import read_gates
from node.policy.model import (
    ACTIONS,
    AVATAR,
    DEFAULT_MIN_QUERY_SHARE,
    DEFAULT_MIN_STREAM_FRAMES,
    DEFAULT_MIN_TARGET_SHARE,
    DEFAULT_SURFACES,
    IDENTIFIER_KINDS,
    SURFACES,
    Operator,
    Rule,
    fits,
)
from node.policy.table import DECISION_KEY, TOP_KEYS, Table, line_of
from protocol.categories import Category, builtin_vocabulary
from protocol.errors import SettingsError
from protocol.fields import CategoryPattern, Jurisdiction
from protocol.limits import MAX_LIST, PDQ_MATCH_DISTANCE

MIN_DECISION_CHARS: Final = 40
"""Shortest sentence that counts as a decision in words."""

MIN_DECISION_WORDS: Final = 6
"""Fewest words in it."""

MAX_RULES: Final = 256
"""Rules in one file."""

MAX_STREAM_FRAMES: Final = 1_000
"""Frames of a stream that a rule may ask for."""

OPERATOR_KEYS: Final = ("jurisdictions", "match_private_messages")
COMMON_KEYS: Final = (
    "name",
    "applies_to",
    "action",
    "categories",
    "min_issuers",
    "accredited",
    "not_disputed",
)
MEDIA_KEYS: Final = (
    "surfaces",
    "max_distance",
    "variants",
    "min_query_share",
    "min_target_share",
    "min_stream_frames",
)
ACCOUNT_KEYS: Final = ("kinds", "min_kinds", "kinds_all")
RULE_KEYS: Final = COMMON_KEYS + MEDIA_KEYS + ACCOUNT_KEYS

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")


def parse_policy(text: str) -> Policy:
    """Returns the policy that a file's text describes.

    Args:
        text: TOML as docs/policy.md describes it.

    Raises:
        SettingsError: the text is no TOML, or says something that docs/policy.md does not allow.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise SettingsError("the policy is nested too deeply") from None
    except ValueError as error:
        raise SettingsError(f"the policy is not valid TOML: {error}") from None
    top = Table(document, "", partial(line_of, text, "", 0))
    top.refuse_unknown(TOP_KEYS)
    decision = _read_decision(top)
    operator = _read_operator(top, text)
    rules = _read_rules(top, text, decision=decision)
    gates = read_gates(top, text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Policy(operator, rules, decision, digest, gates)


def _read_decision(top: Table) -> str | None:
    if DECISION_KEY not in top.values:
        return None
    sentence = " ".join(top.text(DECISION_KEY).split())
    if len(sentence) < MIN_DECISION_CHARS or len(sentence.split()) < MIN_DECISION_WORDS:
        raise top.error(
            DECISION_KEY,
            f"{DECISION_KEY!r} has to be a whole sentence in your own words that says who decides "
            f"and what, at least {MIN_DECISION_CHARS} characters and {MIN_DECISION_WORDS} words",
        )
    return sentence


def _read_operator(top: Table, text: str) -> Operator:
    values = top.values.get("operator", {})
    if not isinstance(values, dict):
        raise top.error("operator", "'operator' has to be a table, written [operator]")
    table = Table(values, "[operator]", partial(line_of, text, "operator", 0))
    table.refuse_unknown(OPERATOR_KEYS)
    return Operator(
        jurisdictions=table.words("jurisdictions", (), Jurisdiction),
        match_private_messages=table.flag("match_private_messages", default=False),
    )


def _read_rules(top: Table, text: str, *, decision: str | None) -> tuple[Rule, ...]:
    tables = top.values.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise top.error("rule", "'rule' has to be a list of tables, each written [[rule]]")
    if len(tables) > MAX_RULES:
        raise top.error("rule", f"the policy has more than {MAX_RULES} rules")
    rules: list[Rule] = []
    for place, values in enumerate(tables):
        table = Table(
            values,
            f"rule {values.get('name', place + 1)!r}",
            partial(line_of, text, "rule", place),
        )
        rule = _read_rule(table)
        if any(rule.name == other.name for other in rules):
            raise table.error("name", "another rule has the same name")
        if rule.applies_to == "account" and rule.goes_beyond_review and decision is None:
            raise table.error(
                "action",
                f"a rule about accounts may not say {rule.action!r} unless the file says in words "
                f"who takes that decision, in {DECISION_KEY!r}",
            )
        rules.append(rule)
    return tuple(rules)


def _read_rule(table: Table) -> Rule:
    table.refuse_unknown(RULE_KEYS)
    name = table.text("name")
    if not _NAME.fullmatch(name):
        raise table.error("name", "'name' is 1 to 64 lower-case letters, digits and hyphens")
    applies_to = table.text("applies_to", ("media", "account"))
    for key in ACCOUNT_KEYS if applies_to == "media" else MEDIA_KEYS:
        if key in table.values:
            raise table.error(key, f"{key!r} is not for rules that apply to {applies_to}")
    action = table.text("action", ACTIONS[1:])
    kinds = table.words("kinds", IDENTIFIER_KINDS, IDENTIFIER_KINDS)
    rule = Rule(
        name=name,
        applies_to=applies_to,
        action=action,
        categories=table.words("categories", None, CategoryPattern),
        surfaces=table.words("surfaces", DEFAULT_SURFACES, SURFACES),
        min_issuers=table.number("min_issuers", 1, 1, MAX_LIST),
        accredited=table.flag("accredited", default=False),
        max_distance=table.number("max_distance", PDQ_MATCH_DISTANCE, 0, PDQ_MATCH_DISTANCE),
        variants=table.words("variants", (), FAMILIES),
        min_query_share=table.number("min_query_share", DEFAULT_MIN_QUERY_SHARE, 0, 100),
        min_target_share=table.number("min_target_share", DEFAULT_MIN_TARGET_SHARE, 0, 100),
        min_stream_frames=table.number(
            "min_stream_frames", DEFAULT_MIN_STREAM_FRAMES, 1, MAX_STREAM_FRAMES
        ),
        kinds=kinds,
        min_kinds=table.number("min_kinds", 1, 1, len(IDENTIFIER_KINDS)),
        kinds_all=table.words("kinds_all", (), (*IDENTIFIER_KINDS, AVATAR)),
        not_disputed=table.flag("not_disputed", default=action in {"block", "hold"}),
    )
    _check_sense(table, rule)
    return rule


def _check_sense(table: Table, rule: Rule) -> None:
    """Refuses a rule that can never fire, or that fires where nothing was recognised."""
    for key in ("categories", "surfaces", "kinds"):
        if not getattr(rule, key):
            raise table.error(key, f"{key!r} is empty, so the rule would never fire")
    if rule.min_kinds > len(rule.kinds):
        raise table.error("min_kinds", "'min_kinds' asks for more kinds than 'kinds' names")
    if rule.min_query_share == rule.min_target_share == 0:
        raise table.error(
            "min_target_share",
            "'min_query_share' and 'min_target_share' are both 0: one frame, such as a title, "
            "would be a match with the whole film",
        )
    if "combined" in rule.variants and not any(
        "combined" in needed <= set(rule.variants) for needed in VARIANTS.values()
    ):
        raise table.error(
            "variants",
            '\'combined\' stands with "mirror" or "rotation" and with what it is combined with: '
            '"border" or "banner", or with "mirror" and "crop"',
        )
    if rule.goes_beyond_review:
        _check_grounds(table, rule)


def _check_grounds(table: Table, rule: Rule) -> None:
    """Refuses a rule that goes beyond review without saying on what grounds."""
    if "*" in rule.categories:
        raise table.error(
            "categories", f"a rule that says {rule.action!r} has to name its categories, not '*'"
        )
    for pattern in rule.categories:
        # An unknown category is review-only, so a mistyped one would silently never block.
        if not any(fits(pattern, one.id) and not one.review_only for one in _known()):
            raise table.error(
                "categories",
                f"a rule that says {rule.action!r} names {pattern!r}, but the vocabulary has no "
                "such category that may go beyond review",
            )
    wanted = ("min_issuers", "max_distance") if rule.applies_to == "media" else ("min_issuers",)
    for key in wanted:
        if key not in table.values:
            raise table.error(key, f"a rule that says {rule.action!r} has to say {key!r} as well")


def _known() -> tuple[Category, ...]:
    return builtin_vocabulary().categories
