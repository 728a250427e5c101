"""A risk-limited ramp: the evidence chooses the speed."""

from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import steps
from modelrollout.domain.reasons import Code
from tests.stories.world import World, at_rest, spec

RAMP = {"canary": {"weights": [1, 5, 25, 50], "ramp": {"riskBudget": "0.1%"}}}


def under_way(*, rps: float, strategy: dict[str, Any] = RAMP) -> World:
    world = at_rest(spec(strategy=strategy), rps=rps)
    world.edit(target="v2")
    return world


def minutes_to(world: World, share: int) -> float:
    begun = world.now
    world.run(86_400.0, until=lambda w: w.share("v2") >= share)
    return (world.now - begun) / 60


def test_goes_fast_with_traffic_and_slow_without() -> None:
    busy, usual, quiet = (minutes_to(under_way(rps=rps), 50) for rps in (2_000.0, 200.0, 20.0))
    assert busy < 6
    assert busy < usual / 1.5
    assert usual < quiet / 4


def test_a_step_that_would_risk_too_much_says_so_and_about_how_long() -> None:
    world = under_way(rps=20.0)
    world.run(until=lambda w: w.share("v2") == 5)
    world.run(240.0)
    assert world.condition("Reconciling") == ("True", Code.RISK_BUDGET)
    message = world.status.message
    assert "errors may be worse by up to" in message
    assert "the budget is 0.10 %" in message
    assert "more at this traffic" in message


def test_few_users_meet_a_worse_model_while_little_is_known_of_it() -> None:
    limited, hasty = (
        under_way(rps=40.0, strategy={"canary": RAMP["canary"] | changes})
        for changes in ({}, {"ramp": {"riskBudget": "100%"}})
    )
    for world in (limited, hasty):
        world.versions["v2"].rates["errors"] = 0.01
        world.run(600.0)
    most = [max(shares.get("v2", 0) for _, shares in one.served[1:]) for one in (limited, hasty)]
    assert most[0] <= 500
    assert most[1] >= 2_500


def test_a_least_duration_still_holds() -> None:
    slow = {"canary": RAMP["canary"] | {"minDuration": "10m"}}
    assert minutes_to(under_way(rps=2_000.0, strategy=slow), 50) >= 30


@pytest.mark.parametrize(
    ("canary", "length_s"),
    [
        pytest.param({"weights": [5]}, 300.0, id="none-five-minutes"),
        pytest.param({"weights": [5], "ramp": {"riskBudget": "1%"}}, 0.0, id="ramp-one-look"),
        pytest.param(
            {"weights": [5], "minDuration": "1m", "ramp": {"riskBudget": "1%"}}, 60.0, id="both"
        ),
    ],
)
def test_the_least_duration_that_is_left_out(canary: dict[str, Any], length_s: float) -> None:
    read = ModelRolloutSpec.model_validate(spec(strategy={"canary": canary}))
    assert steps.compiled(read) == (steps.WeightStep(500, length_s),)


@pytest.mark.parametrize("budget", ["0%", "101%", "much", 0.001])
def test_a_budget_that_is_none_is_refused(budget: object) -> None:
    written = spec(strategy={"canary": {"ramp": {"riskBudget": budget}}})
    with pytest.raises(ValueError, match="expected a"):
        ModelRolloutSpec.model_validate(written)
