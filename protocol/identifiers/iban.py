"""IBANs by ISO 13616: form and check digits only.

No table of countries and their lengths: such a table grows, and a frozen rule must not. The check
digits find 96 of 97 typing errors, every single wrong character among them.
"""

import re

from protocol.errors import MalformedError

# ISO 13616-1 section 5: country, check digits 02 to 98, at most 30 characters; Norway's are the
# shortest in use, with 11.
_IBAN = re.compile(r"[A-Z]{2}(?!0[01]|99)[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)


def canonical(text: str) -> str:
    """Returns ``iban:`` and the IBAN in upper case without separators.

    Args:
        text: cleaned text, in groups or not, with the word IBAN in front or not.

    Raises:
        MalformedError: of another form, or check digits that do not fit (ISO 7064 MOD 97-10).
    """
    compact = re.sub("[ -]", "", text.upper()).removeprefix("IBAN")
    if not _IBAN.fullmatch(compact):
        raise MalformedError(
            "An IBAN has two letters, two check digits and 11 to 30 letters or digits."
        )
    # int(…, 36) turns A to Z into 10 to 35, as ISO 7064 asks.
    number = "".join(str(int(character, 36)) for character in compact[4:] + compact[:4])
    if int(number) % 97 != 1:
        raise MalformedError("The check digits of that IBAN do not fit; check for a typo.")
    return f"iban:{compact}"
