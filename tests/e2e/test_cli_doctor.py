"""`node doctor`: each thing that can be wrong with a node, found and said in words."""

import shutil
import time
from pathlib import Path

import pytest

from cli_stage import call
from node.app import open_services
from node.cli import checkup, reach
from node.cli.reach import Reached
from nodes import make_node, serving
from protocol.errors import PeerUnreachableError, UnavailableError
from signing.oprf import group_pynacl
from waiting import WITHIN_S

HOTLINE = "hotline.example"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A node and a peer of it that runs; copied for each test, since making one takes long."""
    folder = tmp_path_factory.mktemp("operator")
    made = make_node(folder / "own", "own.example")
    peer = make_node(folder / "peer", HOTLINE)
    with serving(peer):
        yield made, peer


@pytest.fixture(autouse=True)
def _patient(monkeypatch):
    """On a busy machine a peer may need more than the five seconds that an operator waits."""
    monkeypatch.setattr(reach, "_TIMEOUT_S", WITHIN_S)


@pytest.fixture
def node(template, tmp_path):
    """The folder of a node of one's own."""
    made, _ = template
    shutil.copytree(made.directory, tmp_path / "own")
    return tmp_path / "own"


@pytest.fixture
def peer(template):
    """A node that answers."""
    return template[1].made


@pytest.fixture
def paired(node, peer):
    """The folder of a node that has pinned the other."""
    add = ("node", "peer", "add", node, "--url", peer.url)
    assert call(*add, "--fingerprint", peer.fingerprint).code == 0
    return node


def found(directory, about, **arguments):
    chosen = {"environ": {"SCHUTZNETZ_HASH_WORKERS": "1"}, "clock": time.time} | arguments
    findings = list(checkup.examine(Path(directory), **chosen))
    return [(one.state, one.sentence) for one in findings if one.about == about]


def test_a_healthy_node_passes_the_doctor(paired):
    done = call("node", "doctor", paired)
    assert done.code == 0, done.out
    assert done.out.endswith("All is well.\n")
    document = call("node", "doctor", paired, "--json").json
    assert document["ok"] is True
    named = {one["about"] for one in document["findings"]}
    assert {"keys", "file modes", "database", "disk", "clock", "pdq", "policy"} <= named
    assert {"fingerprints", f"peer {HOTLINE}"} <= named


def test_the_doctor_counts_what_is_wrong(node):
    (node / "policy.toml").write_text("rules = 7\n")
    done = call("node", "doctor", node)
    assert done.code == 1
    assert "WRONG  policy" in done.out
    assert "1 of " in done.out
    assert call("node", "doctor", node, "--json").json["ok"] is False


def test_a_secret_that_others_may_read_is_wrong(node):
    (node / "platform.key").chmod(0o644)
    (node / "keys").chmod(0o777)
    first, second = found(node, "file modes")
    key = node / "platform.key"
    assert first == ("wrong", f"others may read {key}; run: chmod 600 {key}")
    assert "chmod go-w" in second[1]


def test_settings_that_are_not_understood_are_wrong(node):
    with (node / "schutznetz.toml").open("a") as file:
        file.write("colour = 'red'\n")
    ((state, sentence),) = found(node, "settings")
    assert (state, "unknown setting colour" in sentence) == ("wrong", True)


def test_keys_that_do_not_open_are_wrong(node):
    (node / "secrets" / "passphrase").write_text("another\n")
    ((state, sentence),) = found(node, "keys")
    assert (state, "wrong passphrase" in sentence) == ("wrong", True)
    assert found(node, "database") == []


def test_a_database_of_another_node_is_wrong(node):
    settings = (node / "schutznetz.toml").read_text()
    (node / "schutznetz.toml").write_text(settings.replace("own.example", "other.example"))
    ((state, sentence),) = found(node, "database")
    assert (state, "does not belong" in sentence) == ("wrong", True)


def test_a_node_whose_descriptor_has_run_out_is_wrong(node):
    later = time.time() + 800 * 86_400
    ((state, sentence), *_) = found(node, "health", clock=lambda: later)
    assert (state, "expired" in sentence) == ("wrong", True)


@pytest.mark.parametrize(
    ("free", "state"), [(1 << 20, "wrong"), (512 << 20, "warning"), (1 << 40, "ok")]
)
def test_little_room_is_told_before_there_is_none(node, monkeypatch, free, state):
    usage = shutil._ntuple_diskusage(1 << 41, 0, free)
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda _path: usage)
    ((told, _),) = found(node, "disk")
    assert told == state


def test_hashing_that_is_not_exact_is_wrong(node, monkeypatch):
    def inexact():
        raise UnavailableError("pdqhash computes other values here")

    monkeypatch.setattr(checkup, "check_pdqhash", inexact)
    assert found(node, "pdq") == [("wrong", "pdqhash computes other values here")]


def test_the_slower_backend_is_worth_a_look(node, monkeypatch):
    monkeypatch.setattr(checkup, "default_group", group_pynacl.PyNaClGroup)
    ((state, sentence),) = found(node, "fingerprints")
    assert (state, "libsodium" in sentence) == ("warning", True)


def test_a_circle_with_one_holder_is_worth_a_look(node):
    made = call("node", "circle", "create", node, "c-1", "--json").json
    ((state, sentence),) = found(node, f"circle {made['name']}")
    assert (state, "One node alone holds" in sentence) == ("warning", True)


def test_a_peer_that_is_not_there_is_wrong(paired):
    def nobody(_url):
        raise PeerUnreachableError("Nobody answers within five seconds.")

    ((state, sentence),) = found(paired, f"peer {HOTLINE}", ask=nobody)
    assert (state, "does not answer" in sentence) == ("wrong", True)
    assert found(paired, "clock", ask=nobody)[0][0] == "warning"


def test_another_node_at_a_peers_address_is_wrong(paired):
    answer = found(paired, f"peer {HOTLINE}", ask=lambda _url: Reached("eve.example", None))
    ((state, sentence),) = answer
    assert (state, "answers eve.example instead" in sentence) == ("wrong", True)


@pytest.mark.parametrize(
    ("offset", "state", "word"),
    [(0, "ok", "agrees"), (29, "ok", ""), (90, "wrong", "behind"), (-90, "wrong", "ahead of")],
)
def test_a_clock_that_peers_would_refuse_is_wrong(paired, offset, state, word):
    ask = lambda _url: Reached(HOTLINE, 1_800_000_000 + offset)  # noqa: E731  # as short as it is
    ((told, sentence),) = found(paired, "clock", ask=ask, clock=lambda: 1_800_000_000.0)
    assert (told, word in sentence) == (state, True)


def test_a_peer_that_says_no_time_says_nothing_about_the_clock(paired):
    ask = lambda _url: Reached(HOTLINE, None)  # noqa: E731  # as short as it is
    assert found(paired, f"peer {HOTLINE}", ask=ask) == [("ok", "answers")]
    assert found(paired, "clock", ask=ask)[0][0] == "warning"


def test_a_frozen_peer_is_worth_a_look(paired):
    assert call("node", "peer", "freeze", paired, HOTLINE).code == 0
    ((state, sentence),) = found(paired, f"peer {HOTLINE}")
    assert (state, "frozen" in sentence) == ("warning", True)


def test_a_peer_with_a_problem_is_worth_a_look(paired):
    with open_services(paired, environ={}) as services, services.store.write() as transaction:
        transaction.peers.note_sync(HOTLINE, at=int(time.time()), problem="It lied.")
    assert found(paired, f"peer {HOTLINE}") == [("warning", "It lied.")]
