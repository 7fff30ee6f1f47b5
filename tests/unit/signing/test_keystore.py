"""Key files: opened by their owner, their passphrase and their purpose, and by nothing else."""

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from protocol.encoding import from_base64url, to_base64url
from protocol.errors import KeystoreError
from signing import keystore
from signing.keys import KeyUse, SigningKey
from signing.keystore import (
    INTERACTIVE,
    MAX_FILE_BYTES,
    MAX_PASSPHRASE_BYTES,
    MAX_SECRET_BYTES,
    Cost,
    load_key,
    load_secret,
    save_key,
    save_secret,
)

CHEAP = Cost(1, 8192)
PASSPHRASE = b"correct horse"
KEY = SigningKey.from_seed(KeyUse.REQUEST, bytes(range(32)))
SHARE = bytes(range(100, 132))


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "request.key"
    save_key(path, KEY, PASSPHRASE, cost=CHEAP)
    return path


def rewrite(path: Path, **changes: object) -> None:
    """Change fields of a key file as a stranger with a text editor would."""
    content = json.loads(path.read_bytes())
    for name, value in changes.items():
        if name in content["kdf"]:
            content["kdf"][name] = value
        else:
            content[name] = value
    path.write_text(json.dumps(content))


def test_a_saved_key_comes_back_under_its_passphrase(key_file):
    key = load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)
    assert key.seed == KEY.seed
    assert key.public == KEY.public


def test_a_saved_secret_comes_back_for_its_purpose(tmp_path):
    path = tmp_path / "share"
    save_secret(path, "oprf-share", SHARE, PASSPHRASE, cost=CHEAP)
    assert load_secret(path, "oprf-share", PASSPHRASE) == SHARE
    with pytest.raises(KeystoreError, match="not for the use 'backup'"):
        load_secret(path, "backup", PASSPHRASE)


def test_the_default_cost_is_what_libsodium_calls_interactive(tmp_path):
    path = tmp_path / "key"
    save_key(path, KEY, PASSPHRASE)
    kdf = json.loads(path.read_bytes())["kdf"]
    assert Cost(kdf["operations"], kdf["memory_bytes"]) == INTERACTIVE == Cost(2, 64 << 20)
    assert load_key(path, PASSPHRASE, use=KeyUse.REQUEST).kid == KEY.kid


def test_file_and_new_directory_are_for_their_owner_alone_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        path = tmp_path / "keys" / "request.key"
        save_key(path, KEY, PASSPHRASE, cost=CHEAP)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["request.key"]


def test_the_file_shows_what_it_is_for_and_hides_the_secret(key_file):
    text = key_file.read_text()
    content = json.loads(text)
    assert (content["purpose"], content["kid"], content["version"]) == ("request", KEY.kid, 1)
    assert from_base64url(content["public"]) == KEY.public.raw
    assert to_base64url(KEY.seed) not in text
    assert KEY.seed.hex() not in text
    assert KEY.seed not in from_base64url(content["box"])


def test_two_files_of_one_key_share_neither_salt_nor_box(tmp_path):
    files = [tmp_path / "one", tmp_path / "two"]
    for path in files:
        save_key(path, KEY, PASSPHRASE, cost=CHEAP)
    one, two = (json.loads(path.read_bytes()) for path in files)
    assert one["kdf"]["salt"] != two["kdf"]["salt"]
    assert one["box"] != two["box"]


def test_another_passphrase_does_not_open_the_file(key_file):
    with pytest.raises(KeystoreError, match="wrong passphrase"):
        load_key(key_file, PASSPHRASE + b" ", use=KeyUse.REQUEST)


def test_a_key_for_one_use_is_not_loaded_for_another(key_file):
    with pytest.raises(KeystoreError, match="not for the use 'log'"):
        load_key(key_file, PASSPHRASE, use=KeyUse.LOG)


def test_relabelling_a_file_does_not_turn_its_key_to_another_use(key_file):
    other = SigningKey.from_seed(KeyUse.ROOT, KEY.seed)
    rewrite(key_file, purpose="root", kid=other.kid)
    with pytest.raises(KeystoreError, match="something else than the file says"):
        load_key(key_file, PASSPHRASE, use=KeyUse.ROOT)


@pytest.mark.parametrize("field", ["kid", "public"])
def test_a_public_half_that_is_not_the_secrets_is_refused(key_file, field):
    other = SigningKey.generate(KeyUse.REQUEST)
    rewrite(
        key_file, **{field: {"kid": other.kid, "public": to_base64url(other.public.raw)}[field]}
    )
    with pytest.raises(KeystoreError, match="not that of the secret"):
        load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)


def test_a_sealed_key_of_another_length_is_refused(key_file, tmp_path, monkeypatch):
    path = tmp_path / "short"
    # only a programme of ours that is wrong could write such a file
    monkeypatch.setattr(keystore, "_KEY_PURPOSES", frozenset())
    save_secret(path, "request", SHARE[:31], PASSPHRASE, cost=CHEAP)
    with pytest.raises(KeystoreError, match="something else than the file says"):
        load_key(path, PASSPHRASE, use=KeyUse.REQUEST)


def test_any_bit_flipped_in_the_box_is_refused(key_file):
    box = bytearray(from_base64url(json.loads(key_file.read_bytes())["box"]))
    for place in range(len(box)):
        box[place] ^= 1
        rewrite(key_file, box=to_base64url(bytes(box)))
        with pytest.raises(KeystoreError, match="wrong passphrase, or the file is damaged"):
            load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)
        box[place] ^= 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"memory_bytes": 100 << 30}, "more memory or time"),
        ({"memory_bytes": (1 << 30) + 1}, "more memory or time"),
        ({"memory_bytes": 8191}, "more memory or time"),
        ({"operations": 17}, "more memory or time"),
        ({"operations": 0}, "more memory or time"),
        ({"salt": "AAAA"}, "damaged"),
        ({"box": "*"}, "damaged"),
        ({"box": ""}, "damaged"),
        ({"box": "AAAA"}, "damaged"),
        ({"name": "argon2i"}, "not a key file of Schutznetz"),
        ({"format": "age"}, "not a key file of Schutznetz"),
        ({"version": 2}, "version of Schutznetz that this one cannot read"),
        ({"operations": 1.5}, "not a key file"),
        ({"operations": "1"}, "not a key file"),
        ({"extra": 1}, "not a key file"),
    ],
)
def test_a_hostile_or_damaged_file_is_refused(key_file, changes, message):
    rewrite(key_file, **changes)
    with pytest.raises(KeystoreError, match=message):
        load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"format":1}', b"[" * 5000])
def test_a_file_that_is_no_key_file_is_refused(key_file, content):
    key_file.write_bytes(content)
    with pytest.raises(KeystoreError, match="not a key file"):
        load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)


def test_a_file_longer_than_any_key_file_is_refused(key_file):
    key_file.write_bytes(b" " * (MAX_FILE_BYTES + 1))
    with pytest.raises(KeystoreError, match="longer than the 16384 bytes"):
        load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644])
def test_a_file_that_others_may_touch_is_refused_with_what_to_do(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(KeystoreError, match=f"mode {mode:04o}.*run: chmod 600 {key_file}"):
        load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)


def test_a_file_that_its_owner_may_only_read_is_opened(key_file):
    key_file.chmod(0o400)
    assert load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST).kid == KEY.kid


def test_what_is_absent_or_no_file_is_refused_without_waiting(tmp_path):
    with pytest.raises(KeystoreError, match="cannot be opened: No such file"):
        load_key(tmp_path / "absent", PASSPHRASE, use=KeyUse.REQUEST)
    with pytest.raises(KeystoreError, match="not a file"):
        load_key(tmp_path, PASSPHRASE, use=KeyUse.REQUEST)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeystoreError, match="not a file"):
        load_key(tmp_path / "pipe", PASSPHRASE, use=KeyUse.REQUEST)


def test_a_file_that_is_there_is_never_overwritten(key_file):
    before = key_file.read_bytes()
    with pytest.raises(KeystoreError, match="never overwritten"):
        save_key(key_file, SigningKey.generate(KeyUse.LOG), PASSPHRASE, cost=CHEAP)
    with pytest.raises(KeystoreError, match="never overwritten"):
        save_secret(key_file, "oprf-share", SHARE, PASSPHRASE, cost=CHEAP)
    assert key_file.read_bytes() == before
    assert list(key_file.parent.iterdir()) == [key_file]


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_may_write_to_is_refused_with_what_to_do(tmp_path, mode):
    directory = tmp_path / "keys"
    directory.mkdir()
    directory.chmod(mode)
    with pytest.raises(KeystoreError, match=f"run: chmod go-w {directory}"):
        save_key(directory / "key", KEY, PASSPHRASE, cost=CHEAP)
    assert not list(directory.iterdir())


@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_a_directory_where_others_cannot_replace_files_is_taken(tmp_path, mode):
    directory = tmp_path / "keys"
    directory.mkdir()
    directory.chmod(mode)
    save_key(directory / "key", KEY, PASSPHRASE, cost=CHEAP)
    assert load_key(directory / "key", PASSPHRASE, use=KeyUse.REQUEST).kid == KEY.kid


def test_a_disk_that_refuses_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("no directory")
    with pytest.raises(KeystoreError, match="cannot be written: Not a directory"):
        save_key(tmp_path / "file" / "key", KEY, PASSPHRASE, cost=CHEAP)


def test_a_file_needs_no_more_memory_than_there_is_or_says_so(key_file):
    rewrite(key_file, memory_bytes=1 << 30)
    with Path("/proc/self/statm").open() as statm:
        now = int(statm.read().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + (256 << 20), hard))
    try:
        with pytest.raises(KeystoreError, match="needs 1024 MiB of memory"):
            load_key(key_file, PASSPHRASE, use=KeyUse.REQUEST)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.parametrize("purpose", ["", "Share", "a b", "-a", "a" * 161, "share\n", *KeyUse])
def test_a_secrets_purpose_is_a_short_word_and_no_keys_use(tmp_path, purpose):
    with pytest.raises(RuntimeError, match="short lower-case word"):
        save_secret(tmp_path / "share", purpose, SHARE, PASSPHRASE, cost=CHEAP)
    with pytest.raises(RuntimeError, match="short lower-case word"):
        load_secret(tmp_path / "share", purpose, PASSPHRASE)


def test_a_secret_has_a_bounded_length(tmp_path):
    for secret in (b"", b"x" * (MAX_SECRET_BYTES + 1)):
        with pytest.raises(RuntimeError, match="1 to 4096 bytes"):
            save_secret(tmp_path / "share", "oprf-share", secret, PASSPHRASE, cost=CHEAP)
    longest = b"\x00" * MAX_SECRET_BYTES
    save_secret(tmp_path / "share", "oprf-share", longest, PASSPHRASE, cost=CHEAP)
    assert load_secret(tmp_path / "share", "oprf-share", PASSPHRASE) == longest


@pytest.mark.parametrize(
    ("passphrase", "message"),
    [(b"", "passphrase is empty"), (b"x" * (MAX_PASSPHRASE_BYTES + 1), "at most 1024 bytes")],
)
def test_an_empty_or_endless_passphrase_is_refused_on_both_ways(key_file, passphrase, message):
    with pytest.raises(KeystoreError, match=message):
        save_key(key_file.with_name("other"), KEY, passphrase, cost=CHEAP)
    with pytest.raises(KeystoreError, match=message):
        load_key(key_file, passphrase, use=KeyUse.REQUEST)


# --- faults at each commit point ---------------------------------------------------------------

# The process ends there and then, as by a power cut: no `finally` runs.
CRASH = """
import os, sys
from pathlib import Path
from signing.keys import KeyUse, SigningKey
from signing.keystore import Cost, save_key
owner, name, when = sys.argv[2:5]
real = getattr(os if owner == "os" else Path, name)
def crash(*args, **kwargs):
    if when == "after":
        real(*args, **kwargs)
    os._exit(77)
setattr(os if owner == "os" else Path, name, crash)
key = SigningKey.from_seed(KeyUse.REQUEST, bytes(range(32)))
save_key(Path(sys.argv[1]), key, b"correct horse", cost=Cost(1, 8192))
"""


@pytest.mark.parametrize(
    ("owner", "name", "when", "there"),
    [
        ("os", "fsync", "before", False),
        ("os", "fsync", "after", False),
        ("os", "link", "before", False),
        ("os", "link", "after", True),
        ("Path", "unlink", "before", True),
        ("Path", "unlink", "after", True),
    ],
)
def test_a_crash_leaves_no_file_or_the_whole_file(tmp_path, owner, name, when, there):
    path = tmp_path / "request.key"
    ended = subprocess.run(
        [sys.executable, "-c", CRASH, str(path), owner, name, when],
        check=False,
        cwd=Path(__file__).parents[3],
    )
    assert ended.returncode == 77
    assert path.exists() is there
    if not there:
        save_key(path, KEY, PASSPHRASE, cost=CHEAP)  # the next try finds the way free
    assert load_key(path, PASSPHRASE, use=KeyUse.REQUEST).seed == KEY.seed
    for left in tmp_path.iterdir():
        assert stat.S_IMODE(left.stat().st_mode) == 0o600
        assert KEY.seed not in left.read_bytes()


@pytest.mark.parametrize("persisted", [False, True])
def test_a_link_that_fails_leaves_no_file_or_the_whole_file(tmp_path, monkeypatch, persisted):
    real = os.link

    def link(source, target):
        if persisted:
            real(source, target)
        raise OSError(5, "Input/output error")

    path = tmp_path / "request.key"
    monkeypatch.setattr(os, "link", link)
    with pytest.raises(KeystoreError, match="cannot be written: Input/output error"):
        save_key(path, KEY, PASSPHRASE, cost=CHEAP)
    assert list(tmp_path.iterdir()) == ([path] if persisted else [])
    if persisted:
        assert load_key(path, PASSPHRASE, use=KeyUse.REQUEST).seed == KEY.seed


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def fsync(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(KeystoreError, match="No space left on device"):
        save_key(tmp_path / "request.key", KEY, PASSPHRASE, cost=CHEAP)
    assert not list(tmp_path.iterdir())


def test_file_name_and_new_directory_are_on_the_disk_before_the_call_returns(tmp_path, monkeypatch):
    path = tmp_path / "keys" / "request.key"
    synced = []
    real = os.fsync

    def fsync(descriptor):
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink(), path.exists()))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    save_key(path, KEY, PASSPHRASE, cost=CHEAP)
    (above, _), (content, named_before), (directory, named_after) = synced
    assert (above, content.parent, directory) == (tmp_path, path.parent, path.parent)
    assert (named_before, named_after) == (False, True)
