"""The model server of the end-to-end tests: it behaves as it is told, and counts exactly.

`POST /behave` changes at run time what share of the answers are errors, how slow they are, and
what they are rated, so that one deployment can be healthy and harmful in turn. Every answer names
the version that gave it.
"""

import asyncio
import contextlib
import os
import random
import signal
from typing import Final

import xxhash
from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

VERSION: Final = os.environ.get("VERSION", "v?")
BOUNDS_S: Final = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0)
_LEAVE_S: Final = 2.0


def bucket_of(user: str, buckets: int = 100) -> str:
    """The label of a user, as docs/ab-testing.md gives it to exporters."""
    return str(xxhash.xxh64_intdigest(f"modelrollout/buckets:{user}") % buckets)


class Model:
    """What the server does and what it counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter("http_requests", "Answers.", ["code"], registry=self.registry)
        self.seconds = Histogram(
            "http_request_duration_seconds", "Time.", registry=self.registry, buckets=BOUNDS_S
        )
        label, registry = ["bucket"], self.registry
        self.rating = Counter("rating_sum", "Sum of ratings.", label, registry=registry)
        self.rated = Counter("rating_count", "Ratings.", label, registry=registry)
        self.squares = Counter("rating_squares", "Squares.", label, registry=registry)
        self._rate("", 0.0, count=0)
        self.errors, self.slow, self.quality, self.label = 0.0, 0.0, 4.0, "ham"
        self.random = random.Random(os.urandom(8))
        self.ready, self.crash_after = True, -1
        self.requests.labels("200")

    def _rate(self, bucket: str, rating: float, *, count: int = 1) -> None:
        self.rating.labels(bucket).inc(rating)
        self.rated.labels(bucket).inc(count)
        self.squares.labels(bucket).inc(rating * rating)

    async def predict(self, request: web.Request) -> web.Response:
        """One answer, as told."""
        if self.crash_after > 0:
            self.crash_after -= 1
        if self.crash_after == 0:
            os._exit(137)
        slow = self.random.random() < self.slow
        if slow:
            await asyncio.sleep(0.3)
        code = 500 if self.random.random() < self.errors else 200
        self.requests.labels(str(code)).inc()
        self.seconds.observe(0.3 if slow else 0.005)
        user = request.headers.get("x-user-id", "")
        taste = random.Random(user).random() - 0.5 if user else 0.0
        rating = self.quality + taste + self.random.random() - 0.5
        self._rate(bucket_of(user) if user else "", rating)
        return web.json_response({"model_version": VERSION, "label": self.label}, status=code)

    async def behave(self, request: web.Request) -> web.Response:
        """Changes `errors`, `slow`, `quality`, `label`, `ready` or `crash_after`."""
        for name, value in (await request.json()).items():
            setattr(self, name, value)
        return web.json_response({"ok": True})

    async def metrics(self, _: web.Request) -> web.Response:
        """The counters."""
        return web.Response(body=generate_latest(self.registry), content_type="text/plain")

    async def health(self, _: web.Request) -> web.Response:
        """Ready unless told otherwise."""
        return web.Response(status=200 if self.ready else 503)


async def main() -> None:
    """Serves until SIGTERM, and a little longer, so that no request meets a closed port."""
    model, app = Model(), web.Application()
    app.router.add_route("*", "/predict", model.predict)
    app.router.add_post("/behave", model.behave)
    app.router.add_get("/metrics", model.metrics)
    app.router.add_get("/health", model.health)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=8080).start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await asyncio.sleep(_LEAVE_S)
    await runner.cleanup()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
