"""Everything that runs beside the driver: two watches of the apiserver, and the users.

Each is a process of its own whose lines are JSON. They end when the driver ends, however it ends.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from examples.demo.world import Told, World
from tests.cluster.handle import Cluster

NAMESPACE: Final = "demo"
ROLLOUT: Final = "digits"
_API: Final = f"/apis/modelrollout.dev/v1alpha1/namespaces/{NAMESPACE}/modelrollouts"
_EVENTS: Final = f"/api/v1/namespaces/{NAMESPACE}/events"
_LINE_MAX_BYTES: Final = 4 * 1024 * 1024
_AGAIN_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Users:
    """How the load generator is to be run.

    Attributes:
        rate: requests per second.
        seed: of arrivals, users and images.
    """

    rate: float
    seed: int


@contextlib.asynccontextmanager
async def watching(cluster: Cluster, world: World) -> AsyncIterator[None]:
    """Keep the world's rollout and events up to date."""
    watches = (
        asyncio.create_task(_watch(cluster, _API, lambda o: _rollout(o, world))),
        asyncio.create_task(_watch(cluster, _EVENTS, lambda o: _event(o, world))),
    )
    try:
        yield
    finally:
        for watch in watches:
            watch.cancel()
        await asyncio.gather(*watches, return_exceptions=True)


def _rollout(rollout: Mapping[str, Any], world: World) -> None:
    if rollout["metadata"]["name"] == ROLLOUT:
        world.see_rollout(rollout)


def _event(event: Mapping[str, Any], world: World) -> None:
    if event["involvedObject"].get("kind") == "ModelRollout":
        world.see_event(told(event))


def told(event: Mapping[str, Any]) -> Told:
    """A Kubernetes event, of either API, as the driver needs it."""
    stamp = (
        (event.get("series") or {}).get("lastObservedTime")
        or event.get("eventTime")
        or event.get("lastTimestamp")
        or event["metadata"]["creationTimestamp"]
    )
    at = datetime.fromisoformat(stamp).timestamp()
    return Told(at, event.get("type") == "Warning", event["reason"], event.get("message", ""))


async def _watch(cluster: Cluster, path: str, see: Callable[[Mapping[str, Any]], None]) -> None:
    """Watch a collection for ever; a watch that the apiserver ends is begun again."""
    arguments = (
        str(cluster.kubectl_path),
        f"--kubeconfig={cluster.kubeconfig}",
        "get",
        "--raw",
        f"{path}?watch=1",
    )
    while True:
        async with _process(*arguments) as lines:
            async for line in lines:
                change = json.loads(line)
                if change["type"] in ("ADDED", "MODIFIED"):
                    see(change["object"])
        await asyncio.sleep(_AGAIN_S)


@contextlib.asynccontextmanager
async def traffic(cluster: Cluster, world: World, users: Users) -> AsyncIterator[None]:
    """Let users ask, and keep what they met up to date."""
    async with _process(
        sys.executable,
        *("-m", "examples.demo.traffic", "--gateway", cluster.gateway_url),
        *("--host", "digits.example.com", "--labels-host", "labels.example.com"),
        *("--rate", str(users.rate), "--seed", str(users.seed)),
    ) as lines:
        reading = asyncio.create_task(_read(lines, world))
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _read(lines: asyncio.StreamReader, world: World) -> None:
    async for line in lines:
        world.see_met(json.loads(line))


@contextlib.asynccontextmanager
async def _process(*command: str) -> AsyncIterator[asyncio.StreamReader]:
    """A process that lives as long as the block; gives its standard output."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, limit=_LINE_MAX_BYTES
    )
    if process.stdout is None:
        raise RuntimeError("the process has no standard output")
    try:
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
