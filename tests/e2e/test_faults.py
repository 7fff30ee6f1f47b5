"""Nothing is lost, nothing is there by half and liars are named, whatever happens to real nodes.

The bounded part of the fault suite, one fault of each kind; `make soak` runs all of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def test_nothing_that_was_acknowledged_is_lost_under_any_kind_of_fault(tmp_path: Path) -> None:
    found = tmp_path / "faults.json"
    paths = os.pathsep.join(map(str, (TESTS.parent, TESTS)))
    ran = subprocess.run(
        [sys.executable, "-m", "faults.suite", "--bounded", "--json", found],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-4_000:]
    document = json.loads(found.read_text("utf-8"))
    assert document["hosts"] in {"network namespaces", "loopback ports"}
    assert document["tried"] == document["survived"] == 9
    assert document["acknowledged"] > 10
    assert document["lost"] == 0
    assert all(row["half"] == 0 for row in document["faults"])
