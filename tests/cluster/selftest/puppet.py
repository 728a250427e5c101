"""A container's program that does what a test tells it to, over HTTP on port 8080.

GET  /ready, /live          200, or 503 after `POST /ready/off` (`on` undoes it)
GET  /metrics               one counter
GET  /variable/NAME         of its environment
GET  /hostname              what it believes to be called
POST /exit/CODE             end
POST /orphan                leave a child behind that listens on port 9000 and outlives us
"""

import http.server
import os
import signal
import socket
import sys
import time
from pathlib import Path

PORT, ORPHAN_PORT = 8080, 9000
_METRICS = "# TYPE puppet_answers_total counter\npuppet_answers_total 1\n"


class Puppet(http.server.BaseHTTPRequestHandler):
    """One request."""

    states = {"ready": os.environ.get("READY", "on"), "live": "on"}  # noqa: RUF012 - shared on purpose

    def do_GET(self) -> None:
        """Tell."""
        match self.path.strip("/").split("/", 1):
            case ["ready" | "live" as name]:
                self._say(200 if self.states[name] == "on" else 503, self.states[name])
            case ["metrics"]:
                self._say(200, _METRICS)
            case ["variable", name]:
                self._say(200, os.environ.get(name, ""))
            case ["file", path]:
                self._say(200, Path("/", path).read_text())
            case ["hostname"]:
                self._say(200, socket.gethostname())
            case _:
                self._say(200, os.environ.get("NAME", ""))

    def do_POST(self) -> None:
        """Do."""
        match self.path.strip("/").split("/"):
            case ["ready" | "live" as name, state]:
                self.states[name] = state
                self._say(200, state)
            case ["exit", code]:
                self._say(200, "")
                os._exit(int(code))
            case ["orphan"]:
                leave_orphan()
                self._say(200, "")

    def _say(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Be quiet."""


def leave_orphan() -> None:
    """A process in a session of its own, that no signal to our group would reach."""
    server = socket.create_server(("", ORPHAN_PORT))
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            server.accept()[0].close()
    server.close()


def _say_goodbye(*_: object) -> None:
    print("asked to end", flush=True)
    time.sleep(float(os.environ.get("GOODBYE_S", "0")))
    print("ended in order", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _say_goodbye)
    http.server.ThreadingHTTPServer(("", PORT), Puppet).serve_forever()
