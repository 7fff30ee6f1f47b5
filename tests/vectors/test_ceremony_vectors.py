"""What binds a key generation to its ceremony, computed from docs/protocol.md with hashlib alone."""

import base64
import hashlib
import json
from typing import Any

import pytest

from vectors import make_ceremony_v1

TEXT = make_ceremony_v1.FILE.read_text(encoding="utf-8")
VECTOR = json.loads(TEXT)
CIPHERSUITE = b"COCKTAIL(Ristretto255, SHA-512)"


def test_the_file_is_what_its_script_makes() -> None:
    assert make_ceremony_v1.render(make_ceremony_v1.document()) == TEXT


def opened(envelope: str) -> tuple[bytes, dict[str, Any]]:
    """Returns the statement id of an envelope, and its payload: sections 3 and 4.1."""
    outer = json.loads(envelope)
    payload = base64.b64decode(outer["payload"])
    kind = outer["payloadType"].encode()
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    return hashlib.sha256(pae).digest(), json.loads(payload)


def by_index(envelopes: list[str]) -> list[tuple[bytes, dict[str, Any]]]:
    """Returns what every holder said, in the order of the indices of the plan."""
    said = {payload["issuer"]: (found, payload) for found, payload in map(opened, envelopes)}
    holders = json.loads(VECTOR["plan"])["generate"]["holders"]
    return [said[one["node"]] for one in sorted(holders, key=lambda one: one["index"])]


def unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def context_of(confirmations: list[tuple[bytes, dict[str, Any]]]) -> str:
    """Returns the context that C2SP COCKTAIL-DKG recommends, for the session id of section 8.15."""
    session_id = bytes.fromhex(VECTOR["ceremony"]) + b"".join(one for one, _ in confirmations)
    assert len(session_id) == 32 * (1 + len(confirmations))
    publics = [unpadded(payload["key"]) for _, payload in confirmations]
    parts = [
        b"COCKTAIL-DKG-CONTEXT",
        len(session_id).to_bytes(8, "big"),
        session_id,
        len(CIPHERSUITE).to_bytes(8, "big"),
        CIPHERSUITE,
        len(publics).to_bytes(4, "little"),
        *publics,
    ]
    return hashlib.sha512(b"".join(parts)).hexdigest()


def test_a_ceremony_is_named_after_the_bytes_of_its_plan() -> None:
    assert hashlib.sha256(VECTOR["plan"].encode()).hexdigest() == VECTOR["ceremony"]


def test_the_context_follows_from_plan_and_confirmations() -> None:
    confirmations = by_index(VECTOR["confirmations"])
    assert {payload["ceremony"] for _, payload in confirmations} == {VECTOR["ceremony"]}
    assert context_of(confirmations) == VECTOR["context"]


def test_another_order_of_the_holders_is_another_context() -> None:
    first, second, third = by_index(VECTOR["confirmations"])
    assert context_of([second, first, third]) != VECTOR["context"]


def test_the_extension_follows_from_the_commitments() -> None:
    commitments = by_index(VECTOR["commitments"])
    assert {payload["session"] for _, payload in commitments} == {VECTOR["context"]}
    seen = [found.hex() for found, _ in commitments]
    assert seen == VECTOR["seen"]
    assert hashlib.sha512("".join(seen).encode("ascii")).hexdigest() == VECTOR["extension"]


@pytest.mark.parametrize("step", ["confirmations", "commitments"])
def test_each_is_said_by_another_holder(step: str) -> None:
    assert len({payload["issuer"] for _, payload in map(opened, VECTOR[step])}) == 3
