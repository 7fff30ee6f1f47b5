"""What may come to its end while nodes run: certificates, and keys that nobody renewed in time."""

import itertools
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from cli_stage import call
from faults import sign_ups
from faults.field import BEHIND_TLS, NAMES, SETTINGS, Field, hand_over, until
from node.app import open_services
from node.demo.cast import CHEAP, HOTLINE
from node.services.keys import OPERATIONAL
from node.services.rotation import KEY_DAYS, sign_proposal
from nodes import DAY_S, Node, make_node, media_flag
from protocol.envelope import parse_envelope
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey

_CERTIFICATE_S = 2.0
_KEYS_S = 90.0
"""How long a node's keys last from when it is made: long enough to start it and have it pinned."""

_FLAGGER_S = 15.0
_CIRCLE_S = 6.0
_OTHERS = tuple(name for name in NAMES if name != BEHIND_TLS)
_numbers = itertools.count(1)


def let_a_certificate_end(points: int, field: Field, chance: random.Random) -> str:
    """A node's TLS certificate ends: the others ask it nothing and say why, until it is renewed."""
    start = time.monotonic()
    field.terminator.show(_CERTIFICATE_S)
    until(lambda: time.monotonic() > start + _CERTIFICATE_S, "the certificate has ended")
    late = field.flag_well(BEHIND_TLS)  # its own flagger is served

    def is_named() -> bool:
        problems = [field.nodes[name].peer(BEHIND_TLS)["problem"] or "" for name in _OTHERS]
        return all("TLS certificate has expired" in problem for problem in problems)

    until(is_named, "all name the certificate")
    assert all(field.nodes[name].state(late) is None for name in _OTHERS), (
        "it was asked all the same"
    )
    field.terminator.show()
    until(
        lambda: not any(field.nodes[name].peer(BEHIND_TLS)["problem"] for name in _OTHERS),
        "all ask it again",
    )
    return "named by all, and asked again once it was renewed"


def let_a_nodes_keys_end(points: int, field: Field, chance: random.Random) -> str:
    """All keys with which a node works end: nobody asks it or believes it, until it has new ones."""
    ends = time.time() + _KEYS_S
    flagger = SigningKey.generate(KeyUse.FLAGGER)
    with _short_lived(field, flagger, ends) as node:
        early = _say(field, node, flagger)
        until(lambda: time.time() > ends, "its keys have ended", at_most_s=2 * _KEYS_S)
        late = _say(field, node, flagger)
        reasons = node.call("GET", "/readyz").json()["reasons"]
        assert len(reasons) == len(OPERATIONAL), reasons
        assert all("has expired" in one for one in reasons), reasons
        asked = [other.peer(node.name)["synced"] for other in field.nodes.values()]
        with field.traffic(HOTLINE):
            until(lambda: time.time() > ends + 3.5, "two polls are over")
        assert asked == [one.peer(node.name)["synced"] for one in field.nodes.values()]
        assert all(other.state(late) is None for other in field.nodes.values())
        problems = [one.peer(node.name)["problem"] for one in field.nodes.values()]
        assert all("has ended" in (problem or "") for problem in problems), problems
        with node.services() as services:
            proposal = services.rotation.propose(OPERATIONAL, cost=CHEAP)
            now = int(services.clock())
            services.rotation.install(sign_proposal(proposal, node.key(KeyUse.ROOT), now=now))
        for statement in (early, late):
            until(
                lambda one=statement: all(n.state(one) == "active" for n in field.nodes.values()),
                "what it took in is everywhere",
            )
        field.settle()
        node.stop()
        assert call("node", "fsck", node.directory).code == 0
    return "asked and believed by nobody until the root key had signed new ones"


@contextmanager
def _short_lived(field: Field, flagger: SigningKey, ends: float) -> Iterator[Node]:
    """A fourth node, which the others have pinned, with keys that end at an instant."""
    name = f"short-lived-{next(_numbers)}.example"
    place = field.hosts.place(name)
    node = make_node(
        field.folder / name,
        name,
        port=place.port,
        url=place.url,
        settings=SETTINGS,
        clock=lambda: ends - KEY_DAYS * DAY_S,
        address=place.address,
        prefix=place.prefix,
    )
    node.environ["SSL_CERT_FILE"] = str(field.terminator.authority.file)
    with node.services() as services:
        services.flaggers.add(flagger.public.to_text(), f"{name}/flagger", ["csam.*"], 30)
        for other in field.nodes.values():
            descriptor = other.made.descriptor_file.read_bytes()
            services.peers.add(descriptor, other.made.fingerprint, authority=False)
    node.start()
    try:
        node.wait_until_ready()
        for other in field.nodes.values():
            other.pin(node)
        yield node
    finally:
        node.stop()
        for other in field.nodes.values():
            key = (other.directory / "operator-key").read_text()
            answer = other.call("DELETE", f"/v1/admin/peers/{name}", token=key)
            # Who has not pinned it, because that did not come off, does not know it.
            assert answer.is_success or answer.status_code == HTTPStatus.NOT_FOUND, answer.text


def _say(field: Field, node: Node, flagger: SigningKey) -> str:
    """Has a flagger flag at a node that comes and goes; returns the id of what got a receipt."""
    envelope = sign_statement(media_flag(issuer=f"{node.name}/flagger"), flagger)
    answer = hand_over(node, envelope, flagger)
    assert answer is not None
    assert answer.is_success, answer.text
    return str(parse_envelope(envelope).statement_id)


def let_a_flaggers_key_end(points: int, field: Field, chance: random.Random) -> str:
    """A flagger's accreditation ends: what it said stays, what it says is refused until renewed."""
    name, flagger = f"{HOTLINE}/flagger-{next(_numbers)}", SigningKey.generate(KeyUse.FLAGGER)
    ends = time.time() + _FLAGGER_S
    _accredit(field, flagger, name, began=ends - DAY_S)
    early = sign_statement(media_flag(issuer=name), flagger)
    answer = hand_over(field.hotline, early, flagger)
    assert answer is not None
    assert answer.is_success, answer.text
    until(lambda: time.time() > ends + 1, "its accreditation has ended")
    late = hand_over(field.hotline, sign_statement(media_flag(issuer=name), flagger), flagger)
    assert late is not None
    assert (late.status_code, "accreditation ended on" in late.text) == (401, True), late.text
    _accredit(field, flagger, name, began=time.time())
    again = sign_statement(media_flag(issuer=name), flagger)
    answer = hand_over(field.hotline, again, flagger)
    assert answer is not None
    assert answer.is_success, answer.text
    for envelope in (early, again):
        statement = parse_envelope(envelope).statement_id
        until(
            lambda one=statement: all(node.state(one) == "active" for node in field.nodes.values()),
            "what it said in time is everywhere",
        )
    return "refused in one sentence, and heard again once it was renewed"


def _accredit(field: Field, flagger: SigningKey, name: str, *, began: float) -> None:
    """Vouches for a flagger for a day."""
    with open_services(
        field.hotline.directory,
        environ={"SCHUTZNETZ_HASH_WORKERS": "1"},
        clock=lambda: began,
    ) as services:
        services.flaggers.add(flagger.public.to_text(), name, ["csam.*"], 1)


def let_a_circles_key_end(points: int, field: Field, chance: random.Random) -> str:
    """A circle's key ends: no sign-up is checked under it, all else goes on, and a new one cures."""
    sign_ups.begin(field)
    ends = int(time.time() + _CIRCLE_S)
    sign_ups.end_the_key(field, ends)
    until(lambda: time.time() > ends + 1, "the key has ended")
    refused = sign_ups.check(field)
    assert refused.is_client_error or refused.status_code == 503, refused.text
    field.flag_well(HOTLINE)  # flags are taken all the same
    sign_ups.bring_a_key(field)
    until(lambda: sign_ups.check(field).is_success, "sign-ups are checked again")
    return f"sign-ups answered {refused.status_code} until there was a new key"
