"""device-v1."""

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import normalise
from protocol.identifiers.device import _DUMMIES_V1
from protocol.identifiers.luhn import is_luhn

UUID = "919108f7-52d1-4320-9bac-f847db4148a8"


def value(raw: str) -> str:
    return normalise("device", raw).value


@pytest.mark.parametrize("prefix", ["", "uuid:", "urn:uuid:", "idfa: ", "IDFV:", "gaid:"])
@pytest.mark.parametrize("body", [UUID, UUID.upper(), f"{{{UUID}}}", UUID.replace("-", "")])
def test_spellings_of_one_uuid_are_one(prefix, body):
    assert value(prefix + body) == f"uuid:{UUID}"


@pytest.mark.parametrize(
    "raw",
    ["001015001234563", "00-101500-123456-3", "imei:00 101500 123456 3", "IMEI:001015001234563"],
)
def test_spellings_of_one_imei_are_one(raw):
    assert value(raw) == "imei:001015001234563"


@pytest.mark.parametrize(
    "raw", ["00:00:5E:00:53:01", "00-00-5e-00-53-01", "0000.5E00.5301", "mac:00005e005301"]
)
def test_spellings_of_one_mac_address_are_one(raw):
    assert value(raw) == "mac:00:00:5e:00:53:01"


@pytest.mark.parametrize("place", range(15))
def test_an_imei_with_any_digit_changed_is_refused(place):
    digits = list("001015001234563")
    digits[place] = str((int(digits[place]) + 1) % 10)
    with pytest.raises(MalformedError, match="last digit"):
        value("".join(digits))


@pytest.mark.parametrize("dummy", sorted(_DUMMIES_V1))
def test_a_known_placeholder_is_refused(dummy):
    with pytest.raises(MalformedError, match="placeholder"):
        value(dummy)


@pytest.mark.parametrize(
    "raw",
    [
        "00000000-0000-0000-0000-000000000000",
        "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
        "idfa:11111111-1111-1111-1111-111111111111",
        "000000000000000",
        "111111111111119",
        "00:00:00:00:00:00",
        "FF:FF:FF:FF:FF:FF",
    ],
)
def test_a_run_of_one_digit_is_a_placeholder(raw):
    with pytest.raises(MalformedError, match="placeholder"):
        value(raw)


@pytest.mark.parametrize("raw", ["02:00:00:00:00:00", "da:a1:19:00:53:01", "01:00:5e:00:00:fb"])
def test_a_random_or_group_mac_address_is_refused(raw):
    with pytest.raises(MalformedError, match="names no device"):
        value(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "my phone", "00101500123456", "0010150012345678", "00:00-5e:00-53:01", "00:00:5e:00:53",
        f"imei:{UUID}", f"mac:{UUID}", "uuid:001015001234563", "mac:001015001234563",
        f"{{{UUID}", f"{UUID}}}", "9774d56d682e549c", "serial:001015001234563",
        "٠٠١٠١٥٠٠١٢٣٤٥٦٣",
    ],
)  # fmt: skip
def test_what_is_no_device_is_refused(raw):
    with pytest.raises(MalformedError, match="15 digits"):
        value(raw)


def test_luhn_finds_every_wrong_digit_of_the_standards_example():
    assert is_luhn("79927398713")  # ISO/IEC 7812-1's usual example
    assert [digit for digit in range(10) if is_luhn(f"7992739871{digit}")] == [3]
