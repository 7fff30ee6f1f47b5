"""A peer that floods a node: as many small messages as it can, from a process of its own.

Started with the node's address, port and URL, the peer's name, and how many messages and seconds
there are at most. All messages carry the peer's signature, one for several of them, as with a peer
to whom signing is dear; once the node says that these are too many, or after a while, most carry none, or go to an
address that there is not. Prints how many were sent and how each was answered, as JSON.
"""

import json
import re
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping

from protocol import endpoints
from protocol.encoding import encode_json
from protocol.messages import Poke
from signing.keys import KeyUse, SigningKey
from signing.requests import sign_request
from simulator import make_key

BATCH = 100
"""Messages that are sent in one go."""

_NOWHERE = "/nothing/is/here"
_TOO_MANY = "429"
_LINES = 4
_SIGN_AGAIN_S = 5.0
_SIGNED_S = 90.0
_SILENT_S = 60.0
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")


def request(path: str, fields: Mapping[str, str], body: bytes | None) -> bytes:
    """Returns the bytes of a request.

    Args:
        path: asked for.
        fields: of the header.
        body: None where it follows, and `fields` say how long it is.
    """
    length = {} if body is None else {"Content-Length": str(len(body))}
    lines = {**fields, **length, "Host": "node", "Content-Type": "application/json"}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


def signed_poke(url: str, name: str, key: SigningKey, size: int) -> tuple[dict[str, str], bytes]:
    """Returns the header and body of a poke by a peer."""
    body = encode_json(Poke(origin=f"{name}/log/1", size=size))
    return sign_request(
        method="POST", url=url + endpoints.POKE, body=body, key=key, now=int(time.time())
    ), body


class Flood:
    """What the lines of the flood have in common.

    Attributes:
        answers: how often each status was answered.
    """

    def __init__(self, url: str, name: str, messages: int, seconds: float) -> None:
        self.answers: Counter[str] = Counter()
        self._url, self._name = url, name
        self._key = make_key(KeyUse.REQUEST, name)
        self._left, self._end = messages, time.monotonic() + seconds
        self._signed_until = time.monotonic() + _SIGNED_S
        self._lock = threading.Lock()
        self._is_limited = False

    def run(self, address: str, port: int) -> None:
        """Sends over one connection until all is sent or the time is over."""
        batch, signed_at = b"", 0.0
        with socket.create_connection((address, port), timeout=_SILENT_S) as line:
            while self._take():
                if time.monotonic() - signed_at > _SIGN_AGAIN_S:
                    batch, signed_at = self._batch(), time.monotonic()
                line.sendall(batch)
                statuses = self._read(line)
                with self._lock:
                    self.answers.update(statuses)
                    self._is_limited |= statuses.count(_TOO_MANY) > BATCH // 2

    def _take(self) -> bool:
        with self._lock:
            self._left -= BATCH
            return self._left >= 0 and time.monotonic() < self._end

    def _batch(self) -> bytes:
        signed = request(endpoints.POKE, *signed_poke(self._url, self._name, self._key, 1))
        unsigned, nowhere = (request(path, {}, b"{}") for path in (endpoints.POKE, _NOWHERE))
        if self._is_limited or time.monotonic() > self._signed_until:
            return signed + unsigned * (BATCH // 2 - 1) + nowhere * (BATCH // 2)
        return signed * (BATCH - 1) + unsigned

    @staticmethod
    def _read(line: socket.socket) -> list[str]:
        """Returns the statuses of as many answers as a batch has messages.

        The last of them is a refusal, so what ends with the brace of its body is whole.
        """
        received = bytearray()
        while len(found := _STATUS.findall(received)) < BATCH or not received.endswith(b"}"):
            data = line.recv(1 << 20)
            if not data:
                raise ConnectionError("the node hung up")
            received += data
        return [one.decode() for one in found]


def main() -> None:
    """Floods as the command says."""
    address, port, url, name, messages, seconds = sys.argv[1:]
    flood = Flood(url, name, int(messages), float(seconds))
    lines = [threading.Thread(target=flood.run, args=[address, int(port)]) for _ in range(_LINES)]
    start = time.monotonic()
    for line in lines:
        line.start()
    for line in lines:
        line.join()
    took = time.monotonic() - start
    print(json.dumps({"answers": flood.answers, "seconds": round(took, 1)}))


if __name__ == "__main__":
    main()
