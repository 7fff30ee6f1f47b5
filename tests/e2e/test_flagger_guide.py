"""docs/flaggers.md as a flagger follows it: every command typed, against real nodes."""

import shutil

from cli_stage import PICTURES
from guides import Walk, read_guide, steps, terminals, words_of_table
from nodes import introduce, make_node, serving
from protocol.categories import CategoryKind, builtin_vocabulary

GUIDE = read_guide("flaggers.md")


def test_every_command_of_the_flagger_guide_prints_what_the_guide_shows(tmp_path):
    words = words_of_table(GUIDE)
    # what somebody else has set up before she begins: her node, and a platform that knows it
    hotline = make_node(tmp_path / "hotline", "hotline.example")
    platform = make_node(tmp_path / "platform", "platform.example")
    introduce(hotline, platform)
    shutil.copytree(
        PICTURES, tmp_path / "pictures", ignore=lambda _folder, names: _no_pictures(names)
    )
    with serving(hotline, platform), terminals(tmp_path, "anna", "operator") as shells:
        walk = Walk(
            shells,
            words,
            {"8441": str(hotline.port)},
            # She types it unseen, which needs a terminal of its own kind.
            {"anna": {"SCHUTZNETZ_PASSPHRASE": "four cats on a roof"}},
        )
        for step in steps(GUIDE):
            walk.follow(step)
    assert set(walk.known) == words


def _no_pictures(names):
    return [name for name in names if not name.endswith(".jpg")]


def test_the_flagger_guide_defines_every_category_of_media_as_the_vocabulary_does():
    rows = [
        f"| `{one.id}` | {one.definition} |"
        for one in builtin_vocabulary().categories
        if one.kind in {CategoryKind.MEDIA, CategoryKind.BOTH}
    ]
    assert "\n".join(rows) in GUIDE
