"""Where the truth comes from: labels that arrive some seconds after the predictions.

In production that is a customer who disputes a charge, or a clerk who corrects a form; here it is
a process of its own, apart from every model. The application tells it which version answered what
(the version that the answer itself named); some seconds later the true digit is known, and the
prediction counts as right or wrong for that version. Prometheus scrapes the two counters, and the
operator judges quality by them as it judges errors.
"""

import argparse
import asyncio
import contextlib
import heapq
import json
import random
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter
from prometheus_client.exposition import generate_latest

from examples.demo import training

_TICK_S: Final = 0.1
_PENDING_MAX: Final = 100_000
_MAX_BODY_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, order=True)
class Prediction:
    """One answer that a user got, with the instant at which its truth will be known."""

    due: float
    row: int
    version: str
    digit: int


class Outcomes:
    """Predictions that wait for their labels, and the counts of those that have them.

    The series carry `model="<namespace>/<service>"`, so that each version's are found whichever
    pod exports them. Versions beyond those given are counted together: what a client sends must
    not become a label value.
    """

    def __init__(
        self,
        truth: Sequence[int],
        *,
        models: Mapping[str, str],
        delay_s: tuple[float, float],
        seed: int | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        self._counter = Counter(
            "labelled_predictions",
            "Predictions whose true label is known.",
            ["model", "outcome"],
            registry=self.registry,
        )
        self._unknown = Counter(
            "unknown_predictions", "Predictions of no known version or row.", registry=self.registry
        )
        self._truth = truth
        self._models = models
        self._delay_s = delay_s
        self._random = random.Random(seed)
        self._pending: list[Prediction] = []
        self.tally = {version: {"right": 0, "wrong": 0} for version in models}
        for model in models.values():
            for outcome in ("right", "wrong"):
                self._counter.labels(model, outcome)

    @property
    def pending(self) -> int:
        """Predictions whose label has not come yet."""
        return len(self._pending)

    def add(self, *, row: int, version: str, digit: int, now: float) -> None:
        """Take note of a prediction; the oldest are dropped beyond a bound."""
        if version not in self._models or not 0 <= row < len(self._truth):
            self._unknown.inc()
            return
        if len(self._pending) >= _PENDING_MAX:
            heapq.heappop(self._pending)
        due = now + self._random.uniform(*self._delay_s)
        heapq.heappush(self._pending, Prediction(due, row, version, digit))

    def settle(self, now: float) -> None:
        """Count the predictions whose labels have come by `now`."""
        while self._pending and self._pending[0].due <= now:
            done = heapq.heappop(self._pending)
            outcome = "right" if self._truth[done.row] == done.digit else "wrong"
            self.tally[done.version][outcome] += 1
            self._counter.labels(self._models[done.version], outcome).inc()


OUTCOMES_KEY: Final = web.AppKey("outcomes", Outcomes)


def application(outcomes: Outcomes) -> web.Application:
    """The process that knows the truth, later."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[OUTCOMES_KEY] = outcomes
    app.router.add_post("/predictions", _take)
    app.router.add_get("/tally", _tally)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/ready", _ready)
    app.cleanup_ctx.append(_settling)
    return app


async def _take(request: web.Request) -> web.Response:
    """A batch: `[[row, version, digit], ...]`."""
    outcomes, now = request.app[OUTCOMES_KEY], asyncio.get_running_loop().time()
    try:
        for row, version, digit in await request.json():
            outcomes.add(row=int(row), version=str(version), digit=int(digit), now=now)
    except (json.JSONDecodeError, TypeError, ValueError) as problem:
        wanted = "expected [[row, version, digit], ...]"
        return web.json_response({"error": f"{wanted}, saw {problem}"}, status=400)
    return web.Response(status=202)


async def _tally(request: web.Request) -> web.Response:
    outcomes = request.app[OUTCOMES_KEY]
    return web.json_response({"pending": outcomes.pending, "versions": outcomes.tally})


async def _metrics(request: web.Request) -> web.Response:
    text = generate_latest(request.app[OUTCOMES_KEY].registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _ready(_: web.Request) -> web.Response:
    return web.json_response({"ready": True})


async def _settling(app: web.Application) -> AsyncIterator[None]:
    async def tick() -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            app[OUTCOMES_KEY].settle(asyncio.get_running_loop().time())

    task = asyncio.create_task(tick())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _serve(app: web.Application, *, host: str, port: int) -> None:
    ended = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, ended.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    await ended.wait()
    await runner.cleanup()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--service", default="digits-{version}", help="Service of a version")
    parser.add_argument("--delay-s", type=float, nargs=2, default=(1.0, 3.0))
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - a pod
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    service = {version: options.service.format(version=version) for version in training.RECIPES}
    outcomes = Outcomes(
        [int(digit) for digit in training.data().held_out_digits],
        models={version: f"{options.namespace}/{name}" for version, name in service.items()},
        delay_s=tuple(options.delay_s),
        seed=options.seed,
    )
    asyncio.run(_serve(application(outcomes), host=options.host, port=options.port))


if __name__ == "__main__":
    main()
