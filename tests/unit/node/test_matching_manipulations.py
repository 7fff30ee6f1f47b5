import io

import pytest
from PIL import Image

from node.demo_pictures import manipulations, picture_paths
from node.matching.media import hash_picture
from protocol.limits import PDQ_MATCH_DISTANCE
from protocol.pdq import distance

PICTURES = {path.stem: path.read_bytes() for path in picture_paths()}

FOUND = {
    "JPEG quality 30": {"cat", "coffee", "galaxies", "retina", "rocket"},
    "half the size": {"cat", "coffee", "galaxies", "retina", "rocket"},
    "cropped 2 % on each side": set(),
    "banner": {"cat", "galaxies"},
    "mirrored": set(),
}
"""What PDQ finds at a distance of 31, as docs/adr/0004 says it does."""


def after(name, manipulation):
    before = hash_picture(PICTURES[name])
    return distance(before.pdq, hash_picture(manipulation(PICTURES[name])).pdq)


@pytest.mark.parametrize("words", list(manipulations.MANIPULATIONS))
def test_the_adr_says_honestly_which_manipulations_are_found(words):
    manipulation = manipulations.MANIPULATIONS[words]
    found = {name for name in PICTURES if after(name, manipulation) <= PDQ_MATCH_DISTANCE}
    assert found == FOUND[words]


@pytest.mark.parametrize("name", list(PICTURES))
def test_a_crop_of_one_percent_is_found_in_each_photograph(name):
    cropped = after(name, lambda data: manipulations.crop(data, 1))
    assert cropped <= PDQ_MATCH_DISTANCE


def test_a_manipulated_picture_has_the_size_that_was_asked_for():
    data = PICTURES["coffee"]
    sizes = {}
    for words, manipulation in manipulations.MANIPULATIONS.items():
        with Image.open(io.BytesIO(manipulation(data))) as image:
            assert image.format == "JPEG"
            sizes[words] = image.size
    assert sizes == {
        "JPEG quality 30": (600, 400),
        "half the size": (300, 200),
        "cropped 2 % on each side": (576, 384),
        "banner": (600, 400),
        "mirrored": (600, 400),
    }


@pytest.mark.parametrize("name", list(PICTURES))
def test_the_photographs_are_small_and_carry_no_metadata(name):
    assert len(PICTURES[name]) <= 120_000
    with Image.open(io.BytesIO(PICTURES[name])) as image:
        assert {"exif", "comment", "icc_profile", "xmp", "photoshop"}.isdisjoint(image.info)
        assert max(image.size) <= 640


def test_every_photograph_has_its_origin_and_licence_noted():
    origins = (picture_paths()[0].parent / "ORIGINS.md").read_text("utf-8")
    assert all(f"`{path.name}`" in origins for path in picture_paths())
