"""The bench of variants: its pictures, what it does to them, and what it counts."""

import hashlib
import importlib.util
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.bench import variants as bench
from node.bench.manipulated import MANIPULATIONS, jpeg
from node.bench.report import Report
from node.demo_pictures import picture_paths
from node.matching.media import hash_picture
from protocol.errors import InvalidError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
MANIFEST = json.loads((BENCHMARKS / "pictures.json").read_text("utf-8"))


def fetcher():
    spec = importlib.util.spec_from_file_location("fetch", BENCHMARKS / "fetch_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def photographs():
    for path in picture_paths():
        with Image.open(path) as image:
            yield image.convert("RGB").resize((300, 240))


def test_at_least_twenty_things_are_done_to_pictures_under_different_names():
    assert len({one.name for one in MANIPULATIONS}) == len(MANIPULATIONS) >= 20
    assert len({one.told for one in MANIPULATIONS}) == len(MANIPULATIONS)


@pytest.mark.parametrize("manipulation", MANIPULATIONS, ids=lambda one: one.name)
def test_every_manipulation_ends_as_a_picture_that_can_be_hashed(manipulation):
    image = next(photographs())
    changed = manipulation.change(image)
    assert changed.mode == "RGB"
    assert hash_picture(jpeg(changed, manipulation.quality)).quality > 0


def test_pictures_that_are_alike_flat_or_none_are_left_out(tmp_path):
    for number, image in enumerate(photographs()):
        image.save(tmp_path / f"{number}.png")
    (tmp_path / "below").mkdir()
    next(photographs()).save(tmp_path / "below" / "again.jpg")
    Image.new("RGB", (300, 200), "white").save(tmp_path / "flat.png")
    (tmp_path / "notes.txt").write_text("no picture")
    said: list[str] = []
    assert len(bench.different_pictures(tmp_path, say=said.append)) == 5
    again, flat = said
    assert re.fullmatch(r"Left out, \d+ bits from another picture: again.jpg", again)
    assert flat == "Left out, quality 0: flat.png"


def test_a_folder_with_too_few_pictures_is_refused(tmp_path):
    with pytest.raises(InvalidError, match="at least 20 different photographs"):
        bench.measure(tmp_path, say=lambda _: None)


def test_recall_is_the_share_within_the_distance_for_each_family_and_together():
    found = bench.Found([0, 40, 100, 31], {"crop": [0, 10, 100, 31], "mirror": [0, 40, 20, 31]})
    found.together = [0, 10, 20, 31]
    found.uncombined = [0, 10, 100, 31]
    (figure,) = Report({}, (bench._recall(MANIPULATIONS[0], found),)).to_json()["figures"]
    assert figure["value"] == 1
    beside = figure["beside"]
    assert (beside["plain"], beside["plain_at_16"], beside["varied_at_16"]) == (0.5, 0.25, 0.5)
    assert (beside["crop"], beside["mirror"], beside["uncombined"]) == (0.75, 0.75, 0.75)


def test_an_unrelated_pair_counts_once_however_many_variants_are_near():
    zero = np.zeros((1, 32), np.uint8)
    one = zero.copy()
    one[0, 0] = 0xFF
    far = np.full((1, 32), 0xF0, np.uint8)
    counted = bench.Unrelated()
    bench._count_unrelated(counted, np.concatenate([far, one, zero]), np.concatenate([zero, far]))
    assert (counted.pairs, counted.plain, counted.varied) == (2, 1, 2)
    assert (counted.nearest_plain, counted.nearest_varied) == (0, 0)


def test_the_list_of_pictures_says_of_each_where_it_is_and_under_which_licence():
    pictures = MANIFEST["pictures"]
    assert len(pictures) >= 200
    assert len({one["name"] for one in pictures}) == len({one["sha256"] for one in pictures})
    assert set(MANIFEST["licences"]) == {"CC0-1.0", "public-domain"}
    for name, package in MANIFEST["packages"].items():
        assert package["registry"] in fetcher()._UNPACKED
        assert package["pictures"] == sum(one["package"] == name for one in pictures)
    for one in pictures:
        assert one["package"] in MANIFEST["packages"]
        assert one["says"]
        assert re.fullmatch("[0-9a-f]{64}", one["sha256"])
        assert one["licence"] in MANIFEST["licences"]
        assert "://" not in json.dumps(one)
        assert "/" not in one["name"]


def resource_file(name, contents):
    """A Qt resource file with one picture in one folder."""

    def named(text):
        return struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")

    names = named("folder") + named(name)
    nodes = [
        struct.pack(">IHII", 0, 2, 1, 1) + bytes(8),
        struct.pack(">IHHHI", len(named("folder")), 0, 0, 0, 0) + bytes(8),
    ]
    tree = b"".join(nodes)
    data = struct.pack(">I", len(contents)) + contents
    begin = 20
    places = (3, begin, begin + len(tree), begin + len(tree) + len(data))
    return b"qres" + struct.pack(">4I", *places) + tree + data + names


def test_a_picture_is_taken_out_of_a_resource_file_if_it_is_what_it_was(tmp_path):
    fetch = fetcher()
    picture = b"a picture"
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "all.rcc").write_bytes(resource_file("cat.webp", picture))
    wanted = {
        "name": "cat.webp",
        "file": "all.rcc",
        "member": "/folder/cat.webp",
        "sha256": hashlib.sha256(picture).hexdigest(),
    }
    assert fetch._copy(wanted, tmp_path / "files", tmp_path)
    assert (tmp_path / "cat.webp").read_bytes() == picture
    other = wanted | {"sha256": "00" * 32, "name": "other.webp"}
    assert not fetch._copy(other, tmp_path / "files", tmp_path)
    assert not fetch._copy(wanted | {"file": "none.rcc"}, tmp_path / "files", tmp_path)
    assert not (tmp_path / "other.webp").exists()
