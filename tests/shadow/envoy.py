"""A real Envoy on loopback, with what the router's provider renders for a rollout with a tee."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.assignment.assigning import Assignment
from modelrollout.assignment.intervals import Interval
from modelrollout.routing.contract import Tee
from modelrollout.routing.router import clusters, listeners, naming, routes
from modelrollout.routing.router.wanted import Wanted
from tests import ports

Json = dict[str, Any]
_BINARY = Path(sys.prefix) / "bin" / "envoy"


@dataclass(frozen=True, slots=True)
class Envoy:
    """A running one.

    Attributes:
        port: of users.
        admin: port of its statistics.
        pid: of its process.
    """

    port: int
    admin: int
    pid: int

    @property
    def url(self) -> str:
        """For users."""
        return f"http://127.0.0.1:{self.port}"


def rendered(*, stable: int, port: int, observer: int, parts: int) -> Json:
    """Static resources: users to `stable`, a copy of `parts` of ten thousand to the observer."""
    wanted = Wanted(
        namespace="ml",
        spec=_spec(port),
        assignment=Assignment(salt="ml/fraud/v1", intervals=(Interval("v1", 10_000),)),
        tee=Tee("v2", parts) if parts else None,
        observer=f"127.0.0.1:{observer}",
    )
    following = {"route_config": _static(routes.route_configuration(wanted))}
    listener = _static(listeners.listener(wanted, following))
    listener["address"]["socket_address"]["address"] = "127.0.0.1"
    _patient(listener)
    return {
        "listeners": [listener],
        "clusters": [_near(_static(one), stable) for one in clusters.clusters(wanted)],
    }


def _spec(port: int) -> ModelRolloutSpec:
    return ModelRolloutSpec.model_validate(
        {
            "versions": [
                {"name": name, "service": {"name": f"fraud-{name}", "port": 80}}
                for name in ("v1", "v2")
            ],
            "target": "v1",
            "traffic": {"router": {"port": port}},
        }
    )


def _static(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "@type"}


def _patient(part: Any) -> None:
    """Envoy waits longer for a stalled observer than a user's would: tests share the machine.

    What it then cuts off is counted and measured elsewhere; here every pair is to be complete.
    """
    if isinstance(part, list):
        for one in part:
            _patient(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key == "deferred_close_timeout":
                part[key] = "10s"
            else:
                _patient(value)


def _near(cluster: Json, stable: int) -> Json:
    """The observer is on loopback already; versions have names that nobody resolves here."""
    if cluster["name"] == clusters.OBSERVER:
        return cluster | {"type": "STATIC"}
    where = {"socket_address": {"address": "127.0.0.1", "port_value": stable}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": where}}]}]
    assigned = {"cluster_name": cluster["name"], "endpoints": endpoints}
    return cluster | {"type": "STATIC", "load_assignment": assigned}


def free_port() -> int:
    """A port of loopback that nobody has now, and no other test takes."""
    return ports.free()


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    *,
    stable: int,
    observer: int,
    parts: int = 10_000,
    workers: int = 1,
    feed: str | None = None,
) -> AsyncIterator[Envoy]:
    """An Envoy that is ready; ended afterwards.

    Args:
        folder: for its bootstrap.
        stable: the port of who answers users.
        observer: the port of who is told.
        parts: of ten thousand requests that the observer is told of.
        workers: of Envoy.
        feed: what it shows the observer, by its environment as in its pod.
    """
    port, admin = free_port(), free_port()
    where = {"socket_address": {"address": "127.0.0.1", "port_value": admin}}
    bootstrap = {
        "admin": {"address": where},
        "static_resources": rendered(stable=stable, port=port, observer=observer, parts=parts),
    }
    file = folder / f"envoy-{port}.json"
    file.write_text(json.dumps(bootstrap))
    process = await asyncio.create_subprocess_exec(
        *(_BINARY, "-c", file, "--concurrency", str(workers), "--log-level", "error"),
        *("--disable-hot-restart", "--reject-unknown-dynamic-fields"),
        env=os.environ | ({} if feed is None else {naming.FEED_VARIABLE: feed}),
    )
    try:
        await _ready(port)
        yield Envoy(port, admin, process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _ready(port: int) -> None:
    async with asyncio.timeout(15), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(f"http://127.0.0.1:{port}{routes.READY}") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.02)
