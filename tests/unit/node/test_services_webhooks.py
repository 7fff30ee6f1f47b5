"""Webhooks: which addresses are taken, how messages are signed, and what failing costs."""

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path

import pytest

from desks import Desk
from federation.reach import is_public
from node.services.clients import Client
from node.services.webhooks import (
    KEY_FILE,
    MOST_ATTEMPTS,
    OVERLAP_S,
    Delivery,
    Webhooks,
    delay_s,
    sign,
)
from node.storage.retro import RetroMatchRecord
from protocol.errors import InvalidError, NotFoundError, SettingsError
from simulator import NOW, media_flag
from worlds import ANNA, items

PLATFORM = Client(1, "platform", frozenset({"uploads"}))
URL = "https://platform.example/hook"


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


def hooks(desk: Desk, clock: Clock | None = None, **allowed: bool) -> Webhooks:
    said = {"allow_http": False, "allow_private": False} | allowed
    return Webhooks(desk.world.store, directory=desk.directory, clock=clock or Clock(), **said)


def announce(desk: Desk, number: int = 1) -> None:
    """Stores a match of the platform's, and puts a message about it in line."""
    receipt = desk.world.submit(media_flag(ANNA, number, items=items(1)))
    match = RetroMatchRecord(
        number, 1, f"u-{number}", receipt.index, 0, "pdq", 4, "block", "rule", NOW
    )
    with desk.world.store.write() as transaction:
        transaction.webhooks.announce(transaction.retro.add([match]), "retro.matched", now=NOW)


def holds(delivery: Delivery, secret: str) -> bool:
    """What a receiver does, as the specification says."""
    head = f"{delivery.headers['webhook-id']}.{delivery.headers['webhook-timestamp']}."
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, head.encode() + delivery.body, hashlib.sha256).digest()
    signature = "v1," + base64.b64encode(digest).decode()
    return signature in delivery.headers["webhook-signature"].split(" ")


def test_the_signature_is_that_of_the_specifications_example() -> None:
    secret = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    signature = sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    "url",
    [
        "http://platform.example/hook",
        "http://127.0.0.1/hook",
        "ftp://platform.example/hook",
        "https://user:word@platform.example/hook",
        "https://platform.example/hook#part",
        "https://platform.example:99999/hook",
        "https:///hook",
        "https://platform.example/a b",
        "https://[::1/hook",
        "https://platform.example/\r\nX-Field: 1",
        "https://plätform.example/",
    ],
)
def test_an_address_that_must_not_be_called_is_refused(desk: Desk, url: str) -> None:
    with pytest.raises(InvalidError, match="The address"):
        hooks(desk).put(url, client=PLATFORM)


def test_what_the_operator_allows_is_taken(desk: Desk) -> None:
    hooks(desk, allow_private=True).put("http://127.0.0.1:8080/hook", client=PLATFORM)
    with pytest.raises(InvalidError, match="has to be https"):
        hooks(desk, allow_private=True).put("http://10.0.0.1/hook", client=PLATFORM)
    hooks(desk, allow_http=True).put("http://platform.example/hook", client=PLATFORM)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",  # an address to be refused
        "224.0.0.1",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
        "no address",
    ],
)
def test_an_address_that_is_not_public_is_known(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8"])
def test_a_public_address_is_known(address: str) -> None:
    assert is_public(address)


def test_a_message_names_ids_and_no_hash(desk: Desk) -> None:
    secret = hooks(desk).put(URL, client=PLATFORM)
    announce(desk)
    (delivery,) = hooks(desk).due()
    assert holds(delivery, secret)
    assert not holds(delivery, "whsec_" + base64.b64encode(bytes(32)).decode())
    said = json.loads(delivery.body)
    (match,) = said["data"]["matches"]
    assert said["type"] == "retro.matched"
    assert match.keys() == {
        "id",
        "upload",
        "statement",
        "item",
        "kind",
        "distance",
        "decision",
        "rule",
        "found",
    }


def test_who_has_no_webhook_is_told_nothing(desk: Desk) -> None:
    announce(desk)
    assert hooks(desk).due() == []
    for ask in (hooks(desk).state, hooks(desk).rotate, hooks(desk).remove):
        with pytest.raises(NotFoundError, match="There is no webhook"):
            ask(client=PLATFORM)


def test_after_a_change_of_the_secret_both_sign_for_a_day(desk: Desk) -> None:
    clock = Clock()
    service = hooks(desk, clock)
    old = service.put(URL, client=PLATFORM)
    announce(desk)
    new = service.rotate(client=PLATFORM)
    (delivery,) = service.due()
    assert holds(delivery, old)
    assert holds(delivery, new)
    assert service.state(client=PLATFORM).old_until is not None
    clock.now += OVERLAP_S
    (delivery,) = service.due()
    assert holds(delivery, new)
    assert not holds(delivery, old)


def test_a_message_keeps_its_id_waits_longer_each_time_and_is_given_up(desk: Desk) -> None:
    clock = Clock()
    service = hooks(desk, clock)
    service.put(URL, client=PLATFORM)
    announce(desk)
    ids, waited = set(), []
    for _ in range(MOST_ATTEMPTS):
        (delivery,) = service.due()
        ids.add((delivery.headers["webhook-id"], delivery.body))
        service.settle(delivery, "The answer was 500.")
        began = clock.now
        while not service.due() and clock.now < began + 7 * 3_600:
            clock.now += max(1, (clock.now - began) // 8)
        waited.append(clock.now - began)
    assert len(ids) == 1
    assert waited[0] <= 6
    assert waited[5] > waited[0]
    state = service.state(client=PLATFORM)
    assert (state.waiting, state.dead, state.problem) == (0, 1, "The answer was 500.")
    assert service.all() == [state]
    assert service.retry(client=PLATFORM) == 1
    (delivery,) = service.due()
    service.settle(delivery, None)
    assert service.due() == []
    assert service.state(client=PLATFORM).dead == 0


def test_the_wait_doubles_up_to_six_hours() -> None:
    for attempts in range(40):
        longest = min(5 * 2**attempts, 6 * 3_600)
        assert longest // 2 < delay_s(attempts) <= longest


def test_a_message_that_is_being_sent_when_the_webhook_goes_does_no_harm(desk: Desk) -> None:
    service = hooks(desk)
    service.put(URL, client=PLATFORM)
    announce(desk)
    (delivery,) = service.due()
    service.remove(client=PLATFORM)
    service.settle(delivery, None)
    service.put(URL, client=PLATFORM)
    assert service.due() == []


def test_the_key_of_the_secrets_is_for_the_node_alone(desk: Desk) -> None:
    first = hooks(desk).put(URL, client=PLATFORM)
    file: Path = desk.directory / KEY_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second = hooks(desk).put(URL, client=PLATFORM)
    assert first != second
    file.write_bytes(b"short")
    with pytest.raises(SettingsError, match="damaged"):
        hooks(desk).put(URL, client=PLATFORM)
