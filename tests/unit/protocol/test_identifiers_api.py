"""What all kinds of identifiers have in common."""

import subprocess
import sys

import pytest

from protocol import limits
from protocol.errors import MalformedError
from protocol.identifiers import CURRENT_SCHEMES, IdentifierKind, NormalisedIdentifier, normalise

GOOD = {
    "email": "anna@example.com",
    "phone": "+49 30 23125 000",
    "device": "00:00:5e:00:53:01",
    "payment": "DE89370400440532013000",
    "username": "anna",
    "invite": "https://discord.gg/Example1",
}


def test_every_kind_has_a_current_scheme_that_carries_its_version():
    assert {str(kind): scheme for kind, scheme in CURRENT_SCHEMES.items()} == {
        "email": "email-v1",
        "phone": "phone-v1",
        "device": "device-v1",
        "payment": "payment-v1",
        "username": "username-v1",
        "invite": "invite-v1",
    }


def test_the_table_of_schemes_cannot_be_changed():
    with pytest.raises(TypeError, match="does not support item assignment"):
        CURRENT_SCHEMES[IdentifierKind.EMAIL] = "email-v2"  # type: ignore[index]


@pytest.mark.parametrize(("kind", "raw"), GOOD.items())
def test_a_kind_may_be_given_by_its_name(kind, raw):
    found = normalise(kind, raw, scope="example.social")
    assert found == normalise(IdentifierKind(kind), raw, scope="example.social")
    assert found.scheme == CURRENT_SCHEMES[IdentifierKind(kind)]


@pytest.mark.parametrize(
    ("kind", "raw"), [(kind, raw) for kind, raw in GOOD.items() if kind != "username"]
)
def test_a_scope_makes_no_difference_to_other_kinds_than_names(kind, raw):
    assert normalise(kind, raw, scope="no domain") == normalise(kind, raw)


def test_a_region_makes_no_difference_to_other_kinds_than_phones():
    assert normalise("email", "anna@example.com", region="nowhere").value == "anna@example.com"


def test_an_unknown_kind_is_refused_with_the_known_ones():
    with pytest.raises(MalformedError, match=r"one of email, phone, device, payment, username, "):
        normalise("ip", "192.0.2.1")


def test_the_repr_hides_the_value():
    found = NormalisedIdentifier(IdentifierKind.EMAIL, "email-v1", "anna@example.com")
    assert "anna" not in repr(found)
    assert "email-v1" in repr(found)


@pytest.mark.parametrize("kind", IdentifierKind)
@pytest.mark.parametrize("raw", ["", "  ", "\u200b\ufeff", "\n\u2066\u2069\n"])
def test_an_empty_identifier_is_refused(kind, raw):
    with pytest.raises(MalformedError, match="is empty"):
        normalise(kind, raw, scope="example.social")


@pytest.mark.parametrize("kind", IdentifierKind)
@pytest.mark.parametrize(
    "inside",
    ["\0", "\x1b", "\x7f", "\u00ad", "\u200d", "\u202e", "\u2028", "\ud800", "\ue000", "\U000e0041",
     "\u0378", "\uffff"],
)  # fmt: skip
def test_a_control_invisible_or_unassigned_character_inside_is_refused(kind, inside):
    raw = GOOD[kind]
    with pytest.raises(MalformedError, match="control or invisible"):
        normalise(kind, raw[:3] + inside + raw[3:], scope="example.social")


@pytest.mark.parametrize("kind", IdentifierKind)
def test_an_identifier_over_the_limit_is_refused(kind):
    with pytest.raises(MalformedError, match="at most 512 characters"):
        normalise(kind, "a" * (limits.MAX_IDENTIFIER_CHARS + 1), scope="example.social")


def test_an_identifier_that_grows_over_the_limit_by_nfkc_is_refused():
    with pytest.raises(MalformedError, match="at most 512 characters"):
        normalise("email", "\ufdfa" * 100 + "@example.com")


def test_an_identifier_at_the_limit_is_read():
    path = "a" * (limits.MAX_IDENTIFIER_CHARS - len("example.org/g/"))
    assert normalise("invite", f"example.org/g/{path}").value == f"example.org/g/{path}"


def test_importing_the_package_loads_no_library():
    script = (
        "import sys, protocol.identifiers; "
        "print(sorted({'idna', 'phonenumbers', 'precis_i18n'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"
