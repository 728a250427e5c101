"""Envoys are asked where they are, and one that does not answer is told of, not waited for."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from modelrollout.adapters.envoys import Envoys
from modelrollout.routing.router import bootstrap, naming

Json = dict[str, Any]

GOOD, BAD, SLOW, AWAY = "127.0.7.1", "127.0.7.2", "127.0.7.3", "127.0.7.4"
STATS = (
    '{"stats":[{"name":"http.traffic.rds.traffic.version_text","value":"1767225600.7.2.1"},'
    '{"name":"http.traffic.rds.traffic.update_rejected","value":3},'
    '{"name":"cluster_manager.cds.version_text","value":""},{"name":"other","value":1}]}'
)


class Slices:
    """The endpoints of one Service."""

    def __init__(self, *ready: str, unready: tuple[str, ...] = ()) -> None:
        self.pieces = [
            {
                "endpoints": [
                    {
                        "addresses": [address],
                        "conditions": {"ready": address not in unready},
                        "targetRef": {"name": f"pod-{address}"},
                    }
                    for address in (*ready, *unready)
                ]
            }
        ]

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Json | None:
        raise AssertionError((path, query))

    async def cached(self, path: str, query: Mapping[str, str] | None = None) -> list[Json]:
        assert path == "/apis/discovery.k8s.io/v1/namespaces/ml/endpointslices"
        assert query == {"labelSelector": "kubernetes.io/service-name=fraud-router"}
        return self.pieces


async def good(_: web.Request) -> web.Response:
    return web.Response(text=STATS)


async def bad(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def slow(_: web.Request) -> web.Response:
    await asyncio.sleep(30)
    return web.Response()


@asynccontextmanager
async def listening() -> AsyncIterator[None]:
    async with _served(GOOD, good), _served(BAD, bad), _served(SLOW, slow):
        yield


@asynccontextmanager
async def _served(address: str, handler: Any) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_get(bootstrap.EDITIONS, handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host=address, port=naming.STATS_PORT).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_every_ready_envoy_is_asked_and_says_what_it_has_or_why_not() -> None:
    envoys = Envoys(Slices(GOOD, BAD, SLOW, AWAY, unready=("127.0.7.9",)))
    async with listening():
        told = {one.name: one for one in await envoys.ask("ml", "fraud-router")}
    await envoys.close()
    assert told.keys() == {f"pod-{address}" for address in (GOOD, BAD, SLOW, AWAY)}
    answer = told[f"pod-{GOOD}"]
    assert (answer.editions["routes"].sequence, answer.refused) == (7, {"routes": 3})
    assert "clusters" not in answer.editions
    assert told[f"pod-{BAD}"].problem == "it answers 503"
    assert "Timeout" in told[f"pod-{SLOW}"].problem
    assert told[f"pod-{AWAY}"].problem
