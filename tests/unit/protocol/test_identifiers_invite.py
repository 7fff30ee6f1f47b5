"""invite-v1."""

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import normalise


def value(raw: str) -> str:
    return normalise("invite", raw).value


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("https://t.me/joinchat/AAAAAExampleCode", "telegram:AAAAAExampleCode"),
        ("http://www.t.me/+AAAAAExampleCode", "telegram:AAAAAExampleCode"),
        ("telegram.me/+AAAAAExampleCode#x", "telegram:AAAAAExampleCode"),
        ("https://telegram.dog/joinchat/AAAAAExampleCode/", "telegram:AAAAAExampleCode"),
        ("https://t.me/%2bAAAAAExampleCode", "telegram:AAAAAExampleCode"),
        ("https://t.me/Example_Group?start=1", "telegram:@example_group"),
        ("https://t.me/s/example_group", "telegram:@example_group"),
        ("https://discord.gg/Example1", "discord:Example1"),
        ("https://ptb.discord.com/invite/Example1", "discord:Example1"),
        ("DISCORDAPP.com/invite/Example1", "discord:Example1"),
        (
            "https://chat.whatsapp.com/invite/ExampleExampleExample1",
            "whatsapp:ExampleExampleExample1",
        ),
        ("https://signal.group/#CjQKIExampleExample", "signal:CjQKIExampleExample"),
        ("https://example.org/g/abc?invite=1#top", "example.org/g/abc"),
        ("https://example.org:443/g/abc", "example.org/g/abc"),
        ("https://example.org:8443/g/abc", "example.org:8443/g/abc"),
        ("https://straße.example/ä/%7eanna", "xn--strae-oqa.example/%C3%A4/~anna"),
        ("https://whatsapp.com/channel/0029Example", "whatsapp.com/channel/0029Example"),
    ],
)
def test_a_link_gives_its_group_and_gives_itself_again(raw, expected):
    assert value(raw) == expected
    assert value(expected) == expected


def test_the_case_of_a_code_is_kept():
    assert value("discord.gg/Example1") != value("discord.gg/example1")


def test_one_code_at_two_services_is_two_groups():
    code = "ExampleExampleExample1"
    assert value(f"https://chat.whatsapp.com/{code}") != value(f"https://t.me/+{code}")


@pytest.mark.parametrize(
    "raw",
    [
        "https://t.me", "https://t.me/", "https://t.me/+4930231250001", "https://t.me/+short",
        "https://t.me/joinchat", "https://t.me/joinchat/", "https://t.me/share",
        "https://t.me/share/url?url=x", "https://t.me/example_group/17", "https://t.me/abc",
        "https://t.me/" + "a" * 33, "https://discord.gg", "https://discord.gg/x",
        "https://discord.gg/a%20b", "https://chat.whatsapp.com/short", "https://signal.group/",
        "https://signal.group/CjQKIExampleExample", "https://signal.group/#short", "telegram:",
        "telegram:@abc", "discord:a/b", "signal:x",
    ],
)  # fmt: skip
def test_a_link_of_a_known_service_that_leads_to_no_group_is_refused(raw):
    with pytest.raises(MalformedError, match="leads to no group"):
        value(raw)


@pytest.mark.parametrize(
    "raw",
    ["https://example.org", "example.org/", "https://example.org/join?code=abc",
     "https://matrix.to/#/#group:example.org", "https://example.org/a/Invite/", "example.org?x=y"],
)  # fmt: skip
def test_a_link_whose_path_names_no_group_is_refused(raw):
    with pytest.raises(MalformedError, match="path of that link names no group"):
        value(raw)


@pytest.mark.parametrize(
    "raw",
    ["https:///g/abc", "https://user@example.org/g", "ftp://example.org/g/abc", "/g/abc",
     "https://example.org:0/g/abc", "https://example.org:/g/abc", "https://example.org:x/g/abc",
     "https://example.org//g", "https://example.org/a b", "https://example.org/%zz",
     "https://example.org/a|b", "example.org\\g"],
)  # fmt: skip
def test_what_is_no_link_is_refused(raw):
    with pytest.raises(MalformedError, match="link to one group"):
        value(raw)


@pytest.mark.parametrize(
    "raw", ["anna", "https://192.0.2.1/g/abc", "localhost/g/abc", "Telegram:x"]
)
def test_a_link_without_a_domain_name_is_refused(raw):
    with pytest.raises(MalformedError, match=r"domain name|link to one group"):
        value(raw)


@pytest.mark.parametrize("path", ["/g/../x", "/g/./x", "/g/%2E%2e/x", "/.."])
def test_a_path_with_dots_is_refused(path):
    with pytest.raises(MalformedError, match="ambiguous"):
        value(f"https://example.org{path}")
