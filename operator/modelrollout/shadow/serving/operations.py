"""What people and Prometheus ask of the observer: /livez, /readyz, /metrics, /examples."""

from collections.abc import Callable
from pathlib import Path

import prometheus_client
from aiohttp import web
from prometheus_client import CollectorRegistry

from modelrollout.shadow.serving import ledger, showing, tokens


class Operations:
    """A small web server beside the fronts."""

    def __init__(
        self,
        book: ledger.Ledger,
        shown: showing.Shown,
        *,
        token_file: Path | None,
        ready: Callable[[], bool],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(book)
        self._shown, self._ready = shown, ready
        self._token = None if token_file is None else tokens.Token(token_file)
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; gives the port.

        Raises:
            OSError: when the port is taken.
        """
        app = web.Application()
        app.add_routes(
            [
                web.get("/livez", _alive),
                web.get("/readyz", self._readiness),
                web.get("/metrics", self._metrics),
                web.get("/examples", self._examples),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, host=host, port=port).start()
        return int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Listens no more."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _readiness(self, _: web.Request) -> web.Response:
        return web.Response(status=200 if self._ready() else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        text = prometheus_client.generate_latest(self._registry)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    async def _examples(self, request: web.Request) -> web.Response:
        if self._token is None:
            return web.Response(status=404, text="examples are off: no token is configured")
        if not self._token.is_shown(request.headers.get("Authorization", "")):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
        return web.json_response(self._shown.as_json(), headers={"Cache-Control": "no-store"})


async def _alive(_: web.Request) -> web.Response:
    return web.Response(text="ok")
