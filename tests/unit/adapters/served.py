"""A metric source that answers over HTTP, as the tests of this folder need it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler


@asynccontextmanager
async def source(answer: Handler) -> AsyncIterator[str]:
    """The address of a server whose queries `answer` answers."""
    app = web.Application()
    app.router.add_post("/api/v1/query", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
