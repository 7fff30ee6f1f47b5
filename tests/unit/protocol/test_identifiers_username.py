"""username-v1."""

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import normalise


def value(raw: str, scope: str | None = "example.social") -> str:
    return normalise("username", raw, scope=scope).value


@pytest.mark.parametrize(
    "raw", ["anna", "@anna", "ANNA", "ａｎｎａ", "@anna@example.social", "@@anna"]
)
def test_spellings_of_one_name_are_one(raw):
    assert value(raw) == "example.social/anna"


@pytest.mark.parametrize("scope", ["example.social", "WWW.Example.Social", "example.social."])
def test_spellings_of_one_platform_are_one(scope):
    assert value("anna", scope) == "example.social/anna"


def test_one_name_on_two_platforms_is_two():
    assert value("anna", "example.org") != value("anna", "example.com")


def test_a_platform_called_www_keeps_its_name():
    assert value("anna", "www.example") == "www.example/anna"
    assert value("anna", "www.www.example") == "www.example/anna"


def test_look_alikes_of_another_script_stay_different():
    assert value("раypal") != value("paypal")


def test_sharp_s_stays_apart_from_double_s():
    assert value("Straße") == "example.social/straße"


def test_a_name_without_its_platform_is_refused():
    with pytest.raises(MalformedError, match="needs its platform as scope"):
        value("anna", None)


@pytest.mark.parametrize("scope", ["social", "my platform", "192.0.2.1", "example.social/x"])
def test_a_scope_that_is_no_domain_name_is_refused(scope):
    with pytest.raises(MalformedError, match="A platform is a domain name"):
        value("anna", scope)


def test_a_name_of_another_platform_than_the_scope_is_refused():
    with pytest.raises(MalformedError, match="different platforms"):
        value("anna@example.org")


@pytest.mark.parametrize("raw", ["@", "anna muster", "anna\u3000muster", "☃", "\u05d0a"])
def test_what_precis_refuses_is_refused(raw):
    with pytest.raises(MalformedError, match="no user name"):
        value(raw)
