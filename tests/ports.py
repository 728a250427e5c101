"""Ports of loopback for servers of tests that run side by side.

Each worker has a range of its own, below those that the kernel gives to clients: a port that was
free when it was asked for would otherwise be somebody's connection, or another test's server, by
the time the server binds it.
"""

import itertools
import os
import socket
from collections.abc import Iterator
from typing import Final

FIRST: Final = 20_000
EACH: Final = 1_500
"""Ports of one worker; up to eight workers stay below 32,768."""


def _worker() -> int:
    name = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    return int(name) % 8 if name.isdigit() else 0


def _all() -> Iterator[int]:
    start = FIRST + EACH * _worker()
    # Another process of tests, if there is one, begins elsewhere.
    offset = os.getpid() % EACH
    for turn in itertools.count():
        yield start + (offset + turn) % EACH


_PORTS: Final = _all()


def free() -> int:
    """A port of loopback that nobody has, and that no other worker takes.

    Raises:
        OSError: when all ports of this worker are taken.
    """
    for _ in range(EACH):
        port = next(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"expected a free port of {EACH} from {FIRST} on, found none")
