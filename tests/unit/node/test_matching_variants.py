import json
from dataclasses import replace
from functools import partial

import numpy as np
import pdqhash
import pytest
from PIL import Image, ImageDraw, ImageOps

from node.demo_pictures import picture_paths
from node.matching import frames, variants
from node.matching.media import hash_picture
from node.matching.pdq_block import COSINES, bits_of
from node.matching.pixels import pdq_of, turned
from node.matching.pool import HashPool
from node.matching.turned import FORMS, turned_pdqs
from node.matching.variant_names import (
    DIHEDRAL,
    FAMILIES,
    MAX_VARIANTS,
    NAMES,
    PLAIN,
    VARIANTS,
    VariantPdq,
    is_asked_for,
)
from protocol.errors import MalformedError
from protocol.limits import PDQ_MATCH_DISTANCE
from protocol.pdq import Pdq, distance
from tests.unit.node import matching_pictures as made

PHOTOGRAPHS = [path.stem for path in picture_paths()]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def variants_of(image, families=FAMILIES, orientation=1):
    pixels = np.asarray(image.convert("RGB"))
    return variants.variants_of(pixels, partial(turned, orientation=orientation), families)


def pdq(image):
    return pdq_of(np.asarray(image))[0]


def jpeg(image, quality=75):
    return made.encoded(image, "JPEG", quality=quality)


def nearest(original, changed, family):
    """The nearest variant of the file `changed`, and how near it is to `original`."""
    found = hash_picture(changed, variants=[family]).variants
    return min((distance(one.pdq, pdq(original)), one.name) for one in found)


@pytest.mark.parametrize("size", [(17, 20), (64, 64), (127, 129), (451, 300), (300, 1_000)])
def test_the_products_give_pdqhashs_own_bits(size):
    image = made.photograph().resize(size)
    plane = variants.Plane(np.asarray(image).astype(np.float32) @ LUMA)
    found = bits_of(COSINES @ plane.block @ COSINES.T)
    assert distance(Pdq(found), pdq(image)) <= 2


@pytest.mark.parametrize("length", [1, 15, 64, 128, 129, 500, 1_023])
def test_every_sample_is_a_weighted_average(length):
    weights = variants.response(length)
    assert weights.shape == (64, length)
    assert weights.min() >= 0
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-5)


def test_a_variant_is_named_after_what_was_done_to_the_upload_clockwise():
    image = made.photograph("cat")
    forms = {one.name: one.pdq for one in variants_of(image, ("mirror", "rotation"))}
    assert tuple(sorted(forms)) == tuple(sorted(DIHEDRAL))
    for degrees in (90, 180, 270):
        # Pillow turns counter-clockwise
        turned_by = image.rotate(-degrees, expand=True)
        assert distance(forms[f"turned-{degrees}"], pdq(turned_by)) <= 8
        mirrored = ImageOps.mirror(image).rotate(-degrees, expand=True)
        assert distance(forms[f"mirrored-turned-{degrees}"], pdq(mirrored)) <= 8
    assert distance(forms["mirrored"], pdq(ImageOps.mirror(image))) <= 8


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_the_turned_forms_of_a_pdq_are_nearly_those_of_its_picture(name):
    image = made.photograph(name)
    exact, _ = pdqhash.compute_dihedral(np.asarray(image))
    derived = dict(turned_pdqs(pdq(image), FAMILIES))
    for form, bits in zip(FORMS, exact[1:], strict=True):
        assert distance(derived[form], Pdq(np.packbits(bits).tobytes())) <= 20


def test_only_the_forms_that_are_asked_for_are_derived():
    value = pdq(made.photograph())
    assert [name for name, _ in turned_pdqs(value, ["mirror"])] == ["mirrored"]
    assert len(list(turned_pdqs(value, ["rotation"]))) == 3
    assert not list(turned_pdqs(value, ["border", "banner", "crop"]))


@pytest.mark.parametrize("colour", ["white", "black", (180, 30, 60)])
def test_a_border_of_any_colour_is_found_and_trimmed(colour):
    original = made.photograph("cat")
    bordered = jpeg(ImageOps.expand(original, 40, colour), 50)
    near, name = nearest(original, bordered, "border")
    assert (near <= PDQ_MATCH_DISTANCE, name) == (True, "border-trimmed")
    assert distance(hash_picture(bordered).pdq, pdq(original)) > PDQ_MATCH_DISTANCE


@pytest.mark.parametrize("aside", [True, False])
def test_bars_at_two_sides_are_trimmed(aside):
    original = made.photograph("rocket")
    bars = (120, 0) if aside else (0, 120)
    near, _name = nearest(original, jpeg(ImageOps.expand(original, bars, "black")), "border")
    assert near <= PDQ_MATCH_DISTANCE


@pytest.mark.parametrize("at_top", [True, False])
def test_a_banner_that_was_added_is_trimmed(at_top):
    original = made.photograph("coffee")
    height = 48
    whole = Image.new("RGB", (original.width, original.height + height), "white")
    whole.paste(original, (0, height if at_top else 0))
    draw = ImageDraw.Draw(whole)
    draw.text((20, 12 if at_top else original.height + 12), "LOOK AT THIS", "black", font_size=24)
    near, name = nearest(original, jpeg(whole), "banner")
    assert (near <= PDQ_MATCH_DISTANCE, name) == (True, "banner-trimmed")


def test_the_writing_of_a_banner_laid_over_the_picture_is_left_out():
    original = made.photograph("cat")
    covered = original.copy()
    draw = ImageDraw.Draw(covered)
    draw.rectangle((0, 260, covered.width, covered.height), fill="black")
    draw.text((10, 255), "LOOK AT THIS!", "white", font_size=44)
    near, name = nearest(original, jpeg(covered), "banner")
    assert (near <= PDQ_MATCH_DISTANCE, name) == (True, "banner-covered")
    assert distance(pdq(original), pdq(covered)) > PDQ_MATCH_DISTANCE


@pytest.mark.parametrize(("share", "sides"), [(0.02, "ltrb"), (0.06, "b"), (0.06, "r")])
def test_what_was_cut_off_is_made_up_for_by_repeating_the_edge(share, sides):
    original = made.photograph("coffee")
    width, height = original.size
    across, down = round(width * share), round(height * share)
    box = (
        across if "l" in sides else 0,
        down if "t" in sides else 0,
        width - across if "r" in sides else width,
        height - down if "b" in sides else height,
    )
    near, name = nearest(original, jpeg(original.crop(box)), "crop")
    assert (near <= PDQ_MATCH_DISTANCE, name) == (True, "extended")


def test_the_upload_is_cropped_where_a_crop_of_it_was_flagged():
    upload = made.photograph("coffee")
    width, height = upload.size
    across, down = round(width * 0.07), round(height * 0.07)
    flagged = upload.crop((across, down, width - across, height - down))
    near, name = nearest(flagged, jpeg(upload), "crop")
    assert (near <= PDQ_MATCH_DISTANCE, name) == (True, "cropped")


def _with_banner(image):
    whole = Image.new("RGB", (image.width, image.height + 48), "white")
    whole.paste(image, (0, 0))
    ImageDraw.Draw(whole).text((20, image.height + 12), "LOOK", "black", font_size=24)
    return whole


@pytest.mark.parametrize(
    ("changed", "families", "name"),
    [
        (
            lambda one: ImageOps.expand(ImageOps.mirror(one), 40, "white"),
            ("mirror", "border"),
            "border-trimmed-mirrored",
        ),
        (
            # Pillow turns counter-clockwise; the variant turns the upload back, clockwise
            lambda one: ImageOps.expand(one.rotate(90, expand=True), 40, "black"),
            ("rotation", "border"),
            "border-trimmed-turned-90",
        ),
        (
            lambda one: _with_banner(ImageOps.mirror(one)),
            ("mirror", "banner"),
            "banner-trimmed-mirrored",
        ),
        (
            lambda one: _with_banner(ImageOps.mirror(one).rotate(180)),
            ("mirror", "rotation", "banner"),
            "banner-trimmed-mirrored-turned-180",
        ),
        (
            lambda one: ImageOps.mirror(one).crop((12, 8, one.width - 12, one.height - 8)),
            ("mirror", "crop"),
            "extended-mirrored",
        ),
    ],
    ids=["framed", "turned", "captioned", "turned over", "cut"],
)
def test_two_changes_are_undone_where_all_of_three_families_are_asked_for(changed, families, name):
    original = made.photograph("coffee")
    data = jpeg(changed(original))

    def distances(*asked):
        found = hash_picture(data, variants=asked).variants
        return {distance(one.pdq, pdq(original)): one.name for one in found}

    near = distances(*families, "combined")
    assert near[min(near)] == name
    assert min(near) <= PDQ_MATCH_DISTANCE
    for missing in ("combined", *families):
        fewer = distances(*({*families, "combined"} - {missing}))
        assert min(fewer, default=256) > PDQ_MATCH_DISTANCE


def test_a_combination_says_what_it_is_made_of_and_needs_the_families_of_all():
    assert VARIANTS["border-trimmed-mirrored-turned-90"] == {
        "border",
        "mirror",
        "rotation",
        "combined",
    }
    assert VARIANTS["extended-mirrored"] == {"crop", "mirror", "combined"}
    alone = [name for name in NAMES if "combined" not in VARIANTS[name]]
    assert len(alone) == 12
    assert "combined" in FAMILIES
    assert variants_of(made.photograph(), ["combined"]) == ()


def test_what_one_change_explains_is_named_after_one():
    image = ImageOps.expand(made.photograph("cat"), (0, 60), "black")
    singly = variants_of(image, set(FAMILIES) - {"combined"})
    assert variants_of(image)[: len(singly)] == singly


def test_the_variants_are_those_of_the_picture_as_it_is_displayed():
    upright = ImageOps.expand(made.photograph("cat"), (0, 60), "black")
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = upright.transpose(Image.Transpose.ROTATE_90)
    pixels = np.asarray(lying)
    found = variants.variants_of(pixels, partial(turned, orientation=6), ["border"])
    assert [one.pdq for one in found] == [one.pdq for one in variants_of(upright, ["border"])]
    hashed = hash_picture(made.encoded(lying, "PNG", exif=exif), variants=["border"])
    assert hashed.variants == found


@pytest.mark.parametrize("size", [(16, 16), (16, 3_000), (3_000, 17), (2_600, 1_500)])
def test_a_picture_of_any_shape_has_at_most_so_many_variants(size):
    noise = np.random.default_rng(7).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    assert len(variants_of(Image.fromarray(noise))) <= MAX_VARIANTS
    assert len(variants_of(made.photograph().resize(size))) <= MAX_VARIANTS


@pytest.mark.parametrize("colour", ["black", "white", (10, 200, 90)])
def test_a_picture_of_one_colour_has_no_variant(colour):
    assert variants_of(Image.new("RGB", (400, 300), colour)) == ()


def test_a_frame_around_almost_nothing_is_no_border_without_end():
    image = Image.new("RGB", (400, 400), "white")
    image.paste(made.photograph().resize((20, 20)), (190, 190))
    for top, bottom, left, right in variants.borders_of(np.asarray(image)):
        assert bottom - top >= 20
        assert right - left >= 20


def test_without_families_nothing_is_computed():
    data = jpeg(made.photograph())
    assert hash_picture(data).variants == ()
    assert variants_of(made.photograph(), ()) == ()


def test_the_plain_pdq_is_the_same_with_variants_and_without():
    data = jpeg(made.photograph())
    assert hash_picture(data, variants=FAMILIES).pdq == hash_picture(data).pdq


def test_every_variant_names_its_families_and_the_plain_one_needs_none():
    assert set(VARIANTS) == set(NAMES)
    assert set().union(*VARIANTS.values()) == set(FAMILIES)
    assert is_asked_for(PLAIN, ())
    assert is_asked_for("mirrored-turned-90", ("rotation", "mirror"))
    assert not is_asked_for("mirrored-turned-90", ("rotation",))


def test_the_repr_of_a_variant_holds_no_pdq():
    (one, *_rest) = variants_of(made.photograph(), ["mirror"])
    assert one.pdq.hex() not in repr(one)
    assert repr(one.pdq) not in repr(one)


def test_the_longest_answer_of_a_worker_fits():
    most = VariantPdq("border-trimmed-mirrored-turned-180", Pdq(bytes(range(224, 256))), 100)
    hashes = hash_picture(jpeg(made.photograph()))
    answer = frames.Hashed(replace(hashes, variants=(most,) * MAX_VARIANTS))
    payload = frames.encode_answer(answer)
    assert len(payload) <= frames.MAX_ANSWER_BYTES
    assert frames.decode_answer(payload) == answer


@pytest.mark.parametrize(
    "change",
    [
        {"name": "upside-down"},
        {"pdq": "AAAA"},
        {"quality": 101},
        {"quality": -1},
    ],
)
def test_a_worker_that_answers_no_such_variant_is_not_believed(change):
    data = jpeg(made.photograph())
    answer = json.loads(
        frames.encode_answer(frames.Hashed(hash_picture(data, variants=["mirror"])))
    )
    answer["hashes"]["variants"][0] |= change
    with pytest.raises(MalformedError, match="no answer"):
        frames.decode_answer(json.dumps(answer).encode())


def test_more_variants_than_there_are_are_not_believed():
    data = jpeg(made.photograph())
    answer = json.loads(
        frames.encode_answer(frames.Hashed(hash_picture(data, variants=["mirror"])))
    )
    answer["hashes"]["variants"] *= MAX_VARIANTS + 1
    with pytest.raises(MalformedError, match="no answer"):
        frames.decode_answer(json.dumps(answer).encode())


def test_a_worker_computes_the_families_that_it_is_asked_for():
    data = jpeg(ImageOps.expand(made.photograph("cat"), 40, "white"))
    with HashPool(workers=1) as pool:
        assert pool.hash(data).variants == ()
        for asked in (("mirror",), ("border",), FAMILIES):
            assert pool.hash(data, variants=asked) == hash_picture(data, variants=asked)
