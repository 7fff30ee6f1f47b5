"""A node joins another one: by an invite, two typed fingerprints, and a time that a vote ends."""

from pathlib import Path

import pytest

from cli_stage import call
from node.demo.cast import HOTLINE, PLATFORM_A
from nodes import Node, make_node, new_item, serving
from protocol.encoding import to_base64url
from protocol.errors import PeerRefusedError
from protocol.messages import JoinRequest
from signing.keys import KeyUse, SigningKey
from waiting import wait_for


def ok(*words: object) -> str:
    called = call("node", *words)
    assert called.code == 0, called.err
    return called.out


def flag(node: Node) -> str:
    item = new_item()
    asked = {
        "items": [{"sha256": item.sha256}],
        "category": "csam.act.prepub",
        "reviewers": 2,
        "purpose": "detection",
        "legal_basis": "dsa-22",
        "review_days": 30,
    }
    return str(node.ask("POST", "/v1/media/flag", json=asked)["id"])


def test_a_newcomer_joins_reads_at_once_and_is_believed_after_a_vote(tmp_path: Path) -> None:
    settings = {"poll_interval_s": 1, "expire_interval_s": 1}
    member = make_node(tmp_path / HOTLINE, HOTLINE, settings=settings)
    newcomer = make_node(tmp_path / PLATFORM_A, PLATFORM_A, settings=settings)
    invite = tmp_path / "invite.json"
    with serving(member, newcomer):
        ok("member", "invite", member.directory, "--output", invite)
        wrong = call(
            *("node", "member", "join", newcomer.directory, invite),
            *("--fingerprint", newcomer.made.fingerprint),
        )
        assert wrong.code == 1
        typed = ("--fingerprint", member.made.fingerprint)
        ok("member", "join", newcomer.directory, invite, *typed)
        again = call("node", "member", "join", newcomer.directory, invite, *typed)
        assert again.code == 1
        assert newcomer.name in ok("member", "requests", member.directory)
        fingerprint = ("--fingerprint", newcomer.made.fingerprint)
        ok("member", "accept", member.directory, newcomer.name, *fingerprint)
        theirs = flag(member)
        wait_for(lambda: newcomer.state(theirs) == "active", "the newcomer reads")
        said = flag(newcomer)
        wait_for(
            lambda: member.peer(newcomer.name)["set_aside"] == 1, "what the newcomer says waits"
        )
        assert member.state(said) is None
        ok("member", "admit", member.directory, newcomer.name, *fingerprint)
        wait_for(lambda: member.state(said) == "active", "what it said is taken in")
        assert "admitted" in ok("member", "list", member.directory)
        ok("member", "leave", newcomer.directory, "--yes")
        wait_for(
            lambda: member.peer(newcomer.name)["state"] == "frozen", "the member hears that it left"
        )


def test_a_stranger_without_a_good_code_learns_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    member = make_node(tmp_path / HOTLINE, HOTLINE)
    stranger = make_node(tmp_path / PLATFORM_A, PLATFORM_A)
    envelope = stranger.made.descriptor_file.read_text()
    invite = tmp_path / "invite.json"
    with serving(member):
        ok("member", "invite", member.directory, "--output", invite)
        request = JoinRequest(code=to_base64url(bytes(16)), descriptors=(envelope,))
        for key in (stranger.key(KeyUse.REQUEST), SigningKey.generate(KeyUse.REQUEST)):
            with pytest.raises(PeerRefusedError, match="404"):
                member.talk(lambda client: client.join(request), key)
        assert "Nobody has applied" in ok("member", "requests", member.directory)
