"""node.policy.file: the policy of a running node, and the default one."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import pytest

from node.policy import AccountEvidence, MediaEvidence, PolicyFile, default_policy, parse_policy
from protocol.errors import SettingsError

GOOD = '[[rule]]\nname = "{}"\napplies_to = "media"\ncategories = ["*"]\naction = "review"\n'


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(GOOD.format("first"))
    return path


def name_of(file):
    return file.current().rules[0].name


def test_a_changed_file_is_read_again_after_a_second(path, clock):
    file = PolicyFile(path, clock)
    path.write_text(GOOD.format("second-one"))
    clock.now += 0.5
    assert name_of(file) == "first"
    clock.now += 0.5
    assert name_of(file) == "second-one"
    assert file.problem is None


def test_an_unchanged_file_is_not_read_again(path, clock):
    file = PolicyFile(path, clock)
    policy = file.current()
    clock.now += 10
    assert file.current() is policy


def test_a_file_that_is_replaced_by_one_of_equal_size_and_time_is_read_again(path, clock):
    file = PolicyFile(path, clock)
    status = path.stat()
    other = path.with_name("new")
    other.write_text(GOOD.format("other"))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert path.stat().st_size == status.st_size
    clock.now += 1
    assert name_of(file) == "other"


def test_a_clock_that_is_set_back_does_not_stop_the_looking(path, clock):
    file = PolicyFile(path, clock)
    path.write_text(GOOD.format("second-one"))
    clock.now -= 500
    assert name_of(file) == "second-one"


def test_a_broken_file_leaves_the_last_good_policy_in_force_and_says_why(path, clock):
    file = PolicyFile(path, clock)
    path.write_text("rules = 1")
    clock.now += 1
    assert name_of(file) == "first"
    assert file.problem == (
        "policy.toml: line 1: unknown key 'rules', did you mean 'rule'?; "
        "the policy from before the change stays in force"
    )
    clock.now += 1
    assert name_of(file) == "first"
    assert file.problem is not None
    path.write_text(GOOD.format("repaired-one"))
    clock.now += 1
    assert name_of(file) == "repaired-one"
    assert file.problem is None


def test_a_file_that_is_gone_is_a_problem_until_it_is_back(path, clock):
    file = PolicyFile(path, clock)
    text = path.read_text()
    path.unlink()
    for _ in range(2):
        clock.now += 1
        assert name_of(file) == "first"
        assert "policy.toml cannot be read: No such file" in file.problem
    path.write_text(text)
    clock.now += 1
    assert name_of(file) == "first"
    assert file.problem is None


def test_a_file_that_could_not_be_opened_for_a_moment_is_tried_again(path, clock, monkeypatch):
    file = PolicyFile(path, clock)
    path.write_text(GOOD.format("second-one"))
    clock.now += 1
    with monkeypatch.context() as patch:

        def too_many_open_files(*args):
            raise OSError(errno.EMFILE, "")

        patch.setattr(Path, "open", too_many_open_files)
        assert name_of(file) == "first"
        assert "Too many open files" in file.problem
    clock.now += 1
    assert name_of(file) == "second-one"
    assert file.problem is None


def test_a_change_back_to_the_text_in_force_ends_the_problem(path, clock):
    file = PolicyFile(path, clock)
    kept = path.with_name("kept")
    path.rename(kept)
    path.write_text("broken")
    clock.now += 1
    file.current()
    assert file.problem is not None
    kept.replace(path)
    clock.now += 1
    file.current()
    assert file.problem is None


def test_while_one_thread_reads_the_others_go_on_with_the_policy_in_force(path, clock):
    file = PolicyFile(path, clock)
    path.write_text(GOOD.format("second-one"))
    clock.now += 1
    with file._lock:
        assert name_of(file) == "first"
    assert name_of(file) == "second-one"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"x", "policy.toml: the policy is not valid TOML"),
        (b"# \xff", "policy.toml is not UTF-8 text"),
        (b"#" * (256 * 1024 + 1), "policy.toml is larger than 262144 bytes"),
        (None, "policy.toml cannot be read: No such file or directory"),
    ],
)
def test_at_start_a_file_that_cannot_be_used_stops_the_node(path, clock, data, message):
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SettingsError, match=message):
        PolicyFile(path, clock)


MATCH = MediaEvidence(
    statement="aa" * 32,
    item=0,
    kind="pdq",
    distance=16,
    category="csam.act.prepub",
    review_only=False,
    issuer="hotline.example",
    organisation="hotline.example",
    accredited=True,
    disputed=False,
    surfaces=(),
    jurisdictions=(),
)
OTHER = replace(MATCH, organisation="b.example", accredited=False)
LEAD = AccountEvidence(
    statement="aa" * 32,
    kinds=("phone",),
    category="account.grooming",
    review_only=False,
    issuer="a.example",
    organisation="a.example",
    accredited=True,
    disputed=False,
    jurisdictions=(),
)


@pytest.mark.parametrize(
    ("evidence", "action"),
    [
        ((MATCH, OTHER), "block"),
        (
            (replace(MATCH, kind="sha256", distance=0), replace(OTHER, kind="md5", distance=0)),
            "block",
        ),
        ((MATCH, replace(OTHER, distance=17)), "hold"),
        ((MATCH, replace(OTHER, organisation="hotline.example")), "hold"),
        ((replace(MATCH, distance=24),), "hold"),
        ((replace(MATCH, category="ncii.minor"),), "hold"),
        ((replace(MATCH, distance=25),), "review"),
        ((OTHER,), "review"),
        ((replace(MATCH, disputed=True),), "review"),
        ((replace(MATCH, category="csam.selfgen"),), "review"),
        ((replace(MATCH, category="exploitative"),), "review"),
        ((replace(MATCH, category="csam.act.new", review_only=True),), "review"),
        ((), "none"),
    ],
)
@pytest.mark.parametrize("surface", ["public", "hosted"])
def test_the_default_policy_blocks_only_what_two_organisations_confirm(evidence, action, surface):
    policy = parse_policy(default_policy())
    assert policy.decide_media(evidence, surface=surface).action == action
    assert policy.decide_media(evidence, surface="private").action == "none"


@pytest.mark.parametrize(
    ("kinds", "category", "action"),
    [
        (("email",), "account.grooming", "review"),
        (("phone", "username"), "account.livestream", "review"),
        (("device", "payment"), "account.purchase", "review"),
        (("username",), "account.grooming", "note"),
        (("username", "invite"), "account.grooming", "note"),
        (("invite",), "account.exposure-group", "note"),
        (("email",), "csam.selfgen", "note"),
    ],
)
def test_the_default_policy_reviews_accounts_at_most(kinds, category, action):
    policy = parse_policy(default_policy())
    lead = replace(LEAD, kinds=kinds, category=category)
    many = [replace(lead, organisation=f"{n}.example") for n in range(9)]
    assert policy.decide_account([lead]).action == action
    assert policy.decide_account(many).action == action
