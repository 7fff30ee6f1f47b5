"""A whole run at the most talkative: afterwards no value of it stands where an operator reads.

Rule 10 of the design: no identifier, pdq, digest, fingerprint, key, token or statement in a log, a
metric, an error text or a command line. The search itself is shown to find what is planted.
"""

import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.demo_pictures import picture_paths
from node.matching.media import MediaHashes, hash_picture
from node.services.keys import OPERATIONAL
from nodes import (
    ANNA,
    REFUSALS,
    Node,
    header,
    media_flag,
)
from protocol.encoding import from_base64url
from protocol.envelope import parse_envelope
from protocol.errors import FederationError
from protocol.identifiers import normalise
from protocol.statements import AccountBan, Erase, MediaItem, Retract, parse_as
from signing.envelopes import sign_statement
from signing.keys import KeyUse, SigningKey
from three_nodes import Trio, open_trio
from waiting import wait_for

OFFENDER = {
    "email": "Mallory.Q.Xanthippe+shop@Example.org",
    "phone": "(030) 23125-017",
    "device": "6f9619ff-8b86-4d01-b42d-00cf4fc964ff",
    "username": "xXMalloryXx_1987",
}
ASKED_ONLY = {"email": "zbigniew.bystander@example.net", "phone": "+49 30 23125 444"}
REFUSED = {
    "email": "no-address-of-wilhelmine",
    "phone": "1 wilhelmine",
    "iban": "DE00WILH3LM1",
}
WINDOW = 40


@dataclass
class Secrets:
    """Every value that must not be seen, by what it is, in every form it could be seen in."""

    forms: dict[str, set[bytes]] = field(default_factory=dict)

    def add_text(self, what: str, *values: str) -> None:
        found = self.forms.setdefault(what, set())
        for value in values:
            found |= {value.encode(), value.lower().encode(), json.dumps(value)[1:-1].encode()}

    def add_bytes(self, what: str, *values: bytes) -> None:
        found = self.forms.setdefault(what, set())
        for value in values:
            plain = base64.b64encode(value).rstrip(b"=")
            # The last character depends on what follows the value.
            found |= {value, plain[:-1], plain[:-1].translate(bytes.maketrans(b"+/", b"-_"))}
            found |= {
                value.hex().encode(),
                value.hex().upper().encode(),
                repr(value)[2:-1].encode(),
            }

    def add_stretches(self, what: str, *values: bytes) -> None:
        """Any part of a longer value would be too much."""
        found = self.forms.setdefault(what, set())
        for value in values:
            found |= {value[at : at + WINDOW] for at in range(0, len(value) - WINDOW, WINDOW // 2)}

    def in_text(self, where: Mapping[str, bytes]) -> dict[str, list[str]]:
        """Which kinds of values stand in which of the texts."""
        return {
            name: kinds
            for name, text in where.items()
            if (kinds := [w for w, forms in self.forms.items() if any(f in text for f in forms)])
        }


@dataclass
class Run:
    """What a run has left: what an operator can read, and what must not be in it."""

    readable: dict[str, bytes]
    secrets: Secrets
    databases: dict[str, bytes]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    REFUSALS.clear()
    secrets = Secrets()
    texts: list[bytes] = []
    settings = {"log_level": "debug", "metrics_enabled": "true"}
    with open_trio(tmp_path_factory.mktemp("secrets"), settings=settings) as trio:
        play(trio, secrets, texts)
        readable = {f"metrics of {node.name}": metrics(node) for node in trio.nodes}
        readable |= {f"command line {line[:40]!r}": line for line in command_lines(trio)}
        databases = {
            f"{node.name} {path.name}": path.read_bytes()
            for node in trio.nodes
            for path in node.directory.glob("node.db*")
        }
    readable |= {f"log of {node.name}": node.log.read_bytes() for node in trio.nodes}
    readable |= {f"refusal {number}": body for number, body in enumerate([*REFUSALS, *texts])}
    return Run(readable, secrets, databases)


def play(trio: Trio, secrets: Secrets, texts: list[bytes]) -> None:
    """Flags, bans, look-ups, mistakes, and the way back."""
    know_keys(trio, secrets)
    know_identifiers(secrets)
    pictures = [path.read_bytes() for path in picture_paths()[:3]]
    hashes = [hash_picture(data) for data in pictures]
    for one in hashes:
        secrets.add_bytes("pdq", one.pdq)
        secrets.add_bytes("digest", *map(bytes.fromhex, (one.sha256, one.sha1, one.md5)))
    flag = trio.flag(item(hashes[0]), item(hashes[1]))
    trio.everywhere(flag)
    ban = trio.first.ask("POST", "/v1/accounts/ban", json=ban_of(OFFENDER))["id"]
    wait_for(lambda: trio.second.state(ban) == "active", "the ban arrives")
    for data in pictures:
        trio.second.ask(
            "POST", "/v1/media/match-file?surface=public", files={"file": ("x.jpg", data)}
        )
    trio.second.match(pdq=hashes[2].pdq.hex(), quality=hashes[2].quality, sha256=hashes[2].sha256)
    for identifiers in (OFFENDER, ASKED_ONLY):
        asked = {"identifiers": listed(identifiers), "region": "DE"}
        trio.second.ask("POST", "/v1/accounts/check", json=asked)
    know_statements(trio, secrets)
    make_mistakes(trio, hashes[0], secrets, texts)
    take_back(trio, flag, ban)


def know_keys(trio: Trio, secrets: Secrets) -> None:
    seeds = [node.key(use).seed for node in trio.nodes for use in (KeyUse.ROOT, *OPERATIONAL)]
    with trio.hotline.services() as services:
        shares = list(services.evaluator._keys.shares.values())
    secrets.add_bytes("key", trio.anna.seed, *seeds, *shares)
    for node in trio.nodes:
        secrets.add_text("token", node.made.api_key, (node.directory / "operator-key").read_text())
        passphrase = (node.directory / "secrets" / "passphrase").read_text().strip()
        secrets.add_text("passphrase", passphrase)


def know_identifiers(secrets: Secrets) -> None:
    for identifiers in (OFFENDER, ASKED_ONLY):
        for kind, value in identifiers.items():
            normalised = normalise(kind, value, region="DE", scope="platform-b.example")
            bare = value.split("@")[0]
            secrets.add_text("identifier", value, bare, normalised.value)
            secrets.add_text("identifier", normalised.value.removeprefix("+"))
    secrets.add_text("identifier", *REFUSED.values(), "wilhelmine")


def know_statements(trio: Trio, secrets: Secrets) -> None:
    for node in trio.nodes:
        with node.store() as store, store.read() as transaction:
            size = transaction.logs.size(node.pinned.log_origin)
            bodies = transaction.statements.envelopes(range(size)).values()
        for body in bodies:
            envelope = parse_envelope(body)
            secrets.add_stretches("statement", envelope.payload, body)
            secrets.add_text("nonce", json.loads(envelope.payload)["nonce"])
            if envelope.kind == AccountBan.KIND:
                found = parse_as(AccountBan, envelope.payload).fingerprints
                secrets.add_bytes("fingerprint", *(from_base64url(one.value) for one in found))


def make_mistakes(trio: Trio, hashes: MediaHashes, secrets: Secrets, texts: list[bytes]) -> None:
    """Everything that callers get wrong, with the values in every place of a request."""
    node, pdq, email = trio.second, hashes.pdq.hex(), OFFENDER["email"]

    def wrong(method: str, path: str, **arguments: object) -> None:
        assert node.call(method, path, **arguments).is_error, path  # type: ignore[arg-type]  # of httpx

    for kind, value in REFUSED.items():
        asked = {"identifiers": [{"kind": kind, "value": value}]}
        wrong("POST", "/v1/accounts/check", json=asked)
    wrong("POST", "/v1/accounts/check", json={"identifiers": [{"kind": email, "value": email}]})
    wrong("POST", "/v1/accounts/check", json={"identifiers": listed(OFFENDER), email: 1})
    wrong("POST", "/v1/accounts/check", json={"identifiers": listed(OFFENDER) * 3})
    wrong("POST", "/v1/accounts/ban", json=ban_of(OFFENDER) | {"category": email})
    for item_ in ({"pdq": pdq + "00"}, {"pdq": pdq.upper()}, {"sha256": pdq[:-1]}, {pdq: pdq}):
        asked_of = {"surface": "public", "items": [item_]}
        wrong("POST", "/v1/media/match", json=asked_of)
    wrong("POST", "/v1/media/match", content=f'{{"pdq": "{pdq}', headers=JSON)
    wrong("POST", "/v1/media/match", content=f'{{"{pdq}": 1, "{pdq}": 1}}', headers=JSON)
    wrong("POST", f"/v1/media/match-file?surface={email}", files={"file": (email, b"x")})
    wrong("GET", f"/v1/statements/{pdq}")
    wrong("GET", f"/v1/statements/{email}")
    wrong("GET", f"/{email}?pdq={pdq}")
    wrong(pdq[:16].translate(str.maketrans("0123456789", "ghijklmnop")).upper(), f"/{pdq}")
    node.call("GET", "/livez", headers={"Cookie": email, "User-Agent": pdq, "Referer": email})
    stolen = "snk_" + "A7" * 21 + "w"
    secrets.add_text("token", stolen)
    wrong("GET", f"/v1/statements/{pdq}", token=stolen)
    stranger = SigningKey.generate(KeyUse.FLAGGER)
    for envelope in (
        sign_statement(media_flag(item(hashes)), stranger),
        sign_statement(media_flag(item(hashes), category="ncii.adult"), trio.anna),
        sign_statement(media_flag(item(hashes), issuer="hotline.example/zoe"), trio.anna),
        sign_statement(
            Retract(**header(ANNA), target=hashes.sha256, items=(), reason="wrong"), trio.anna
        ),
        b'{"payload": "' + pdq.encode() + b'"}',
        pdq.encode(),
    ):
        with pytest.raises(FederationError) as refused:
            trio.hotline.talk(lambda client, said=envelope: client.submit(said), trio.anna)
        texts.append(f"{refused.value!r} {refused.value}".encode())


def take_back(trio: Trio, flag: str, ban: str) -> None:
    """Ends everything again, while one of the nodes is away for a while."""
    day = time.strftime("%Y-%m-%d", time.gmtime())
    trio.second.ask(
        "POST",
        f"/v1/statements/{flag}/feedback",
        json={"day": day, "rows": [{"item": 0, "confirmed": 1}]},
    )
    trio.second.kill()
    disputed = trio.hotline.ask(
        "POST", f"/v1/statements/{ban}/dispute", json={"reason": "wrong-person"}
    )["id"]
    wait_for(lambda: trio.first.state(disputed) == "active", "the dispute arrives")
    trio.first.ask(
        "POST", f"/v1/statements/{ban}/resolve", json={"dispute": disputed, "outcome": "upheld"}
    )
    trio.first.ask("POST", f"/v1/statements/{ban}/erase", json={"reason": "subject-request"})
    retract = Retract(**header(ANNA), target=flag, items=(1,), reason="wrong")
    trio.hotline.submit(retract, trio.anna)
    trio.second.start()
    trio.second.wait_until_ready()
    trio.everywhere(
        trio.hotline.submit(Erase(**header(ANNA), target=flag, reason="retention"), trio.anna)
    )
    wait_for(lambda: trio.second.state(ban) == "erased", "the erase arrives")


JSON = {"Content-Type": "application/json"}


def item(one: MediaHashes) -> MediaItem:
    return MediaItem(
        pdq=one.pdq.hex(), quality=one.quality, sha256=one.sha256, sha1=one.sha1, md5=one.md5
    )


def listed(identifiers: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"kind": kind, "value": value} for kind, value in identifiers.items()]


def ban_of(identifiers: Mapping[str, str]) -> dict[str, object]:
    return {
        "identifiers": listed(identifiers),
        "region": "DE",
        "category": "account.distribution",
        "reviewers": 2,
        "scope": "person",
        "purpose": "sign-up-check",
        "legal_basis": "gdpr-6-1-f",
        "expires_days": 30,
    }


def metrics(node: Node) -> bytes:
    token = (node.directory / "operator-key").read_text()
    answer = node.call("GET", "/metrics", token=token)
    assert answer.is_success
    assert b"schutznetz" in answer.content
    return answer.content


def command_lines(trio: Trio) -> list[bytes]:
    """Of the nodes and of every process that they have started."""
    sessions = {node.process.pid for node in trio.nodes if node.process is not None}
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            # Field 6 of stat, behind the name in brackets: the session.
            session = int((path.parent / "stat").read_text().rpartition(")")[2].split()[3])
            if session in sessions:
                found.append(path.read_bytes())
        except OSError:
            continue  # it has ended by now
    assert len(found) >= 2 * len(sessions)  # each has a hash worker at least
    return found


def test_no_value_of_a_whole_run_stands_where_an_operator_reads(run: Run) -> None:
    assert run.secrets.in_text(run.readable) == {}


def test_the_run_was_one_of_which_there_was_something_to_say(run: Run) -> None:
    assert run.secrets.forms.keys() == {
        *("identifier", "pdq", "digest", "fingerprint"),
        *("key", "token", "passphrase", "statement", "nonce"),
    }
    logs = b"".join(text for name, text in run.readable.items() if name.startswith("log of"))
    for said in (b'"synced"', b'"request"', b'"poke_failed"', b'"serving"'):
        assert said in logs
    assert sum(name.startswith("refusal") for name in run.readable) > 20


def test_identifiers_stand_in_no_database_either(run: Run) -> None:
    only = Secrets({"identifier": run.secrets.forms["identifier"]})
    assert run.databases
    assert only.in_text(run.databases) == {}


def test_the_search_finds_each_kind_of_value_when_it_is_planted(run: Run) -> None:
    name, text = next(
        (name, text) for name, text in run.readable.items() if name.startswith("log of")
    )
    for kind, forms in run.secrets.forms.items():
        for form in forms:
            planted = {name: text + b'{"event": "' + form + b'"}\n'}
            assert kind in run.secrets.in_text(planted)[name]
