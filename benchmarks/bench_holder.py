"""Elements a second of one holder of a share, and whether its memory stays flat.

Run: ``python benchmarks/bench_holder.py [--elements 200000] [--batch 64] [--processes 1]``. Three
rates from one run, each in elements for one second *of the holder's processor*, so that whoever
asks on the same machine does not count:

    bare     the evaluation with its proof, on one thread and nothing around it
    service  with the budget: a transaction on SQLite with fsync, checks, JSON structures
    http     a real `node serve`, requests signed by RFC 9421, nonces in the database

Memory is that of the serving process, after the first requests and after the last.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from node.app import open_services
from node.demo.cast import CHEAP, wait_for
from node.services.evaluator import MOST_ANSWERS
from node.services.keys import key_file, save_share
from node.setup import init_node
from protocol.circles import CircleDescriptor, Epoch, Holder, Member
from protocol.encoding import encode_json, format_time, to_base64url
from protocol.endpoints import OPRF
from protocol.limits import MAX_BUDGET
from protocol.messages import OprfRequest
from signing.envelopes import new_nonce, sign_statement
from signing.keys import KeyUse
from signing.keystore import load_key
from signing.oprf.shares import split_key
from signing.oprf.voprf import blind, evaluate, generate_key
from signing.requests import sign_request

HOLDER = "holder.example"
CIRCLE = f"{HOLDER}/bench-1"
PORT = 18_440
A_DAY = 100_000  # the greatest budget that an operator can set: more elements, more members
ASKERS = 4
WARM_UP = MOST_ANSWERS + 50  # until the answers that are kept for repeats are as many as can be
LIMITS = {
    "SCHUTZNETZ_OPRF_BUDGET_PER_DAY": str(A_DAY),
    "SCHUTZNETZ_OPRF_BURST_PER_MINUTE": str(A_DAY),
    "SCHUTZNETZ_PEER_REQUESTS_PER_MINUTE": "1000000",
}


def make(place, count):
    """Make a holder, as many members as the elements need, and a circle of them all."""
    url = f"http://127.0.0.1:{PORT}"
    names = [f"member-{number}.example" for number in range(count)]
    for name, at in ((HOLDER, url), *((name, "http://127.0.0.1:1") for name in names)):
        init_node(place / name, name=name, url=at, passphrase=None, clock=time.time, cost=CHEAP)
    with open_services(place / HOLDER, environ=LIMITS) as services:
        for name in names:
            with open_services(place / name, environ={}) as other, other.store.read() as read:
                record = read.peers.get(name)
            services.peers.add(record.descriptor, record.fingerprint, authority=False)
        split = split_key(generate_key().private, 2, 2)
        save_share(place / HOLDER, CIRCLE, 1, split.shares[1].private, passphrase(place, HOLDER))
        signed = sign_statement(describe(names, split), key_of(place, HOLDER, KeyUse.STATEMENT))
        services.ingest.submit(signed, caller=HOLDER)
    return names


def describe(names, split):
    """Return the descriptor of a circle whose members may ask as much as the wire allows."""
    now = int(time.time())
    most = {"budget_per_day": MAX_BUDGET, "burst_per_minute": MAX_BUDGET}
    epoch = Epoch(
        epoch=1,
        not_before=format_time(now - 60),
        not_after=format_time(now + 86_400),
        threshold=2,
        commitments=tuple(map(to_base64url, split.commitments)),
        holders=(Holder(index=1, node=HOLDER), Holder(index=2, node=names[0])),
    )
    return CircleDescriptor(
        issuer=HOLDER,
        nonce=new_nonce(),
        issued=format_time(now),
        audience=(f"circle:{CIRCLE}",),
        circle=CIRCLE,
        version=1,
        members=tuple(Member(node=name, **most) for name in (HOLDER, *names)),
        admins=(HOLDER,),
        admin_threshold=1,
        epochs=(epoch,),
    )


def passphrase(place, name):
    """Return what opens a node's keys."""
    return (place / name / "secrets" / "passphrase").read_bytes().strip()


def key_of(place, name, use):
    """Return a node's key for one use."""
    return load_key(key_file(place / name, use), passphrase(place, name), use=use)


class Questions:
    """Lists of elements that never occur twice, without a multiplication for each."""

    def __init__(self, batch):
        self.pool = [
            to_base64url(one) for n in range(16) for one in blind([bytes([n])] * 64).elements
        ]
        self.batch, self.random = batch, random.Random(1)

    def next(self):
        """Return one request."""
        chosen = tuple(self.random.choices(self.pool, k=self.batch))
        return OprfRequest(circle=CIRCLE, epoch=1, blinded=chosen)


def figures(pids):
    """Return the processor's seconds and the resident MiB of processes together."""
    ticks = pages = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
        pages += int(fields[21])
    return ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def show(name, elements, cpu_s, wall_s, more=""):
    """Print one line."""
    print(
        f"{name:8} {elements:9} elements  {elements / cpu_s:8.0f}/s of a core"
        f"  {elements / wall_s:8.0f}/s in all  {more}",
        flush=True,
    )


def bench_bare(batch):
    """Evaluate for two seconds."""
    key, blinded = generate_key(), blind([b"input"] * batch).elements
    start, cpu, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - start < 2:
        evaluate(key, blinded)
        done += batch
    show("bare", done, time.process_time() - cpu, time.perf_counter() - start)


def bench_service(place, names, questions, elements):
    """Ask the service itself, one question after the other."""
    with open_services(place / HOLDER, environ=LIMITS) as services:
        for number in range(WARM_UP):
            services.evaluator.evaluate(questions.next(), member=names[number % len(names)])
        start, (cpu, before) = time.perf_counter(), figures([os.getpid()])
        rounds = elements // questions.batch
        for number in range(rounds):
            services.evaluator.evaluate(questions.next(), member=names[number % len(names)])
        after_cpu, after = figures([os.getpid()])
        wall = time.perf_counter() - start
    flat = f"RSS {before:.1f} -> {after:.1f} MiB"
    show("service", rounds * questions.batch, after_cpu - cpu, wall, flat)


def bench_http(place, names, questions, elements, processes):
    """Ask `node serve` over HTTP, several askers at once."""
    keys = [key_of(place, name, KeyUse.REQUEST) for name in names]
    ports = [PORT + at for at in range(processes)]
    environ = {**os.environ, **LIMITS}
    command = "from node.cli.main import run; run()"
    servers = [
        subprocess.Popen(
            [sys.executable, "-c", command, "node", "serve", str(place / HOLDER)],
            env=environ | {"SCHUTZNETZ_PORT": str(port), "SCHUTZNETZ_LOG_LEVEL": "warning"},
        )
        for port in ports
    ]
    try:
        with httpx.Client(trust_env=False, timeout=60) as http:
            for port in ports:
                wait_for(lambda port=port: _ready(http, port), "the holder answers")

            def ask(number):
                body = encode_json(questions.next())
                url, to = f"http://127.0.0.1:{PORT}{OPRF}", ports[number % processes]
                key = keys[number % len(keys)]
                while True:
                    now = int(time.time())
                    header = sign_request(method="POST", url=url, body=body, key=key, now=now)
                    header |= {"Content-Type": "application/json"}
                    local = f"http://127.0.0.1:{to}{OPRF}"
                    try:
                        http.post(local, content=body, headers=header).raise_for_status()
                    except httpx.RemoteProtocolError:
                        continue  # an idle connection that was closed in this moment
                    break

            with ThreadPoolExecutor(ASKERS) as pool:
                list(pool.map(ask, range(WARM_UP)))
                pids = [one.pid for one in servers]
                start, (cpu, before) = time.perf_counter(), figures(pids)
                rounds = elements // questions.batch
                for _ in pool.map(ask, range(rounds)):
                    pass
                after_cpu, after = figures(pids)
                wall = time.perf_counter() - start
    finally:
        for one in servers:
            one.terminate()
            one.wait()
    flat = f"RSS {before:.1f} -> {after:.1f} MiB"
    show(f"http x{processes}", rounds * questions.batch, after_cpu - cpu, wall, flat)


def _ready(http, port):
    try:
        return http.get(f"http://127.0.0.1:{port}/readyz").is_success
    except httpx.TransportError:
        return False


def main():
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--elements", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", choices=("service", "http"))
    chosen = parser.parse_args()
    questions = Questions(chosen.batch)
    parts = 1 if chosen.only else 2
    spent = parts * (chosen.elements + WARM_UP * chosen.batch) * 1.05
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        names = make(place, int(spent // A_DAY) + 2)
        bench_bare(chosen.batch)
        if chosen.only != "http":
            bench_service(place, names, questions, chosen.elements)
        if chosen.only != "service":
            bench_http(place, names, questions, chosen.elements, chosen.processes)


if __name__ == "__main__":
    main()
