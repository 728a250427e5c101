"""`TrafficProgrammed` speaks in words that hold for every provider, and of what was decided."""

from typing import Any

import pytest

from modelrollout.domain import programming
from tests.stories.world import World, at_rest, spec

PROVIDERS: dict[str, dict[str, Any]] = {
    "gatewayAPI": {"gatewayAPI": {"parentRefs": [{"name": "public"}]}},
    "router": {"router": {}},
    "service": {"service": {"name": "fraud"}},
    "traefik": {"traefik": {}},
    "istio": {"istio": {"hosts": ["fraud.example.com"]}},
}
every = pytest.mark.parametrize("traffic", PROVIDERS.values(), ids=PROVIDERS)
PARTS_OF_ONE = ("gateway", "parent", "route", "weight", "envoy")


def said(world: World) -> str:
    (found,) = [one for one in world.status.conditions if one.type == "TrafficProgrammed"]
    return found.message


@every
def test_when_all_is_well_the_split_is_told(traffic: dict[str, Any]) -> None:
    world = at_rest(spec(traffic=traffic))
    assert world.condition("TrafficProgrammed") == ("True", "Programmed")
    assert said(world) == "requests go as decided: v1 100%"


def test_the_split_that_is_told_is_the_one_of_the_present_step() -> None:
    world = at_rest()
    world.edit(target="v2")
    world.run(until=lambda w: w.status.decision.shares.get("v2") == 2_500)
    world.run(60)
    assert said(world) == "requests go as decided: v1 75%, v2 25%"


def test_who_gets_nothing_is_not_told() -> None:
    assert programming.told({"v1": 0, "v2": 10_000}) == "requests go as decided: v2 100%"


@every
@pytest.mark.parametrize("lacking", ["written", "in force", "as decided"])
def test_what_is_not_yet_so_is_told_without_parts_of_one_provider(
    traffic: dict[str, Any], lacking: str
) -> None:
    world = at_rest(spec(traffic=traffic))
    world.edit(target="v2")
    world.route_obeys = world.route_accepted = False
    if lacking == "written":
        world.route = None
    if lacking == "as decided":
        world.route_accepted = True
        world.run(until=lambda w: "v2" in w.status.decision.shares)
    world.step()
    assert world.condition("TrafficProgrammed") == ("False", "NotProgrammed")
    assert not [word for word in PARTS_OF_ONE if word in said(world).lower()]
