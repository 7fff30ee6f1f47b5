"""A proxy that speaks TLS before one node, as operators put one there: a process of its own.

Started with an address and a port to listen on, those of the node behind it, and a file with a key
and its certificate. On SIGHUP it reads that file again and hangs up on everybody, so that they see
the new certificate.
"""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from certificates import Authority
from waiting import wait_for

_PIECE = 64 << 10
_ANSWERS_WITHIN_S = 30.0
_DAY_S = 86_400.0
_HERE = Path(__file__).resolve().parents[1]


@dataclass
class Terminator:
    """The proxy before one node, and the authority whose certificates it shows.

    Attributes:
        authority: everybody trusts it.
        address: where it listens, and where the node does.
        port: its own.
        target: the node's.
        prefix: what it is started with, such as a namespace.
        lasts_s: how long the latest certificate lasts, or lasted.
    """

    authority: Authority
    address: str
    port: int
    target: int
    prefix: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    lasts_s: float = field(default=0.0, init=False)

    def show(self, lasts_s: float = _DAY_S) -> None:
        """Has it show a new certificate; returns once it does."""
        self.lasts_s = lasts_s
        path = self.authority.issue(self.address, lasts_s=lasts_s)
        if self.process is None:
            self._start(path)
        else:
            self.process.send_signal(signal.SIGHUP)
        shown = path.read_text().strip()

        def is_shown() -> bool:
            with suppress(OSError):
                found = ssl.get_server_certificate(
                    (self.address, self.port), timeout=_ANSWERS_WITHIN_S
                )
                return found.strip() in shown
            return False

        wait_for(is_shown, "the proxy shows its certificate")

    def renew(self) -> None:
        """Has it show a certificate that lasts, if it does not."""
        if self.lasts_s < _DAY_S:
            self.show()

    def _start(self, certificate: Path) -> None:
        here = (self.address, str(self.port), str(self.target), str(certificate))
        paths = os.pathsep.join([str(_HERE.parent), str(_HERE)])
        self.process = subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "faults.terminator", *here],
            env=os.environ | {"PYTHONPATH": paths},
            stdin=subprocess.DEVNULL,
        )

    def close(self) -> None:
        """Ends it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


async def _run(address: str, port: int, target: int, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    callers: set[asyncio.StreamWriter] = set()

    def turn_over() -> None:
        context.load_cert_chain(certificate)
        for caller in callers:
            caller.transport.abort()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.add(writer)
        with suppress(OSError):
            there, back = await asyncio.open_connection(address, target)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer))
        writer.close()
        callers.discard(writer)

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, turn_over)
    server = await asyncio.start_server(handle, address, port, ssl=context)
    await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    _address, _port, _target, _certificate = sys.argv[1:]
    asyncio.run(_run(_address, int(_port), int(_target), _certificate))
