"""What one member says about another as a member."""

import pytest

from payloads import PAYLOADS, to_bytes
from protocol.errors import MalformedError
from protocol.kinds import parse_statement


def read(**changes):
    values = {**PAYLOADS["membership"], **changes}
    data = to_bytes({name: value for name, value in values.items() if value is not ...})
    return parse_statement("membership", data)


@pytest.mark.parametrize("change", [str.upper, lambda text: text.replace("-", "")])
def test_a_fingerprint_has_one_spelling(change):
    fingerprint = PAYLOADS["membership"]["fingerprint"]
    with pytest.raises(MalformedError, match="small letters"):
        read(fingerprint=change(fingerprint))


@pytest.mark.parametrize("event", ["verified", "admitted", "expelled"])
def test_a_node_says_of_itself_that_it_leaves_and_nothing_else(event):
    how = ... if event == "expelled" else "telephone"
    with pytest.raises(MalformedError, match="of itself"):
        read(node="hotline.example", event=event, how=how)
    assert read(node="hotline.example", event="left", how=...).event == "left"


def test_nobody_says_of_another_that_it_leaves():
    with pytest.raises(MalformedError, match="of itself"):
        read(event="left", how=...)


@pytest.mark.parametrize(("event", "how"), [("expelled", "telephone"), ("verified", ...)])
def test_how_a_fingerprint_was_compared_is_said_by_who_compared_it(event, how):
    with pytest.raises(MalformedError, match="says how"):
        read(event=event, how=how)
