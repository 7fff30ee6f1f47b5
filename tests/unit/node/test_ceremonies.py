"""Ceremonies among real nodes without a network: what comes of them, and who spoils them."""

import itertools

import pytest

from node.services.directory import StoredDirectory
from node.services.keys import open_keys
from protocol.encoding import from_base64url
from rings import Ring, open_ring
from signing.oprf import shares, voprf

PASS = "secrets/passphrase"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("ring")


@pytest.fixture(scope="module")
def opened(place):
    with open_ring(place, 3) as ring:
        yield ring


def circle_at(ring: Ring, name: str):
    with ring.services[name].store.read() as transaction:
        return StoredDirectory(transaction).circle(ring.circle)


def test_two_of_three_make_a_key_and_every_pair_gives_one_output(opened):
    ring = opened
    ceremony = ring.propose()
    waiting = ring.drive(ceremony)
    assert waiting.state == "waiting"
    ring.confirm(ceremony)
    done = ring.drive(ceremony)
    assert (done.state, done.reason) == ("published", None)
    circle = circle_at(ring, ring.names[0])
    (epoch,) = circle.epochs
    commitments = [from_base64url(one) for one in epoch.commitments]
    assert len(commitments) == 2
    pairs = {}
    for at, name in enumerate(ring.names, 1):
        directory = ring.nodes[name].directory
        keys = open_keys(directory, (directory / PASS).read_bytes().strip())
        share = keys.shares[ring.circle, 1]
        pairs[at] = shares.verify_share(commitments, at, share)
        assert not list((directory / "keys").glob("ceremony-*"))
    blinded = voprf.blind([b"somebody"])
    publics = {at: pair.public for at, pair in pairs.items()}
    outputs = {
        shares.combine(
            blinded,
            {
                at: voprf.verify_evaluation(
                    publics[at], blinded, voprf.evaluate(pairs[at], blinded.elements)
                )
                for at in chosen
            },
            publics,
            2,
        )[0]
        for chosen in itertools.combinations(pairs, 2)
    }
    assert len(outputs) == 1
