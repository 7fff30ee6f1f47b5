"""A flagger's card: what is on it, and what is believed of one."""

import pytest

from node.cli.cards import Card, card_beside, parse_card, read_card, spoken, unspoken, write_card
from protocol.errors import InvalidError
from signing.keys import KeyUse, SigningKey

KEY = SigningKey.from_seed(KeyUse.FLAGGER, b"f" * 32).public
OTHER = SigningKey.from_seed(KeyUse.FLAGGER, b"g" * 32).public
REQUEST = SigningKey.from_seed(KeyUse.REQUEST, b"r" * 32).public
CARD = Card("hotline.example/anna", KEY, "https://hotline.example")


def test_a_card_that_is_read_again_is_the_same():
    assert parse_card(CARD.to_text()) == CARD
    assert parse_card(Card(CARD.name, KEY).to_text()) == Card(CARD.name, KEY)


def test_a_card_survives_mail():
    text = "\r\n".join(f"  {line} " for line in CARD.to_text().splitlines())
    assert parse_card(f"\r\n{text}\r\n\r\n") == CARD


def test_a_card_without_the_key_id_is_a_card():
    lines = [line for line in CARD.to_text().splitlines() if not line.startswith("key id")]
    assert parse_card("\n".join(lines)) == CARD


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: "", "not a flagger's card"),
        (lambda text: "Other\n" + text, "not a flagger's card"),
        (lambda text: text.replace("name:", "nom:"), "one line 'name:'"),
        (lambda text: text + "name: x.example/y\n", "one line 'name:'"),
        (lambda text: text.replace("/anna", ""), "NODE/FLAGGER"),
        (lambda text: text.replace("hotline.example/anna", "Hotline/anna"), "NODE/FLAGGER"),
        (lambda text: text.replace(KEY.to_text(), KEY.to_text()[:-1]), "cannot be used"),
        (lambda text: text.replace(KEY.to_text(), REQUEST.to_text()), "not a flagger's"),
        (lambda text: text.replace(KEY.to_text(), OTHER.to_text()), "not that of the key"),
    ],
)
def test_a_card_that_does_not_fit_together_is_refused(change, why):
    with pytest.raises(InvalidError, match=why):
        parse_card(change(CARD.to_text()))


def test_a_key_id_may_be_typed_as_it_was_heard():
    assert unspoken(spoken(KEY.kid).upper().replace(" ", " - ")) == KEY.kid
    assert spoken("0123456789abcdef0123456789abcdef").count(" ") == 7


def test_the_card_lies_beside_the_key(tmp_path):
    key_file = tmp_path / "anna.key"
    card_file = card_beside(key_file)
    write_card(card_file, CARD, key_file=key_file)
    assert card_file.name == "anna.card"
    assert read_card(card_file) == CARD


def test_a_card_is_never_overwritten(tmp_path):
    path = tmp_path / "new" / "anna.card"
    write_card(path, CARD, key_file=path.with_suffix(".key"))
    with pytest.raises(InvalidError, match="never overwritten"):
        write_card(path, CARD, key_file=path.with_suffix(".key"))


def test_a_card_is_not_written_where_a_key_of_that_name_lies(tmp_path):
    (tmp_path / "anna.key").write_bytes(b"")
    with pytest.raises(InvalidError, match="never overwritten"):
        write_card(tmp_path / "anna.card", CARD, key_file=tmp_path / "anna.key")
    assert not (tmp_path / "anna.card").exists()


def test_where_no_card_can_be_written_the_reason_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidError, match="cannot be written: Not a directory"):
        write_card(tmp_path / "file" / "x" / "a.card", CARD, key_file=tmp_path / "a.key")


def test_a_card_that_is_not_there_is_told_with_its_name(tmp_path):
    with pytest.raises(InvalidError, match=r"anna\.card: the card cannot be read: No such file"):
        read_card(tmp_path / "anna.card")


@pytest.mark.parametrize("data", [b"\xff" * 100, b"a" * 5_000, b"Schutznetz flagger card\n"])
def test_a_file_that_is_no_card_is_refused_with_its_name(tmp_path, data):
    (tmp_path / "x.card").write_bytes(data)
    with pytest.raises(InvalidError, match=r"x\.card: "):
        read_card(tmp_path / "x.card")
