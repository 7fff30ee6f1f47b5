"""What the operator lets the node make of a match: one TOML file, and its evaluation.

The guide and every key are in docs/policy.md. Knows no row, no HTTP and no wire format: the
services turn what matched into evidence, and hand the decision on.
"""

from node.policy.evaluation import Policy
from node.policy.file import PolicyFile, default_policy
from node.policy.loader import parse_policy
from node.policy.model import AccountEvidence, Decision, MediaEvidence, Operator, Rule

__all__ = [
    "AccountEvidence",
    "Decision",
    "MediaEvidence",
    "Operator",
    "Policy",
    "PolicyFile",
    "Rule",
    "default_policy",
    "parse_policy",
]
