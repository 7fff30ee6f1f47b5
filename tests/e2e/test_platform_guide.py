"""docs/platforms.md as an engineer follows it: a real node, every call made, both programs run."""

import shutil
from pathlib import Path

from guides import Walk, blocks, read_guide, steps, terminals, words_of_table
from node.demo.ports import free_port
from node.policy.loader import parse_policy

GUIDE = read_guide("platforms.md")
PICTURE = Path(__file__).resolve().parents[2] / "node" / "demo_pictures" / "cat.jpg"


def programs():
    """The guide's programs, by the file name in their first line."""
    for _again, text in blocks(GUIDE, "python"):
        yield text.splitlines()[0].removeprefix("# "), text


def test_every_command_and_program_of_the_platform_guide_does_what_the_guide_shows(tmp_path):
    words = words_of_table(GUIDE)
    shutil.copy(PICTURE, tmp_path / "picture.jpg")
    for name, text in programs():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with terminals(tmp_path, "") as shells:
        walk = Walk(shells, words, {word: str(free_port()) for word in words if word.isdigit()})
        for step in steps(GUIDE):
            walk.follow(step)
    assert set(walk.known) == words


def test_no_program_of_the_platform_guide_waits_without_an_end_or_fails_without_a_rule():
    found = dict(programs())
    assert set(found) == {"upload_hook.py", "signup_hook.py"}
    for text in found.values():
        assert "timeout=httpx.Timeout(" in text
        assert "FAIL_MODE" in text


def test_the_shadow_policy_of_the_platform_guide_notes_everything_and_does_nothing():
    (text,) = (text for _again, text in blocks(GUIDE, "toml"))
    rules = parse_policy(text).rules
    assert {rule.applies_to for rule in rules} == {"media", "account"}
    assert {rule.action for rule in rules} == {"note"}
    assert {rule.categories for rule in rules} == {("*",)}
