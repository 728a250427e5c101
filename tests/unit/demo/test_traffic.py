"""The users' side: every answer is counted once, by the version it names."""

import asyncio
from collections import deque

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from examples.demo import server, traffic, training


def test_users_are_counted_once_for_each_version_they_met() -> None:
    tally = traffic.Tally()
    for version, user, at in [("v1", "a", 1.0), ("v1", "a", 2.0), ("v2", "a", 3.0)]:
        tally.answer(version, user=user, at=at, took_s=0.01)
    report = tally.report(at=4.0)
    assert report["answered"] == {"v1": 2, "v2": 1}
    assert report["users"] == {"v1": 1, "v2": 1}
    assert (report["first"], report["last"]) == ({"v1": 1.0, "v2": 3.0}, {"v1": 2.0, "v2": 3.0})


def test_quantiles_of_nothing_are_zero_and_of_values_are_values() -> None:
    assert traffic.quantile(deque(), 0.5) == 0.0
    assert traffic.quantile(deque([3.0, 1.0, 2.0]), 0.5) == 2.0
    assert traffic.quantile(deque([3.0, 1.0, 2.0]), 1.0) == 3.0


def test_an_answer_that_names_no_version_is_no_answer() -> None:
    with pytest.raises(ValueError, match="expected model_version and outputs"):
        traffic.parsed({"outputs": []})


async def sent(app: web.Application, *, requests: int, labels_host: str = "") -> traffic.Load:
    """Traffic at an app: so many requests, all finished."""
    async with TestServer(app) as target, aiohttp.ClientSession() as session:
        where = traffic.Target(str(target.make_url("")).rstrip("/"), "digits", labels_host)
        load = traffic.Load(session, where, rate=500.0, seed=1)
        await load.run(asyncio.Event(), report=lambda _: None, most=requests)
    return load


async def test_client_and_server_count_the_same_requests() -> None:
    app = server.application(training.train("v2"))
    tally = (await sent(app, requests=30)).tally
    served = app[server.METRICS_KEY].registry.get_sample_value(
        "http_requests_total", {"code": "200"}
    )
    assert tally.answered["v2"] == tally.sent == served == 30


async def test_failures_are_counted_by_what_was_seen() -> None:
    async def unavailable(_: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.router.add_post("/v2/models/digits/infer", unavailable)
    tally = (await sent(app, requests=5)).tally
    assert tally.failed["503"] == tally.sent
    assert not tally.answered


async def test_every_answer_is_reported_once_with_its_version() -> None:
    told: list[list[object]] = []

    async def take(request: web.Request) -> web.Response:
        assert request.headers["Host"] == "labels"
        told.extend(await request.json())
        return web.Response(status=202)

    app = server.application(training.train("v2"))
    app.router.add_post("/predictions", take)
    load = await sent(app, requests=20, labels_host="labels")
    assert len(told) == load.tally.answered["v2"]
    assert {version for _, version, _ in told} == {"v2"}
