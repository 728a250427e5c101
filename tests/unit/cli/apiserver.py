"""An apiserver in miniature, on loopback: one rollout, with real HTTP, watches and their troubles.

It speaks what the command line needs of the protocol: GET of the object, a chunked watch from a
resourceVersion on, merge patches with a precondition, and Status objects as refusals.
"""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

Json = dict[str, Any]
PATH = "/apis/modelrollout.dev/v1alpha1/namespaces/ml/modelrollouts"


@dataclass(slots=True)
class Store:
    """What the apiserver knows: every state of the one rollout, and how it misbehaves.

    Attributes:
        states: the rollout, state by state; None once it is deleted. The index is its version.
        refusals: Status codes to answer the next requests with.
        between: states that come just before the next patches.
        drops: watches yet to be cut in the middle of a line.
        expired: watches yet to be refused as too old, in the stream.
        watching: set while a watch is open.
        requests: method and path of every request.
    """

    states: list[Json | None] = field(default_factory=list)
    refusals: list[int] = field(default_factory=list)
    between: list[Json] = field(default_factory=list)
    drops: int = 0
    expired: int = 0
    ended: bool = False
    requests: list[str] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    watching: threading.Event = field(default_factory=threading.Event)

    def put(self, rollout: Json | None) -> None:
        """A new state; open watches tell it."""
        with self.changed:
            if rollout is not None:
                rollout["metadata"]["resourceVersion"] = str(len(self.states))
            self.states.append(rollout)
            self.changed.notify_all()

    def end(self) -> None:
        """Ends every open watch and cuts every connection, as a process that ends does."""
        with self.changed:
            self.ended = True
            self.changed.notify_all()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def then(self, rollout: Json | None) -> None:
        """A new state, as soon as a watch is open."""
        assert self.watching.wait(10)
        self.put(rollout)

    def await_change(self, seen: int, *, longest_s: float) -> bool:
        """Whether there is a state after `seen`, waited for."""
        with self.changed:
            self.changed.wait_for(lambda: self.ended or len(self.states) > seen, longest_s)
            return not self.ended and len(self.states) > seen


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def setup(self) -> None:
        super().setup()
        self.store.connections.append(self.connection)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name above
        pass

    def do_GET(self) -> None:
        self.store.requests.append(f"GET {self.path}")
        asked = parse_qs(urlsplit(self.path).query)
        if self.store.refusals:
            self._refuse(self.store.refusals.pop(0))
        elif "watch" in asked:
            self._watch(int(asked["resourceVersion"][0]), float(asked["timeoutSeconds"][0]))
        elif self.store.states and (last := self.store.states[-1]) is not None:
            self._answer(200, last)
        else:
            self._refuse(404)

    def do_PATCH(self) -> None:
        self.store.requests.append(f"PATCH {self.path}")
        patch = self._body()
        if self.store.between:
            self.store.put(self.store.between.pop(0))
        last = self.store.states[-1]
        if self.store.refusals or last is None:
            self._refuse(self.store.refusals.pop(0) if self.store.refusals else 404)
        elif patch["metadata"]["resourceVersion"] != last["metadata"]["resourceVersion"]:
            self._refuse(409)
        else:
            changed = json.loads(json.dumps(last))
            changed["metadata"].setdefault("annotations", {}).update(
                patch["metadata"]["annotations"]
            )
            self.store.put(changed)
            self._answer(200, changed)

    def do_POST(self) -> None:
        self._body()
        self._answer(201, {"status": {"userInfo": {"username": "anna"}}})

    def _body(self) -> Json:
        found: Json = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return found

    def _answer(self, code: int, body: Json) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _refuse(self, code: int) -> None:
        self._answer(code, {"kind": "Status", "code": code, "message": f"refused with {code}"})

    def _watch(self, since: int, longest_s: float) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.store.expired:
            self.store.expired -= 1
            gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
            self._chunk({"type": "ERROR", "object": gone})
        else:
            self.store.watching.set()
            self._tell(since + 1, longest_s)
        self._raw(b"0\r\n\r\n")

    def _tell(self, seen: int, longest_s: float) -> None:
        while self.store.await_change(seen, longest_s=longest_s):
            state, before = self.store.states[seen], self.store.states[seen - 1]
            if self.store.drops:
                self.store.drops -= 1
                self._raw(b'12\r\n{"type": "MODIF')
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._chunk({"type": "MODIFIED" if state else "DELETED", "object": state or before})
            seen += 1

    def _chunk(self, event: Json) -> None:
        line = json.dumps(event).encode() + b"\n"
        self._raw(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def _raw(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(data)
            self.wfile.flush()


@contextlib.contextmanager
def serving(store: Store, *, port: int = 0) -> Iterator[int]:
    """The apiserver on loopback; gives its port."""
    handler = type("Handler", (_Handler,), {"store": store})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        store.end()
        server.shutdown()
        server.server_close()
        thread.join()


def kubeconfig(folder: Path, *, port: int) -> Path:
    """A kubeconfig for it, with the namespace `ml`."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "anna", "user": {"token": "t"}}],
        "contexts": [
            {"name": "here", "context": {"cluster": "here", "user": "anna", "namespace": "ml"}}
        ],
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path
