"""New keys of a node: proposed, signed where the root key is, installed, and then used in time."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.descriptors import parse_descriptor
from node.app import open_services
from node.services.keys import key_file
from node.services.rotation import (
    KEY_DAYS,
    OVERLAP_DAYS,
    Rotation,
    difference,
    encode_proposal,
    parse_proposal,
    sign_proposal,
)
from node.setup import init_node
from node.wired import Services
from protocol.envelope import parse_envelope
from protocol.errors import (
    ConflictError,
    InvalidError,
    KeystoreError,
    MalformedError,
    ProtocolError,
    RevokedError,
)
from signing.keys import KeyUse, SigningKey
from signing.keystore import Cost, load_key
from signing.notes import open_checkpoint
from simulator import DAY_S, NOW, Peer, make_key
from worlds import PLATFORM, Clock

CHEAP = Cost(1, 8192)
NAME = "hotline.example"
USES = [KeyUse.REQUEST, KeyUse.LOG, KeyUse.WITNESS, KeyUse.STATEMENT]


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture(scope="module")
def new_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("rotation") / "n"
    url = "http://127.0.0.1:8441"
    init_node(made, name=NAME, url=url, passphrase=None, clock=lambda: NOW, cost=CHEAP)
    return made


@pytest.fixture
def home(new_node: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(new_node, tmp_path / "n"))


@pytest.fixture
def services(home: Path, clock: Clock) -> Iterator[Services]:
    with open_services(home, environ={}, clock=clock) as services:
        yield services


@pytest.fixture
def root(home: Path) -> SigningKey:
    passphrase = (home / "secrets" / "passphrase").read_bytes().strip()
    return load_key(key_file(home, KeyUse.ROOT), passphrase, use=KeyUse.ROOT)


def rotate(services: Services, root: SigningKey, *uses: KeyUse, days: int = OVERLAP_DAYS) -> bytes:
    proposal = services.rotation.propose(uses, overlap_days=days, cost=CHEAP)
    signed = sign_proposal(proposal, root, now=int(services.clock()))
    services.rotation.install(signed)
    services.key_use.refresh()
    return signed


def know(services: Services) -> None:
    """Pins a peer, which has not heard of anything."""
    peer = Peer(PLATFORM)
    services.peers.add(peer.descriptor_envelope, peer.pinned().fingerprint, authority=False)


def hears(services: Services, version: int) -> None:
    with services.store.write() as transaction:
        transaction.descriptors.set_told(PLATFORM, version)
    services.key_use.refresh()


def signing(services: Services) -> dict[KeyUse, str]:
    keys = services.exchange._keys
    return {one.use: one.kid for one in (keys.request, keys.log, keys.witness, keys.statement)}


def test_without_peers_new_keys_sign_at_once_and_old_ones_still_count(
    services: Services, root: SigningKey
) -> None:
    before = signing(services)
    rotate(services, root, *USES)
    after = signing(services)
    assert all(before[use] != after[use] for use in USES)
    own = services.peers.own()
    assert (own.version, len(own.keys)) == (2, 8)
    node = services.peers.node(NAME).at(NOW)
    assert {one.key.kid for one in node.request_keys} == {before[USES[0]], after[USES[0]]}
    card = SigningKey.generate(KeyUse.FLAGGER).public.to_text()
    receipt = services.flaggers.add(card, f"{NAME}/anna", ["*"], 30)
    with services.store.read() as transaction:
        body = transaction.statements.envelopes([receipt.index])[receipt.index]
    (signature,) = parse_envelope(body).signatures
    assert signature.keyid == after[KeyUse.STATEMENT]


def test_a_new_key_signs_only_once_every_peer_has_heard_of_it(
    services: Services, root: SigningKey
) -> None:
    know(services)
    before = signing(services)
    rotate(services, root, *USES)
    at_once = {one: signing(services)[one] for one in (KeyUse.LOG, KeyUse.WITNESS)}
    assert signing(services) == before | at_once
    assert services.key_use.waiting_for() == [PLATFORM]
    hears(services, 2)
    assert services.key_use.in_use() == 2
    assert services.key_use.waiting_for() == []
    assert not set(signing(services).values()) & set(before.values())


def test_a_peer_that_hears_nothing_is_waited_for_until_a_day_before_the_old_key_ends(
    services: Services, root: SigningKey, clock: Clock
) -> None:
    know(services)
    before = signing(services)
    rotate(services, root, KeyUse.REQUEST)
    clock.tick((OVERLAP_DAYS - 1) * DAY_S - 1)
    services.key_use.refresh()
    assert signing(services) == before
    clock.tick(1)
    services.key_use.refresh()
    assert signing(services) != before
    assert services.key_use.in_use() == 2


@pytest.mark.parametrize("how", ["frozen", "removed"])
def test_nobody_waits_for_a_peer_that_is_frozen_or_removed(
    services: Services, root: SigningKey, how: str
) -> None:
    know(services)
    before = signing(services)
    rotate(services, root, KeyUse.REQUEST)
    assert signing(services) == before
    (services.peers.freeze if how == "frozen" else services.peers.remove)(PLATFORM)
    services.key_use.refresh()
    assert signing(services) != before


def test_a_peer_that_is_pinned_later_does_not_bring_an_old_key_back(
    services: Services, root: SigningKey
) -> None:
    rotate(services, root, KeyUse.REQUEST)
    after = signing(services)
    know(services)
    services.key_use.refresh()
    assert signing(services) == after


def test_a_checkpoint_carries_a_line_of_each_valid_key_of_the_log(
    services: Services, root: SigningKey, clock: Clock
) -> None:
    know(services)
    old = services.peers.node(NAME).log_key
    rotate(services, root, KeyUse.LOG)
    new = services.peers.node(NAME).log_key
    note, origin = services.log.checkpoint(), services.log.origin
    assert open_checkpoint(note, origin=origin, key=old) == open_checkpoint(
        note, origin=origin, key=new
    )
    clock.tick((OVERLAP_DAYS + 1) * DAY_S)
    services.key_use.refresh()
    note = services.log.checkpoint()
    assert open_checkpoint(note, origin=origin, key=new).size == 0
    assert b"".join(note.splitlines()[4:]).count("\u2014 ".encode()) == 1


def test_a_node_that_starts_again_uses_the_same_keys(
    home: Path, clock: Clock, root: SigningKey
) -> None:
    with open_services(home, environ={}, clock=clock) as services:
        rotate(services, root, *USES)
        after = signing(services)
    with open_services(home, environ={}, clock=clock) as services:
        assert signing(services) == after


def test_a_key_file_that_was_deleted_after_a_theft_is_not_missed(
    home: Path, services: Services, root: SigningKey, clock: Clock
) -> None:
    rotate(services, root, KeyUse.REQUEST)
    after = signing(services)
    key_file(home, KeyUse.REQUEST).unlink()
    with open_services(home, environ={}, clock=clock) as again:
        assert signing(again) == after


def test_nothing_is_overwritten_and_a_proposal_changes_nothing(
    home: Path, services: Services, root: SigningKey
) -> None:
    before = {path: path.read_bytes() for path in (home / "keys").iterdir()}
    signing_before = signing(services)
    services.rotation.propose([KeyUse.REQUEST], cost=CHEAP)
    services.key_use.refresh()
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((home / "keys").iterdir())) == len(before) + 1
    assert signing(services) == signing_before
    assert services.peers.own().version == 1


def test_a_proposal_says_what_it_changes(services: Services, root: SigningKey) -> None:
    old = services.peers.node(NAME).request_key.kid
    proposal = services.rotation.propose([KeyUse.REQUEST], cost=CHEAP)
    found = difference(proposal)
    assert (found.name, found.version, found.moved, found.new_root) == (NAME, 2, False, None)
    assert [use for use, _kid in found.new] == ["request"]
    assert [(use, kid) for use, kid, _end in found.shortened] == [("request", old)]
    assert found.dropped == ()
    other = SigningKey.generate(KeyUse.ROOT)
    assert difference(proposal, other.public).new_root == other.kid


def test_a_root_key_is_replaced_by_one_that_both_introduce(
    services: Services, root: SigningKey
) -> None:
    other = SigningKey.generate(KeyUse.ROOT)
    proposal = services.rotation.propose([], cost=CHEAP)
    services.rotation.install(sign_proposal(proposal, root, new_root=other, now=NOW))
    following = services.rotation.propose([KeyUse.REQUEST], cost=CHEAP)
    with pytest.raises(KeystoreError, match="not the root key"):
        sign_proposal(following, root, now=NOW)
    services.rotation.install(sign_proposal(following, other, now=NOW))
    assert services.peers.own().version == 3
    assert len(services.successions.own_after(0).descriptors) == 3


def test_two_descriptors_of_one_version_are_never_installed(
    services: Services, root: SigningKey
) -> None:
    one, other = (services.rotation.propose([KeyUse.REQUEST], cost=CHEAP) for _ in range(2))
    first, second = (sign_proposal(each, root, now=NOW) for each in (one, other))
    services.rotation.install(first)
    with pytest.raises(ConflictError, match="installed already"):
        services.rotation.install(first)
    with pytest.raises(ConflictError, match="destroy this file"):
        services.rotation.install(second)


def test_a_descriptor_whose_secret_keys_are_elsewhere_is_not_installed(
    home: Path, services: Services, root: SigningKey
) -> None:
    signed = sign_proposal(services.rotation.propose([KeyUse.LOG], cost=CHEAP), root, now=NOW)
    new = [one for one in parse_descriptor(signed)[0].keys if one.use == "log"][-1]
    for path in (home / "keys").glob("log-*.key"):
        path.unlink()
    assert new.use == "log"
    with pytest.raises(KeystoreError, match="secret half"):
        services.rotation.install(signed)
    assert services.peers.own().version == 1


def test_what_is_no_proposal_is_not_signed(services: Services, root: SigningKey) -> None:
    proposal = services.rotation.propose([KeyUse.REQUEST], cost=CHEAP)
    envelope, current, following = parse_proposal(proposal)
    for data in (b"", b"{}", proposal[:-1], proposal.replace(b"descriptor-proposal", b"other")):
        with pytest.raises(ProtocolError):
            sign_proposal(data, root, now=NOW)
    skipped = encode_proposal(envelope, current)
    with pytest.raises(MalformedError, match="does not come behind"):
        sign_proposal(skipped, root, now=NOW)
    stranger = make_key(KeyUse.ROOT, "somebody else")
    with pytest.raises(KeystoreError, match="not the root key"):
        sign_proposal(proposal, stranger, now=NOW)
    with pytest.raises(RevokedError, match="expired"):
        sign_proposal(proposal, root, now=NOW + 800 * DAY_S)
    assert following.version == 2


def test_ended_keys_are_dropped_after_a_month_but_those_of_statements(
    services: Services, root: SigningKey, clock: Clock
) -> None:
    rotate(services, root, *USES)
    clock.tick((OVERLAP_DAYS + 31) * DAY_S)
    rotate(services, root)
    kept = sorted(one.use for one in services.peers.own().keys)
    assert kept == ["log", "request", "statement", "statement", "witness"]


def test_a_descriptor_does_not_grow_without_bound(
    services: Services, root: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.services.rotation.MAX_KEYS", 5)
    rotate(services, root, KeyUse.REQUEST)
    with pytest.raises(InvalidError, match="5 keys"):
        services.rotation.propose([KeyUse.LOG], cost=CHEAP)
    monkeypatch.setattr("node.services.rotation.MAX_DESCRIPTORS", 2)
    with pytest.raises(InvalidError, match="2 descriptors"):
        services.rotation.propose([], cost=CHEAP)


def test_a_descriptor_that_is_renewed_keeps_its_keys_and_takes_the_address_of_the_settings(
    home: Path, services: Services, root: SigningKey, clock: Clock
) -> None:
    before = services.peers.own()
    clock.tick(300 * DAY_S)
    moved = Rotation(
        services.store,
        directory=home,
        name=NAME,
        url="https://new.hotline.example",
        passphrase=lambda: b"",
        clock=clock,
    )
    signed = sign_proposal(moved.propose([]), root, now=int(clock()))
    after, _ = parse_descriptor(signed)
    assert (after.url, after.keys) == ("https://new.hotline.example", before.keys)
    assert after.expires > before.expires
    assert difference(moved.propose([])).moved


def test_a_new_key_lasts_as_long_as_its_documents_say(services: Services, root: SigningKey) -> None:
    rotate(services, root, KeyUse.STATEMENT)
    last = services.peers.node(NAME).statement_keys[-1]
    assert last.not_after - last.not_before == KEY_DAYS * DAY_S
