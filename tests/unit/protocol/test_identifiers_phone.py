"""phone-v1."""

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import normalise


@pytest.mark.parametrize(
    ("raw", "region"),
    [
        ("+49 30 23125-000", None),
        ("+49 (0)30 23125 000", None),
        ("(+49) 30/23125.000", None),
        ("030 23125000", "DE"),
        ("0049 30 23125000", "DE"),
        ("0049 30 23125000", "fr"),
        ("+493023125000", "US"),
    ],
)
def test_spellings_of_one_number_are_one(raw, region):
    assert normalise("phone", raw, region=region).value == "+493023125000"


def test_the_extension_is_dropped():
    assert normalise("phone", "+1 202-555-0123 x7").value == "+12025550123"


def test_letters_of_a_keypad_are_read():
    assert normalise("phone", "+1 202 JKL 0123").value == "+12025550123"


def test_a_number_that_is_not_assigned_is_taken():
    # the drama range is no *valid* number to libphonenumber, and must not depend on that
    assert normalise("phone", "+44 1632 960001").value == "+441632960001"


@pytest.mark.parametrize("raw", ["030 23125 000", "0049 30 23125000", "+999 123 4567"])
def test_a_number_without_country_code_needs_a_region(raw):
    with pytest.raises(MalformedError, match=r"such as \+49…, or a region setting\."):
        normalise("phone", raw)


def test_the_international_prefix_of_another_region_is_not_folded():
    with pytest.raises(MalformedError, match="this length"):
        normalise("phone", "0049 30 23125000", region="US")


@pytest.mark.parametrize("raw", ["anna", "+49", "+49 30 23125000 and +49 30 23125001"])
def test_what_is_no_number_is_refused(raw):
    with pytest.raises(MalformedError, match="no phone number"):
        normalise("phone", raw)


@pytest.mark.parametrize("raw", ["+1 555-0123", "+4930231250000000000", "+1 202 555 01234"])
def test_a_number_of_an_impossible_length_is_refused(raw):
    with pytest.raises(MalformedError, match="this length"):
        normalise("phone", raw)


def test_a_number_without_its_area_code_is_refused():
    with pytest.raises(MalformedError, match="area code"):
        normalise("phone", "555-0123", region="US")


def test_a_number_with_two_trunk_zeros_is_refused():
    with pytest.raises(MalformedError, match="digits too many"):
        normalise("phone", "+49 00 30 23125000")


@pytest.mark.parametrize("region", ["", "XX", "DEU", "Deutschland", "001"])
def test_an_unknown_region_is_refused(region):
    with pytest.raises(MalformedError, match="two letters"):
        normalise("phone", "+49 30 23125000", region=region)
