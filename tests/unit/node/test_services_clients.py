"""Bearer keys: shown once, stored as a digest, ended at once."""

import hashlib

import pytest

from desks import Desk
from node.services.clients import SCOPES, Clients
from node.storage.engine import Store
from protocol.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError


def test_a_client_is_known_by_its_key_and_may_do_what_was_said(either_desk: Desk) -> None:
    client, token = either_desk.clients.create("upload-check", ["match", "check", "match"])
    found = either_desk.clients.authenticate(token)
    assert (found, found.scopes) == (client, frozenset({"match", "check"}))


def test_a_key_is_stored_as_its_digest_and_written_nowhere_else(desk: Desk) -> None:
    client, token = desk.clients.create("upload-check", ["match"])
    assert token.startswith("snk_")
    assert len(token) == 47
    everything = repr(desk.world.contents())
    assert token not in everything
    assert token[4:] not in everything
    assert repr(hashlib.sha256(token.encode()).digest()) in everything
    assert token not in repr(client)


@pytest.mark.parametrize(
    "token", ["", "snk_", "snk_" + "A" * 43, "\0", "\ud800", "ü" * 40, "A" * 10_000]
)
def test_what_is_no_key_opens_nothing(desk: Desk, token: str) -> None:
    desk.clients.create("upload-check", ["match"])
    with pytest.raises(NotAllowedError, match="opens nothing") as caught:
        desk.clients.authenticate(token)
    assert not token or token not in str(caught.value)


def test_a_revoked_key_opens_nothing_from_then_on(either_desk: Desk) -> None:
    client, token = either_desk.clients.create("one", ["match"])
    _other, kept = either_desk.clients.create("two", ["match"])
    either_desk.clients.revoke(client.id)
    with pytest.raises(NotAllowedError, match="opens nothing"):
        either_desk.clients.authenticate(token)
    assert either_desk.clients.authenticate(kept).name == "two"
    assert [(one.name, one.revoked) for one in either_desk.clients.list()] == [
        ("one", int(either_desk.clock())),
        ("two", None),
    ]


def test_access_that_another_process_ended_has_ended_here(either_desk: Desk) -> None:
    client, token = either_desk.clients.create("one", ["match"])
    assert either_desk.clients.authenticate(token) == either_desk.clients.authenticate(token)
    elsewhere = Store(either_desk.world.url)
    Clients(elsewhere, clock=either_desk.clock).revoke(client.id)
    elsewhere.close()
    with pytest.raises(NotAllowedError, match="opens nothing"):
        either_desk.clients.authenticate(token)


def test_access_ends_once(desk: Desk) -> None:
    client, _token = desk.clients.create("one", ["match"])
    desk.clients.revoke(client.id)
    for number in (client.id, 99):
        with pytest.raises(NotFoundError, match="no client of this number"):
            desk.clients.revoke(number)


def test_a_name_belongs_to_one_client(either_desk: Desk) -> None:
    either_desk.clients.create("one", ["match"])
    before = either_desk.world.contents()
    with pytest.raises(ConflictError, match="of this name"):
        either_desk.clients.create("one", ["check"])
    assert either_desk.world.contents() == before


@pytest.mark.parametrize("name", ["", "  ", "n" * 65])
def test_a_client_has_a_name(desk: Desk, name: str) -> None:
    with pytest.raises(InvalidError, match="1 to 64 characters") as caught:
        desk.clients.create(name, ["match"])
    assert caught.value.where == "name"


@pytest.mark.parametrize("scopes", [[], ["everything"], ["match", "root"]])
def test_a_client_has_scopes_that_there_are(desk: Desk, scopes: list[str]) -> None:
    with pytest.raises(InvalidError, match="Choose scopes among") as caught:
        desk.clients.create("one", scopes)
    assert caught.value.where == "scopes"


def test_who_gave_and_took_access_is_audited(desk: Desk) -> None:
    client, _token = desk.clients.create("one", SCOPES, actor="console")
    desk.clients.revoke(client.id)
    assert desk.audited() == [
        ("console", "client.create", "one", "admin,ban,check,flag,match,statements,uploads"),
        ("operator", "client.revoke", str(client.id), None),
    ]
