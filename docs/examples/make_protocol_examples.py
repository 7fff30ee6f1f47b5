"""The worked examples of docs/protocol.md, computed by the code that they are about.

Keys, nonces, blinds and times are fixed, so every run gives the same bytes. Without an argument the
blocks in docs/protocol.md are written anew; tests/unit/test_documents.py compares them. What it is
not: a set of test vectors (those are in tests/vectors) or a model of how to choose keys.
"""

import re
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from protocol.checkpoint import ED25519, Checkpoint, NoteKey, format_vkey
from protocol.descriptors import NodeDescriptor, NodeKey, fingerprint_of
from protocol.encoding import encode_json, format_time, parse_time, to_base64, to_base64url
from protocol.endpoints import ENTRIES
from protocol.envelope import kind_of, pae, parse_envelope
from protocol.fields import StatementId
from protocol.identifiers import normalise
from protocol.merkle import Frontier, inclusion_proof, leaf_hash
from protocol.messages import EntriesRequest
from protocol.pdq import is_degenerate, parse_pdq
from protocol.receipts import LogProof
from protocol.statements import Accredit, Basis, MediaFlag, MediaItem, Retract
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.notes import sign_checkpoint
from signing.oprf.fingerprints import fingerprint_from_output, fingerprint_input
from signing.oprf.stretch import argon2id
from signing.oprf.voprf import (
    blind,
    derive_key_pair,
    evaluate,
    evaluate_unblinded,
    finalize,
    verify_evaluation,
)
from signing.receipts import verify_receipt
from signing.requests import sign_request

DOCUMENT: Final = Path(__file__).parents[1] / "protocol.md"

NODE: Final = "hotline.example"
FLAGGER: Final = "hotline.example/anna"
URL: Final = "https://hotline.example"
ORIGIN: Final = "hotline.example/log/1"
NOW: Final = parse_time("2026-11-22T10:00:00Z")
DAY_S: Final = 86_400

KEYS: Final = {
    use: SigningKey.from_seed(use, bytes([number]) * 32)
    for number, use in enumerate(
        (KeyUse.ROOT, KeyUse.REQUEST, KeyUse.LOG, KeyUse.STATEMENT, KeyUse.FLAGGER), start=1
    )
}
"""Seed 01…01 is the root key's, 02…02 the request key's, and so on."""

RFC_SEED: Final = bytes([0xA3]) * 32
RFC_INFO: Final = b"test key"
"""Seed and key info of every vector of RFC 9497 appendix A."""

RFC_BLIND: Final = bytes.fromhex("64d37aed22a27f5191de1c1d69fadb899d8862b58eb4220029e036ec4c1f6706")
RFC_PROOF_NONCE: Final = bytes.fromhex(
    "222a5e897cf59db8145db8d16e597e8facb80ae7d4e26d9881aa6f61d645fc0e"
)
"""Blind and proof nonce of RFC 9497 appendix A.1.2, test vector 1."""

STRETCH_KIB: Final = 19_456
STRETCH_SALT: Final = bytes([0x0F]) * 16
"""Parameters of the stretch that is shown."""

PAIRS: Final = (
    ("email", "Anna.Muster@EXAMPLE.com", None, None),
    ("phone", "030 23125 001", "DE", None),
    ("device", "{6D92078A-8246-4BA4-AE5B-76104861E7DC}", None, None),
    ("payment", "DE89 3704 0044 0532 0130 00", None, None),
    ("username", "@Anna", None, "example.social"),
    ("invite", "https://example.org/g/abc?from=mail", None, None),
)
"""Kind, text as given, region, scope."""

_BLOCK: Final = re.compile(
    r"(?P<head><!-- example: (?P<name>[a-z-]+) -->\n).*?(?P<foot><!-- end of example -->)",
    re.DOTALL,
)


def examples() -> dict[str, str]:
    """Returns the Markdown of every example by its name."""
    ids, made = _statements()
    return (
        {"keys": _keys()}
        | made
        | _descriptor()
        | _log(ids)
        | {"request": _request(), "fingerprint": _fingerprint(), "fingerprints": _pairs()}
        | {"stretch": _stretched()}
    )


def with_examples(document: str, found: dict[str, str]) -> str:
    """Returns the document with every marked block replaced by the example of that name.

    Raises:
        KeyError: a block names no example.
        RuntimeError: an example has no block, or more than one.
    """
    names = [match["name"] for match in _BLOCK.finditer(document)]
    if sorted(names) != sorted(found):
        raise RuntimeError(f"Blocks {sorted(names)}, examples {sorted(found)}.")
    return _BLOCK.sub(
        lambda match: f"{match['head']}{found[match['name']]}{match['foot']}", document
    )


def _code(text: str, language: str = "") -> str:
    return f"```{language}\n{text}\n```\n"


def _nonce(number: int) -> str:
    return to_base64url(bytes([number]) * 16)


def _hex(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def _keys() -> str:
    rows = [
        f"| {use} | `{f'{number:02x}' * 2}…` | `{to_base64url(key.public.raw)}` | `{key.kid}` |\n"
        for number, (use, key) in enumerate(KEYS.items(), start=1)
    ]
    return (
        "| use | seed: 32 times | public key, base64url | key id |\n|---|---|---|---|\n"
        + "".join(rows)
        + "\nThe flagger's key as one line:\n\n"
        + _code(KEYS[KeyUse.FLAGGER].public.to_text())
    )


def _statements() -> tuple[list[StatementId], dict[str, str]]:
    """Returns the ids of three statements in the order of the log, and how the second is made."""
    pdq = _hex("a picture")
    assert not is_degenerate(parse_pdq(pdq))
    accredit = Accredit(
        issuer=NODE,
        nonce=_nonce(0x0A),
        issued=format_time(NOW - DAY_S),
        audience=("peers",),
        flagger=FLAGGER,
        key=to_base64url(KEYS[KeyUse.FLAGGER].public.raw),
        categories=("csam.*",),
        not_before=format_time(NOW - DAY_S),
        not_after=format_time(NOW + 364 * DAY_S),
        status="active",
    )
    flag = MediaFlag(
        issuer=FLAGGER,
        nonce=_nonce(0x0B),
        issued=format_time(NOW),
        audience=("peers",),
        items=(MediaItem(pdq=pdq, quality=98, sha256=_hex("a file")),),
        category="csam.act.prepub",
        basis=Basis(reviewers=2, reviewed=format_time(NOW - 600)),
        purpose="detection",
        legal_basis="DSA-22",
        review_by=format_time(NOW + 365 * DAY_S),
    )
    signed_flag = sign_statement(flag, KEYS[KeyUse.FLAGGER])
    envelope = parse_envelope(signed_flag)
    retract = Retract(
        issuer=FLAGGER,
        nonce=_nonce(0x0C),
        issued=format_time(NOW + 3600),
        audience=("peers",),
        target=envelope.statement_id,
        reason="wrong",
    )
    ids = [
        parse_envelope(sign_statement(accredit, KEYS[KeyUse.STATEMENT])).statement_id,
        envelope.statement_id,
        parse_envelope(sign_statement(retract, KEYS[KeyUse.FLAGGER])).statement_id,
    ]
    message = pae(envelope.payload_type, envelope.payload)
    head = message[: -len(envelope.payload)].decode()
    assert kind_of(envelope.payload_type) == flag.KIND
    made = {
        "flag-payload": _code(envelope.payload.decode(), "json"),
        "flag-pae": _code(
            f"PAE, but for the {len(envelope.payload)} bytes of the payload that follow the last "
            f"space:\n\n{head}\n\nlength of the PAE:  {len(message)} bytes\n"
            f"statement id:       {envelope.statement_id}\n"
            f"Ed25519 signature:  {envelope.signatures[0].sig.hex()}"
        ),
        "flag-envelope": _code(signed_flag.decode(), "json"),
    }
    return ids, made


def _descriptor() -> dict[str, str]:
    uses: tuple[Literal["request", "log", "statement"], ...] = ("request", "log", "statement")
    descriptor = NodeDescriptor(
        issuer=NODE,
        nonce=_nonce(0x0D),
        issued=format_time(NOW - 2 * DAY_S),
        audience=("peers",),
        version=1,
        url=URL,
        root=to_base64url(KEYS[KeyUse.ROOT].public.raw),
        keys=tuple(
            NodeKey(
                use=use,
                key=to_base64url(KEYS[KeyUse(use)].public.raw),
                not_before=format_time(NOW - 2 * DAY_S),
                not_after=format_time(NOW + 363 * DAY_S),
            )
            for use in uses
        ),
        log_origin=ORIGIN,
        expires=format_time(NOW + 363 * DAY_S),
    )
    envelope = parse_envelope(sign_statement(descriptor, KEYS[KeyUse.ROOT]))
    fingerprint = fingerprint_of(envelope.statement_id)
    return {
        "descriptor": _code(envelope.payload.decode(), "json"),
        "descriptor-fingerprint": _code(
            f"statement id:      {envelope.statement_id}\n"
            f"first 160 bits:    {envelope.statement_id[:40]}\n"
            f"fingerprint:       {fingerprint}\n"
            f"check group:       {fingerprint[-4:]}\n"
            f"Ed25519 signature: {envelope.signatures[0].sig.hex()}"
        ),
    }


def _log(ids: list[StatementId]) -> dict[str, str]:
    entries = [bytes.fromhex(one) for one in ids]
    frontier = Frontier.EMPTY.append(entries)
    note = sign_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root()), KEYS[KeyUse.LOG])
    lines = [
        f"entry {number}  {entry.hex()}\nleaf {number}   {leaf_hash(entry).hex()}"
        for number, entry in enumerate(entries)
    ]
    lines += [f"frontier {number} {one.hex()}" for number, one in enumerate(frontier.hashes)]
    lines.append(f"root     {frontier.root().hex()}")
    key = NoteKey(ORIGIN, ED25519, KEYS[KeyUse.LOG].public.raw)
    proof = inclusion_proof([leaf_hash(entry) for entry in entries], 1)
    receipt = LogProof(1, proof, note).to_bytes()
    verify_receipt(receipt, entry=entries[1], origin=ORIGIN, keys=[KEYS[KeyUse.LOG].public])
    return {
        "receipt": _code(receipt.decode().removesuffix("\n")),
        "log": _code("\n".join(lines)),
        "checkpoint": _code(note.decode().removesuffix("\n"))
        + f"\nThe log's key in C2SP's one-line form:\n\n{_code(format_vkey(key))}",
    }


def _request() -> str:
    body = encode_json(EntriesRequest(start=0, limit=3))
    key = KEYS[KeyUse.REQUEST]
    url = URL + ENTRIES
    fields = sign_request(
        method="POST", url=url, body=body, key=key, now=NOW, nonce=bytes([0x0E]) * 16
    )
    params = fields["Signature-Input"].removeprefix("sig1=")
    base = (
        '"@method": POST\n'
        f'"@authority": {NODE}\n'
        f'"@target-uri": {url}\n'
        f'"content-digest": {fields["Content-Digest"]}\n'
        f'"@signature-params": {params}'
    )
    signature = key.sign(base.encode())
    assert to_base64(signature) == fields["Signature"].removeprefix("sig1=:").removesuffix(":")
    header = "".join(f"{name}: {value}\n" for name, value in fields.items())
    return (
        _code(
            f"POST {ENTRIES} HTTP/1.1\nHost: {NODE}\nContent-Type: application/json\n"
            f"Content-Length: {len(body)}\n{header}\n{body.decode()}"
        )
        + f"\nSignature base (no newline at its end):\n\n{_code(base)}"
    )


def _fingerprint() -> str:
    kind, raw, region, scope = PAIRS[0]
    one = normalise(kind, raw, region=region, scope=scope)
    private_input = fingerprint_input(one.kind.value, one.scheme, one.value)
    pair = derive_key_pair(RFC_SEED, RFC_INFO)
    blinded = blind([private_input], _scalars=[RFC_BLIND])
    evaluation = evaluate(pair, blinded.elements, _nonce=RFC_PROOF_NONCE)
    output = finalize(blinded, verify_evaluation(pair.public, blinded, evaluation))[0]
    assert output == evaluate_unblinded(pair, private_input)
    return _code(
        f"as given:        {raw}\n"
        f"normalised:      {one.value}\n"
        f"scheme:          {one.scheme}\n"
        f"input:           {private_input.hex()}\n"
        f"secret key:      {pair.private.hex()}\n"
        f"public key:      {pair.public.hex()}\n"
        f"blind:           {RFC_BLIND.hex()}\n"
        f"blinded element: {blinded.elements[0].hex()}\n"
        f"evaluated:       {evaluation.elements[0].hex()}\n"
        f"proof nonce:     {RFC_PROOF_NONCE.hex()}\n"
        f"proof, c:        {evaluation.proof[:32].hex()}\n"
        f"proof, s:        {evaluation.proof[32:].hex()}\n"
        f"output:          {output[:32].hex()}\n"
        f"                 {output[32:].hex()}\n"
        f"fingerprint:     {to_base64url(fingerprint_from_output(output))}"
    )


def _pairs() -> str:
    pair = derive_key_pair(RFC_SEED, RFC_INFO)
    rows = []
    for kind, raw, region, scope in PAIRS:
        one = normalise(kind, raw, region=region, scope=scope)
        output = evaluate_unblinded(pair, fingerprint_input(kind, one.scheme, one.value))
        given = ", ".join(
            part
            for part in (
                f"`{raw}`",
                region and f"region `{region}`",
                scope and f"scope `{scope}`",
            )
            if part
        )
        fingerprint = to_base64url(fingerprint_from_output(output))
        rows.append(f"| {given} | `{one.scheme}` | `{one.value}` | `{fingerprint}` |\n")
    return "| given | scheme | normalised | fingerprint |\n|---|---|---|---|\n" + "".join(rows)


def _stretched() -> str:
    kind, raw, region, scope = PAIRS[1]
    one = normalise(kind, raw, region=region, scope=scope)
    private_input = fingerprint_input(kind, one.scheme, one.value)
    stretched = argon2id(private_input, memory_kib=STRETCH_KIB, passes=2, salt=STRETCH_SALT)
    output = evaluate_unblinded(derive_key_pair(RFC_SEED, RFC_INFO), stretched)
    return _code(
        f"as given:    {raw}, region {region}\n"
        f"input:       {private_input.hex()}\n"
        f"memory_kib:  {STRETCH_KIB}\n"
        f"passes:      2\n"
        f"salt:        {to_base64url(STRETCH_SALT)}\n"
        f"stretched:   {stretched.hex()}\n"
        f"fingerprint: {to_base64url(fingerprint_from_output(output))}"
    )


def main() -> None:
    """Writes the blocks of docs/protocol.md anew."""
    document = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(with_examples(document, examples()), encoding="utf-8")


if __name__ == "__main__":
    main()
