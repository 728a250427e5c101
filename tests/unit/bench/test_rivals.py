"""The rules of others give the figures that were published for them on this design.

Published: in the study behind the engine, on the same sixty looks, 20,000 runs (600 to 3,000 for
Kayenta's rule). Here a few hundred, so that three standard errors are allowed, and half a point
for what is printed without decimals.
"""

import numpy as np
import pytest
from scipy import stats

from tests.bench.statistics import ranks, rivals, scenarios
from tests.bench.statistics.scenarios import Scenario, Traffic

SEED = 11
RUNS = 600
FLAGGER, ARGO_0, ARGO_3, KAYENTA, ONCE, ONE_SIDED, TWO_SIDED = rivals.RULES

HEALTHY = {
    1.0: (57.4, 99.3, 70.5, 1.3, 1.0, 31.4, 24.1),
    10.0: (98.8, 100.0, 99.6, 1.4, 0.3, 38.0, 27.4),
    100.0: (1.1, 76.7, 4.7, 0.4, 0.0, 35.2, 23.2),
}
INCIDENT = {
    1.0: (99.2, 100.0, 99.6, 2.1, 0.9, 51.1, 40.2),
    10.0: (100.0, 100.0, 100.0, 0.6, 0.0, 92.0, 85.9),
    100.0: (100.0, 100.0, 100.0, 0.6, 0.0, 100.0, 100.0),
}
COLD = {10.0: (99.4, 100.0, 99.8, 2.8, 0.6, 78.0, 70.5)}
DOUBLED_AND_MORE = {
    (1.0, 0.02): (100, 100, 100, 74, 71, 100, 99),
    (1.0, 0.05): (100, 100, 100, 99, 44, 100, 100),
    (10.0, 0.01): (100, 100, 100, 24, 19, 100, 100),
    (100.0, 0.006): (18, 96, 35, 26, 26, 99, 98),
}
MEDIANS = {
    (1.0, 0.02): (29, 9, 26, 50, 60, 11, 13),
    (10.0, 0.01): (14, 3, 11, None, None, 8, 10),
    (100.0, 0.01): (11, 2, 8, 20, 60, 2, 3),
    (100.0, 0.02): (6, 1, 4, 10, 60, 1, 1),
}


def drawn(scenario: Scenario) -> Traffic:
    return scenario.simulate(scenarios.seeded(SEED, scenario), runs=RUNS)


def rolled_back(scenario: Scenario) -> list[float]:
    traffic = drawn(scenario)
    return [100.0 * np.isfinite(rule(traffic)).mean() for rule in rivals.RULES.values()]


def expect(found: list[float], published: tuple[float, ...]) -> None:
    for rule, share, stated in zip(rivals.RULES, found, published, strict=True):
        part = min(max(stated / 100.0, 0.005), 0.995)
        runs = RUNS / 2 if rule in rivals.SLOW_RULES else RUNS
        within = 300.0 * np.sqrt(part * (1.0 - part) / runs) + 0.5
        assert share == pytest.approx(stated, abs=within), rule


@pytest.mark.parametrize("rps", HEALTHY)
def test_healthy_models_are_rolled_back_as_often_as_published(rps: float) -> None:
    expect(rolled_back(Scenario("healthy", rps)), HEALTHY[rps])


@pytest.mark.parametrize("rps", INCIDENT)
def test_shared_incidents_roll_back_as_often_as_published(rps: float) -> None:
    expect(rolled_back(Scenario("incident", rps, incident=(31, 60))), INCIDENT[rps])


@pytest.mark.parametrize("rps", COLD)
def test_cold_starts_roll_back_as_often_as_published(rps: float) -> None:
    expect(rolled_back(Scenario("cold", rps, cold=2)), COLD[rps])


@pytest.mark.parametrize(("rps", "rate"), DOUBLED_AND_MORE)
def test_regressions_are_caught_as_often_as_published(rps: float, rate: float) -> None:
    expect(rolled_back(Scenario("worse", rps, rate)), DOUBLED_AND_MORE[rps, rate])


@pytest.mark.parametrize(("rps", "rate"), MEDIANS)
def test_regressions_are_caught_as_soon_as_published(rps: float, rate: float) -> None:
    traffic = drawn(Scenario("worse", rps, rate))
    for (name, rule), stated in zip(rivals.RULES.items(), MEDIANS[rps, rate], strict=True):
        looks = np.sort(rule(traffic))
        if stated is None:
            assert np.isinf(looks[RUNS // 2]), name
        else:
            # The published median lies between the 43rd and the 57th percentile.
            assert looks[int(0.43 * RUNS)] - 1 <= stated <= looks[int(0.57 * RUNS)] + 1, name


@pytest.mark.parametrize(
    ("rps", "rate", "back", "promoted", "ends_after"),
    [
        (1.0, 0.005, 0, 100, 12),
        (10.0, 0.005, 10, 90, 13),
        (100.0, 0.005, 0, 100, 11),
        (1.0, 0.02, 42, 58, 14),
        (10.0, 0.0075, 48, 52, 13),
        (100.0, 0.01, 91, 9, 12),
        (10.0, 0.05, 100, 0, 8),
    ],
)
def test_flagger_on_its_own_schedule_ends_as_published(
    rps: float, rate: float, back: float, promoted: float, ends_after: float
) -> None:
    random = scenarios.seeded(SEED, "own", rps, rate)
    rates = Scenario("own", rps, rate).rates(random, runs=RUNS)
    ended = rivals.flagger_alone(rates, random, rps=rps)
    # Published from 400 runs: both errors count.
    assert 100.0 * np.isfinite(ended.rollback).mean() == pytest.approx(back, abs=9.0)
    assert 100.0 * np.isfinite(ended.promotion).mean() == pytest.approx(promoted, abs=9.0)
    end = np.median(np.minimum(ended.rollback, ended.promotion))
    assert end == pytest.approx(ends_after, abs=1.0)


def test_the_score_is_that_of_the_mann_whitney_test() -> None:
    random = np.random.default_rng(SEED)
    candidate, control = random.poisson(2.0, (20, 30)) / 7.0, random.poisson(1.6, (20, 25)) / 7.0
    found = ranks.score(candidate, control, correct=True)
    expected = stats.mannwhitneyu(
        candidate, control, alternative="greater", method="asymptotic", axis=1
    ).pvalue
    higher = found > 0  # there the continuity corrections are the same
    assert higher.sum() > 10
    np.testing.assert_allclose(stats.norm.sf(found[higher]), expected[higher], rtol=1e-9)


def test_minutes_without_traffic_are_no_observations() -> None:
    some = np.array([[0.1, np.nan, 0.2, 0.3]])
    other = np.array([[0.0, 0.1, 0.0, np.nan]])
    few = ranks.score(some[:, [0, 2, 3]], other[:, :3], correct=False)
    np.testing.assert_allclose(ranks.score(some, other, correct=False), few)
