"""docs/operating.md as an operator follows it: every command typed, two real nodes, every answer."""

import shutil
from pathlib import Path

from guides import Walk, read_guide, steps, terminals, words_of_table
from node.demo.ports import free_port

GUIDE = read_guide("operating.md")
PICTURE = Path(__file__).resolve().parents[2] / "node" / "demo_pictures" / "cat.jpg"


def test_every_command_of_the_operating_guide_prints_what_the_guide_shows(tmp_path):
    words = words_of_table(GUIDE)
    shutil.copy(PICTURE, tmp_path / "picture.jpg")
    with terminals(tmp_path, "hotline", "platform") as shells:
        walk = Walk(
            terminals={**shells, "anna": shells["hotline"]},
            words=words,
            known={word: str(free_port()) for word in words if word.isdigit()},
            # Anna types it unseen, which needs a terminal of its own kind.
            environ={"anna": {"SCHUTZNETZ_PASSPHRASE": "four cats on a roof"}},
        )
        for step in steps(GUIDE):
            walk.follow(step)
    assert set(walk.known) == words
