"""The command as a flagger and as a platform, against two real nodes over real HTTP."""

import itertools
import json
import shutil
import subprocess
import time
from types import SimpleNamespace

import pytest
from PIL import Image

from cli_stage import COMMAND, PASSPHRASE, PICTURES, call, copy_pictures, secret_file
from nodes import introduce, make_node, serving
from signing.keys import KeyUse
from signing.keystore import load_key
from waiting import wait_for

FLAG = ("--category", "csam.act.prepub", "--reviewers", 2)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A hotline with its flagger Anna, and a platform for which the hotline is an authority."""
    folder = tmp_path_factory.mktemp("network")
    hotline = make_node(folder / "hotline", "hotline.example")
    platform = make_node(folder / "platform", "platform.example", settings={"poll_interval_s": 1})
    introduce(hotline, platform)
    passphrase = secret_file(folder)
    with serving(hotline, platform):
        key = folder / "anna.key"
        made = call(
            *("flagger", "init", "--name", "hotline.example/anna", "--node", hotline.made.url),
            *("--out", folder, "--passphrase-file", passphrase, "--json"),
        ).json
        add = ("node", "flagger", "add", hotline.directory, made["card_file"])
        assert call(*add, "--categories", "csam.*", stdin=made["key_id"]).code == 0
        yield SimpleNamespace(
            hotline=hotline,
            platform=platform,
            as_anna=("--key", key, "--passphrase-file", passphrase),
            as_platform=("--api-key-file", platform.made.api_key_file, "--node", platform.made.url),
            key=key,
            folder=folder,
            passphrase=passphrase,
        )


@pytest.fixture
def pictures(tmp_path):
    return copy_pictures(tmp_path)


def today():
    return time.strftime("%Y-%m-%d", time.gmtime())


_shades = itertools.count(8, 8)


def fresh_picture(folder, name, base="rocket.jpg", quality=80):
    """Writes a picture that no other test has."""
    path = folder / name
    with Image.open(PICTURES / base) as picture:
        turned = picture.convert("RGB").resize((320, 240))
        shade = next(_shades)
        turned.paste((shade, shade, shade), (0, 0, 16, 16))
        turned.save(path, quality=quality)
    return path


def test_a_flagger_hashes_flags_follows_and_withdraws(network, pictures):
    done = call("flag", pictures, *FLAG, *network.as_anna, "--yes")
    assert done.code == 0, done.err
    assert "left out: " in done.err
    assert "the same file as" in done.err
    assert "green.png: too little detail" in done.err
    assert "What leaves this computer" in done.err
    assert "  item 2  " in done.out
    assert "coffee.jpg" in done.out
    statement = done.out.split()[1]

    def taken_up():
        (one,) = call("status", statement, *network.as_anna, "--json").json["statements"]
        return one["peers"] and one["peers"][0]["state"] == "acknowledged"

    wait_for(taken_up, "the platform takes it up")
    shown = call("status", statement, *network.as_anna)
    assert "media-flag, active" in shown.out
    assert "platform.example  acknowledged" in shown.out
    listed = call("status", *network.as_anna)
    assert statement in listed.out
    assert "1 of 1" in listed.out

    found = call("match", pictures / "coffee.jpg", *network.as_platform)
    assert found.code == 0, found.err
    assert "coffee.jpg: hold by the rule" in found.out
    assert "pdq at distance 0 and the very same file" in found.out
    assert "said by hotline.example/anna, accredited" in found.out

    withdrawn = call("retract", statement, "--reason", "wrong", *network.as_anna)
    assert withdrawn.code == 0, withdrawn.err
    assert "on its way to all peers" in withdrawn.out

    def gone():
        answer = call("match", pictures / "coffee.jpg", *network.as_platform, "--json").json
        return not answer["results"][0]["matches"]

    wait_for(gone, "it matches no more")


def test_the_commands_that_are_printed_after_flagging_can_be_run(network, tmp_path):
    picture = fresh_picture(tmp_path, "a.jpg")
    done = call("flag", picture, *FLAG, *network.as_anna, "--yes")
    commands = [line.partition("schutznetz ")[2] for line in done.out.splitlines()]
    commands = [line for line in commands if line]
    assert [line.split()[0] for line in commands] == ["status", "retract"]
    environment = {"PATH": "/usr/bin", "SCHUTZNETZ_PASSPHRASE": PASSPHRASE}
    for line in commands:
        ran = subprocess.run(
            f"{COMMAND} {line}", shell=True, capture_output=True, env=environment, check=False
        )
        assert ran.returncode == 0, ran.stderr


def test_in_json_every_picture_has_its_number(network, pictures):
    (pictures / "notes.txt").write_text("no picture")
    done = call("flag", pictures, *FLAG, *network.as_anna, "--yes", "--json")
    assert done.code == 1  # one file could not be read; the others were sent
    (statement,) = done.json["statements"]
    names = [one["file"].rpartition("/")[2] for one in statement["items"]]
    assert names[0] == "cat again.jpg"
    assert [one["item"] for one in statement["items"]] == list(range(len(names)))
    assert "notes.txt" in done.json["not_sent"][0]["file"]
    assert done.json["exact_only"][0]["file"].endswith("green.png")


def test_strict_sends_only_what_changed_copies_can_be_recognised_by(network, pictures):
    done = call("flag", pictures, *FLAG, *network.as_anna, "--yes", "--strict", "--json")
    assert done.code == 0
    names = [one["file"].rpartition("/")[2] for one in done.json["statements"][0]["items"]]
    assert "green.png" not in names


def test_nothing_is_sent_without_a_yes(network, tmp_path):
    picture = fresh_picture(tmp_path, "a.jpg")
    before = call("status", *network.as_anna, "--json").json["statements"]
    for answer in ("", "n\n"):
        done = call("flag", picture, *FLAG, *network.as_anna, stdin=answer)
        assert done.code == 1
        assert done.out == ""
        assert "nothing was done" in done.err
    assert call("status", *network.as_anna, "--json").json["statements"] == before
    assert call("flag", picture, *FLAG, *network.as_anna, stdin="y\n").code == 0


def test_when_no_picture_can_be_sent_nothing_is(network, tmp_path):
    (tmp_path / "x.txt").write_text("no picture")
    done = call("flag", tmp_path, *FLAG, *network.as_anna, "--yes")
    assert done.code == 1
    assert "There is nothing to send." in done.err


def test_a_wrong_passphrase_sends_nothing(network, tmp_path):
    picture = fresh_picture(tmp_path, "a.jpg")
    wrong = secret_file(tmp_path, "wrong")
    done = call("flag", picture, *FLAG, "--key", network.key, "--passphrase-file", wrong, "--yes")
    assert done.code == 1
    assert "wrong passphrase" in done.err
    assert done.err.count("\n") == 1


def test_a_card_of_another_key_is_noticed(network, tmp_path):
    shutil.copy(network.key, tmp_path / "anna.key")
    card = network.key.with_suffix(".card").read_text(encoding="utf-8")
    args = ("--out", tmp_path / "other", "--passphrase-file", network.passphrase)
    assert call("flagger", "init", "--name", "hotline.example/anna", *args).code == 0
    shutil.copy(tmp_path / "other" / "anna.card", tmp_path / "anna.card")
    who = ("--key", tmp_path / "anna.key", "--passphrase-file", network.passphrase)
    done = call("status", *who, "--node", network.hotline.made.url)
    assert (done.code, "that of another key" in done.err) == (1, True)
    done = call("status", *who)
    assert (done.code, "--node" in done.err) == (2, True)  # no address on this card
    (tmp_path / "anna.card").unlink()
    assert "the card cannot be read" in call("status", *who).err
    assert card.startswith("Schutznetz flagger card")


def test_a_flagger_whom_the_node_does_not_know_is_told_what_to_do(network, tmp_path):
    args = ("--out", tmp_path, "--passphrase-file", network.passphrase)
    made = call("flagger", "init", "--name", "hotline.example/eve", *args)
    assert made.code == 0
    assert "schutznetz node flagger add NODE_DIR eve.card" in made.out
    who = ("--key", tmp_path / "eve.key", "--passphrase-file", network.passphrase)
    picture = fresh_picture(tmp_path, "a.jpg")
    done = call("flag", picture, *FLAG, *who, "--node", network.hotline.made.url, "--yes", "--json")
    assert done.code == 1
    assert "Has the operator added your card?" in done.err
    assert done.json["statements"] == []


def test_what_the_node_refuses_is_told_in_its_words(network, tmp_path):
    picture = fresh_picture(tmp_path, "a.jpg")
    ncii = ("--category", "ncii.adult", "--reviewers", 1)  # outside Anna's accreditation
    done = call("flag", picture, *ncii, *network.as_anna, "--yes")
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith("schutznetz: The peer refused (403)")


def test_a_statement_that_is_not_ones_own_is_not_found(network):
    done = call("status", "ab" * 32, *network.as_anna)
    assert (done.code, "None of your statements" in done.err) == (1, True)


def test_a_flagger_has_a_statement_forgotten(network, tmp_path):
    picture = fresh_picture(tmp_path, "a.jpg")
    sent = call("flag", picture, *FLAG, *network.as_anna, "--yes", "--json").json
    statement = sent["statements"][0]["id"]
    done = call("erase", statement, "--reason", "court-order", *network.as_anna, "--json")
    assert done.code == 0
    assert set(done.json) == {"id", "index"}
    (one,) = call("status", statement, *network.as_anna, "--json").json["statements"]
    assert one["state"] == "erased"


def test_somebody_new_has_no_statements_and_then_one_of_many_pictures(network, tmp_path):
    args = ("--out", tmp_path, "--passphrase-file", network.passphrase, "--json")
    made = call("flagger", "init", "--name", "hotline.example/cleo", *args).json
    add = ("node", "flagger", "add", network.hotline.directory, made["card_file"])
    assert call(*add, "--categories", "csam.*", "--key-id", made["key_id"]).code == 0
    who = ("--key", tmp_path / "cleo.key", "--passphrase-file", network.passphrase)
    who += ("--node", network.hotline.made.url)
    assert call("status", *who).out == "You have no statements at this node.\n"
    (tmp_path / "many").mkdir()
    for at in range(55):
        noise = Image.effect_noise((64, 64), 100).convert("RGB")
        noise.save(tmp_path / "many" / f"{at:02}.png")
    done = call("flag", tmp_path / "many", *FLAG, *who, "--yes")
    assert done.code == 0, done.err
    assert "  item 49  " in done.out
    assert "  … items 50 to 54, in the order of the files\n" in done.out


def test_who_acts_is_said_once(network, tmp_path):
    both = ("--key", network.key, "--api-key-file", network.platform.made.api_key_file)
    for verb in ("status", "retract", "erase"):
        reason = {"retract": ("--reason", "wrong"), "erase": ("--reason", "other")}.get(verb, ())
        done = call(verb, "ab" * 32, *reason, *both)
        assert (done.code, "choose one" in done.err) == (2, True)
    done = call("flag", fresh_picture(tmp_path, "a.jpg"), *FLAG, *both)
    assert (done.code, "choose one" in done.err) == (2, True)
    assert call("status", *network.as_platform).code == 2  # a platform names the statement
    assert "SCHUTZNETZ_API_KEY" in call("status", "ab" * 32).err


def test_a_platform_shares_its_own_finding_and_takes_it_back(network, tmp_path):
    picture = fresh_picture(tmp_path, "own.jpg", base="galaxies.jpg")
    done = call("flag", picture, *FLAG, *network.as_platform, "--yes", "--json")
    assert done.code == 0, done.err
    assert "the node itself" in done.err
    statement = done.json["statements"][0]["id"]
    shown = call("status", statement, *network.as_platform)
    assert "media-flag, active" in shown.out
    counts = ("--day", today(), "--confirmed", 2, "--refuted", 1)
    assert call("feedback", statement, *counts, *network.as_platform).code == 0
    assert "2 right, 1 wrong" in call("status", statement, *network.as_platform).out
    disputed = call(
        "dispute", statement, "--reason", "not-a-match", *network.as_platform, "--json"
    ).json["id"]
    assert "disputed" in call("status", statement, *network.as_platform).out
    answer = ("--dispute", disputed, "--outcome", "rejected")
    assert call("resolve", statement, *answer, *network.as_platform).code == 0
    assert call("retract", statement, "--reason", "wrong", *network.as_platform).code == 0
    assert "retracted" in call("status", statement, *network.as_platform).out
    assert call("erase", statement, "--reason", "other", *network.as_platform).code == 0
    assert "erased" in call("status", statement, *network.as_platform).out


def test_feedback_says_how_many(network):
    done = call("feedback", "ab" * 32, "--day", today(), *network.as_platform)
    assert (done.code, "say how many" in done.err) == (2, True)


def test_a_picture_that_cannot_be_read_stops_no_look_up(network, pictures):
    (pictures / "notes.txt").write_text("no picture")
    done = call("match", pictures, *network.as_platform, "--json")
    assert done.code == 1
    assert len(done.json["results"]) == 7
    assert [one["file"].rpartition("/")[2] for one in done.json["failed"]] == ["notes.txt"]
    assert "notes.txt: the file is not a picture" in done.err


def test_an_offender_is_met_again_under_another_spelling(tmp_path):
    host = make_node(tmp_path / "host", "host.example")
    circle = ("node", "circle", "create", host.directory, "own-1", "--member", "host.example=50")
    name = call(*circle, "--json").json["name"]
    assert call("node", "circle", "join", host.directory, name).code == 0
    who = ("--api-key-file", host.made.api_key_file, "--node", host.made.url)
    why = ("--category", "account.grooming", "--reviewers", 2, "--days", 30)
    with serving(host):
        banned = call("ban", "--phone", "-", "--email", "a@example.com", *why, *who,
                      stdin="+49 30 23125 001\n")  # fmt: skip
        assert banned.code == 0, banned.err
        assert "only fingerprints are shared" in banned.out
        again = call("check", "--phone", "030/23125001", "--region", "DE", *who)
        assert again.out.startswith("review by the rule")
        assert "the same phone as in a ban for account.grooming" in again.out
        assert "never a verdict" in again.out
        new = call("check", "--email", "new@example.com", *who)
        assert new.out == "none\n"
        as_json = call("check", "--phone", "-", *who, "--json", stdin="+493023125001\n").json
        assert as_json["leads"][0]["kinds"] == ["phone"]
        more = ("--region", "DE", "--json")
        assert call("ban", "--phone", "030 23125002", *why, *who, *more).code == 0
        for done in (banned, again, new):
            assert "23125" not in done.out + done.err


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((), "at least one identifier"),
        (("--email", "a@example.com") * 9, "8 identifiers at most"),
        (("--email", "-"), "no line left"),
        (("--email", "a@example.com", "--category", "csam.act.pub"), "No such option"),
    ],
)
def test_identifiers_are_looked_at_before_anything_is_asked(network, given, words):
    done = call("check", *given, *network.as_platform)
    assert (done.code, words in done.err) == (2, True)


def test_a_ban_has_a_reason_that_is_one(network):
    why = ("--category", "csam.act.pub", "--reviewers", 1, "--days", 1)
    done = call("ban", "--email", "a@example.com", *why, *network.as_platform)
    assert (done.code, "account.grooming" in done.err) == (2, True)


def test_a_node_that_is_not_there_is_one_sentence(network, tmp_path):
    picture = fresh_picture(tmp_path, "a.jpg")
    nobody = ("--node", "http://127.0.0.1:9")
    done = call("match", picture, "--api-key-file", network.platform.made.api_key_file, *nobody)
    assert (done.code, done.err.count("\n")) == (1, 1)
    assert "is it running" in done.err
    done = call("flag", picture, *FLAG, *network.as_anna, *nobody, "--yes")
    assert done.code == 1
    assert "Whether it has the statement is not known" in done.err


def test_the_key_file_of_a_flagger_opens_with_the_passphrase_only(network):
    key = load_key(network.key, PASSPHRASE.encode(), use=KeyUse.FLAGGER)
    card = call("flagger", "card", network.key, "--json").json
    assert card["key"] == key.public.to_text()
    assert card["key_id"] == key.kid
    assert call("flagger", "card", network.key.with_suffix(".card"), "--json").json == card
    assert json.dumps(card).find(PASSPHRASE) == -1
    assert network.key.stat().st_mode & 0o777 == 0o600


def test_a_key_is_never_made_twice(network):
    again = ("--name", "hotline.example/anna", "--out", network.folder)
    done = call("flagger", "init", *again, "--passphrase-file", network.passphrase)
    assert (done.code, "never overwritten" in done.err) == (1, True)
