"""A node from nothing: private, whole, or nothing that starts."""

import stat
from pathlib import Path

import pytest

from federation.descriptors import open_descriptor, pin
from node.app import open_services
from node.services.keys import open_keys
from node.settings import load_settings
from node.setup import API_KEY_FILE, DESCRIPTOR_FILE, NewNode, init_node
from postgres import Postgres
from protocol.descriptors import fingerprint_of
from protocol.errors import ConflictError, KeystoreError, SchutznetzError, SettingsError
from signing.keys import KeyUse
from signing.keystore import Cost
from simulator import NOW

CHEAP = Cost(1, 8192)
NAME, URL = "hotline.example", "http://127.0.0.1:8441"


def make(directory: Path, *, name: str = NAME, url: str = URL, **how: object) -> NewNode:
    values: dict[str, object] = {"passphrase": None, "clock": lambda: NOW}
    return init_node(directory, name=name, url=url, cost=CHEAP, **(values | how))  # type: ignore[arg-type]  # the test's own fields


def modes(directory: Path) -> dict[str, int]:
    return {
        str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode)
        for path in directory.rglob("*")
    }


def test_a_new_node_starts_and_knows_itself(tmp_path: Path) -> None:
    made = make(tmp_path / "new")
    with open_services(tmp_path / "new", environ={}, clock=lambda: NOW) as services:
        assert (services.settings.name, services.settings.url, services.settings.port) == (
            NAME,
            URL,
            8441,
        )
        assert services.health.reasons() == []
        assert services.peers.list() == []
        client = services.clients.authenticate(made.api_key)
        own = services.peers.own_descriptor()
    assert "admin" not in client.scopes
    assert client.scopes >= {"match", "check", "flag", "ban", "statements"}
    descriptor, statement = open_descriptor(own, now=NOW)
    assert (descriptor.issuer, descriptor.url, descriptor.log_origin) == (
        NAME,
        URL,
        f"{NAME}/log/1",
    )
    assert made.fingerprint == fingerprint_of(statement)
    assert made.descriptor_file.read_bytes() == own


def test_whatever_opens_something_is_for_its_owner_alone(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    made = make(directory)
    found = modes(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert (found["keys"], found["secrets"]) == (0o700, 0o700)
    private = {"secrets/passphrase", API_KEY_FILE, "node.db"}
    private |= {f"keys/{use}.key" for use in ("root", "request", "log", "witness", "statement")}
    assert {name: found[name] for name in private} == dict.fromkeys(private, 0o600)
    assert (directory / API_KEY_FILE).read_text() == made.api_key + "\n"
    assert made.api_key not in repr(made)


def test_a_node_from_before_there_were_witnesses_gets_its_key_at_the_next_start_once(
    tmp_path: Path,
) -> None:
    directory = tmp_path / "new"
    make(directory)
    path, passphrase = directory / "keys" / "witness.key", directory / "secrets" / "passphrase"
    path.unlink()
    with pytest.raises(KeystoreError):
        open_keys(directory, b"another passphrase")
    assert not path.exists()
    first = open_keys(directory, passphrase.read_bytes().strip())
    again = open_keys(directory, passphrase.read_bytes().strip())
    assert first.witness.kid == again.witness.kid
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_descriptor_of_a_new_node_names_its_witness_key(tmp_path: Path) -> None:
    made = make(tmp_path / "new")
    descriptor, statement = open_descriptor(made.descriptor_file.read_bytes(), now=NOW)
    (key,) = pin(descriptor, statement, authority=False).witness_keys
    assert key.key.use is KeyUse.WITNESS


def test_an_empty_directory_that_is_there_is_taken_and_made_private(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    directory.mkdir(mode=0o755)
    make(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_passphrase_that_was_given_is_kept_nowhere(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    make(directory, passphrase=b"correct horse battery")
    assert not (directory / "secrets" / "passphrase").exists()
    for path in directory.rglob("*"):
        if path.is_file():
            assert b"correct horse" not in path.read_bytes()
    given = {"SCHUTZNETZ_PASSPHRASE": "correct horse battery"}
    with open_services(directory, environ=given, clock=lambda: NOW):
        pass
    with (
        pytest.raises(KeystoreError),
        open_services(directory, environ={"SCHUTZNETZ_PASSPHRASE": "another"}),
    ):
        pass
    with pytest.raises(SettingsError, match="No passphrase"), open_services(directory, environ={}):
        pass


def test_two_nodes_have_nothing_in_common(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert one.fingerprint != two.fingerprint
    assert one.api_key != two.api_key


def test_a_directory_that_holds_anything_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ConflictError, match="something in that directory"):
        make(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    first = make(tmp_path / "new")
    with pytest.raises(ConflictError, match="something in that directory"):
        make(tmp_path / "new")
    assert (tmp_path / "new" / API_KEY_FILE).read_text() == first.api_key + "\n"


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(SettingsError, match="cannot be made"):
            make(place)


BAD = {
    "a name of no form": {"name": "Hotline Example"},
    "an empty name": {"name": ""},
    "a name that would end the line": {"name": 'x"\nport = 1'},
    "a name with a lone surrogate": {"name": "\ud800.example"},
    "a flagger's name": {"name": "hotline.example/anna"},
    "no URL": {"url": ""},
    "a URL with a path": {"url": "https://hotline.example/node"},
    "a URL without TLS that leaves this machine": {"url": "http://hotline.example"},
    "a URL of another scheme": {"url": "ftp://hotline.example"},
    "a port that there is not": {"url": "http://127.0.0.1:99999"},
    "an address that is none": {"url": "http://[::1"},
    "an empty passphrase": {"passphrase": b""},
    "a passphrase that is no text": {"passphrase": b"\xff"},
    "a port far away that there is not": {"url": "https://hotline.example:99999"},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_what_cannot_become_a_node_is_refused_and_leaves_nothing(
    tmp_path: Path, bad: dict[str, object]
) -> None:
    with pytest.raises(SettingsError):
        make(tmp_path / "new", **bad)  # type: ignore[arg-type]  # the test's own fields
    assert list(tmp_path.iterdir()) == []


def test_a_port_of_this_machine_is_listened_on_and_one_behind_a_proxy_is_not(
    tmp_path: Path,
) -> None:
    make(tmp_path / "far", url="https://hotline.example:9443")
    make(tmp_path / "six", url="http://[::1]:8999")
    make(tmp_path / "bare", url="http://localhost")
    ports = [load_settings(tmp_path / name, {}).port for name in ("far", "six", "bare")]
    assert ports == [8440, 8999, 8440]


@pytest.mark.parametrize("ends_after", ["keys", "descriptor"])
def test_a_setup_that_was_interrupted_does_not_start(tmp_path: Path, ends_after: str) -> None:
    class Gone(BaseException):
        """The power."""

    readings = iter([NOW] if ends_after == "descriptor" else [])

    def clock() -> float:
        try:
            return next(readings)
        except StopIteration:
            raise Gone from None

    with pytest.raises(Gone):
        make(tmp_path / "new", clock=clock)
    assert (tmp_path / "new" / "keys" / "root.key").exists()
    with pytest.raises(SchutznetzError), open_services(tmp_path / "new", environ={}) as services:
        pytest.fail(f"it started: {services.settings.name}")
    assert not (tmp_path / "new" / API_KEY_FILE).exists()
    with pytest.raises(ConflictError):
        make(tmp_path / "new")


def test_the_environment_of_another_node_does_not_decide_what_this_one_becomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHUTZNETZ_NAME", "other.example")
    monkeypatch.setenv("SCHUTZNETZ_PASSPHRASE", "another passphrase")
    make(tmp_path / "new")
    assert (tmp_path / "new" / "node.db").exists()
    assert load_settings(tmp_path / "new", {}).name == NAME
    assert (tmp_path / "new" / DESCRIPTOR_FILE).exists()


def test_a_node_is_made_in_a_database_on_postgresql_that_is_its_own(
    tmp_path: Path, postgres: Postgres
) -> None:
    url = postgres.empty()
    made = make(tmp_path / "new", database_url=url)
    assert modes(tmp_path / "new")["secrets/database_url"] == 0o600
    assert not list((tmp_path / "new").glob("node.db*"))
    with open_services(tmp_path / "new", environ={}, clock=lambda: NOW) as services:
        assert services.store.dialect == "postgresql"
        assert services.clients.authenticate(made.api_key).name == "platform"
    with pytest.raises(ConflictError, match="lives in that database"):
        make(tmp_path / "second", name="other.example", database_url=url)
    assert not (tmp_path / "second").exists()
    postgres.drop(url)
