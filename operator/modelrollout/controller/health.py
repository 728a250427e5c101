"""What Kubernetes and Prometheus ask of the operator itself: /livez, /readyz, /metrics."""

from collections.abc import Callable

import prometheus_client
from aiohttp import web

from modelrollout.controller.instruments import Instruments

Check = Callable[[], str]
"""Gives "" when all is well, else one sentence."""


class Health:
    """A small web server beside the loop; that it answers shows that the loop turns."""

    def __init__(self, instruments: Instruments, *, live: Check, ready: Check) -> None:
        self._instruments, self._live, self._ready = instruments, live, ready
        self._runner: web.AppRunner | None = None

    async def start(self, port: int) -> None:
        """Listens on all addresses.

        Raises:
            OSError: when the port is taken.
        """
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", lambda _: _said(self._live())),
                web.get("/readyz", lambda _: _said(self._ready())),
                web.get("/metrics", self._metrics),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host=None, port=port).start()

    async def stop(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        text = prometheus_client.generate_latest(self._instruments.registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4"})


async def _said(trouble: str) -> web.Response:
    return web.Response(text=trouble or "ok", status=503 if trouble else 200)
