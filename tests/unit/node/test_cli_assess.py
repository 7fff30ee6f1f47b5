"""Which pictures are sent under which media hashes, and what is said about the others."""

import hashlib
import io
import sys

import pytest
import typer

from node.cli.assess import Chosen, assess, unfit
from node.cli.gather import Read
from node.cli.sheet import Finding, batches, check_category, confirm, show_remarks, show_sheet
from node.matching.media import MediaHashes
from protocol.categories import CategoryKind
from protocol.pdq import Pdq
from protocol.statements import MediaItem


def good_pdq(seed):
    """Returns 256 bits of which exactly 128 are set, as of a photograph."""
    rows = [((0x9E37 * (seed * 16 + at + 1)) & 0xFF) << 8 for at in range(16)]
    return Pdq(b"".join((row | (~(row >> 8) & 0xFF)).to_bytes(2) for row in rows))


def picture(name, *, data=None, pdq=None, quality=90):
    data = data or name.encode()
    hashes = MediaHashes(
        pdq=pdq or good_pdq(sum(data)),
        quality=quality,
        sha256=hashlib.sha256(data).hexdigest(),
        sha1=hashlib.sha1(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        width=640,
        height=480,
        format="JPEG",
    )
    return Read(name, hashes)


def words(remarks):
    return [(one.name, one.sentence) for one in remarks]


def test_a_good_picture_is_sent_under_all_its_media_hashes():
    made = assess([picture("a.jpg")], strict=True)
    ((name, item),) = made.chosen
    assert name == "a.jpg"
    assert (item.pdq, item.quality) == (good_pdq(sum(b"a.jpg")).hex(), 90)
    assert item.sha256 == hashlib.sha256(b"a.jpg").hexdigest()
    assert None not in (item.sha1, item.md5)
    assert list(made.remarks()) == []


@pytest.mark.parametrize(
    ("poor", "why"),
    [
        (picture("poor.jpg", quality=49), "too little detail"),
        (picture("flat.png", pdq=Pdq(bytes(32))), "almost of one colour"),
    ],
)
def test_a_picture_that_cannot_be_recognised_is_sent_without_its_pdq(poor, why):
    made = assess([poor], strict=False)
    ((_, item),) = made.chosen
    assert (item.pdq, item.quality) == (None, None)
    assert item.sha256 == poor.hashes.sha256
    ((name, sentence),) = words(made.limited)
    assert name == poor.name
    assert why in sentence
    assert "only exact copies will be found" in sentence


def test_a_picture_of_quality_50_is_good_enough():
    assert unfit(picture("a.jpg", quality=50).hashes) is None


def test_strict_leaves_out_what_could_only_be_found_as_an_exact_copy():
    made = assess([picture("poor.jpg", quality=10), picture("a.jpg")], strict=True)
    assert [one.name for one in made.chosen] == ["a.jpg"]
    assert words(made.left_out) == [("poor.jpg", "too little detail to recognise changed copies")]
    assert made.limited == []


@pytest.mark.parametrize("strict", [False, True])
def test_the_same_file_under_another_name_is_left_out_and_named(strict):
    made = assess([picture("a.jpg"), picture("b.jpg", data=b"a.jpg")], strict=strict)
    assert [one.name for one in made.chosen] == ["a.jpg"]
    assert words(made.left_out) == [("b.jpg", "the same file as a.jpg")]


def test_a_picture_that_looks_exactly_like_another_is_sent_without_its_pdq():
    twin = picture("b.jpg", pdq=picture("a.jpg").hashes.pdq)
    made = assess([picture("a.jpg"), twin], strict=False)
    assert [one.item.pdq is None for one in made.chosen] == [False, True]
    assert words(made.limited) == [
        ("b.jpg", "looks exactly like a.jpg: only exact copies will be found")
    ]


def test_a_file_that_could_not_be_read_is_named_first(capsys):
    files = [picture("poor.jpg", quality=1), Read("x.txt", problem="not a picture")]
    made = assess(files, strict=False)
    show_remarks(made)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "not read: x.txt: not a picture"
    assert second.startswith("sent: poor.jpg: too little detail")


def test_a_statement_takes_a_thousand_pictures_and_no_more():
    parts = batches([Chosen("a.jpg", MediaItem(md5="ab" * 16))] * 2_001)
    assert [len(part) for part in parts] == [1_000, 1_000, 1]


FINDING = Finding(
    category="csam.act.prepub",
    reviewers=1,
    purpose="removal",
    legal_basis="dsa-art-22",
    review_days=30,
    issuer_code="A1",
    flags=("generative_ai",),
    surfaces=("public",),
    jurisdictions=("DE",),
)


def test_the_sheet_names_everything_that_leaves_and_no_file(capsys):
    made = assess([picture("a.jpg"), picture("poor.jpg", quality=3)], strict=False)
    show_sheet(made, FINDING, to="https://hotline.example", signed_by="hotline.example/anna")
    text = capsys.readouterr().err
    for said in (
        "https://hotline.example",
        "hotline.example/anna",
        "csam.act.prepub (Sexual act, prepubescent child)",
        "1 person",
        "removal",
        "dsa-art-22",
        "within 30 days",
        "A1",
        "generative_ai",
        "public, DE",
        "pdq with quality, sha256, sha1 and md5 of 1 picture\n",
        "  sha256, sha1 and md5 of 1 file\n",
        "What stays here: the pictures, their names, and where they lie.",
    ):
        assert said in text
    assert "a.jpg" not in text


def test_the_sheet_leaves_out_what_is_not_said(capsys):
    plain = Finding("csam.act.pub", 2, "removal", "dsa-art-22", 30)
    show_sheet(assess([picture("a.jpg")], strict=False), plain, to="x", signed_by="y")
    text = capsys.readouterr().err
    assert "2 people" in text
    for name in ("own code", "flags", "only for"):
        assert name not in text


def test_a_category_has_a_title():
    assert check_category("account.grooming", CategoryKind.ACCOUNT)


@pytest.mark.parametrize("category", ["csam", "csam.act.prepubb", "account.grooming", ""])
def test_a_category_that_is_not_for_media_is_refused_with_those_that_are(category):
    with pytest.raises(typer.BadParameter, match=r"csam\.act\.prepub, csam\.pose\.prepub"):
        check_category(category, CategoryKind.MEDIA)


def test_yes_is_not_asked_again(capsys):
    confirm("Send it?", yes=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("answer", ["y\n", "YES\n", " y "])
def test_the_answer_may_be_yes(answer, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    confirm("Send it?", yes=False)
    assert capsys.readouterr() == ("", "Send it? [y/N]: ")


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "yeah\n", "ja\n"])
def test_every_other_answer_is_no(answer, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    with pytest.raises(typer.Abort):
        confirm("Send it?", yes=False)
