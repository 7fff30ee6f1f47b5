"""What is in a node's log, shown to somebody who has files alone."""

import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli_stage import COMMAND, call, secret_file
from nodes import ANNA, header, introduce, make_node, media_flag, serving
from protocol.checkpoint import format_vkey
from protocol.statements import Erase
from signing.cosignatures import witness_note_key
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from signing.keystore import load_key

HOTLINE = "hotline.example"


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A hotline whose flagger has flagged twice, and a folder with all that anyone may have."""
    folder = tmp_path_factory.mktemp("verify")
    files = folder / "files"
    node = make_node(folder / "hotline", HOTLINE)
    other = make_node(folder / "other", "platform.example")
    introduce(node, other)
    passphrase = secret_file(folder)
    made = call(
        *("flagger", "init", "--name", ANNA, "--node", node.made.url, "--out", files),
        *("--passphrase-file", passphrase, "--json"),
    ).json
    add = ("node", "flagger", "add", node.directory, made["card_file"])
    added = call(*add, "--categories", "csam.*", "--json", stdin=made["key_id"])
    assert added.code == 0, added.err
    key = load_key(Path(made["key_file"]), passphrase.read_bytes().strip(), use=KeyUse.FLAGGER)
    as_anna = ("--key", made["key_file"], "--passphrase-file", passphrase)
    as_platform = ("--api-key-file", node.made.api_key_file, "--node", node.made.url)
    with serving(node):
        flags = [node.submit(media_flag(), key) for _ in range(2)]
        for at, who in enumerate((as_anna, as_platform)):
            got = call("receipt", flags[at], "--out", files / f"{at}.tlog-proof", *who)
            assert got.code == 0, got.err
            assert f"receipt {files / f'{at}.tlog-proof'} --id {flags[at]}" in got.out
        exported = call("node", "log", "export", node.directory, files / "log")
        assert exported.code == 0, exported.err
        stranger = call("receipt", "0" * 64, *as_anna)
    for at, one in enumerate(flags):
        written = call("node", "log", "envelope", node.directory, one, files / f"{at}.json")
        assert written.code == 0, written.err
    with node.services() as services:
        (accreditation,) = [
            one.id for one in services.flags.statuses(HOTLINE).statements if one.kind == "accredit"
        ]
    to = files / "accreditation.json"
    assert call("node", "log", "envelope", node.directory, accreditation, to).code == 0
    for one in (node, other):
        shutil.copy(one.made.descriptor_file, files / f"{one.name}.descriptor")
    return SimpleNamespace(
        node=node, flags=flags, files=files, key=key, stranger=stranger, folder=folder
    )


@pytest.fixture
def files(scene, tmp_path):
    """A copy of the files, to be changed."""
    shutil.copytree(scene.files, tmp_path / "files")
    return tmp_path / "files"


def believing(files, *names):
    names = names or (HOTLINE,)
    return [word for one in names for word in ("--node", files / f"{one}.descriptor")]


def refused(called, sentence):
    assert called.code == 1, called.out
    assert called.err.startswith("schutznetz: ")
    assert called.err.count("\n") == 1
    assert sentence in called.err
    assert called.out == ""


def test_a_receipt_is_checked_with_the_statement_and_the_descriptor(scene, files):
    verify = ("verify", "receipt", files / "0.tlog-proof", *believing(files))
    done = call(*verify, "--statement", files / "0.json")
    assert done.code == 0, done.err
    assert scene.flags[0] in done.out
    assert f"log {HOTLINE}/log/1" in done.out
    assert scene.node.made.fingerprint in done.out
    shown = call(*verify, "--id", scene.flags[0], "--json").json
    assert (shown["id"], shown["origin"]) == (scene.flags[0], f"{HOTLINE}/log/1")
    assert shown["index"] < shown["size"]
    assert shown["nodes"][0]["fingerprint"] == scene.node.made.fingerprint


def test_a_receipt_that_does_not_fit_is_refused_in_one_sentence(scene, files):
    verify = ("verify", "receipt", files / "0.tlog-proof", "--statement")
    refused(call(*verify, files / "1.json", *believing(files)), "does not lead to the root")
    other = believing(files, "platform.example")
    refused(call(*verify, files / "0.json", *other), "none of the nodes")
    refused(call(*verify, files / "0.json", "--node", files / "none"), "cannot be read")
    (files / "0.tlog-proof").write_bytes(b"a letter to my aunt")
    refused(call(*verify, files / "0.json", *believing(files)), "begins with the line")
    assert call(*verify, files / "0.json").code == 2
    assert call(*verify[:-1], *believing(files)).code == 2
    refused(scene.stranger, "no such statement")


def test_a_statement_is_checked_with_the_word_of_its_node_or_the_card_alone(scene, files):
    verify = ("verify", "statement", files / "0.json")
    rests = ("--with", files / "accreditation.json")
    done = call(*verify, *believing(files), *rests)
    assert done.code == 0, done.err
    assert f"{ANNA} said this media-flag" in done.out
    assert scene.node.made.fingerprint in done.out
    refused(call(*verify, *believing(files)), "hand over the accreditation")
    by_card = call(*verify, "--card", files / "anna.card", "--json").json
    assert (by_card["id"], by_card["vouched"]) == (scene.flags[0], False)
    assert call(*verify).code == 2
    body = (files / "0.json").read_bytes()
    (files / "0.json").write_bytes(body.replace(b'"sig":"', b'"sig":"AAAA', 1)[:-4] + b"]}")
    assert call(*verify, "--card", files / "anna.card").code == 1


def test_a_whole_log_is_hashed_anew_and_one_changed_byte_is_named(scene, files):
    verify = ("verify", "log", files / "log", *believing(files), "--json")
    shown = call(*verify).json
    assert shown["size"] >= 3
    told = call(*verify[:-1])
    assert f"all {shown['size']} entries and all tiles have the root" in told.out
    assert "none of the nodes whose descriptors were given has cosigned it" in told.out
    tile = files / "log" / "tile" / "0" / f"000.p/{shown['size']}"
    whole = tile.read_bytes()
    tile.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(call(*verify), f"tile/0/000.p/{shown['size']} does not hold")
    tile.unlink()
    refused(call(*verify), "is missing")
    tile.write_bytes(whole)
    assert call(*verify).code == 0
    refused(call("verify", "log", files, *believing(files)), "no log here")


def test_an_export_is_gone_on_with_and_never_half_written(scene, tmp_path):
    export = ("node", "log", "export", scene.node.directory, tmp_path / "log", "--json")
    first = call(*export).json
    assert first["files"] == 3
    assert call(*export).json["files"] == 1
    assert not list((tmp_path / "log").rglob("*.part"))


def test_a_statement_that_is_gone_has_no_envelope_and_keeps_its_receipt(scene, tmp_path, files):
    node = scene.node
    erase = Erase(**header(ANNA), target=scene.flags[1], reason="subject-request")
    with node.services() as services:
        services.ingest.submit(sign_statement(erase, scene.key), caller=ANNA)
        proof = services.log.receipt(scene.flags[1])
    out = tmp_path / "gone.json"
    refused(call("node", "log", "envelope", node.directory, scene.flags[1], out), "erased")
    (files / "1.tlog-proof").write_bytes(proof)
    verify = ("verify", "receipt", files / "1.tlog-proof", *believing(files))
    assert call(*verify, "--id", scene.flags[1]).code == 0
    taken = call("node", "log", "envelope", node.directory, scene.flags[0], files / "0.json")
    refused(taken, "File exists")


def test_a_descriptor_that_has_expired_still_shows_what_it_showed(scene, files, monkeypatch):
    verify = ("verify", "receipt", files / "0.tlog-proof", "--statement", files / "0.json")
    later = time.time() + 10 * 365 * 86_400
    monkeypatch.setattr(time, "time", lambda: later)
    done = call(*verify, *believing(files))
    assert done.code == 0, done.err
    assert f"The descriptor of {HOTLINE} has expired on 2" in done.err


def test_a_policy_that_asks_for_more_is_told_in_one_sentence(scene, files):
    verify = ("verify", "log", files / "log", *believing(files), "--policy", files / "policy.txt")
    key = SigningKey.from_seed(KeyUse.WITNESS, b"w" * 32).public
    witness = f"witness w {format_vkey(witness_note_key('w.example', key))}\n"
    (files / "policy.txt").write_text(f"{witness}quorum w\n")
    refused(call(*verify), "lacks 1 cosignatures")
    (files / "policy.txt").write_text(f"{witness}quorum none\n")
    assert call(*verify).code == 0
    (files / "policy.txt").write_text("quorum\n")
    refused(call(*verify), "policy.txt: line 1")


def test_everything_is_checked_where_there_is_no_node_and_no_network(scene, files):
    command = [COMMAND, "verify", "log", files / "log", *believing(files)]
    quiet = ["unshare", "-rn"] if works("unshare", "-rn", "true") else []
    done = subprocess.run([*quiet, *command], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert b"have the root that its node has signed" in done.stdout


def works(*command):
    found = shutil.which(command[0])
    return bool(found) and subprocess.run(command, check=False, capture_output=True).returncode == 0
