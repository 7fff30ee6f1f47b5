"""What one message between nodes weighs and costs, on a real node: the inputs of the simulation.

Run: ``python benchmarks/measure_messages.py [--requests 300] [--write]``. A real `node serve`
answers a client of this process on loopback, for each kind of request:

    bytes     of the request and of the answer on the line, heads included; TLS would add some
    serve_ms  of the serving process's processor
    ask_ms    of the asking side's processor: signing, sending, reading the answer

and beside them what it costs to take one statement in: verify, store, log, index, on SQLite with
fsync. With ``--write`` the document goes to benchmarks/messages.json, from where
simulate_scale.py takes it.
"""

import argparse
import asyncio
import json
import socket
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from federation.client import PeerClient, connect
from node.app import open_services
from node.bench.machine import MachineWatch
from node.demo.cast import CHEAP, alone
from node.demo.ports import free_port
from node.services.keys import key_file
from node.setup import init_node
from protocol.checkpoint import parse_checkpoint, parse_note
from protocol.encoding import format_time, to_base64url
from protocol.envelope import parse_envelope
from protocol.messages import Acknowledgement, Poke
from protocol.statements import Basis, MediaFlag, MediaItem
from protocol.witnessing import AddCheckpoint
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse
from signing.keystore import load_key

SERVER, CALLER = "server.example", "caller.example"
FILE = Path(__file__).with_name("messages.json")
LOG = 200
COSIGNED = 200  # a witness cosigns 240 in a minute for one log, and no more
DAY_S = 86_400


def flag(number, issuer=SERVER):
    """A statement about one picture, as a platform makes it."""
    now = int(time.time())
    raw = number.to_bytes(32, "big")
    return MediaFlag(
        issuer=issuer,
        nonce=new_nonce(),
        issued=format_time(now),
        audience=("peers",),
        items=(MediaItem(sha256=raw.hex(), sha1=raw[:20].hex(), md5=raw[:16].hex()),),
        category="csam.act.prepub",
        basis=Basis(reviewers=2, reviewed=format_time(now)),
        purpose="detection",
        legal_basis="dsa-22",
        review_by=format_time(now + 300 * DAY_S),
    )


class Meter:
    """Passes connections on to a port, and counts what goes each way."""

    def __init__(self, target):
        self.target = target
        self.sent = self.received = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self._listening.accept()
            far = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, here, there, out):
        while data := here.recv(65_536):
            if out:
                self.sent += len(data)
            else:
                self.received += len(data)
            there.sendall(data)
        there.close()


def processor_s(pid):
    """Processor time of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(one.read_text().split()[0]) for one in tasks) / 1e9


async def measure(count, meter, pid, ask: Callable[[], Awaitable[object]]):
    """One kind of request, `count` times."""
    await ask()
    sent, received = meter.sent, meter.received
    before, began = processor_s(pid), time.thread_time()
    for _ in range(count):
        await ask()
    asked = time.thread_time() - began
    return {
        "request_bytes": round((meter.sent - sent) / count),
        "answer_bytes": round((meter.received - received) / count),
        "serve_ms": round((processor_s(pid) - before) / count * 1e3, 3),
        "ask_ms": round(asked / count * 1e3, 3),
    }


@contextmanager
def nodes(folder) -> Iterator[tuple]:
    """A node that serves behind a meter, and the directory of another that it has pinned."""
    port = free_port()
    meter = Meter(port)
    urls = {SERVER: f"http://127.0.0.1:{meter.port}", CALLER: "http://127.0.0.1:1"}
    made = {
        name: init_node(
            folder / name, name=name, url=url, passphrase=None, clock=time.time, cost=CHEAP
        )
        for name, url in urls.items()
    }
    with open_services(folder / SERVER, environ={}) as services:
        descriptor = made[CALLER].descriptor_file.read_bytes()
        services.peers.add(descriptor, made[CALLER].fingerprint, authority=False)
    with open_services(folder / CALLER, environ={}) as services:
        descriptor = made[SERVER].descriptor_file.read_bytes()
        services.peers.add(descriptor, made[SERVER].fingerprint, authority=False)
    keys = {
        (name, use): load_key(
            key_file(folder / name, use),
            (folder / name / "secrets" / "passphrase").read_bytes().strip(),
            use=use,
        )
        for name in made
        for use in (KeyUse.REQUEST, KeyUse.STATEMENT)
    }
    envelopes = [sign_statement(flag(n), keys[SERVER, KeyUse.STATEMENT]) for n in range(LOG)]
    with open_services(folder / SERVER, environ={}) as services:
        for one in envelopes:
            services.ingest.submit(one, caller=SERVER)
    with alone(folder / SERVER, made[SERVER], port=port, poll_interval_s=3_600) as member:
        yield member, meter, urls[SERVER], keys[CALLER, KeyUse.REQUEST], envelopes


async def requests(count, server, folder):
    """Every kind of request of a sync, a poke and a cosignature."""
    member, meter, url, key, envelopes = server
    pid = member.process.pid
    ids = [parse_envelope(one).statement_id for one in envelopes]
    async with connect() as lines:
        client = PeerClient(lines, url=url, key=key, clock=time.time)
        note = await client.checkpoint()
        seen = parse_checkpoint(parse_note(note).text)
        done = Acknowledgement(
            origin=seen.origin, size=seen.size, root=to_base64url(seen.root), set_aside=()
        )
        poke = Poke(origin=f"{CALLER}/log/1", size=0)
        kinds = {
            "checkpoint": client.checkpoint,
            "entries": lambda: client.entries(seen.size - 1, 1),
            "envelopes": lambda: client.envelopes((ids[-1],)),
            "acknowledge": lambda: client.acknowledge(done),
            "poke": lambda: client.poke(poke),
        }
        found = {name: await measure(count, meter, pid, ask) for name, ask in kinds.items()}
        found["cosign"] = await cosign(min(count, COSIGNED), meter, pid, client, folder)
    return found


async def cosign(count, meter, pid, client, folder):
    """Has the serving node cosign a log of the caller that grows by one entry each time."""
    passphrase = (folder / CALLER / "secrets" / "passphrase").read_bytes().strip()
    key = load_key(key_file(folder / CALLER, KeyUse.STATEMENT), passphrase, use=KeyUse.STATEMENT)
    with open_services(folder / CALLER, environ={}) as services:
        notes = []
        for number in range(count + 1):
            one = sign_statement(flag(number, CALLER), key)
            services.ingest.submit(one, caller=CALLER)
            notes.append(services.log.checkpoint())
        sizes = iter(range(1, len(notes) + 1))

        async def ask():
            size = next(sizes)
            proof = services.log.consistency_proof(size - 1, size) if size > 1 else []
            return await client.add_checkpoint(
                AddCheckpoint(size - 1, tuple(proof), notes[size - 1])
            )

        return await measure(count, meter, pid, ask)


def taking_in(folder, envelopes):
    """Processor time for one statement that arrives: verified, stored, logged, indexed."""
    with open_services(folder / CALLER, environ={}) as services:
        began, ran = time.thread_time(), time.perf_counter()
        for one in envelopes:
            with services.store.write() as transaction:
                services.ingest.believe(transaction, one, source=SERVER, now=int(time.time()))
        spent, passed = time.thread_time() - began, time.perf_counter() - ran
    return {
        "envelope_bytes": round(sum(map(len, envelopes)) / len(envelopes)),
        "take_ms": round(spent / len(envelopes) * 1e3, 3),
        "take_wall_ms": round(passed / len(envelopes) * 1e3, 3),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    machine = MachineWatch.start()
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as place:
        folder = Path(place)
        with nodes(folder) as server:
            found = asyncio.run(requests(asked.requests, server, folder))
        statement = taking_in(folder, server[-1])
    document = {
        "machine": machine.describe(("uvicorn", "h11", "pynacl", "sqlalchemy")),
        "requests": found,
        "statement": statement,
    }
    print(json.dumps(document, indent=1))
    if asked.write:
        FILE.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
