"""A new origin: the operator's word, where the old log can never be what it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.app import Services, open_services
from node.services.keys import key_file
from node.services.new_origin import next_origin, propose_new_origin
from node.services.rotation import difference, sign_proposal
from node.setup import init_node
from protocol.checkpoint import Checkpoint, parse_checkpoint, parse_note
from protocol.errors import ConflictError, UnavailableError
from signing.keys import KeyUse, SigningKey
from signing.keystore import Cost, load_key
from signing.notes import sign_checkpoint
from simulator import NOW

NAME = "hotline.example"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init_node(
        tmp_path / "node",
        name=NAME,
        url="http://127.0.0.1:8441",
        passphrase=None,
        clock=lambda: NOW,
        cost=Cost(1, 8192),
    )
    return tmp_path / "node"


def opened(home: Path) -> Iterator[Services]:
    with open_services(home, environ={}, clock=lambda: NOW) as services:
        yield services


@pytest.fixture
def services(home: Path) -> Iterator[Services]:
    yield from opened(home)


def key_of(home: Path, use: KeyUse) -> SigningKey:
    passphrase = (home / "secrets" / "passphrase").read_bytes().strip()
    return load_key(key_file(home, use), passphrase, use=use)


def add_flagger(services: Services, label: str) -> None:
    card = SigningKey.generate(KeyUse.FLAGGER).public.to_text()
    services.flaggers.add(card, f"{NAME}/{label}", ["*"], 30)


def test_a_log_that_has_forked_goes_on_under_another_name(home: Path, services: Services) -> None:
    add_flagger(services, "anna")
    note = sign_checkpoint(
        Checkpoint(f"{NAME}/log/1", 1, bytes([7]) * 32), key_of(home, KeyUse.LOG)
    )
    assert services.standing.judge([note]).state == "forked"
    assert any("new-origin" in reason for reason in services.health.reasons())
    with pytest.raises(UnavailableError):
        add_flagger(services, "ben")
    proposal = propose_new_origin(services.rotation, services.standing)
    assert difference(proposal).log_origin == f"{NAME}/log/2"
    services.rotation.install(sign_proposal(proposal, key_of(home, KeyUse.ROOT), now=NOW))
    for again in opened(home):
        assert again.standing.state().state == "fine"
        assert again.health.reasons() == []
        add_flagger(again, "ben")
        checkpoint = parse_checkpoint(parse_note(again.log.checkpoint()).text)
        assert (checkpoint.origin, checkpoint.size) == (f"{NAME}/log/2", 2)
        again.log.inclusion_proof(0, 2)


def test_a_log_that_is_fine_keeps_its_origin(services: Services) -> None:
    with pytest.raises(ConflictError, match="no new origin"):
        propose_new_origin(services.rotation, services.standing)
    assert difference(services.rotation.propose([])).log_origin is None


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (f"{NAME}/log/1", f"{NAME}/log/2"),
        (f"{NAME}/log/9", f"{NAME}/log/10"),
        (NAME, f"{NAME}/log/2"),
        (f"{NAME}/log/x", f"{NAME}/log/x/log/2"),
    ],
)
def test_logs_are_numbered(origin: str, expected: str) -> None:
    assert next_origin(origin) == expected
