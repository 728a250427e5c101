"""The Lease: one leader at a time, a gate that closes in time, no trust in other clocks."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from modelrollout.adapters.apiserver import Apiserver
from modelrollout.adapters.gate import CALL_TIMEOUT_S, Bucket, Gate, GateClosedError
from modelrollout.controller import elector
from modelrollout.controller.elector import Elector

PATH = "/apis/coordination.k8s.io/v1/namespaces/ops/leases"


class Leases:
    """The apiserver's Lease endpoint: absent, created, replaced on the version read."""

    def __init__(self) -> None:
        self.record: dict[str, Any] | None = None
        self.version = 0
        self.silent = False

    async def read(self, _: web.Request) -> web.Response:
        if self.silent:
            return web.json_response({"message": "away"}, status=503)
        if self.record is None:
            return web.json_response({"reason": "NotFound", "message": "none"}, status=404)
        return web.json_response(self.record)

    async def write(self, request: web.Request) -> web.Response:
        body = await request.json()
        given = body["metadata"].get("resourceVersion")
        present = None if self.record is None else self.record["metadata"]["resourceVersion"]
        if self.silent or given != present:
            return web.json_response({"reason": "Conflict", "message": "changed"}, status=409)
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        self.record = body
        return web.json_response(body)


@pytest.fixture
async def leases() -> AsyncIterator[tuple[Leases, str]]:
    kept = Leases()
    app = web.Application()
    app.add_routes(
        [
            web.post(PATH, kept.write),
            web.get(PATH + "/operator", kept.read),
            web.put(PATH + "/operator", kept.write),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert runner.addresses
    yield kept, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


def candidate(url: str, identity: str) -> tuple[Elector, Gate, Apiserver]:
    gate = Gate()
    settings = client.Configuration(host=url)
    apiserver = Apiserver(client.ApiClient(settings), gate=gate, bucket=Bucket())
    made = Elector(apiserver, gate=gate, namespace="ops", name="operator", identity=identity)
    return made, gate, apiserver


async def test_the_first_leads_and_the_second_waits(
    leases: tuple[Leases, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, url = leases
    monkeypatch.setattr(elector, "RENEW_EVERY_S", 0.01)
    first, gate, one = candidate(url, "a")
    second, other, two = candidate(url, "b")
    await asyncio.wait_for(first.acquire(), 5)
    waiting = asyncio.ensure_future(second.acquire())
    await asyncio.wait([waiting], timeout=0.2)
    assert gate.is_open
    assert not waiting.done()
    assert not other.is_open
    await first.release()
    assert not gate.is_open
    await asyncio.wait_for(waiting, 5)
    assert kept.record is not None
    assert kept.record["spec"]["holderIdentity"] == "b"
    assert kept.record["spec"]["leaseTransitions"] == 2
    await one.close()
    await two.close()


async def test_a_silent_holder_loses_it_after_its_length_as_we_see_it(
    leases: tuple[Leases, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, url = leases
    monkeypatch.setattr(elector, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(elector, "LENGTH_S", CALL_TIMEOUT_S + 0.3)
    first, gate, one = candidate(url, "a")
    second, _, two = candidate(url, "b")
    await first.acquire()
    waiting = asyncio.ensure_future(second.acquire())
    await asyncio.wait([waiting], timeout=0.1)
    assert not waiting.done()
    await asyncio.wait_for(waiting, 20)
    assert not gate.is_open
    with pytest.raises(GateClosedError):
        gate.check()
    await one.close()
    await two.close()


async def test_without_an_apiserver_the_gate_closes_and_holding_ends(
    leases: tuple[Leases, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, url = leases
    monkeypatch.setattr(elector, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(elector, "LENGTH_S", CALL_TIMEOUT_S + 0.2)
    first, gate, one = candidate(url, "a")
    await first.acquire()
    kept.silent = True
    await asyncio.wait_for(first.hold(), 5)
    assert not first.leads
    assert not gate.is_open
    await one.close()


async def test_a_restarted_container_of_the_same_pod_leads_at_once(
    leases: tuple[Leases, str],
) -> None:
    _, url = leases
    first, _, one = candidate(url, "pod")
    await first.acquire()
    again, gate, two = candidate(url, "pod")
    await asyncio.wait_for(again.acquire(), 5)
    assert gate.is_open
    await one.close()
    await two.close()
