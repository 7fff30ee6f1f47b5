"""The program without libsodium, whether or not this machine has it: for the sign-up bench.

``run`` is the command as ever; ``python -m node.bench.portable LOAD`` measures the nodes of
`node.bench.signup` and prints the figures, as a JSON array.
"""

import sys
from collections.abc import Iterable

import msgspec

from node.bench.signup import Load, by_processes
from node.bench.signup_place import PORTABLE
from node.cli.main import run as run_command
from signing.oprf import group_sodium


def run() -> None:
    """Runs the command."""
    _forget()
    run_command()


def main() -> None:
    """Measures; what is being done goes to standard error."""
    _forget()
    load = msgspec.json.decode(sys.argv[1], type=Load)
    found = by_processes(load, say=lambda text: sys.stderr.write(f"{text}\n"), program=PORTABLE)
    sys.stdout.buffer.write(msgspec.json.encode(found))


def _forget() -> None:
    """Has nobody find libsodium, before anybody has looked."""

    def nothing(names: Iterable[str] = ()) -> group_sodium.SodiumGroup | None:
        del names
        return None

    group_sodium.load_group = nothing


if __name__ == "__main__":
    main()
