"""Model servers on loopback whose every answer a test decides: real sockets, no model."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
PATH = "/v2/models/fraud/infer"
REQUEST: dict[str, Any] = {
    "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "data": [1.0, 2.0]}]
}


@dataclass(slots=True)
class Model:
    """One server.

    Attributes:
        answer: what it does with a request; may be replaced at any time.
        port: of loopback.
        asked: headers and bodies of all requests, the newest last.
    """

    answer: Handler
    port: int = 0
    asked: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Scheme and authority."""
        return f"http://127.0.0.1:{self.port}"


def document(*labels: object, name: str = "label", datatype: str = "INT64") -> dict[str, Any]:
    """An answer of the Open Inference Protocol."""
    tensor = {"name": name, "shape": [len(labels)], "datatype": datatype, "data": list(labels)}
    return {"model_name": "fraud", "outputs": [tensor]}


def saying(*labels: object) -> Handler:
    """Always the same labels."""
    return sending(json.dumps(document(*labels)).encode())


def sending(body: bytes, *, status: int = 200, **headers: str) -> Handler:
    """Always the same bytes."""
    named = {"Content-Type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }

    async def answer(_: web.Request, __: bytes) -> web.StreamResponse:
        return web.Response(body=body, status=status, headers=named)

    return answer


async def hanging(_: web.Request, __: bytes) -> web.StreamResponse:
    """Never answers."""
    await asyncio.Event().wait()
    raise AssertionError


async def endless(request: web.Request, _: bytes) -> web.StreamResponse:
    """Streams for ever, a few bytes at a time."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.01)
    return response


async def flooding(request: web.Request, _: bytes) -> web.StreamResponse:
    """Streams for ever, as fast as it can."""
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" " * 65_536)
    return response


async def breaking(request: web.Request, _: bytes) -> web.StreamResponse:
    """Promises more than it sends, and closes."""
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Content-Length": "100"}
    )
    await response.prepare(request)
    await response.write(b'{"outputs"')
    if request.transport is not None:
        request.transport.close()
    return response


@contextlib.asynccontextmanager
async def serving(answer: Handler) -> AsyncIterator[Model]:
    """A server on a free port of loopback."""
    model = Model(answer)

    async def handled(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        model.asked.append(({k.lower(): v for k, v in request.headers.items()}, body))
        return await model.answer(request, body)  # type: ignore[arg-type]

    runner = web.ServerRunner(web.Server(handled, access_log=None), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    model.port = int(runner.addresses[0][1])
    try:
        yield model
    finally:
        await runner.cleanup()
