"""A metric source that misbehaves as told: a proxy before the real Prometheus.

`POST /mode` with one word: `honest`, or one of `MODES`. Each test that needs one deploys its own,
at the address that the operator's configuration has for it.
"""

import asyncio
import json
import os
from typing import Any, Final

import aiohttp
from aiohttp import web

REAL: Final = os.environ.get("PROMETHEUS", "http://prometheus.monitoring.svc.cluster.local:9090")
Json = dict[str, Any]
_HUGE: Final = 100 * 1024 * 1024
_SLOW_S: Final = 60.0


NAMESPACE: Final = "faults"
MODES: Final = ("slow", "error", "partial", "nan", "huge", "garbage")


def source(mode: str) -> str:
    """Under which name rollouts refer to the proxy that one test has for itself."""
    return f"faulty-{mode}"


def url(mode: str) -> str:
    """Where that proxy is."""
    return f"http://{source(mode)}.{NAMESPACE}.svc.cluster.local:9090"


def manifests(mode: str) -> list[Json]:
    """Deployment and headless Service of that proxy."""
    labels, name = {"app": source(mode)}, source(mode)
    container = {
        "name": "proxy",
        "image": "python:test",
        "command": ["python", "-m", "tests.e2e.faulty"],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 9090}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    return [
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": template},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 9090}]},
        },
    ]


class Faulty:
    """The proxy."""

    def __init__(self) -> None:
        self.mode = "honest"

    async def set_mode(self, request: web.Request) -> web.Response:
        """From now on it behaves so."""
        self.mode = (await request.text()).strip()
        return web.Response(text=self.mode)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """The real answer, or what the mode makes of it."""
        match self.mode:
            case "slow":
                await asyncio.sleep(_SLOW_S)
            case "error":
                return web.Response(status=500, text="out of order")
            case "garbage":
                return web.Response(text="<html>not JSON</html>")
            case "huge":
                return await _huge(request)
        found = await _real(request)
        if self.mode == "partial":
            found["warnings"] = ["a store did not answer"]
        if self.mode == "nan":
            for series in found.get("data", {}).get("result", []):
                if "value" in series:
                    series["value"][1] = "NaN"
        return web.json_response(found)


async def _real(request: web.Request) -> Json:
    async with aiohttp.ClientSession() as session:
        body = await request.read()
        headers = {"Content-Type": request.headers.get("Content-Type", "")}
        url = REAL + str(request.rel_url)
        async with session.request(request.method, url, data=body, headers=headers) as answer:
            found = await answer.json(content_type=None)
            assert isinstance(found, dict)
            return found


async def _huge(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    piece = json.dumps({"status": "success", "padding": "x" * 65536}).encode()
    for _ in range(_HUGE // len(piece)):
        await answer.write(piece)
    return answer


def main() -> None:
    """Serves on port 9090."""
    faulty, app = Faulty(), web.Application()
    app.router.add_post("/mode", faulty.set_mode)
    app.router.add_get("/health", lambda _: _ok())
    app.router.add_route("*", "/api/{rest:.*}", faulty.answer)
    web.run_app(app, port=9090, access_log=None, print=None)


async def _ok() -> web.Response:
    return web.Response(text="ok")


if __name__ == "__main__":
    main()
