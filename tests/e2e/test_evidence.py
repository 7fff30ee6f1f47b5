"""A node that is proved to have lied: frozen wherever the proof arrives, and shown to anybody."""

import json
import time
from pathlib import Path

from cli_stage import call
from federation.evidence import two_roots
from node.demo.cast import PLATFORM_A, PLATFORM_B
from nodes import HOTLINE, Node, introduce, make_node, serving
from protocol.checkpoint import Checkpoint
from protocol.evidence import format_evidence
from signing.keys import KeyUse
from signing.notes import sign_checkpoint
from waiting import wait_for


def state_of(node: Node, name: str) -> str:
    peers = node.administer("GET", "/v1/admin/status")["peers"]
    return next(str(one["state"]) for one in peers if one["name"] == name)


def test_evidence_goes_from_peer_to_peer_and_is_checked_on_any_machine(tmp_path: Path) -> None:
    names = (HOTLINE, PLATFORM_A, PLATFORM_B)
    hotline, liar, third = (make_node(tmp_path / one, one) for one in names)
    introduce(hotline, liar, third)
    key = liar.key(KeyUse.LOG)
    notes = [
        sign_checkpoint(Checkpoint(f"{liar.name}/log/1", 5, bytes([at]) * 32), key) for at in (1, 2)
    ]
    descriptor = liar.made.descriptor_file.read_bytes()
    found = two_roots(liar.name, [descriptor], (notes[0], notes[1]), now=int(time.time()))
    with serving(hotline, third):
        # Who tells it is believed in nothing; it may as well be the liar.
        hotline.talk(
            lambda client: client.tell_evidence(format_evidence(found)), liar.key(KeyUse.REQUEST)
        )
        assert state_of(hotline, liar.name) == "frozen"
        wait_for(lambda: state_of(third, liar.name) == "frozen", "the third node is told")

    file = tmp_path / "evidence.json"
    listed = call("node", "evidence", "list", hotline.directory, "--json").json["evidence"]
    assert [(one["node"], one["document"]) for one in listed] == [(liar.name, True)]
    number = str(listed[0]["number"])
    call("node", "evidence", "export", hotline.directory, number, file)
    shown = call("verify", "evidence", file, "--json").json
    assert (shown["node"], shown["kind"]) == (liar.name, "two-roots")
    assert shown["nodes"][0]["fingerprint"] == liar.made.fingerprint
    assert "two different logs of 5 entries" in call("verify", "evidence", file).out
    document = json.loads(file.read_text())
    document["notes"][1] = document["notes"][0]
    (tmp_path / "other.json").write_text(json.dumps(document))
    assert call("verify", "evidence", tmp_path / "other.json").code == 1
