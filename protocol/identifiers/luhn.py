"""The check digit of card numbers and IMEIs (ISO/IEC 7812-1 annex B)."""


def is_luhn(digits: str) -> bool:
    """Says whether ASCII `digits` end in their right check digit."""
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (doubled + sum(int(digit) for digit in digits[::-2])) % 10 == 0
