"""How one statement spreads through 10 to 10,000 nodes: a simulation, no network.

Run: ``python benchmarks/simulate_scale.py [--sizes 10 100] [--write]``. Discrete events in a heap,
seeded; what messages weigh and cost comes from messages.json, which measure_messages.py took from a
real node. Three designs:

    mesh       everybody follows everybody, and pokes everybody when its log has grown
    witnesses  the same, but a log's growth is told when 3 of 5 witnesses, chosen at random for each
               node, have cosigned it
    mirrors    about √N nodes follow everybody; all others follow two of these, and are followed by
               them alone

What is simulated is what nodes do (node/exchange.py): the node that takes a statement in pokes its
followers at once; each pulls checkpoint, entries, envelope, and acknowledges; what a sync brought
is told to its own followers at its next look, within a second, and they pull three answers and find
that they have it. Every node has one processor, which does one thing after the other. What a node
sends to all its followers is one event, whose recipients are computed together.

With ``--write`` the document goes to docs/figures/scale/scale.json, from where
docs/examples/make_scale.py takes the tables of docs/scale.md.
"""

import argparse
import heapq
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

MESSAGES = Path(__file__).with_name("messages.json")
FILE = Path(__file__).parents[1] / "docs" / "figures" / "scale" / "scale.json"

SEED = 5
SIZES = (10, 100, 1_000, 10_000)
DESIGNS = ("mesh", "witnesses", "mirrors")
WITNESSES, ENOUGH = 5, 3
FOLLOWED_MIRRORS = 2
ONE_WAY_S = (0.005, 0.060)  # between two machines in Europe; drawn anew for each conversation
LOOK_EVERY_S = 1.0  # node/exchange.py
POLL_EVERY_S = 60.0  # the default
FULL_PULL = ("checkpoint", "entries", "envelopes", "acknowledge")
SHORT_PULL = ("checkpoint", "entries", "acknowledge")


@dataclass(frozen=True)
class Costs:
    """What some requests of one conversation come to, together.

    Attributes:
        requests: how many.
        size: bytes both ways.
        serve_s: processor of who answers.
        ask_s: processor of who asks.
    """

    requests: int
    size: int
    serve_s: float
    ask_s: float

    @staticmethod
    def of(measured, *kinds):
        parts = [measured["requests"][kind] for kind in kinds]
        return Costs(
            len(parts),
            sum(one["request_bytes"] + one["answer_bytes"] for one in parts),
            sum(one["serve_ms"] for one in parts) / 1e3,
            sum(one["ask_ms"] for one in parts) / 1e3,
        )


@dataclass
class Network:
    """Nodes, who follows whom, and what everything has cost so far.

    Attributes:
        followers: for each node, the numbers of those who follow it.
        has_at: when a node has the statement; infinite while it has not.
        tells_at: when a node that has it is to tell its followers; infinite while it has not.
        began_at: when a node first had anything to do.
        used_s: processor time of what each node was given since.
        over_at: when the last of it is done.
    """

    followers: list[np.ndarray]
    witnesses: np.ndarray | None
    chance: np.random.Generator
    requests: int = 0
    size: int = 0
    told: set[int] = field(default_factory=set)

    def __post_init__(self):
        count = len(self.followers)
        self.has_at = np.full(count, np.inf)
        self.tells_at = np.full(count, np.inf)
        self.began_at = np.full(count, np.inf)
        self.over_at = 0.0
        self.used_s = np.zeros(count)
        self.looks_at = self.chance.uniform(0, LOOK_EVERY_S, count)

    def one_way(self, count):
        return self.chance.uniform(*ONE_WAY_S, count)

    def work(self, nodes, ready, cost_s):
        """Has each of some nodes, all different, do one thing; returns when each is done."""
        self.began_at[nodes] = np.minimum(self.began_at[nodes], ready)
        done = np.maximum(self.began_at[nodes] + self.used_s[nodes], ready) + cost_s
        self.used_s[nodes] += cost_s
        self.over_at = max(self.over_at, float(done.max(initial=0.0)))
        return done

    def work_in_turn(self, node, ready, cost_s):
        """Has one node do many things in the order in which they come; returns their ends."""
        order = np.argsort(ready, kind="stable")
        costs = np.broadcast_to(cost_s, ready.shape)[order]
        before = np.concatenate(([0.0], np.cumsum(costs)[:-1]))
        self.began_at[node] = min(self.began_at[node], float(ready.min(initial=np.inf)))
        free_at = self.began_at[node] + self.used_s[node]
        begun = np.maximum.accumulate(np.maximum(ready[order], free_at) - before)
        done = np.empty_like(ready)
        done[order] = begun + before + costs
        self.used_s[node] += costs.sum()
        self.over_at = max(self.over_at, float(done.max(initial=0.0)))
        return done

    def pay(self, costs, times):
        self.requests += costs.requests * times
        self.size += costs.size * times


def build(design, count):
    """The nodes of a design, none of which has the statement."""
    chance = np.random.default_rng([SEED, count, DESIGNS.index(design)])
    everybody = np.arange(count)
    if design != "mirrors":
        followers = [np.delete(everybody, one) for one in range(count)]
        if design == "mesh":
            return Network(followers, None, chance)
        witnesses = np.array(
            [chance.choice(count, min(WITNESSES, count), replace=False) for _ in range(count)]
        )
        return Network(followers, witnesses, chance)
    mirrors = everybody[: max(FOLLOWED_MIRRORS, round(count**0.5))]
    leaves = [[] for _ in mirrors]
    followers = [np.delete(mirrors, one) for one in mirrors]
    for leaf in everybody[len(mirrors) :]:
        chosen = chance.choice(len(mirrors), FOLLOWED_MIRRORS, replace=False)
        followers.append(mirrors[chosen])
        for mirror in chosen:
            leaves[mirror].append(leaf)
    for mirror in mirrors:
        followers[mirror] = np.concatenate((followers[mirror], np.array(leaves[mirror], dtype=int)))
    return Network(followers, None, chance)


def spread(network, measured, origin):
    """Lets a node take a statement in at time 0, and everything happen that follows."""
    costs = {
        "poke": Costs.of(measured, "poke"),
        "full": Costs.of(measured, *FULL_PULL),
        "short": Costs.of(measured, *SHORT_PULL),
        "cosign": Costs.of(measured, "cosign"),
    }
    take_s = measured["statement"]["take_ms"] / 1e3
    network.has_at[origin] = network.work(np.array([origin]), np.zeros(1), take_s)[0]
    events = [(take_s, origin)]
    while events:
        at, node = heapq.heappop(events)
        if node in network.told:
            continue
        network.told.add(node)
        if network.witnesses is not None:
            at = published(network, costs["cosign"], node, at)
        for when, other in tell(network, costs, take_s, node, at):
            heapq.heappush(events, (when, other))


def published(network, cosign, node, at):
    """When enough witnesses have cosigned what a node's log has grown to."""
    witnesses = network.witnesses[node]
    asked = network.work_in_turn(node, np.full(len(witnesses), at), cosign.ask_s)
    there = asked + network.one_way(len(witnesses))
    done = network.work(witnesses, there, cosign.serve_s) + network.one_way(len(witnesses))
    network.pay(cosign, len(witnesses))
    return float(np.sort(done)[min(ENOUGH, len(done)) - 1])


def tell(network, costs, take_s, node, at):
    """One node pokes its followers, and they pull; returns who will tell it on, and when."""
    poke, full, short = costs["poke"], costs["full"], costs["short"]
    others = network.followers[node]
    sent = network.work_in_turn(node, np.full(len(others), at), poke.ask_s)
    woken = network.work(others, sent + network.one_way(len(others)), poke.serve_s)
    network.pay(poke, len(others))
    new = network.has_at[others] > woken
    asks_s = np.where(new, full.ask_s, short.ask_s)
    asked = network.work(others, woken, asks_s)
    # The requests of one pull follow one another: each waits for the way there and back.
    ways = np.where(new, full.requests, short.requests) * 2 * network.one_way(len(others))
    served = network.work_in_turn(
        node, asked + ways / 2, np.where(new, full.serve_s, short.serve_s)
    )
    network.pay(full, int(new.sum()))
    network.pay(short, int((~new).sum()))
    getting = others[new]
    arrived = network.work(getting, (served + ways / 2)[new], take_s)
    network.has_at[getting] = np.minimum(network.has_at[getting], arrived)
    # What a sync brought is told at the node's next look.
    phase = network.looks_at[getting]
    looks = np.ceil((network.has_at[getting] - phase) / LOOK_EVERY_S) * LOOK_EVERY_S + phase
    sooner = looks < network.tells_at[getting]
    network.tells_at[getting[sooner]] = looks[sooner]
    return zip(looks[sooner].tolist(), getting[sooner].tolist(), strict=True)


def idle_share(network, measured):
    """Share of the busiest node's processor that polls take while nothing happens."""
    one = Costs.of(measured, "checkpoint")
    followed = np.zeros(len(network.followers))
    for others in network.followers:
        followed[others] += 1
    served = np.array([len(others) for others in network.followers])
    return float((followed * one.ask_s + served * one.serve_s).max() / POLL_EVERY_S)


def figure(design, count, measured):
    """One row of the table."""
    network = build(design, count)
    spread(network, measured, count - 1)
    times = np.sort(network.has_at)
    busiest = float(network.used_s.max())
    return {
        "design": design,
        "nodes": count,
        "requests": network.requests,
        "bytes": network.size,
        "half_s": round(float(times[len(times) // 2]), 3),
        "p99_s": round(float(times[min(len(times) - 1, int(len(times) * 0.99))]), 3),
        "all_s": round(float(times[-1]), 3),
        "over_s": round(network.over_at, 3),
        "busiest_s": round(busiest, 4),
        "mean_s": round(float(network.used_s.mean()), 4),
        "idle_share": round(idle_share(network, measured), 5),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--write", action="store_true")
    asked = parser.parse_args()
    measured = json.loads(MESSAGES.read_text("utf-8"))
    rows = []
    for count in asked.sizes:
        for design in DESIGNS:
            rows.append(figure(design, count, measured))
            print(json.dumps(rows[-1]), flush=True)
    if asked.write:
        FILE.parent.mkdir(exist_ok=True)
        document = {"seed": SEED, "measured": measured, "figures": rows}
        FILE.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
