"""The gates: pdqs that would match innocent pictures never get in."""

import pytest

from protocol.errors import InvalidError
from protocol.statements import Frame, MediaItem
from simulator import media_flag
from worlds import ANNA, PDQ, World, items

BAD = {
    "low quality": MediaItem(pdq=PDQ, quality=49),
    "one colour": MediaItem(pdq="00" * 32, quality=100),
    "all ones": MediaItem(pdq="ff" * 32, quality=100),
    "equal rows": MediaItem(pdq="5555" * 16, quality=100),
    "frame of low quality": MediaItem(frames=(Frame(pdq=PDQ, quality=49, at_ms=0),)),
    "frame of one colour": MediaItem(frames=(Frame(pdq="00" * 32, quality=100, at_ms=0),)),
    "good beside bad": MediaItem(
        pdq=PDQ, quality=100, frames=(Frame(pdq="00" * 32, quality=100, at_ms=0),)
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_pdq_that_would_match_innocent_pictures_is_refused_by_its_place(
    world: World, bad: MediaItem
) -> None:
    before = world.contents()
    with pytest.raises(InvalidError, match="send this item's exact digests alone") as caught:
        world.submit(media_flag(ANNA, items=(*items(2), bad)))
    assert caught.value.where == "items[2].pdq"
    assert (bad.pdq or PDQ) not in str(caught.value)
    assert world.contents() == before


MORE = f"{int(PDQ, 16) ^ 1:064x}"
FIRST = MediaItem(pdq=PDQ, quality=90, sha256="ab" * 32, sha1="ab" * 20, md5="ab" * 16)
REPEATED = {
    "all": (FIRST, "exact digests: name a file once"),
    "sha256": (MediaItem(sha256="ab" * 32, sha1="cd" * 20), "exact digests: name a file once"),
    "sha1": (MediaItem(sha1="ab" * 20), "exact digests: name a file once"),
    "md5": (
        MediaItem(md5="ab" * 16, pdq=MORE, quality=90),
        "exact digests: name a file once",
    ),
    "pdq": (
        MediaItem(pdq=PDQ, quality=91, sha256="cd" * 32),
        "the same pdq: send this item's exact digests alone",
    ),
}


@pytest.mark.parametrize(("again", "message"), REPEATED.values(), ids=REPEATED)
def test_an_item_that_is_there_twice_is_refused_by_its_place(
    world: World, again: MediaItem, message: str
) -> None:
    before = world.contents()
    with pytest.raises(InvalidError, match=message) as caught:
        world.submit(media_flag(ANNA, items=(FIRST, *items(2), again)))
    assert caught.value.where == "items[3]"
    assert world.contents() == before


def test_a_file_of_another_kind_of_digest_and_equal_frames_are_no_repetition(world: World) -> None:
    frames = tuple(Frame(pdq=PDQ, quality=90, at_ms=at) for at in (0, 500))
    different = (
        FIRST,
        MediaItem(pdq=MORE, quality=90),
        MediaItem(sha256=PDQ),
        MediaItem(frames=frames),
    )
    world.submit(media_flag(ANNA, items=different))


def test_another_statement_may_say_the_same(world: World) -> None:
    for number in (1, 2):
        world.submit(media_flag(ANNA, number, items=(FIRST,)))


def test_a_pdq_of_just_enough_quality_and_an_item_without_any_are_accepted(world: World) -> None:
    good = MediaItem(pdq=PDQ, quality=50)
    receipt = world.submit(media_flag(ANNA, items=(good, MediaItem(sha1="ab" * 20))))
    with world.store.read() as transaction:
        found = transaction.statements.by_id(receipt.id)
    assert found is not None
    assert found.items == 2
