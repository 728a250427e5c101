"""Envoys follow what is stored: weights, refusals, order, and who may ask."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from modelrollout.routing.router.answers import Answer
from tests.dataplane.envoys import Envoy, Plane
from tests.unit.routing.router import store


async def until(plane: Plane, envoy: Envoy, holds: Callable[[Answer], bool]) -> Answer:
    """Waits until what an Envoy says of itself holds."""
    async with asyncio.timeout(10):
        while True:
            told = await envoy.editions(plane.session)
            if holds(told):
                return told
            await asyncio.sleep(0.02)


def has(number: int, told: Answer) -> bool:
    return sequence(told) == number


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
    kinds = ("listeners", "clusters", "routes")
    await until(plane, envoy, lambda told: {sequence(told, what) for what in kinds} == {2})


async def test_a_split_is_as_decided(plane: Plane) -> None:
    plane.store({"v1": 7_000, "v2": 3_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    found = Counter([await plane.ask(envoy) for _ in range(600)])
    assert 120 < found["v2"] < 240
    assert sum(found.values()) == 600


async def test_a_stranger_learns_nothing(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    url = f"http://127.0.0.1:{plane.xds_port}/v3/discovery:routes"
    for token in ("", "f" * 64, None, 7, ["x"]):
        node = {"id": "x", "cluster": "ml/fraud", "metadata": {"token": token}}
        async with plane.session.post(url, json={"node": node}) as answer:
            assert answer.status == 403
            assert "v1" not in await answer.text()
    async with plane.session.post(url, json={"node": {"cluster": "ml/fraud"}}) as answer:
        assert answer.status == 403
    async with plane.session.post(url, data=b"{") as answer:
        assert answer.status == 400
    async with plane.session.post(url, json=[]) as answer:
        assert answer.status == 400


async def test_an_envoy_with_the_wrong_token_never_opens_its_port(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy(token="0" * 64)
    with pytest.raises(TimeoutError):
        await plane.ready(envoy, within_s=1.5)
    assert envoy.process.returncode is None


async def test_what_is_refused_leaves_the_last_good_one_in_force(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    plane.shelf.spoilt = {"no_such_field": True}
    plane.store({"v2": 10_000}, sequence=2)
    told = await until(plane, envoy, lambda told: told.refused.get("routes", 0) > 0)
    assert sequence(told) == 1
    assert await plane.ask(envoy) == "v1"
    # It is held, and not sent again and again.
    await asyncio.sleep(0.5)
    assert (await envoy.editions(plane.session)).refused["routes"] == 1
    assert plane.followed

    plane.shelf.spoilt = {}
    plane.store({"v3": 10_000}, sequence=3)
    await until(plane, envoy, lambda told: sequence(told) == 3)
    assert await plane.ask(envoy) == "v3"


async def test_a_replica_that_is_behind_does_not_answer(plane: Plane) -> None:
    """A lagging standby knows only decision 1, while the Envoy has the rollback of decision 3."""
    plane.store({"v1": 10_000}, sequence=3)
    envoy = await plane.envoy()
    await plane.ready(envoy)
    plane.shelf.drop(("ml", "fraud"))
    plane.store({"v2": 10_000}, sequence=2)
    await asyncio.sleep(0.5)
    told = await envoy.editions(plane.session)
    assert sequence(told) == 3
    assert told.refused.get("routes", 0) == 0
    assert await plane.ask(envoy) == "v1"


async def test_an_envoy_outlives_the_operator(plane: Plane) -> None:
    plane.store({"v1": 5_000, "v2": 5_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    await plane.discovery.stop()
    found = Counter([await plane.ask(envoy) for _ in range(100)])
    assert set(found) == {"v1", "v2"}


async def test_the_rollout_says_that_an_envoy_refuses(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    plane.shelf.spoilt = {"validate_clusters": "perhaps"}
    plane.store({"v2": 10_000}, sequence=2)
    told = await until(plane, envoy, lambda told: told.refused.get("routes", 0) > 0)
    owner = store.rollout()
    live = store.written(owner, store.CANARY) | store.telling(told)
    problem = store.seen(owner, live).problem
    assert problem is not None
    assert problem.sentence == (
        "1 of 1 Envoys refuse the configuration of decision 2 and serve their last good one; "
        "the log of envoy says why"
    )


@pytest.mark.long
async def test_two_hundred_weights_under_load_fail_nobody(plane: Plane) -> None:
    plane.store({"v1": 10_000})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    async with plane.users(envoy) as found:
        for number in range(200):
            share = 50 * (1 + number % 199)
            plane.store({"v1": 10_000 - share, "v2": share}, sequence=number + 2)
            await asyncio.sleep(0.12)
        await until(plane, envoy, lambda told: sequence(told) == 201)
    assert set(found) == {"v1", "v2"}
    assert sum(found.values()) > 1_000


async def test_versions_exchanged_under_load_fail_nobody(plane: Plane) -> None:
    """A new one comes with requests at once, and an old one goes: clusters and routes in order."""
    plane.store({"v1": 10_000}, versions=("v1", "v2"))
    envoy = await plane.envoy()
    await plane.ready(envoy)
    async with plane.users(envoy) as found:
        for number in range(2, 10):
            other = "v3" if number % 2 == 0 else "v2"
            shares = {"v1": 5_000, other: 5_000}
            plane.store(shares, sequence=number, generation=number, versions=("v1", other))
            told = await until(plane, envoy, partial(has, number))
            assert told.refused.get("routes", 0) == 0
    assert set(found) == {"v1", "v2", "v3"}
