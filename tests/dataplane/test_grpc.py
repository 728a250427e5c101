"""gRPC through the router's Envoy: calls, streams, trailers and failures are the server's own."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests import ports
from tests.cluster.build import environments
from tests.dataplane.envoys import Plane

PEER = Path(__file__).with_name("grpc_peer.py")


async def peer(*arguments: str) -> asyncio.subprocess.Process:
    """One end, in an environment that has gRPC."""
    python = environments.ensure("mlserver") / "bin" / "python"
    # Without -P a module beside the script would hide another's package.
    return await asyncio.create_subprocess_exec(
        str(python), "-P", str(PEER), *arguments, stdout=asyncio.subprocess.PIPE
    )


@contextlib.asynccontextmanager
async def serving(name: str) -> AsyncIterator[int]:
    """A server that listens; gives its port."""
    port = ports.free()
    process = await peer("serve", str(port), name)
    try:
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                await asyncio.sleep(0.05)
        yield port
    finally:
        process.kill()
        await process.wait()


@pytest.mark.timeout(120)
async def test_calls_streams_and_failures_pass_through(plane: Plane) -> None:
    async with serving("v1") as v1, serving("v2") as v2:
        plane.shelf.ports = {**plane.shelf.ports, "fraud-v1": v1, "fraud-v2": v2}
        plane.store({"v1": 5_000, "v2": 5_000})
        envoy = await plane.envoy()
        await plane.ready(envoy)
        users = await peer("ask", f"127.0.0.1:{plane.port}", "40")
        told = json.loads((await users.communicate())[0])

    assert users.returncode == 0
    assert set(told["once"]) == {"v1 v1", "v2 v2"}  # the body, and the trailer after it
    whole = {f"{name} 0 100000 {name} 1 100000 {name} 2 100000" for name in ("v1", "v2")}
    assert set(told["stream"]) == whole
    assert set(told["fail"]) == {f"FAILED_PRECONDITION: {name} will not" for name in ("v1", "v2")}
    assert [sum(told[kind].values()) for kind in ("once", "stream", "fail")] == [40, 40, 40]
