"""Puts the whole cluster into namespaces of its own, so that nothing of it can leak or outlive us.

Network, mounts and process ids are private: nothing listens on the real machine, and when the first
process inside ends, for whatever reason, the kernel ends all others. As root this needs nothing
more; an ordinary user gets a user namespace around it.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.cluster import layout

INTERRUPT = b"I"  # the command has probably seen the Ctrl-C too: give it time to end by itself
TERMINATE = b"T"

_BOOT = """
import sys
sys.path.insert(0, {checkout!r})
from tests.cluster import machine
machine.main()
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What the inside shall do, handed over as JSON."""

    data: str
    command: Sequence[str]
    keep: bool
    lifeline: int  # a pipe from outside: INTERRUPT, TERMINATE, or its end when the outside is gone
    doors: Mapping[str, int]  # listening sockets of the outer machine's loopback, by service

    def to_json(self) -> str:
        """A JSON object with this class's fields."""
        return json.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def from_json(cls, text: str) -> "Request":
        """The reverse of `to_json`."""
        return cls(**json.loads(text))


def run(
    command: Sequence[str], *, data: layout.DataDir, keep: bool, doors: Mapping[str, socket.socket]
) -> int:
    """Start the cluster inside, run `command` in it (or keep it up), and return the exit status."""
    lifeline, end = os.pipe()
    request = Request(
        data=str(data.root),
        command=list(command),
        keep=keep,
        lifeline=lifeline,
        doors={name: door.fileno() for name, door in doors.items()},
    )
    inside = subprocess.Popen(
        [
            *_unshare(),
            sys.executable,
            "-c",
            _BOOT.format(checkout=str(layout.CHECKOUT)),
            request.to_json(),
        ],
        pass_fds=(lifeline, *request.doors.values()),
    )
    os.close(lifeline)
    return _wait(inside, end)


def _unshare() -> list[str]:
    private = [
        "--net",
        "--mount",
        "--pid",
        "--ipc",
        "--fork",
        "--mount-proc",
        "--kill-child=SIGKILL",
    ]
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, *private]


def _wait(inside: subprocess.Popen[bytes], end: int) -> int:
    for number, word in (
        (signal.SIGINT, INTERRUPT),
        (signal.SIGTERM, TERMINATE),
        (signal.SIGHUP, TERMINATE),
    ):
        signal.signal(number, lambda *_, word=word: os.write(end, word))
    try:
        return inside.wait()
    finally:
        os.close(end)
