"""phone-v1: a telephone number in E.164.

Read by Google's libphonenumber (its Python port). Its tables of *valid* numbers change every week
as ranges are opened, so validity never decides: the same number must give the same answer next
month. Its *lengths* do decide. They change rarely, and without them a fragment would be taken for a
number: too short a text is shared by many people, and a number without its area code by one in
every town.
"""

from protocol.errors import MalformedError


def canonical(text: str, *, region: str | None) -> str:
    """Returns the number as ``+`` and digits, without its extension.

    Args:
        text: cleaned text: with ``+`` and the country code, or as dialled within `region` (there
            also with that region's international prefix, such as ``00``).
        region: ISO 3166-1 alpha-2 code, or None. A number with ``+`` never depends on it.

    Raises:
        MalformedError: no number, of an impossible length, or without country code and region.
    """
    value = _e164(text, region)
    # Reading drops a trunk prefix behind the country code, as in +49 (0)30. Where a second reading
    # drops another, nobody can dial the text, and one number would have two canonical spellings.
    if _e164(value, None) != value:
        raise MalformedError(
            "There are digits too many behind that phone number's country code; write it as "
            "+49 30 …."
        )
    return value


def _e164(text: str, region: str | None) -> str:
    import phonenumbers  # noqa: PLC0415  # 23 ms and several MB that most commands never need

    if region is not None:
        region = region.upper()
        if region not in phonenumbers.SUPPORTED_REGIONS:
            raise MalformedError("The region is a country's code of two letters, such as DE.")
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        if error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE:
            raise MalformedError(
                "A phone number needs its country code, such as +49…, or a region setting."
            ) from None
        raise MalformedError(
            "That is no phone number; write it as +49 30 …, one number at a time."
        ) from None
    # IS_POSSIBLE_LOCAL_ONLY is not enough: it is the length without an area code.
    length = phonenumbers.is_possible_number_with_reason(number)
    if length != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise MalformedError(
            "No phone number of that country has this length; check country code and area code."
        )
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
