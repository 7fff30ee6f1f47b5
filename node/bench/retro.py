"""`bench retro`: how soon a batch of new hashes is compared with the uploads of yesterday.

Everything is the node's own: the database, the index on disk, the policy. The uploads are put into
the database directly, since registering them is not what is measured, and are marked as compared.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from node.app import Services, open_services
from node.bench.corpus import Generator
from node.bench.machine import MachineWatch
from node.bench.report import Figure, Report, at_most
from node.demo.cast import CHEAP
from node.services.clients import Client
from node.setup import init_node
from node.storage.uploads import UploadRecord
from protocol.limits import MAX_ITEMS, PDQ_MATCH_DISTANCE
from protocol.statements import MediaItem

if TYPE_CHECKING:
    from numpy.typing import NDArray

Say = Callable[[str], None]

_PAGE: Final = 20_000
_PLANTED: Final = 100
_BATCHES: Final = 3
_CLIENT: Final = Client(1, "bench", frozenset())
_BAR: Final = at_most(10)


def measure(uploads: int, *, say: Say) -> Report:
    """Returns what `bench retro` measured with so many registered uploads.

    Args:
        uploads: at least 1,000; the bar is that of ten million, whatever their number.
        say: is told what is being done.
    """
    machine = MachineWatch.start()
    with tempfile.TemporaryDirectory(prefix="schutznetz-bench-") as place:
        directory = Path(place) / "node"
        init_node(
            directory, name="bench.example", url="http://127.0.0.1:1", passphrase=None,
            clock=time.time, cost=CHEAP,
        )  # fmt: skip
        with open_services(directory) as services:
            figures = _figures(services, uploads, say)
    return Report(machine.describe(("numpy", "numba")) | {"uploads": uploads}, tuple(figures))


def _figures(services: Services, uploads: int, say: Say) -> list[Figure]:
    generator = Generator(7)
    say(f"Making {uploads} pdqs")
    pdqs = generator.photographs(uploads)
    say("Registering them")
    _register(services, pdqs)
    say("Building the index")
    began = time.perf_counter()
    with services.store.read() as transaction:
        services.upload_index.refresh(transaction)
    services.upload_index.settle()
    built_s = time.perf_counter() - began
    taken_s, found, wanted = [], 0, 0
    for number in range(_BATCHES):
        say(f"Batch {number + 1} of {_BATCHES}")
        batch, expected = _batch(generator, pdqs, number)
        _flag(services, batch)
        began = time.perf_counter()
        while services.retro.is_behind():
            services.retro.step()
        taken_s.append(time.perf_counter() - began)
        found += len(_found(services) & expected)
        wanted += len(expected)
    return [
        Figure(
            "retro.batch_s", max(taken_s), "s", _BAR,
            {"uploads": uploads, "hashes": MAX_ITEMS, "batches_s": taken_s},
        ),
        Figure("retro.recall", found / wanted, "", None, {"planted": wanted}),
        Figure("retro.build_s", built_s, "s"),
        Figure("retro.bytes_per_upload", services.upload_index.memory_bytes() / uploads, "B"),
    ]  # fmt: skip


def _register(services: Services, pdqs: "NDArray[np.uint8]") -> None:
    ends = int(services.clock()) + 86_400
    for start in range(0, len(pdqs), _PAGE):
        rows = [
            UploadRecord(
                client=_CLIENT.id,
                id=str(start + at),
                surface="public",
                pdq=row.tobytes(),
                quality=90,
                sha256=None,
                sha1=None,
                md5=None,
                uploaded=None,
                ends=ends,
            )
            for at, row in enumerate(pdqs[start : start + _PAGE])
        ]
        with services.store.write(durable=False) as transaction:
            transaction.uploads.add(rows)
            transaction.retro.set_cursor("uploads", transaction.uploads.last())


def _batch(
    generator: Generator, pdqs: "NDArray[np.uint8]", number: int
) -> tuple["NDArray[np.uint8]", set[str]]:
    """Hashes to be flagged, and the uploads that some of them are near."""
    batch = generator.photographs(MAX_ITEMS).copy()
    chosen = np.arange(number, len(pdqs), len(pdqs) // _PLANTED)[:_PLANTED]
    for place, upload in enumerate(chosen.tolist()):
        near = int.from_bytes(pdqs[upload].tobytes(), "big")
        near ^= ((1 << (place % (PDQ_MATCH_DISTANCE + 1))) - 1) << 64
        batch[place] = np.frombuffer(near.to_bytes(32, "big"), np.uint8)
    return batch, {str(one) for one in chosen.tolist()}


def _flag(services: Services, batch: "NDArray[np.uint8]") -> None:
    services.flags.flag_media(
        [MediaItem(pdq=row.tobytes().hex(), quality=90) for row in batch],
        category="csam.act.prepub",
        reviewers=2,
        purpose="detection",
        legal_basis="dsa-22",
        review_days=365,
        issuer_code=None,
        flags=(),
        surfaces=(),
        jurisdictions=(),
        audience=("peers",),
        client=_CLIENT,
    )


def _found(services: Services) -> set[str]:
    found: set[str] = set()
    after = 0
    while matches := services.retro.matches(_CLIENT, after=after, limit=1_000):
        found |= {one.upload for one in matches}
        after = matches[-1].change
    return found
