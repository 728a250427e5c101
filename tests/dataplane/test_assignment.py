"""The published assignment in a real Envoy: the arm of each user is the one that Python says."""

import asyncio
import json
from collections import Counter
from functools import partial
from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import Decision
from modelrollout.assignment import assigning, intervals
from modelrollout.assignment.assigning import Assignment
from modelrollout.routing.router.answers import Answer
from tests.dataplane import envoys
from tests.dataplane.envoys import Envoy, Plane
from tests.dataplane.test_following import sequence, until

Json = dict[str, Any]

USERS = [f"user-{n}" for n in range(400)]
STRANGE = ["42", "a:b", "Zo\u00eb", "\u65e5\u672c", "x" * 300, "with space", "%41", "\\1", "$1"]
INTERVALS = [
    {"version": "v2", "parts": 1500},
    {"version": "v3", "parts": 1500},
    {"version": "v2", "parts": 1000},
    {"version": "v1", "parts": 6000},
]
SHARES = {"v1": 6000, "v2": 2500, "v3": 1500}


def strategy(unit: Json, **more: Any) -> Json:
    arms = [{"version": "v2", "weight": 25}, {"version": "v3", "weight": 15}]
    return {"abTest": {"unit": unit, "arms": arms, "duration": "7d", "goal": "rating", **more}}


async def started(plane: Plane, shares: dict[str, int], intervals: list[Json], how: Json) -> Envoy:
    plane.store(shares, strategy=how, decision={"intervals": intervals})
    envoy = await plane.envoy()
    await plane.ready(envoy)
    return envoy


def expected(shares: dict[str, int], intervals: list[Json], how: Json) -> Assignment:
    live = envoys.live(shares, strategy=how)
    decision = Decision.model_validate({"shares": shares, "intervals": intervals})
    spec = ModelRolloutSpec.model_validate(live["spec"])
    return assigning.of(spec, decision, stable="v1", namespace="ml", name="fraud")


async def test_every_user_named_by_a_header_gets_the_version_that_is_published(
    plane: Plane,
) -> None:
    how = strategy({"header": "x-user-id"})
    envoy = await started(plane, SHARES, INTERVALS, how)
    published = expected(SHARES, INTERVALS, how)

    found = {user: await plane.ask(envoy, **{"x-user-id": user}) for user in [*USERS, *STRANGE]}
    assert found == {user: published.version_of(user) for user in found}
    assert set(Counter(found.values())) == {"v1", "v2", "v3"}


async def test_an_id_that_is_no_utf_8_is_hashed_as_it_came(plane: Plane) -> None:
    how = strategy({"header": "x-user-id"})
    envoy = await started(plane, SHARES, INTERVALS, how)
    published = expected(SHARES, INTERVALS, how)

    for number in range(40):
        raw = b"\xff\xfe%d" % number
        reader, writer = await asyncio.open_connection("127.0.0.1", envoy.port)
        writer.write(
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\nconnection: close\r\n"
            b"x-user-id: " + raw + b"\r\n\r\n"
        )
        body = (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        user = raw.decode("utf-8", "surrogateescape")
        assert json.loads(body)["model_version"] == published.version_of(user)


async def test_every_user_named_by_a_cookie_gets_the_version_that_is_published(
    plane: Plane,
) -> None:
    how = strategy({"cookie": "uid"}, salt="spring/2")
    envoy = await started(plane, SHARES, INTERVALS, how)
    published = expected(SHARES, INTERVALS, how)

    found = {
        user: await plane.ask(envoy, cookie=f"theme=dark; uid={user}; lang=en")
        for user in USERS[:200]
    }
    assert found == {user: published.version_of(user) for user in found}


async def test_who_names_no_user_is_no_part_of_the_test(plane: Plane) -> None:
    envoy = await started(plane, SHARES, INTERVALS, strategy({"header": "x-user-id"}))

    assert {await plane.ask(envoy) for _ in range(50)} == {"v1"}


async def test_a_tester_gets_the_version_that_is_named(plane: Plane) -> None:
    how = strategy({"header": "x-user-id"}, overrides={"header": "x-modelrollout-version"})
    envoy = await started(plane, SHARES, INTERVALS, how)
    published = expected(SHARES, INTERVALS, how)
    named = {"x-modelrollout-version": "v3"}

    assert {await plane.ask(envoy, **named) for _ in range(20)} == {"v3"}
    unknown = {"x-modelrollout-version": "v9", "x-user-id": "user-1"}
    assert await plane.ask(envoy, **unknown) == published.version_of("user-1")


async def test_an_arm_that_is_stopped_cannot_be_asked_for(plane: Plane) -> None:
    how = strategy({"header": "x-user-id"}, overrides={"header": "x-modelrollout-version"})
    intervals = [{"version": "v2", "parts": 2500}, {"version": "v1", "parts": 7500}]
    envoy = await started(plane, {"v1": 7500, "v2": 2500}, intervals, how)

    assert await plane.ask(envoy, **{"x-modelrollout-version": "v3"}) == "v1"


def has_followed(told: Answer, *, number: int) -> bool:
    return sequence(told) == number


async def test_three_arms_that_grow_never_swap_users(plane: Plane) -> None:
    how, users = strategy({"header": "x-user-id"}), USERS[:300]
    arms = (("v2", 1000, 2500), ("v3", 1500, 3000))
    met: list[dict[str, str]] = []
    held: intervals.Intervals = ()
    envoy: Envoy | None = None
    for at in (0, 1):
        shares = {name: weights[at] for name, *weights in arms}
        shares |= {"v1": 10_000 - sum(shares.values())}
        held = intervals.carved(held, shares, stable="v1")
        decision = {"intervals": [{"version": one.version, "parts": one.parts} for one in held]}
        plane.store(shares, strategy=how, decision=decision, sequence=at + 1)
        envoy = envoy or await plane.envoy()
        await plane.ready(envoy)
        await until(plane, envoy, partial(has_followed, number=at + 1))
        met.append({user: await plane.ask(envoy, **{"x-user-id": user}) for user in users})

    moved = {(met[0][user], met[1][user]) for user in users if met[0][user] != met[1][user]}
    assert moved == {("v1", "v2"), ("v1", "v3")}


@pytest.mark.long
async def test_ten_thousand_users_never_flip_and_come_in_the_shares_that_are_asked_for(
    plane: Plane,
) -> None:
    how, users = strategy({"header": "x-user-id"}), [f"person-{n}" for n in range(10_000)]
    gate, before = asyncio.Semaphore(16), dict[str, str]()
    held: intervals.Intervals = ()
    envoy: Envoy | None = None

    async def one(asked: Envoy, user: str) -> str:
        async with gate:
            return await plane.ask(asked, **{"x-user-id": user})

    for number, (v2, v3) in enumerate(((500, 1000), (2000, 1500), (4000, 4000)), start=1):
        shares = {"v2": v2, "v3": v3, "v1": 10_000 - v2 - v3}
        held = intervals.carved(held, shares, stable="v1")
        decision = {"intervals": [{"version": one.version, "parts": one.parts} for one in held]}
        plane.store(shares, strategy=how, decision=decision, sequence=number)
        envoy = envoy or await plane.envoy()
        await plane.ready(envoy)
        await until(plane, envoy, partial(has_followed, number=number))
        now, again = [
            dict(zip(users, await asyncio.gather(*(one(envoy, u) for u in users)), strict=True))
            for _ in range(2)
        ]
        assert now == again
        assert set(zip(before.values(), now.values(), strict=False)) <= {
            ("v1", "v1"),
            ("v1", "v2"),
            ("v1", "v3"),
            ("v2", "v2"),
            ("v3", "v3"),
        }
        for name, parts in shares.items():
            share, found = parts / 10_000, sum(version == name for version in now.values())
            error = (len(users) * share * (1.0 - share)) ** 0.5
            assert abs(found - len(users) * share) <= 3.0 * error, (name, found)
        before = now
