"""The command as an operator uses it: a node made, introduced, looked after and looked into."""

import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing

import httpx
import numpy as np
import pytest

from cli_stage import COMMAND, call, secret_file
from node.app import open_services
from node.cli import introductions
from node.demo.ports import free_port
from node.matching.engine import PdqEngine
from nodes import make_node, serving
from protocol.errors import PeerUnreachableError
from waiting import WITHIN_S, wait_for

HOTLINE = "hotline.example"


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A node and a peer of it that runs; copied for each test, since making one takes long."""
    folder = tmp_path_factory.mktemp("operator")
    made = make_node(folder / "own", "own.example")
    peer = make_node(folder / "peer", HOTLINE)
    with serving(peer):
        yield made, peer


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


def test_a_node_is_made_and_served_as_the_command_says(tmp_path):
    url = f"http://127.0.0.1:{free_port()}"
    made = call("node", "init", tmp_path / "n", "--name", "n.example", "--url", url)
    assert made.code == 0, made.err
    (serve,) = [one.strip() for one in made.out.splitlines() if "node serve" in one]
    assert f"schutznetz node peer add OTHER_DIR --url {url}\n" in made.out
    assert "--fingerprint" not in made.out  # it is read over the telephone, not copied
    command = [COMMAND, *serve.split()[1:]]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: answers(url), "it answers")
        taken = subprocess.run(command, capture_output=True, text=True, check=False)
        process.send_signal(signal.SIGINT)
        log = process.communicate(timeout=WITHIN_S)[1]
    assert process.returncode == 0
    assert '"event": "serving"' in log
    assert taken.returncode == 1
    assert taken.stderr.splitlines()[-1].startswith("schutznetz: The node could not begin to serve")


def answers(url):
    try:
        return httpx.get(f"{url}/livez", trust_env=False, timeout=WITHIN_S).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("source", ["option", "variable", "file variable"])
def test_a_passphrase_of_ones_own_opens_the_node_when_it_is_said_again(tmp_path, source):
    file = secret_file(tmp_path)
    said = {
        "option": {},
        "variable": {"SCHUTZNETZ_PASSPHRASE": file.read_text().strip()},
        "file variable": {"SCHUTZNETZ_PASSPHRASE_FILE": str(file)},
    }[source]
    option = ("--passphrase-file", file) if source == "option" else ()
    args = ("--name", "n.example", "--url", "http://127.0.0.1:9", "--json")
    made = call("node", "init", tmp_path / "n", *args, *option, env=said)
    assert made.code == 0, made.err
    assert not (tmp_path / "n" / "secrets" / "passphrase").exists()
    again = said or {"SCHUTZNETZ_PASSPHRASE_FILE": str(file)}
    if source == "option":
        assert made.json["serve"].startswith(f"SCHUTZNETZ_PASSPHRASE_FILE={file} schutznetz ")
    assert call("node", "status", tmp_path / "n", env=again).code == 0
    assert call("node", "status", tmp_path / "n").code == 1


@pytest.mark.parametrize("url", ["http://node.example", "http://192.168.0.1:8440"])
def test_an_address_without_tls_is_refused_before_anything_is_made(tmp_path, url):
    done = call("node", "init", tmp_path / "n", "--name", "n.example", "--url", url)
    assert (done.code, "https" in done.err) == (2, True)
    assert not (tmp_path / "n").exists()


def test_a_folder_that_holds_something_becomes_no_node(node):
    done = call("node", "init", node, "--name", "n.example", "--url", "https://n.example")
    assert (done.code, done.err.count("\n")) == (1, 1)


def test_a_peer_is_added_by_typing_what_was_heard(node, peer):
    heard = peer.fingerprint.upper().replace("-", " ")
    done = call("node", "peer", "add", node, "--url", peer.url, "--authority", stdin=f"{heard}\n")
    assert done.code == 0, done.err
    assert "calls itself hotline.example" in done.err
    assert peer.fingerprint not in done.err + done.out  # nobody confirms what is on the screen
    assert "hotline.example at" in done.out
    assert "and an authority" in done.out
    listed = call("node", "peer", "list", node)
    assert f"{HOTLINE}  {peer.url}  active  authority" in listed.out
    assert peer.fingerprint in listed.out
    (one,) = call("node", "peer", "list", node, "--json").json["peers"]
    assert one["authority"] is True


def test_another_fingerprint_pins_nobody(node, peer, template):
    other = template[0].made.fingerprint
    for typed in (other, "abcd", peer.fingerprint[:-1] + "a", ""):
        done = call("node", "peer", "add", node, "--url", peer.url, stdin=f"{typed}\n")
        assert (done.code, done.out) == (1, "")
    assert "No peer is pinned" in call("node", "peer", "list", node).out


def test_without_anyone_to_type_a_fingerprint_nobody_is_pinned(node, peer):
    done = call("node", "peer", "add", node, "--url", peer.url)
    assert (done.code, "nothing was done" in done.err) == (1, True)


def test_an_address_that_is_not_the_peers_own_is_mentioned(node, peer):
    other = peer.url.replace("127.0.0.1", "localhost")
    done = call("node", "peer", "add", node, "--url", other, stdin=f"{peer.fingerprint}\n")
    assert done.code == 0, done.err
    assert f"It says that it is reached at {peer.url}" in done.err


def test_where_no_node_answers_nobody_is_pinned(node):
    done = call("node", "peer", "add", node, "--url", f"http://127.0.0.1:{free_port()}")
    assert (done.code, "cannot be reached" in done.err) == (1, True)


def test_plain_http_leaves_the_machine_only_where_the_settings_say_so():
    with pytest.raises(PeerUnreachableError, match="no TLS"):
        introductions.fetch_descriptors("http://192.0.2.1", insecure=False, now=0)


def test_a_pinned_fingerprint_is_compared_once_more(paired, peer, template):
    typed = f"{peer.fingerprint}\n"
    assert call("node", "peer", "verify", paired, HOTLINE, stdin=typed).code == 0
    done = call("node", "peer", "verify", paired, HOTLINE, "--fingerprint", typed.strip(), "--json")
    assert done.json == {"name": HOTLINE, "verified": True}
    other = ("--fingerprint", template[0].made.fingerprint)
    done = call("node", "peer", "verify", paired, HOTLINE, *other)
    assert done.code == 1
    assert f"schutznetz node peer freeze {paired} {HOTLINE}" in done.err
    assert call("node", "peer", "verify", paired, "x.example", stdin=typed).code == 1


def test_a_peer_is_frozen_thawed_and_removed(paired):
    for verb, state in (("freeze", "frozen"), ("thaw", "active"), ("remove", "removed")):
        assert call("node", "peer", verb, paired, HOTLINE).out == f"{HOTLINE} is {state}.\n"
        if verb != "remove":
            done = call("node", "peer", verb, paired, HOTLINE, "--json")
            assert done.json == {"name": HOTLINE, "state": state}
    done = call("node", "peer", "freeze", paired, HOTLINE)
    assert (done.code, done.err) == (1, "schutznetz: No node of this name is pinned.\n")


@pytest.fixture
def card(tmp_path):
    made = call(
        *("flagger", "init", "--name", "own.example/anna", "--out", tmp_path, "--json"),
        *("--passphrase-file", secret_file(tmp_path)),
    )
    return made.json


def test_a_flagger_is_added_by_typing_the_key_id_that_was_heard(node, card):
    add = (
        "node",
        "flagger",
        "add",
        node,
        card["card_file"],
        "--categories",
        "csam.*, exploitative",
    )
    heard = " ".join(card["key_id"][at : at + 4] for at in range(0, 32, 4)).upper()
    done = call(*add, stdin=f"{heard}\n")
    assert done.code == 0, done.err
    assert card["key_id"] not in done.err
    assert "vouches for own.example/anna, for csam.*, exploitative, for 365 days" in done.out
    listed = call("node", "flagger", "list", node)
    assert "own.example/anna  active" in listed.out
    for verb, state in (("suspend", "suspended"), ("restore", "active"), ("revoke", "revoked")):
        assert call("node", "flagger", verb, node, card["name"]).out.endswith(f"is {state}.\n")
        (one,) = call("node", "flagger", "list", node, "--json").json["flaggers"]
        assert one["status"] == state
    done = call("node", "flagger", "restore", node, card["name"], "--json")
    assert done.json["status"] == "active"


def test_a_key_id_that_is_not_that_of_the_card_adds_nobody(node, card):
    add = ("node", "flagger", "add", node, card["card_file"], "--categories", "*")
    for more, stdin in ((("--key-id", "ab" * 16), ""), ((), "abcd\n"), ((), "")):
        assert call(*add, *more, stdin=stdin).code == 1
    assert "vouches for nobody yet" in call("node", "flagger", "list", node).out
    done = call(*add, "--key-id", card["key_id"], "--days", 10, "--json")
    assert done.json["days"] == 10


def test_a_circle_is_made_joined_and_listed(node):
    assert call("node", "circle", "list", node).out == "This node knows no circle.\n"
    members = ("--member", "own.example=7")
    made = call("node", "circle", "create", node, "c-1", *members)
    assert made.code == 0, made.err
    assert "One node alone holds this circle's key" in made.err
    assert "  own.example  7 identifiers a day\n" in made.out
    (state,) = call("node", "circle", "list", node, "--json").json["circles"]
    assert (state["threshold"], state["joined"]) == (1, False)
    name = state["name"]
    assert f"schutznetz node circle join MEMBER_DIR {name}\n" in made.out
    assert "One node alone" in call("node", "circle", "join", node, name).err
    listed = call("node", "circle", "list", node).out
    assert f"{name}  version 1  joined" in listed
    assert "1 of own.example" in listed
    assert "One node alone" in listed
    assert call("node", "circle", "join", node, name, "--json").json["joined"] is True
    assert call("node", "circle", "create", node, "c-1", *members).code == 1
    assert call("node", "circle", "create", node, "c-2", *members, "--json").json["days"] == 365
    assert call("node", "circle", "join", node, f"{name}9").code == 1


def test_a_circle_with_others_asks_for_nodes_that_are_known(node):
    done = call("node", "circle", "create", node, "c-1", "--member", "b.example")
    assert (done.code, "Not pinned here, or frozen: b.example" in done.err) == (1, True)
    assert call("node", "circle", "status", node).out == "Nothing has been proposed to this node.\n"
    assert call("node", "circle", "keygen", node).code == 1
    for verb in ("confirm", "refuse"):
        assert call("node", "circle", verb, node, "ab12").code == 1


def test_a_circle_of_one_admin_gets_its_next_version_in_one_step(node):
    name = call("node", "circle", "create", node, "c-1", "--json").json["name"]
    wrong = call("node", "circle", "change", node, name, "--threshold", 2)
    assert (wrong.code, "--new-key" in wrong.err) == (2, True)
    proposed = call("node", "circle", "change", node, name, "--member", "own.example=9", "--json")
    assert proposed.json["state"] == "confirmed", proposed.err
    shown = call("node", "circle", "status", node).out
    assert "  own.example  9 identifiers a day" in shown
    assert "key 1 is kept" in shown
    done = call("node", "circle", "keygen", node, "--once", "--json")
    assert done.json["state"] == "published", done.err
    (state,) = call("node", "circle", "list", node, "--json").json["circles"]
    assert state["version"] == 2
    assert call("node", "circle", "refuse", node, proposed.json["ceremony"][:8]).code == 1


@pytest.mark.parametrize(
    "member", ["b.example=x", "b.example=", "b.example=-1", "b.example=99999999999", "B", "a/b"]
)
def test_a_member_is_a_name_and_a_number(node, member):
    done = call("node", "circle", "create", node, "c-1", "--member", member)
    assert (done.code, done.err.count("\n")) == (2, 1)


def test_a_member_is_named_once(node):
    done = call("node", "circle", "create", node, "c-1", "--member", "b", "--member", "b=1")
    assert (done.code, "twice" in done.err) == (2, True)


def test_a_programs_key_is_shown_once_and_can_be_ended(node):
    made = call("node", "client", "add", node, "uploads", "--scope", "match", "--scope", "check")
    assert made.code == 0
    key = made.out.strip()
    assert key.startswith("snk_")
    assert key not in made.err
    listed = call("node", "client", "list", node).out
    assert "check,match" in listed
    assert key not in listed
    rows = call("node", "client", "list", node, "--json").json["clients"]
    (number,) = [one["id"] for one in rows if one["name"] == "uploads"]
    assert call("node", "client", "revoke", node, number).code == 0
    assert call("node", "client", "revoke", node, number).code == 1
    rows = call("node", "client", "list", node, "--json").json["clients"]
    assert [one["revoked"] is not None for one in rows if one["id"] == number] == [True]
    more = call("node", "client", "add", node, "more", "--scope", "admin", "--json").json
    assert more["scopes"] == ["admin"]
    done = call("node", "client", "revoke", node, more["id"], "--json")
    assert done.json == {"id": more["id"], "revoked": True}


def test_the_status_says_who_is_in_step(paired):
    shown = call("node", "status", paired)
    assert shown.code == 0, shown.err
    assert "own.example at http://127.0.0.1:" in shown.out
    assert HOTLINE in shown.out
    assert "never" in shown.out
    (one,) = call("node", "status", paired, "--json").json["peers"]
    assert (one["in_step"], one["behind"], one["age_s"]) == (True, 0, None)


def test_the_status_of_a_node_alone_says_what_to_do(node):
    assert "schutznetz node peer add DIR --url URL" in call("node", "status", node).out


def test_a_peer_with_a_problem_shows_it(paired):
    with open_services(paired, environ={}) as services, services.store.write() as transaction:
        transaction.peers.note_sync(HOTLINE, at=int(time.time()) - 7_500, problem="It lied.")
    shown = call("node", "status", paired).out
    assert "2 hours ago" in shown
    assert f"{HOTLINE}: It lied." in shown
    assert call("node", "status", paired, "--json").json["peers"][0]["in_step"] is False


def test_the_commands_own_variable_stops_no_node(node):
    assert call("node", "status", node, env={"SCHUTZNETZ_API_KEY": "snk_x"}).code == 0


def test_fsck_says_whether_index_and_database_agree_and_mends_the_index(node):
    fine = call("node", "fsck", node)
    assert fine.code == 0, fine.err
    assert fine.out.splitlines() == [
        "The 0 entries of the log lead to its root.",
        "The tree over the log fits its entries.",
        "Its witnesses were shown this log.",
        "Every statement has the body that its id asks for, and none that is gone.",
        "Every body is signed by whom it names, as far as the keys are known here.",
        "Every statement is described as it was signed.",
        "Every media hash stands in a body, and every one of a body is here.",
        "Every fingerprint stands in a body, and every one of a body is here.",
        "What was withdrawn matches no more, and nothing else was taken out.",
        "What is kept of the peers' logs leads to the roots that they signed.",
        "The index finds every entry of the database, and nothing else that matches.",
        "The index of uploads finds all of them.",
    ]
    index = PdqEngine(node / "index", small_rows=0, background=False)
    index.build(np.array([1 << 50]), np.zeros((1, 32), np.uint8))
    index.close()
    wrong = call("node", "fsck", node)
    differing = "The index and the database differ: 1 are of no statement."
    assert (wrong.code, wrong.err) == (1, f"schutznetz: {differing} Mend it with --rebuild.\n")
    assert len(wrong.out.splitlines()) == len(fine.out.splitlines()) - 1
    assert not call("node", "fsck", node, "--json").json["ok"]
    assert call("node", "fsck", node, "--rebuild").code == 0
    assert call("node", "fsck", node, "--json").json["ok"]


def insert(node, row, value):
    # Closed here: what is left open is found by the garbage collector in the middle of some test.
    with closing(sqlite3.connect(node / "node.db")) as database, database:
        database.execute(row, [value])


def test_fsck_says_what_rebuilding_does_not_mend(node):
    insert(node, "INSERT INTO log_tile VALUES (0, 7, ?)", bytes(32))
    tree = "The tree over the log differs from its entries in 1 hashes."
    assert call("node", "fsck", node).err == f"schutznetz: {tree} Mend it with --rebuild.\n"
    insert(node, "INSERT INTO envelope VALUES (3, ?)", b"{}")
    found = call("node", "fsck", node)
    assert found.code == 1
    assert found.err == (
        f"schutznetz: {tree} 1 rows belong to no entry of the log. Mend tiles with --rebuild. "
        "Restore a backup, as docs/operating.md says.\n"
    )
    mended = call("node", "fsck", node, "--rebuild")
    assert mended.code == 1
    assert mended.err == (
        "schutznetz: 1 rows belong to no entry of the log. Restore a backup, as docs/operating.md "
        "says.\n"
    )
    findings = call("node", "fsck", node, "--json").json["findings"]
    assert [one["check"] for one in findings if not one["ok"]] == ["bodies"]
