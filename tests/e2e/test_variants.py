"""A flagged picture comes back turned, framed and cut; a rule says which of that counts."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from node.demo_pictures import picture_paths
from node.matching.media import hash_picture
from nodes import Node, make_node, serving
from waiting import WITHIN_S

_PROGRAM = "from node.cli.main import run; run()"
POLICY = """
[operator]
[[rule]]
name = "hold-varied"
applies_to = "media"
categories = ["csam.act.*"]
min_issuers = 1
max_distance = 24
variants = ["mirror", "rotation", "border", "crop", "combined"]
action = "hold"
[[rule]]
name = "review-plain"
applies_to = "media"
categories = ["*"]
action = "review"
"""
with Image.open(next(path for path in picture_paths() if path.stem == "cat")) as _cat:
    CAT = _cat.convert("RGB")


def encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = make_node(tmp_path_factory.mktemp("variants") / "node", "platform.example")
    (node.directory / "policy.toml").write_text(POLICY)
    with serving(node):
        hashes = hash_picture(encoded(CAT))
        item = {"pdq": hashes.pdq.hex(), "quality": hashes.quality, "sha256": hashes.sha256}
        body = {
            "items": [item],
            "category": "csam.act.prepub",
            "reviewers": 2,
            "purpose": "removal",
            "legal_basis": "dsa-art-16",
            "review_days": 365,
        }
        node.ask("POST", "/v1/media/flag", json=body)
        yield node


def found(result: dict[str, Any]) -> tuple[str, str | None, set[str]]:
    """The decision, the rule that made it, and the variants by which anything was met."""
    return result["decision"], result["rule"], {one["variant"] for one in result["matches"]}


@pytest.mark.parametrize(
    ("changed", "variant"),
    [
        (CAT, "plain"),
        (ImageOps.mirror(CAT), "mirrored"),
        (CAT.rotate(90, expand=True), "turned-90"),
        (ImageOps.mirror(CAT).rotate(180), "mirrored-turned-180"),
        (ImageOps.expand(CAT, 40, "white"), "border-trimmed"),
        (ImageOps.expand(ImageOps.mirror(CAT), 40, "white"), "border-trimmed-mirrored"),
        (CAT.crop((9, 6, CAT.width - 9, CAT.height - 6)), "extended"),
    ],
)
def test_a_changed_picture_is_found_and_the_answer_says_how(
    node: Node, changed: Image.Image, variant: str
) -> None:
    files = {"file": ("x", encoded(changed), "image/jpeg")}
    answer = node.ask("POST", "/v1/media/match-file?surface=public", files=files)
    decision, rule, variants = found(answer["result"])
    assert (decision, rule) == ("hold", "hold-varied")
    assert variant in variants
    assert "variants" not in answer["hashes"]


def test_a_pdq_that_comes_alone_is_turned_by_the_node(node: Node) -> None:
    hashes = hash_picture(encoded(ImageOps.mirror(CAT)))
    item = {"pdq": hashes.pdq.hex(), "quality": hashes.quality}
    body = {"surface": "public", "items": [item]}
    (result,) = node.ask("POST", "/v1/media/match", json=body)["results"]
    assert found(result) == ("hold", "hold-varied", {"mirrored"})


def test_the_command_sends_variants_and_never_the_picture(node: Node, tmp_path: Path) -> None:
    path = tmp_path / "framed.jpg"
    path.write_bytes(encoded(ImageOps.expand(CAT, 40, "black")))
    told = command(node, "match", path)
    assert "framed.jpg: hold by the rule 'hold-varied'" in told
    assert "(border-trimmed)" in told
    (result,) = json.loads(command(node, "match", path, "--json"))["results"]
    assert found(result)[0] == "hold"


def command(node: Node, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, arguments), "--node", node.local],
        capture_output=True,
        text=True,
        timeout=5 * WITHIN_S,
        check=False,
        env=os.environ | {"SCHUTZNETZ_API_KEY": node.made.api_key},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
