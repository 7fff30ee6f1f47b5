"""email-v1."""

import pytest

from protocol.errors import MalformedError
from protocol.identifiers import normalise
from protocol.identifiers.email_address import PROVIDERS_V1


def value(raw: str) -> str:
    return normalise("email", raw).value


@pytest.mark.parametrize(
    "raw", ["anna@example.com", "ANNA@EXAMPLE.COM", " anna@example.com. ", "ａnna＠example．com"]
)
def test_case_width_space_and_root_dot_make_no_difference(raw):
    assert value(raw) == "anna@example.com"


def test_case_of_the_local_part_is_folded_and_not_only_lowered():
    assert value("STRASSE@example.org") == value("straße@example.org") == "strasse@example.org"


def test_domains_that_differ_in_sharp_s_stay_two_domains():
    assert value("a@faß.example") == "a@xn--fa-hia.example"
    assert value("a@fass.example") == "a@fass.example"


def test_a_domain_and_its_ascii_form_are_one():
    assert value("a@例子.测试") == value("a@xn--fsqu00a.xn--0zwm56d")


def test_dots_tag_and_domain_make_no_difference_at_gmail():
    expected = "schutznetzexample@gmail.com"
    for raw in (
        "schutznetz.example@gmail.com",
        "schutznetzexample+a+b@gmail.com",
        "s.c.hutznetzexample@googlemail.com",
    ):
        assert value(raw) == expected


def test_dots_hyphens_and_underscores_make_no_difference_at_proton():
    assert value("a.b-c_d+tag@proton.me") == "abcd@proton.me"
    assert value("abcd@pm.me") == "abcd@pm.me"


@pytest.mark.parametrize("domain", sorted(set(PROVIDERS_V1) - {"googlemail.com"}))
def test_the_tag_is_cut_at_every_provider_of_the_table(domain):
    assert value(f"name+tag@{domain}") == f"name@{domain}"


@pytest.mark.parametrize("domain", ["outlook.com", "fastmail.com", "icloud.com"])
def test_dots_do_make_a_difference_at_providers_that_tell_them_apart(domain):
    assert value(f"a.b@{domain}") != value(f"ab@{domain}")


def test_elsewhere_tags_and_dots_are_part_of_the_name():
    assert value("a.b+tag@example.org") == "a.b+tag@example.org"


def test_a_subdomain_of_a_provider_is_not_the_provider():
    assert value("a.b+c@mail.gmail.com") == "a.b+c@mail.gmail.com"


@pytest.mark.parametrize("raw", ["+tag@gmail.com", "...@gmail.com", "a.+tag@live.de", "._-@pm.me"])
def test_an_address_without_a_name_in_front_of_its_tag_is_refused(raw):
    with pytest.raises(MalformedError, match="part before the @"):
        value(raw)


@pytest.mark.parametrize("raw", ["anna", "example.com"])
def test_a_text_without_at_is_refused(raw):
    with pytest.raises(MalformedError, match="name@example"):
        value(raw)


@pytest.mark.parametrize(
    "raw",
    [
        "@example.com", '"anna"@example.com', "a..b@example.com", ".a@example.com",
        "a.@example.com", "a b@example.com", "Anna <a@example.com>", "a,b@example.com",
        "a@b@example.com", "a(x)@example.com", "a\u1680b@example.com", "a；b@example.com",
    ],
)  # fmt: skip
def test_what_is_no_plain_local_part_is_refused(raw):
    with pytest.raises(MalformedError, match=r"address alone|name@example|domain name"):
        value(raw)


@pytest.mark.parametrize(
    "domain",
    ["", "localhost", "192.0.2.1", "[192.0.2.1]", "[IPv6:2001:db8::1]", "-a.example", "a..example",
     "exa_mple.org", "i❤.example", "xn--0.example", "a" * 64 + ".example", "r3---sn.example"],
)  # fmt: skip
def test_what_is_no_domain_name_is_refused(domain):
    with pytest.raises(MalformedError, match=r"after the @ is a domain name"):
        value(f"anna@{domain}")


def test_a_local_part_has_at_most_64_bytes():
    assert value("x" * 64 + "@example.com")
    assert value("ä" * 32 + "@example.com")
    for local in ("x" * 65, "ä" * 33):
        with pytest.raises(MalformedError, match="at most 64 bytes"):
            value(f"{local}@example.com")


def test_an_address_has_at_most_254_bytes():
    domain = ".".join(["d" * 61] * 3 + ["example"])
    assert len(value("x" * (254 - len(domain) - 1) + f"@{domain}")) == 254
    with pytest.raises(MalformedError, match="at most 254 bytes"):
        value("x" * (254 - len(domain)) + f"@{domain}")


def test_a_domain_has_at_most_253_characters():
    with pytest.raises(MalformedError, match="domain name"):
        value("a@" + ".".join(["d" * 61] * 4 + ["example"]))
