"""payment-v1: IBANs, card tokens and wallets."""

import hashlib

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import bitcoin, normalise

IBAN = "DE89370400440532013000"
P2WPKH = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"  # BIP-173
TAPROOT = "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"  # BIP-350
P2PKH = "1JVw8fwXEg7QBL4MBDQAfDj2nW81rAzzzo"  # of a digest that nobody has a key to
P2SH = "3KBx4DRxnaRnGVknJK4m5r5xw2QjNfQ2yS"
EVM = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # EIP-55


def value(raw: str) -> str:
    return normalise("payment", raw).value


def base58check(payload: bytes) -> str:
    data = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(data, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = bitcoin._BASE58[rest] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


@pytest.mark.parametrize(
    "raw",
    [IBAN, "DE89 3704 0044 0532 0130 00", "de 89-3704-0044-0532-0130-00", f"IBAN {IBAN}",
     f"iban:{IBAN}", f"IBAN : {IBAN}", f"iban:IBAN{IBAN}"],
)  # fmt: skip
def test_spellings_of_one_iban_are_one(raw):
    assert value(raw) == f"iban:{IBAN}"


@pytest.mark.parametrize("place", range(22))
def test_an_iban_with_any_character_changed_is_refused(place):
    changed = "1" if IBAN[place] != "1" else "2"
    if place < 2:
        changed = "X"
    with pytest.raises(MalformedError, match="IBAN"):
        value(f"iban:{IBAN[:place]}{changed}{IBAN[place + 1 :]}")


@pytest.mark.parametrize(
    ("equal", "raw"),
    [("99", "02"), ("00", "97"), ("01", "98")],
)
def test_check_digits_that_only_equal_the_right_ones_modulo_97_are_refused(equal, raw):
    for account in range(200):
        body = f"{account:018d}"
        good = f"DE{raw}{body}"
        try:
            value(good)
        except MalformedError:
            continue
        with pytest.raises(MalformedError, match="two check digits"):
            value(f"iban:DE{equal}{body}")
        return
    pytest.fail("no account number has these check digits")


@pytest.mark.parametrize(
    "raw", ["iban:", "iban:DE89", "iban:D989370400440532013000", "iban:" + "DE89" + "0" * 31]
)
def test_what_has_not_the_form_of_an_iban_is_refused(raw):
    with pytest.raises(MalformedError, match="11 to 30"):
        value(raw)


@pytest.mark.parametrize(
    "token", ["tok_Example-1a2B3c", "V0010013818042150501234567890", "a" * 128]
)
def test_a_card_is_given_by_its_token_case_and_all(token):
    assert value(f"card:{token}") == value(f"Card: {token}") == f"card:{token}"


@pytest.mark.parametrize(
    "raw",
    ["4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005",
     "4222222222222", "6304000000000000000", "card:4111111111111111", "card:4111.1111.1111.1111",
     "card:tok_4111111111111111", "card: 4111 1111 1111 1111", "visa 4111 1111 1111 1111"],
)  # fmt: skip
def test_the_number_of_a_card_is_refused_wherever_it_stands(raw):
    with pytest.raises(MalformedError, match=r"give its token as card:<token>") as refusal:
        value(raw)
    assert "1111" not in str(refusal.value)


def test_a_token_of_digits_that_is_no_card_number_is_taken():
    assert value("card:4111111111111112") == "card:4111111111111112"
    assert value("card:41111111111111111111") == "card:41111111111111111111"


@pytest.mark.parametrize(
    "token", ["", "short", "has a space in it", "-leading", "ümlaut-token", "a" * 129]
)
def test_what_is_no_token_is_refused(token):
    with pytest.raises(MalformedError, match="8 to 128"):
        value(f"card:{token}")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (P2WPKH, P2WPKH),
        (P2WPKH.upper(), P2WPKH),
        (TAPROOT.upper(), TAPROOT),
        (f"bitcoin:{TAPROOT}?amount=1", TAPROOT),
        (P2PKH, P2PKH),
        (f"BTC: {P2SH}", P2SH),
    ],
)
def test_spellings_of_one_bitcoin_address_are_one(raw, expected):
    assert value(raw) == f"btc:{expected}"


@pytest.mark.parametrize("address", [P2WPKH, TAPROOT, P2PKH, P2SH])
def test_a_bitcoin_address_with_any_character_changed_is_refused(address):
    for place, old in enumerate(address):
        changed = "q" if old != "q" else "p"
        with pytest.raises(MalformedError, match="Bitcoin"):
            value(f"btc:{address[:place]}{changed}{address[place + 1 :]}")


@pytest.mark.parametrize(
    "raw",
    [
        P2WPKH[:3] + P2WPKH[3:].upper(),  # mixed case
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",  # version 0 with bech32m (BIP-350)
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",  # taproot with bech32
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",  # version 17
        "bc1pw5dgrnzv",  # program of 1 byte
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",  # of 41
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",  # version 0 with 16 bytes
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",  # padding of 5 bits
        "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",  # padding not zero
        "bc1gmk9yu",  # no data
        "bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4",  # o is no character
        "bc1" + "q" * 88,  # 91 characters
        f"1{P2PKH}",  # a leading 1 too many
        P2PKH[1:],
        "btc:" + "z" * 35,
        "btc:1" + "z" * 34,
        "btc:3" + "z" * 34,  # 26 bytes
        "btc:" + "1" * 30,
        "btc:",
        "btc:0OIl",
    ],
)
def test_what_is_no_bitcoin_address_is_refused(raw):
    with pytest.raises(MalformedError, match="checksum does not fit"):
        value(raw if raw.startswith("btc:") else f"btc:{raw}")


@pytest.mark.parametrize("leading", [0, 1, 2, 7])
@pytest.mark.parametrize("version", [0, 5])
def test_every_count_of_leading_zero_bytes_has_one_spelling(leading, version):
    digest = bytes(leading) + hashlib.sha256(b"nobody's key").digest()[: 20 - leading]
    address = base58check(bytes([version]) + digest)
    assert value(address) == f"btc:{address}"
    with pytest.raises(MalformedError, match="checksum"):
        value(f"btc:1{address}")


@pytest.mark.parametrize(
    "raw",
    [
        "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        "my1tRj2W3hYexSXxtnNYV8wMeViijGPhJv",
        "2NAkA7xMzQ2w8UHPKySgdho5E9Ncu834nhC",
    ],
)
def test_an_address_of_a_test_network_is_refused(raw):
    with pytest.raises(MalformedError, match="test network"):
        value(raw)


@pytest.mark.parametrize(
    "raw",
    [*bitcoin._NOBODYS_V1, "0x" + "0" * 40, "0x" + "F" * 40,
     "0x000000000000000000000000000000000000dEaD", "0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE"],
)  # fmt: skip
def test_an_address_that_is_nobodys_is_refused(raw):
    with pytest.raises(MalformedError, match="is nobody's"):
        value(raw)


@pytest.mark.parametrize(
    "raw", [EVM, EVM.lower(), "0X" + EVM[2:].upper(), f"eth:{EVM}", f"evm:{EVM}"]
)
def test_spellings_of_one_evm_address_are_one(raw):
    assert value(raw) == "evm:0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"


@pytest.mark.parametrize(
    "address",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_the_examples_of_eip_55_hold(address):
    assert value(address) == f"evm:{address.lower()}"


def test_an_evm_address_with_any_letter_in_the_other_case_is_refused():
    letters = [place for place in range(2, 42) if EVM[place].isalpha()]
    assert len(letters) > 10
    for place in letters:
        with pytest.raises(MalformedError, match="EIP-55"):
            value(EVM[:place] + EVM[place].swapcase() + EVM[place + 1 :])


@pytest.mark.parametrize(
    "raw", ["0x", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", EVM + "0", "evm:x"]
)
def test_what_is_no_evm_address_is_refused(raw):
    with pytest.raises(MalformedError, match="40 hexadecimal digits"):
        value(raw)


@pytest.mark.parametrize("raw", ["example.eth", "anna@example.com", "paypal:anna", "1234567890123"])
def test_what_is_no_payment_identifier_is_refused(raw):
    with pytest.raises(MalformedError, match="is an IBAN, a Bitcoin address"):
        value(raw)
