"""One of the processes that node.processes begins: ``python -m node.serving_process DIR SOCKET``.

Serves on a socket that it inherits, until SIGTERM, or until the process that began it is gone: that
one holds the other end of its standard input.
"""

import os
import signal
import socket
import sys
import threading
from pathlib import Path

from node.serve import serve_here
from protocol.errors import SchutznetzError


def main() -> None:
    """Serves; ends the process with 1, and a sentence, where it cannot begin."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    threading.Thread(target=end_when_left_alone, args=(0,), daemon=True).start()
    try:
        with socket.socket(fileno=int(sys.argv[2])) as listening:
            serve_here(Path(sys.argv[1]), listening=listening)
    except KeyboardInterrupt:
        return
    except SchutznetzError as error:
        sys.exit(str(error))


def end_when_left_alone(standard_input: int) -> None:
    """The process is told to end when nobody holds the other end of its standard input."""
    while os.read(standard_input, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
