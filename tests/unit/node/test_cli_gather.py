"""Which files are read, and that one that cannot be read stops no other."""

import hashlib
import os
import threading
from pathlib import Path

import pytest
import typer

from node.cli.gather import find_pictures, hash_pictures, read_all
from node.matching.media import MediaHashes
from protocol.errors import InvalidError, UnavailableError
from protocol.pdq import Pdq


def hashes_of(data, *, pdq=None, quality=100):
    return MediaHashes(
        pdq=Pdq(pdq or hashlib.sha256(data).digest()),
        quality=quality,
        sha256=hashlib.sha256(data).hexdigest(),
        sha1=hashlib.sha1(data).hexdigest(),
        md5=hashlib.md5(data).hexdigest(),
        width=64,
        height=48,
        format="PNG",
    )


class FakeHasher:
    """Hashes anything but what begins with `bad`; knows how many it had in hand at once."""

    def __init__(self):
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def hash(self, data):
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            if data.startswith(b"bad"):
                raise InvalidError("the picture is broken")
            if data.startswith(b"gone"):
                raise UnavailableError("pictures are no longer hashed")
            return hashes_of(data)
        finally:
            with self._lock:
                self._now -= 1


def write(folder, *names, data=None):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data or name.encode())
    return [folder / name for name in names]


def test_a_folder_is_read_with_all_folders_in_it_in_order(tmp_path):
    write(tmp_path, "b.jpg", "a/z.png", "a/b/c.gif")
    found = [str(path.relative_to(tmp_path)) for path in find_pictures([tmp_path])]
    assert found == ["a/b/c.gif", "a/z.png", "b.jpg"]


def test_what_is_hidden_or_left_behind_by_windows_is_passed_over_in_folders(tmp_path):
    write(tmp_path, "a.jpg", ".hidden.jpg", ".git/b.jpg", "Thumbs.db", "desktop.ini")
    assert [path.name for path in find_pictures([tmp_path])] == ["a.jpg"]


def test_a_hidden_file_that_was_named_is_read(tmp_path):
    (path,) = write(tmp_path, ".hidden.jpg")
    assert find_pictures([path]) == [path]


def test_a_file_that_is_named_twice_is_read_once(tmp_path):
    (path,) = write(tmp_path, "a.jpg")
    assert find_pictures([path, tmp_path, path]) == [path]


def test_a_link_to_a_folder_above_is_not_followed(tmp_path):
    write(tmp_path, "in/a.jpg")
    (tmp_path / "in" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert [path.name for path in find_pictures([tmp_path])] == ["a.jpg"]


def test_a_folder_without_files_is_wrong_use(tmp_path):
    with pytest.raises(typer.BadParameter, match="no file in this folder"):
        find_pictures([tmp_path])


def test_a_name_that_is_not_there_is_wrong_use(tmp_path):
    with pytest.raises(typer.BadParameter, match="no such file"):
        find_pictures([tmp_path / "a.jpg"])


def test_one_bad_file_stops_no_other_and_the_order_is_kept(tmp_path):
    files = write(tmp_path, *[f"{at:03}.jpg" for at in range(50)])
    write(tmp_path, "007.jpg", data=b"bad")
    write(tmp_path, "020.jpg", data=b"")
    (tmp_path / "020.jpg").write_bytes(b"")
    hasher = FakeHasher()
    read = list(read_all(files, hasher, workers=4))
    assert [Path(one.name).name for one in read] == [path.name for path in files]
    assert [(at, one.problem) for at, one in enumerate(read) if one.problem] == [
        (7, "the picture is broken"),
        (20, "the file is empty; choose a picture file"),
    ]
    assert all(one.hashes for at, one in enumerate(read) if at not in {7, 20})
    assert 1 <= hasher.most <= 4


def test_what_is_no_file_is_told_and_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (one,) = read_all([tmp_path / "pipe"], FakeHasher(), workers=1)
    assert one.problem == "this is not an ordinary file; name a picture file"


def test_when_nothing_can_be_hashed_at_all_that_is_told_at_once(tmp_path):
    files = write(tmp_path, "a", "b", "c", data=b"gone")
    with pytest.raises(UnavailableError, match="no longer hashed"):
        list(read_all(files, FakeHasher(), workers=1))


def test_no_repr_shows_a_media_hash(tmp_path):
    files = write(tmp_path, "a.jpg")
    (one,) = read_all(files, FakeHasher(), workers=1)
    assert one.hashes.sha256 not in repr(one)


def test_pictures_are_hashed_in_processes_of_their_own():
    folder = Path(__file__).resolve().parents[3] / "node" / "demo_pictures"
    files = find_pictures([folder / "cat.jpg", folder / "rocket.jpg", folder / "__init__.py"])
    cat, rocket, text = hash_pictures(files, workers=2)
    assert cat.hashes.quality >= 50
    assert rocket.hashes.sha256 == hashlib.sha256(files[1].read_bytes()).hexdigest()
    assert text.hashes is None
