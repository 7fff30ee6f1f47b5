"""Cosignatures: only over the very text, under the very key, with a time of their own."""

import base64
from dataclasses import replace

import pytest

from protocol.checkpoint import (
    COSIGNATURE,
    Note,
    NoteKey,
    NoteSignature,
    format_signature_lines,
    parse_note,
    parse_signature_lines,
    parse_vkey,
)
from protocol.errors import BadSignatureError, MalformedError
from signing.cosignatures import cosign, verify_cosignatures, witness_name, witness_note_key
from signing.keys import KeyUse, SigningKey

KEY = SigningKey.from_seed(KeyUse.WITNESS, b"w" * 32)
NAME = "witness.example/witness"
TEXT = "hotline.example/log/1\n3\nWU8CUQcpqCNXgxKfwAvfzrIYd+6MH72R2j3Ze0GwzFQ=\n"
NOW = 1_795_341_600
KEYS = (witness_note_key("witness.example", KEY.public),)

# The example of C2SP tlog-cosignature; the key is not given there, so only its form is compared.
C2SP_NOTE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2"
    "oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def note(*lines: NoteSignature) -> Note:
    return Note(TEXT, lines)


def line() -> NoteSignature:
    return cosign(TEXT, KEY, name=NAME, now=NOW)


def test_a_cosignature_says_who_and_when() -> None:
    assert witness_name("witness.example") == NAME
    assert verify_cosignatures(note(line()), KEYS) == {KEYS[0]: NOW}


def test_its_bytes_are_those_of_the_specification() -> None:
    (made,) = parse_signature_lines(format_signature_lines([line()]))
    assert made == line()
    assert made.raw[:8] == NOW.to_bytes(8, "big")
    KEY.public.verify(f"cosignature/v1\ntime {NOW}\n{TEXT}".encode(), made.raw[8:])
    example = parse_note(C2SP_NOTE.encode()).signatures[1]
    assert len(example.raw) == len(made.raw)
    assert int.from_bytes(example.raw[:8], "big") == 1679315147


def test_the_key_of_a_witness_has_its_own_type() -> None:
    encoded = base64.b64encode(b"\x04" + KEY.public.raw).decode()
    assert parse_vkey(f"{NAME}+{KEYS[0].key_id.hex()}+{encoded}") == KEYS[0]
    with pytest.raises(RuntimeError, match="witness"):
        witness_note_key("a.example", SigningKey.generate(KeyUse.LOG).public)
    with pytest.raises(MalformedError, match="32 bytes"):
        NoteKey(NAME, COSIGNATURE, b"short")


@pytest.mark.parametrize("use", [use for use in KeyUse if use is not KeyUse.WITNESS])
def test_no_key_of_another_use_cosigns(use: KeyUse) -> None:
    with pytest.raises(RuntimeError, match="witness"):
        cosign(TEXT, SigningKey.generate(use), name=NAME, now=NOW)


def test_what_strangers_put_on_a_note_is_ignored() -> None:
    stranger = cosign(TEXT, SigningKey.generate(KeyUse.WITNESS), name=NAME, now=NOW)
    renamed = replace(line(), name="other.example/witness")
    assert verify_cosignatures(note(stranger, renamed), KEYS) == {}


def test_two_lines_of_one_key_spoil_the_note() -> None:
    with pytest.raises(MalformedError, match="two cosignatures"):
        verify_cosignatures(note(line(), cosign(TEXT, KEY, name=NAME, now=NOW + 1)), KEYS)


@pytest.mark.parametrize("at", [0, 7, 8, 39, 71])
def test_a_flipped_bit_spoils_the_note(at: int) -> None:
    raw = bytearray(line().raw)
    raw[at] ^= 1
    with pytest.raises(BadSignatureError):
        verify_cosignatures(note(replace(line(), raw=bytes(raw))), KEYS)


def test_a_cosignature_on_another_text_is_none() -> None:
    with pytest.raises(BadSignatureError):
        verify_cosignatures(Note(TEXT.replace("3\n", "4\n", 1), (line(),)), KEYS)


@pytest.mark.parametrize("raw", [b"x", b"x" * 71, b"x" * 73])
def test_a_cosignature_of_another_length_is_none(raw: bytes) -> None:
    with pytest.raises(BadSignatureError, match="72 bytes"):
        verify_cosignatures(note(replace(line(), raw=raw)), KEYS)


def test_a_cosignature_without_a_time_is_none() -> None:
    message = f"cosignature/v1\ntime 0\n{TEXT}".encode()
    raw = bytes(8) + KEY.sign(message)
    with pytest.raises(BadSignatureError, match="time"):
        verify_cosignatures(note(replace(line(), raw=raw)), KEYS)


def test_a_key_of_another_type_is_no_witness() -> None:
    log = NoteKey(NAME, 0x01, KEY.public.raw)
    with pytest.raises(MalformedError, match="0x04"):
        verify_cosignatures(note(replace(line(), key_id=log.key_id)), (log,))
