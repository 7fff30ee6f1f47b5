import pytest

from protocol.errors import MalformedError
from protocol.pdq import Pdq, distance, is_degenerate, parse_pdq

PHOTOGRAPH = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22"


def test_the_64_digits_are_the_32_bytes():
    assert parse_pdq(PHOTOGRAPH) == bytes.fromhex(PHOTOGRAPH)


@pytest.mark.parametrize(
    "text",
    [
        "",
        PHOTOGRAPH[:-1],
        PHOTOGRAPH + "0",
        PHOTOGRAPH + "\n",
        PHOTOGRAPH.upper(),
        "0x" + PHOTOGRAPH[2:],
        PHOTOGRAPH[:-1] + "g",
        PHOTOGRAPH[:-1] + "٣",
        " " + PHOTOGRAPH[1:],
    ],
)
def test_any_other_text_is_refused_without_being_repeated(text):
    with pytest.raises(MalformedError, match="64 lower-case hexadecimal digits") as caught:
        parse_pdq(text)
    assert PHOTOGRAPH[:8] not in str(caught.value)


def test_the_distance_is_the_number_of_differing_bits():
    pdq = parse_pdq(PHOTOGRAPH)
    inverted = Pdq(bytes(255 - byte for byte in pdq))
    one_off = Pdq(pdq[:-1] + bytes([pdq[-1] ^ 1]))
    assert distance(pdq, pdq) == 0
    assert distance(pdq, one_off) == 1
    assert distance(pdq, inverted) == 256


def test_the_pdq_of_a_photograph_is_not_degenerate():
    assert not is_degenerate(parse_pdq(PHOTOGRAPH))


@pytest.mark.parametrize("ones", [0, 1, 95, 161, 256])
def test_too_few_or_too_many_ones_are_degenerate(ones):
    assert is_degenerate(Pdq(((1 << ones) - 1).to_bytes(32)))


def test_few_distinct_rows_are_degenerate():
    row = bytes.fromhex("d3a1")
    assert is_degenerate(Pdq(row * 16))


def test_few_distinct_columns_are_degenerate():
    rows = [0xFFFF if 0x5A3C >> i & 1 else i for i in range(16)]
    pdq = Pdq(b"".join(row.to_bytes(2) for row in rows))
    assert 96 <= int.from_bytes(pdq).bit_count() <= 160
    assert len(set(rows)) >= 8
    assert is_degenerate(pdq)


def test_a_checkerboard_of_bits_is_degenerate():
    assert is_degenerate(Pdq(bytes.fromhex("5555aaaa" * 8)))
