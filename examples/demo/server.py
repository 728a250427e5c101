"""The model server of the demo: one model behind HTTP, as small as an honest server can be.

It speaks the two protocols that model servers share: KServe's v1 (`:predict`) and the Open
Inference Protocol v2 (`/infer`). Each answer names the version that gave it. It exports Prometheus
metrics, says when it is ready, and on SIGTERM goes on answering until the gateway had the time to
look elsewhere, so that no request fails when it ends.
"""

import argparse
import asyncio
import contextlib
import json
import os
import resource
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import generate_latest

from examples.demo import training
from examples.demo.training import Images, Model

MODEL: Final = "digits"
MAX_ROWS: Final = 64
_MAX_BODY_BYTES: Final = 256 * 1024
_BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_MEGABYTE: Final = 1024 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequestError(Exception):
    """The body is not what the protocol says; the message says what to change."""


class Metrics:
    """What the server counts. `code` 200 and 500 exist from the start, so that no error is a 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "http_requests", "Requests answered.", ["code"], registry=self.registry
        )
        self.duration = Histogram(
            "http_request_duration_seconds",
            "Time to answer.",
            buckets=_BOUNDS_S,
            registry=self.registry,
        )
        self.predictions = Counter(
            "predictions", "Rows predicted.", ["model_version", "digit"], registry=self.registry
        )
        for code in ("200", "500"):
            self.requests.labels(code)


@dataclass(slots=True)
class Leak:
    """A cache without a bound: the fault of v4.

    Attributes:
        per_request_mb: what each request leaves behind; 0 for a server that behaves.
        limit_mb: memory that the process may have on top of what it has at the start.
    """

    per_request_mb: int = 0
    limit_mb: int = 256
    kept: list[bytearray] = field(default_factory=list)

    def arm(self) -> None:
        """Give the process its limit, as a container's memory limit would."""
        if not self.per_request_mb:
            return
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        limit = pages * resource.getpagesize() + self.limit_mb * _MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    def grow(self) -> None:
        """Keep what should be let go; end the process, as the kernel does, when memory is out."""
        if not self.per_request_mb:
            return
        try:
            self.kept.append(bytearray(self.per_request_mb * _MEGABYTE))
        except MemoryError:
            os._exit(137)


MODEL_KEY: Final = web.AppKey("model", Model)
METRICS_KEY: Final = web.AppKey("metrics", Metrics)
LEAK_KEY: Final = web.AppKey("leak", Leak)
STATE_KEY: Final = web.AppKey("state", dict[str, bool])


def application(model: Model, *, leak: Leak | None = None) -> web.Application:
    """The server of one model."""
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[MODEL_KEY] = model
    app[METRICS_KEY] = Metrics()
    app[LEAK_KEY] = leak or Leak()
    app[STATE_KEY] = {"ending": False}
    app.router.add_post(f"/v1/models/{MODEL}:predict", _measured(_predict_v1))
    app.router.add_post(f"/v2/models/{MODEL}/infer", _measured(_infer_v2))
    app.router.add_get("/v2/health/live", _live)
    app.router.add_get("/v2/health/ready", _ready)
    app.router.add_get("/metrics", _metrics)
    return app


def _measured(answer: Handler) -> Handler:
    """Counts and times the answers, turns bad input into 400 and trouble into 500."""

    async def handler(request: web.Request) -> web.StreamResponse:
        metrics = request.app[METRICS_KEY]
        started = time.perf_counter()
        try:
            response = await answer(request)
        except BadRequestError as problem:
            response = web.json_response({"error": str(problem)}, status=400)
        except (web.HTTPException, asyncio.CancelledError):
            raise
        except Exception as problem:  # noqa: BLE001 - whatever it was, the caller gets an answer
            response = web.json_response({"error": repr(problem)}, status=500)
        metrics.requests.labels(str(response.status)).inc()
        metrics.duration.observe(time.perf_counter() - started)
        response.headers["x-model-version"] = request.app[MODEL_KEY].version
        if request.app[STATE_KEY]["ending"]:
            response.force_close()
        return response

    return handler


async def _predict_v1(request: web.Request) -> web.Response:
    body = await _body(request)
    digits = _predict(request.app, _rows(body.get("instances")))
    return web.json_response(
        {"predictions": digits, "model_version": request.app[MODEL_KEY].version}
    )


async def _infer_v2(request: web.Request) -> web.Response:
    body = await _body(request)
    digits = _predict(request.app, _rows(_tensor(body)))
    output = {"name": "digit", "shape": [len(digits)], "datatype": "INT64", "data": digits}
    return web.json_response(
        {
            "model_name": MODEL,
            "model_version": request.app[MODEL_KEY].version,
            "id": str(body.get("id", "")),
            "outputs": [output],
        }
    )


async def _body(request: web.Request) -> Mapping[str, object]:
    try:
        body = await request.json()
    except json.JSONDecodeError as problem:
        raise BadRequestError(f"expected a JSON object, saw {problem}") from None
    if not isinstance(body, dict):
        raise BadRequestError(f"expected a JSON object, saw a {type(body).__name__}")
    return body


def _tensor(body: Mapping[str, object]) -> object:
    inputs = body.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise BadRequestError(
            'expected one tensor in "inputs", with "shape", "datatype" and "data"'
        )
    values: object = inputs[0].get("data")
    return _as_rows(values) if isinstance(values, list) else values


def _as_rows(values: list[object]) -> list[object]:
    """The protocol allows the data nested or flat: flat ones are cut into rows."""
    width = training.PIXELS
    if not values or isinstance(values[0], list) or len(values) % width:
        return values
    return [values[at : at + width] for at in range(0, len(values), width)]


def _rows(values: object) -> Images:
    wanted = f"expected 1 to {MAX_ROWS} rows of {training.PIXELS} numbers"
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise BadRequestError(f"{wanted}, saw something else") from None
    if rows.ndim != 2 or rows.shape[1] != training.PIXELS or not 0 < len(rows) <= MAX_ROWS:  # noqa: PLR2004 - rows and columns
        raise BadRequestError(f"{wanted}, saw shape {list(rows.shape)}")
    if not np.isfinite(rows).all():
        raise BadRequestError(f"{wanted}, saw NaN or infinity")
    return rows


def _predict(app: web.Application, rows: Images) -> list[int]:
    app[LEAK_KEY].grow()
    model, metrics = app[MODEL_KEY], app[METRICS_KEY]
    digits = [int(digit) for digit in model.predict(rows)]
    for digit in digits:
        metrics.predictions.labels(model.version, str(digit)).inc()
    return digits


async def _live(_: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def _ready(request: web.Request) -> web.Response:
    ready = not request.app[STATE_KEY]["ending"]
    return web.json_response({"ready": ready}, status=200 if ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    text = generate_latest(request.app[METRICS_KEY].registry)
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(app: web.Application, *, host: str, port: int, drain_s: float) -> None:
    """Serve until SIGTERM or SIGINT; then `drain_s` longer, no longer ready, then end."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=5)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    print(f"serving {app[MODEL_KEY].version} on {host}:{port}", flush=True)
    await ended.wait()
    app[STATE_KEY]["ending"] = True
    await asyncio.sleep(drain_s)
    await runner.cleanup()


def main() -> None:
    """Serve the version that the arguments name."""
    options = _options()
    model = training.load(options.model) if options.model else training.train(options.version)
    leak = Leak(options.leak_mb)
    leak.arm()
    app = application(model, leak=leak)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(app, host=options.host, port=options.port, drain_s=options.drain_s))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--version", choices=sorted(training.RECIPES), help="trained at the start")
    what.add_argument("--model", type=Path, help="a model saved with joblib")
    parser.add_argument("--host", default="0.0.0.0", help="address to bind")  # noqa: S104 - a pod
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--drain-s", type=float, default=3.0, help="seconds served after SIGTERM")
    parser.add_argument("--leak-mb", type=int, default=0, help="megabytes lost by each request")
    return parser.parse_args()


if __name__ == "__main__":
    main()
