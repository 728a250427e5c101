"""Real Envoys on loopback: the router's own bootstrap and resources, with ports of this machine."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import envoy
from aiohttp import web

from modelrollout.routing.router import (
    answers,
    bootstrap,
    credentials,
    naming,
    routes,
    snapshot,
)
from modelrollout.routing.router.answers import Answer
from modelrollout.routing.router.snapshot import Snapshot
from modelrollout.xds.serving import Discovery
from modelrollout.xds.shelf import Key, Shelf
from tests import ports

Json = dict[str, Any]

KEY = b"k" * 32
NAMESPACE, NAME = "ml", "fraud"
BINARY = Path(str(envoy.__file__)).parent / "_bin" / "envoy"


def free_port() -> int:
    """A port of loopback that nobody has now, and no other test takes."""
    return ports.free()


def live(
    shares: Mapping[str, int],
    *,
    sequence: int = 1,
    generation: int = 1,
    router: Json | None = None,
    strategy: Json | None = None,
    decision: Json | None = None,
    versions: tuple[str, ...] = ("v1", "v2", "v3"),
) -> Json:
    """A rollout as stored; v1 is stable."""
    spec: Json = {
        "versions": [
            {"name": name, "service": {"name": f"fraud-{name}", "port": 8080}} for name in versions
        ],
        "target": "v1",
        "traffic": {"router": router or {}},
    }
    return {
        "metadata": {
            "namespace": NAMESPACE,
            "name": NAME,
            "uid": "uid-1",
            "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec | ({"strategy": strategy} if strategy else {}),
        "status": {
            "observedGeneration": generation,
            "uid": "uid-1",
            "stable": {"name": "v1"},
            "decision": {"sequence": sequence, "shares": dict(shares), **(decision or {})},
        },
    }


@dataclass
class Backend:
    """A model server that says its name and counts what it gets."""

    name: str
    port: int = 0
    requests: int = 0
    headers: list[Mapping[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One answer; `/stream` sends it in three parts, the rest at once."""
        self.requests += 1
        self.headers.append(dict(request.headers))
        body = await request.read()
        if request.path == "/stream":
            return await self._stream(request)
        return web.json_response({"model_version": self.name, "bytes": len(body)})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for number in range(3):
            await answer.write(f"data: {self.name} {number}\n\n".encode())
            await asyncio.sleep(0.2)
        return answer


class Near(Shelf):
    """A shelf whose clusters lead to this machine instead of to names of a cluster."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        super().__init__()
        self.ports = ports
        self.spoilt: Json = {}
        """Fields that are put into the route configuration, to see it refused."""
        self.more: Json = {}
        """Fields of `Wanted` that no field of the resource asks for yet."""
        self.stored: Json = {}

    def put(self, live: Mapping[str, Any]) -> None:
        """Stores a rollout."""
        self.stored = dict(live)
        super().put(live)

    def snapshot(self, key: Key) -> Snapshot | None:
        """What is served, moved to loopback."""
        found = super().snapshot(key)
        if found is None:
            return None
        read = snapshot.understood(self.stored)
        if self.more and read is not None:
            asked = replace(read[0], **self.more)
            found = snapshot.rendered(asked, edition=found.edition)
        moved = json.loads(json.dumps(found.resources), object_hook=self.moved)
        moved["routes"] = [{**one, **self.spoilt} for one in moved["routes"]]
        return replace(found, resources=moved)

    def moved(self, part: Json) -> Json:
        """An address of a cluster as one of this machine."""
        host = str(part.get("address", ""))
        if not host.endswith(".svc"):
            return part
        return {"address": "127.0.0.1", "port_value": self.ports[host.split(".", maxsplit=1)[0]]}


@dataclass
class Envoy:
    """One Envoy."""

    process: asyncio.subprocess.Process
    port: int
    stats_port: int
    log: Path

    @property
    def url(self) -> str:
        """Where users ask."""
        return f"http://127.0.0.1:{self.port}"

    async def editions(self, session: aiohttp.ClientSession) -> Answer:
        """What it says to be in force."""
        url = f"http://127.0.0.1:{self.stats_port}{bootstrap.EDITIONS}"
        async with session.get(url) as answer:
            return answers.parsed("envoy", await answer.read())

    async def metrics(self, session: aiohttp.ClientSession) -> str:
        """What Prometheus reads."""
        url = f"http://127.0.0.1:{self.stats_port}{bootstrap.METRICS}"
        async with session.get(url) as answer:
            return await answer.text()


@dataclass
class Plane:
    """A discovery endpoint, model servers, and Envoys between them and the test."""

    shelf: Near
    discovery: Discovery
    port: int
    xds_port: int
    backends: dict[str, Backend]
    session: aiohttp.ClientSession
    folder: Path
    followed: list[Key]
    stack: contextlib.AsyncExitStack

    def store(self, shares: Mapping[str, int], **more: Any) -> None:
        """Stores a decision."""
        router = {"port": self.port, **(more.pop("router", None) or {})}
        self.shelf.put(live(shares, router=router, **more))

    async def envoy(
        self, name: str = "envoy-1", *, token: str | None = None, configuration: Json | None = None
    ) -> Envoy:
        """Starts an Envoy; it ends with the test."""
        given = configuration or bootstrap.following(f"127.0.0.1:{self.xds_port}")
        return await self.stack.enter_async_context(self._envoy(name, given, token=token))

    @contextlib.asynccontextmanager
    async def _envoy(
        self, name: str, configuration: Json, *, token: str | None
    ) -> AsyncIterator[Envoy]:
        stats_port, admin_port = free_port(), free_port()
        text = json.dumps(configuration, default=str)
        text = json.dumps(json.loads(text, object_hook=self.shelf.moved))
        text = text.replace(str(naming.STATS_PORT), str(stats_port))
        text = text.replace(str(naming.ADMIN_PORT), str(admin_port))
        path, log = self.folder / f"{name}.json", self.folder / f"{name}.log"
        path.write_text(text)
        shown = token or credentials.token(KEY, namespace=NAMESPACE, name=NAME)
        process = await start(
            path,
            log,
            *("--config-yaml", json.dumps({"node": {"metadata": {"token": shown}}})),
            *("--service-node", name, "--service-cluster", f"{NAMESPACE}/{NAME}"),
        )
        try:
            yield Envoy(process, self.port, stats_port, log)
        finally:
            process.kill()
            await process.wait()

    async def ready(self, envoy: Envoy, *, within_s: float = 10.0) -> None:
        """Waits until an Envoy has its routes, as the kubelet's probe would."""
        async with asyncio.timeout(within_s):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with self.session.get(f"{envoy.url}{routes.READY}") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.02)

    @contextlib.asynccontextmanager
    async def users(self, envoy: Envoy, *, count: int = 4) -> AsyncIterator[Counter[str]]:
        """Users who ask one request after the other; what they got is counted until they go."""
        found: Counter[str] = Counter()
        done = asyncio.Event()

        async def user() -> None:
            while not done.is_set():
                found[await self.ask(envoy)] += 1

        asking = [asyncio.create_task(user()) for _ in range(count)]
        try:
            yield found
        finally:
            done.set()
            await asyncio.gather(*asking)

    async def ask(self, envoy: Envoy, path: str = "/predict", **headers: str) -> str:
        """The version that answers a request, or the status of another answer."""
        async with self.session.post(
            f"{envoy.url}{path}", json={"x": 1}, headers=headers
        ) as answer:
            if answer.status != 200:
                return str(answer.status)
            return str((await answer.json())["model_version"])


async def start(bootstrap_file: Path, log: Path, *args: str) -> asyncio.subprocess.Process:
    """An Envoy process of one worker."""
    with log.open("ab") as written:
        return await asyncio.create_subprocess_exec(
            *(str(BINARY), "-c", str(bootstrap_file), "--use-dynamic-base-id"),
            *("--reject-unknown-dynamic-fields", "--concurrency", "1", "--log-level", "warn"),
            *args,
            stdout=written,
            stderr=written,
        )


@contextlib.asynccontextmanager
async def plane(folder: Path) -> AsyncIterator[Plane]:
    """Everything but Envoys."""
    async with contextlib.AsyncExitStack() as stack:
        backends = {name: Backend(name) for name in ("v1", "v2", "v3")}
        for backend in backends.values():
            backend.port = await stack.enter_async_context(served(backend))
        shelf = Near({f"fraud-{name}": backend.port for name, backend in backends.items()})
        followed: list[Key] = []

        async def key() -> bytes:
            return KEY

        discovery = Discovery(shelf, keyring=key, took_over=followed.append)
        xds_port = await discovery.start(0, host="127.0.0.1")
        stack.push_async_callback(discovery.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Plane(
            shelf, discovery, free_port(), xds_port, backends, session, folder, followed, stack
        )


@contextlib.asynccontextmanager
async def served(backend: Backend) -> AsyncIterator[int]:
    """A model server; gives its port."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", backend.answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host="127.0.0.1", port=0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
