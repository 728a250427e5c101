"""Who is called better, and who won."""

from typing import Any

import pytest

from modelrollout.analysis.clusters import Comparison
from modelrollout.api.spec import Better, Metric
from modelrollout.api.status import ArmState, ArmStatus, Identity, Rollout
from modelrollout.domain.ab_testing import reporting
from modelrollout.domain.ab_testing.reporting import Told

GOAL = Metric.model_validate(
    {
        "name": "rating",
        "role": "goal",
        "better": "higher",
        "buckets": {},
        "mean": {"sum": "s", "count": "n"},
    }
)


def told(
    name: str, p: float, *, difference: float = 0.1, unproven: str = "", stopped: bool = False
) -> Told:
    arm = ArmStatus(
        version=Identity(name=name),
        share=1000,
        state=ArmState.STOPPED if stopped else ArmState.RUNNING,
        rollout=Rollout(id=name, phase="Stepping", started_at=0.0, clock_at=0.0),
    )
    return Told(arm, None, Comparison(difference, 0.05, 90.0, 0.1, 0.05, 2.0), p, unproven)


@pytest.mark.parametrize(
    ("ps", "shown"),
    [
        ({"v2": 0.02}, {"v2"}),
        ({"v2": 0.026}, set()),
        ({"v2": 0.02, "v3": 0.03}, set()),
        ({"v2": 0.012, "v3": 0.9}, {"v2"}),
        ({"v2": 0.012, "v3": 0.02}, {"v2", "v3"}),
        ({"v2": 0.009, "v3": 0.008, "v4": 0.02}, {"v2", "v3", "v4"}),
        ({"v2": 0.009, "v3": 0.009, "v4": 0.009}, set()),
    ],
    ids=["one", "one too few", "two too few", "best of two", "both", "all three", "three too few"],
)
def test_several_arms_share_the_stated_error_by_holms_rule(
    ps: dict[str, float], shown: set[str]
) -> None:
    assert reporting._better([told(*one) for one in ps.items()], alpha=0.05) == shown


def test_an_arm_that_was_stopped_neither_wins_nor_costs_the_others_anything() -> None:
    arms = [told("v2", 0.001, stopped=True), told("v3", 0.02)]

    assert reporting._better(arms, alpha=0.05) == {"v3"}


@pytest.mark.parametrize(
    ("better", "winner"), [(Better.HIGHER, "v3"), (Better.LOWER, "v2")], ids=str
)
def test_of_several_good_arms_the_best_one_wins(better: Better, winner: str) -> None:
    arms = [told("v2", 0.001, difference=0.1), told("v3", 0.001, difference=0.2)]
    goal = GOAL.model_copy(update={"better": better})

    won: Any = reporting._winner(arms, frozenset({"v2", "v3"}), goal)
    assert won.name == winner


def test_a_good_arm_whose_guardrails_are_not_shown_to_hold_does_not_win() -> None:
    arms = [told("v2", 0.001, unproven="errors: undecided"), told("v3", 0.001)]

    won: Any = reporting._winner(arms, frozenset({"v2", "v3"}), GOAL)
    assert won.name == "v3"
    assert reporting._winner(arms[:1], frozenset({"v2"}), GOAL) is None
