"""A source in a bad mood: each is told, none hangs, none counts."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from modelrollout.adapters.source import Source, SourceConfig, SourceError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def _serve(handler: Handler) -> tuple[web.AppRunner, str]:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://127.0.0.1:{runner.addresses[0][1]}"


@pytest.fixture
async def ask() -> AsyncIterator[Callable[[Handler], Awaitable[object]]]:
    runners: list[web.AppRunner] = []
    sources: list[Source] = []

    async def one(handler: Handler) -> object:
        runner, url = await _serve(handler)
        runners.append(runner)
        config = SourceConfig(name="s", url=url, timeout=1.0)
        sources.append(Source(config))
        return await sources[-1].ask("up", at=1.0)

    yield one
    for source in sources:
        source.close()
    for runner in runners:
        await runner.cleanup()


def success(result: object, **more: object) -> dict[str, object]:
    return {"status": "success", "data": {"resultType": "vector", "result": result}, **more}


Ask = Callable[[Handler], Awaitable[object]]


async def test_the_query_is_in_the_body_and_the_result_comes_back(ask: Ask) -> None:
    seen: dict[str, str] = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(
            {"method": request.method, "path": str(request.rel_url), "body": await request.text()}
        )
        return web.json_response(success([{"metric": {}, "value": [1, "2"]}]))

    assert await ask(handler) == [{"metric": {}, "value": [1, "2"]}]
    assert (seen["method"], seen["path"]) == ("POST", "/api/v1/query")
    assert "query=up" in seen["body"]
    assert "time=1.000" in seen["body"]


async def moved(request: web.Request) -> web.Response:
    if request.path == "/elsewhere":
        return web.json_response(success([]))
    raise web.HTTPTemporaryRedirect("/elsewhere")


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=503, text="secret details", headers={"Retry-After": "3600"})


async def refusing(_: web.Request) -> web.Response:
    answer = {"status": "error", "errorType": "bad_data", "error": "parse error"}
    return web.json_response(answer, status=400)


async def lying(_: web.Request) -> web.Response:
    return web.json_response({"status": "error", "error": "no store"})


async def partial(_: web.Request) -> web.Response:
    return web.json_response(success([], warnings=["a store did not answer"]))


async def garbage(_: web.Request) -> web.Response:
    return web.Response(text="<html>")


async def silent(_: web.Request) -> web.Response:
    await asyncio.sleep(20)
    return web.Response()


async def endless(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(1000):
        await answer.write(b"x" * 65536)
    return answer


async def dripping(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    for _ in range(100):
        await answer.write(b"x")
        await asyncio.sleep(0.2)
    return answer


@pytest.mark.parametrize(
    ("handler", "told"),
    [
        (moved, "it answers with an error"),
        (broken, "it answers with an error"),
        (refusing, "it refuses the query: parse error"),
        (lying, "the answer is not that of a Prometheus"),
        (partial, "partial answer: ['a store did not answer']"),
        (garbage, "the answer is not that of a Prometheus"),
        (silent, "it does not answer: ReadTimeout"),
        (endless, "the answer is larger than 8 MiB"),
        (dripping, "the answer took longer than 1 s"),
    ],
    ids=lambda given: getattr(given, "__name__", ""),
)
async def test_every_bad_mood_is_told_in_time(ask: Ask, handler: Handler, told: str) -> None:
    began = time.monotonic()
    with pytest.raises(SourceError) as refused:
        await ask(handler)
    assert told in str(refused.value)
    assert "secret" not in str(refused.value)
    assert time.monotonic() - began < 5


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="url"):
        SourceConfig(name="s", url="http://user:word@prometheus:9090")
