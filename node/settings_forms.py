"""Forms that settings share with the protocol, and with each other."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

import msgspec


def check_form(value: str, form: Any, sentence: str) -> str:
    """Returns a value that has a form of `protocol.fields`.

    Raises:
        ValueError: it has not; with the sentence, and without the value.
    """
    try:
        return str(msgspec.convert(value, form))
    except msgspec.ValidationError:
        raise ValueError(sentence) from None


def is_loopback(url: str) -> bool:
    """Says whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
