"""The tour's claims hold over many draws, not only over the one it shows."""

from collections import Counter

import numpy as np
import pytest

from modelrollout.tour import scenes, threshold
from modelrollout.tour.scenes import SCENES

DRAWS = 100
HEALTHY, HARMFUL = SCENES


def outcomes(scene: scenes.Scene) -> tuple[Counter[str], Counter[str]]:
    lanes = [scenes.played(scene, seed=seed) for seed in range(DRAWS)]
    return Counter(fixed.outcome for fixed, _ in lanes), Counter(ours.outcome for _, ours in lanes)


def test_a_fixed_threshold_rolls_back_most_healthy_models_and_the_comparison_hardly_any() -> None:
    fixed, ours = outcomes(HEALTHY)
    assert 75 <= fixed["RolledBack"] <= 95
    assert ours["RolledBack"] <= 5  # 2 % is stated: more than 5 of 100 has probability 0.02
    assert ours["Promoted"] >= 95


def test_a_fixed_threshold_promotes_the_harmful_model_and_the_comparison_never() -> None:
    fixed, ours = outcomes(HARMFUL)
    assert fixed["Promoted"] >= 95
    assert ours == {"RolledBack": DRAWS}


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.title)
def test_the_draw_that_is_shown_tells_the_story(scene: scenes.Scene) -> None:
    fixed, ours = scenes.played(scene, seed=0)
    assert fixed.outcome != scene.should
    assert ours.outcome == scene.should


def test_a_seed_shows_the_same_draw_again() -> None:
    assert scenes.played(HEALTHY, seed=3) == scenes.played(HEALTHY, seed=3)


def test_the_rollback_is_shown_with_its_reason() -> None:
    _, ours = scenes.played(HARMFUL, seed=0)
    assert ours.frames[-1].says.startswith("errors ")
    assert "worse than stable" in ours.frames[-1].says


def test_a_lane_shows_the_last_frame_that_has_begun() -> None:
    frames = (scenes.Frame(0.0, 0.05, "a"), scenes.Frame(60.0, 0.1, "b", "Promoted"))
    lane = scenes.Lane("lane", frames)
    assert [lane.at(at_s).says for at_s in (0.0, 59.9, 60.0, 1e9)] == ["a", "a", "b", "b"]
    assert (lane.outcome, lane.ended_s) == ("Promoted", 60.0)


@pytest.mark.parametrize(
    ("errors", "outcome", "checks"),
    [(0.0, "Promoted", 10), (1.0, "RolledBack", 5)],
    ids=["no errors", "only errors"],
)
def test_the_rule_promotes_after_ten_passed_checks_and_rolls_back_after_five_failed(
    errors: float, outcome: str, checks: int
) -> None:
    seen = list(
        threshold.checks(
            requests_per_s=10.0,
            errors=errors,
            most_errors=0.01,
            random=np.random.default_rng(1),
        )
    )
    assert (seen[-1].outcome, len(seen)) == (outcome, checks)
