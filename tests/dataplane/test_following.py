"""Envoys follow what is stored: weights, refusals, order, and who may ask."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from modelrollout.routing.router.answers import Answer
from tests.dataplane.envoys import Envoy, Plane


async def until(plane: Plane, envoy: Envoy, holds: Callable[[Answer], bool]) -> Answer:
    """Waits until what an Envoy says of itself holds."""
    async with asyncio.timeout(10):
        while True:
            told = await envoy.editions(plane.session)
            if holds(told):
                return told
            await asyncio.sleep(0.02)


def sequence(told: Answer, what: str = "routes") -> int:
    found = told.editions.get(what)
    return found.sequence if found else 0


async def test_an_envoy_serves_what_is_stored_and_follows_a_change_at_once(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    assert await plane.ask(envoy) == "v1"

    plane.store({"v2": 10_000}, sequence=2)
    began = time.monotonic()
    async with asyncio.timeout(5):
        while await plane.ask(envoy) != "v2":
            pass
    assert time.monotonic() - began < 1.0
    told = await until(plane, envoy, lambda told: sequence(told) == 2)
    assert {what: edition.sequence for what, edition in told.editions.items()} == {
        "listeners": 2,
        "clusters": 2,
        "routes": 2,
    }


async def test_a_split_is_as_decided(plane: Plane) -> None:
    plane.store({"v1": 7_000, "v2": 3_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    found = Counter([await plane.ask(envoy) for _ in range(600)])
    assert 120 < found["v2"] < 240
    assert sum(found.values()) == 600
