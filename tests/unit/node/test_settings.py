"""node.settings: four places, one order, no unknown names."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from node.settings import SETTING_NAMES, Settings, load_settings
from node.settings_table import settings_table
from protocol.errors import SettingsError
from protocol.limits import MAX_PEER_REQUEST_BYTES

DOCS = Path(__file__).parents[3] / "docs"
SECRET = "correct horse battery staple"  # the test's own
NEEDED = 'name = "a.example"\nurl = "https://a.example"\n'


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "schutznetz.toml").write_text(NEEDED)
    return tmp_path


def add(directory, text):
    (directory / "schutznetz.toml").write_text(NEEDED + text)


def add_secret(directory, name, text, folder="secrets"):
    secrets = directory / folder
    secrets.mkdir(exist_ok=True)
    (secrets / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def test_what_is_not_said_is_safe(directory):
    settings = load_settings(directory, {})
    assert (settings.name, settings.url) == ("a.example", "https://a.example")
    assert (settings.host, settings.port) == ("127.0.0.1", 8440)
    assert settings.directory == directory
    assert settings.policy_file == directory / "policy.toml"
    assert settings.database_url.get_secret_value() == f"sqlite:///{directory}/node.db"
    assert settings.username_scope == "a.example"
    assert settings.check_fail_mode == "closed"
    assert settings.max_body_bytes == MAX_PEER_REQUEST_BYTES
    assert settings.default_region is None
    assert settings.read_passphrase() is None
    assert not settings.allow_insecure_http
    assert not settings.allow_remote_admin
    assert not settings.metrics_enabled


def test_the_environment_counts_before_secret_files_before_toml_before_defaults(directory):
    add(directory, "port = 1001\nhash_workers = 5\npoll_interval_s = 5\n")
    add_secret(directory, "port", "1002\n")
    add_secret(directory, "hash_workers", "6")
    settings = load_settings(directory, {"SCHUTZNETZ_PORT": "1003", "PATH": "/bin"})
    assert settings.port == 1003
    assert settings.hash_workers == 6
    assert settings.poll_interval_s == 5.0
    assert settings.peer_timeout_s == 10.0


def test_a_node_can_do_without_a_settings_file(tmp_path):
    environ = {"SCHUTZNETZ_NAME": "b.example", "SCHUTZNETZ_URL": "https://b.example"}
    assert load_settings(tmp_path, environ).name == "b.example"


def test_the_process_environment_is_the_default(directory, monkeypatch):
    monkeypatch.setenv("SCHUTZNETZ_PORT", "1234")
    assert load_settings(directory).port == 1234


def test_settings_built_directly_read_nothing(directory, monkeypatch):
    monkeypatch.setenv("SCHUTZNETZ_PORT", "1234")
    settings = Settings(directory=directory, name="c.example", url="http://127.0.0.1:1")
    assert settings.port == 8440


def test_settings_cannot_be_changed(directory):
    settings = load_settings(directory, {})
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1


def test_a_setting_that_was_not_said_is_asked_for(tmp_path):
    with pytest.raises(SettingsError, match=r"^the setting name is missing: .* SCHUTZNETZ_NAME$"):
        load_settings(tmp_path, {})
    with pytest.raises(SettingsError, match=r"^the setting url is missing"):
        load_settings(tmp_path, {"SCHUTZNETZ_NAME": "a.example"})


def test_a_directory_that_is_not_there_is_no_node(tmp_path):
    with pytest.raises(SettingsError, match="there is no node here"):
        load_settings(tmp_path / "gone", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prot = 1\n", "unknown setting prot, did you mean port"),
        ("directory = '/'\n", "unknown setting directory"),
        ("[server]\nport = 1\n", "unknown setting server"),
        ("port = '8440'\n", "schutznetz.toml: port has to be a whole number"),
        ("port = true\n", "schutznetz.toml: port has to be a whole number"),
        ("port = 8440.0\n", "schutznetz.toml: port has to be a whole number"),
        ("metrics_enabled = 1\n", "metrics_enabled has to be true or false"),
        ("poll_interval_s = '1'\n", "poll_interval_s has to be a number"),
        ("poll_interval_s = true\n", "poll_interval_s has to be a number"),
        ("policy_file = 1\n", "policy_file has to be a text"),
        ("passphrase = 'x'\n", "passphrase belongs in a secret file, not here"),
        ("port = \n", "not valid TOML: .*line 3"),
        ("a = " + "[" * 5000, "nested too deeply|not valid TOML"),
        ("#" * 70_000, "schutznetz.toml: larger than 65536 bytes"),
    ],
)
def test_a_settings_file_that_says_something_else_stops_the_start(directory, text, message):
    add(directory, text)
    with pytest.raises(SettingsError, match=message):
        load_settings(directory, {})


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("SCHUTZNETZ_PROT", "unknown environment variable SCHUTZNETZ_PROT, .* SCHUTZNETZ_PORT"),
        ("schutznetz_port", "unknown environment variable schutznetz_port, .* SCHUTZNETZ_PORT"),
        ("SCHUTZNETZ_DIRECTORY", "unknown environment variable SCHUTZNETZ_DIRECTORY"),
        ("SCHUTZNETZ_ZZZZZZZZZZZZ", "variable SCHUTZNETZ_ZZZZZZZZZZZZ$"),
    ],
)
def test_an_unknown_environment_variable_stops_the_start(directory, variable, message):
    with pytest.raises(SettingsError, match=message):
        load_settings(directory, {variable: "8440"})


def test_an_unknown_secret_file_stops_the_start(directory):
    add_secret(directory, "pasphrase", SECRET)
    message = r"^unknown secret file pasphrase, did you mean passphrase\?$"
    with pytest.raises(SettingsError, match=message):
        load_settings(directory, {})


def test_secret_files_may_lie_in_a_mounted_directory(directory):
    add_secret(directory, "passphrase", SECRET + "\r\n", folder="mounted")
    add_secret(directory, "..2026_01_01", "kept by the mount", folder="mounted")
    for named in ("mounted", str(directory / "mounted")):
        settings = load_settings(directory, {"SCHUTZNETZ_SECRETS_DIR": named})
        assert settings.read_passphrase().get_secret_value() == SECRET
    with pytest.raises(SettingsError, match="SCHUTZNETZ_SECRETS_DIR: there is no such directory"):
        load_settings(directory, {"SCHUTZNETZ_SECRETS_DIR": "gone"})


def test_a_secret_file_that_cannot_be_read_stops_the_start(directory):
    (directory / "secrets" / "passphrase").mkdir(parents=True)
    with pytest.raises(SettingsError, match="secret file passphrase: Is a directory"):
        load_settings(directory, {})
    (directory / "secrets" / "passphrase").rmdir()
    add_secret(directory, "passphrase", b"\xff")
    with pytest.raises(SettingsError, match="secret file passphrase: not UTF-8 text"):
        load_settings(directory, {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "0", "^SCHUTZNETZ_PORT: Input should be greater than or equal to 1$"),
        ("PORT", "x", "^SCHUTZNETZ_PORT: Input should be a valid integer"),
        ("POLL_INTERVAL_S", "nan", "^SCHUTZNETZ_POLL_INTERVAL_S: Input should be a finite number"),
        ("MAX_BODY_BYTES", "1000", "greater than or equal to 2097152"),
        ("PASSPHRASE", "", "^SCHUTZNETZ_PASSPHRASE: Value should have at least 1 item"),
        ("CHECK_FAIL_MODE", "ajar", "Input should be 'closed' or 'open'"),
        ("DEFAULT_REGION", "de", "should match pattern"),
        ("DEFAULT_REGION", "DE\n", "should match pattern"),
        ("NAME", "A example", "^SCHUTZNETZ_NAME: has to be labels of a-z, 0-9 and -"),
        ("USERNAME_SCOPE", "a/b", "^SCHUTZNETZ_USERNAME_SCOPE: has to be labels"),
        ("URL", "https://a.example/x", "^SCHUTZNETZ_URL: has to be scheme, host and port"),
        ("URL", "https://me:secret@a.example", "^SCHUTZNETZ_URL: has to be scheme, host and port"),
        ("URL", "http://a.example", "^url has to be https, or http on this machine"),
        ("URL", "http://192.0.2.1:8440", "^url has to be https"),
        ("DATABASE_URL", "sqlite:///node.db", "^SCHUTZNETZ_DATABASE_URL: has to begin with"),
        ("DATABASE_URL", "postgresql://u:secret@db/x", "_URL: has to begin with [^@]*$"),
    ],
)
def test_a_value_that_is_not_allowed_stops_the_start(directory, name, value, message):
    with pytest.raises(SettingsError, match=message) as caught:
        load_settings(directory, {"SCHUTZNETZ_" + name: value})
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("host", ["127.0.0.1:8440", "localhost:1", "[::1]:8440"])
def test_http_is_for_this_machine(directory, host):
    url = f"http://{host}"
    assert load_settings(directory, {"SCHUTZNETZ_URL": url}).url == url


def test_http_elsewhere_has_to_be_asked_for(directory):
    environ = {"SCHUTZNETZ_URL": "http://node-b:8440", "SCHUTZNETZ_ALLOW_INSECURE_HTTP": "true"}
    assert load_settings(directory, environ).url == "http://node-b:8440"


def test_relative_paths_are_seen_from_the_directory(directory):
    add(directory, 'policy_file = "rules/p.toml"\npassphrase_file = "/run/secrets/p"\n')
    settings = load_settings(directory, {})
    assert settings.policy_file == directory / "rules" / "p.toml"
    assert settings.passphrase_file == Path("/run/secrets/p")


def test_a_directory_with_url_syntax_in_its_name_still_has_its_database(tmp_path):
    from sqlalchemy.engine import make_url

    directory = tmp_path / "50% ?"
    settings = Settings(directory=directory, name="a.example", url="https://a.example")
    database = make_url(settings.database_url.get_secret_value()).database
    assert database == str(directory / "node.db")


def test_a_postgresql_database_is_taken(directory):
    add_secret(directory, "database_url", "postgresql+psycopg://node:secret@db/node\n")
    settings = load_settings(directory, {})
    assert settings.database_url.get_secret_value() == "postgresql+psycopg://node:secret@db/node"


def test_the_passphrase_is_read_from_its_file(directory):
    add(directory, 'passphrase_file = "pass"\n')
    settings = load_settings(directory, {})
    with pytest.raises(SettingsError, match="passphrase_file: No such file or directory"):
        settings.read_passphrase()
    (directory / "pass").write_text("\n")
    with pytest.raises(SettingsError, match="passphrase_file: the file is empty"):
        settings.read_passphrase()
    (directory / "pass").write_text(f" {SECRET} \n")
    assert settings.read_passphrase().get_secret_value() == f" {SECRET} "


def test_two_passphrases_are_one_too_many(directory):
    add(directory, 'passphrase_file = "pass"\n')
    with pytest.raises(SettingsError, match="passphrase and passphrase_file are both set"):
        load_settings(directory, {"SCHUTZNETZ_PASSPHRASE": SECRET})


def test_no_secret_shows_in_any_form_of_the_settings(directory):
    environ = {
        "SCHUTZNETZ_PASSPHRASE": SECRET,
        "SCHUTZNETZ_DATABASE_URL": f"postgresql+psycopg://node:{SECRET}@db/node",
    }
    settings = load_settings(directory, environ)
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert SECRET not in shown
    from node.settings_sources import from_environment

    assert SECRET not in repr(from_environment(environ, SETTING_NAMES))


def test_every_setting_is_described_in_the_documentation():
    assert settings_table() in (DOCS / "settings.md").read_text(encoding="utf-8")
    for name in SETTING_NAMES:
        field = Settings.model_fields[name]
        assert field.description.endswith(".")
        if name.endswith(("_bytes", "_s")):
            assert field.json_schema_extra["unit"] in {"bytes", "seconds"}


@pytest.mark.parametrize(
    ("changes", "reached", "refused"),
    [
        ({"url": "https://a.example"}, "8.8.8.8", "127.0.0.1"),
        ({"url": "https://a.example", "peer_private_networks": "10.0.0.0/8"}, "10.0.0.1", "::1"),
        ({"url": "http://127.0.0.1:8440"}, "127.0.0.1", "10.0.0.1"),
    ],
)
def test_peers_are_called_where_the_operator_allows(tmp_path, changes, reached, refused):
    settings = Settings(directory=tmp_path, name="a.example", **changes)
    assert settings.peer_reach.allows(reached)
    assert not settings.peer_reach.allows(refused)


def test_a_closed_test_network_is_reached_as_a_whole(tmp_path):
    settings = Settings(
        directory=tmp_path, name="a.example", url="http://10.0.0.1", allow_insecure_http=True
    )
    assert settings.peer_reach.allows("10.0.0.2")


def test_what_is_no_network_stops_the_start(tmp_path):
    with pytest.raises(ValidationError, match="has to be networks"):
        Settings(
            directory=tmp_path,
            name="a.example",
            url="https://a.example",
            peer_private_networks="the office",
        )
