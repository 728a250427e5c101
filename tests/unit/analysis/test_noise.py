"""Noise from history: what is estimated, when it is refused, and what a rollout makes of it.

Published estimates are those of the simulation the method comes from: 1,000 histories of three
days each, base rate 0.5 %, as mean and standard deviation of t_B per block length B. They stand
here as far as the formula is reproduced; the engine never sees the true noise.
"""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from modelrollout.analysis import calibrating, mixtures, noise
from modelrollout.analysis.calibrating import History, Life
from modelrollout.analysis.noise import ArmNoise, Noise, Uncalibrated
from tests.unit.analysis import histories

RUNS = 16
PUBLISHED: list[Any] = [
    pytest.param("none", 10, (0.0, 0.0, 0.0, 0.0), (0.03, 0.06, 0.11, 0.22), id="none-10"),
    pytest.param("none", 100, (0.0, 0.0, 0.0, 0.0), (0.003, 0.01, 0.01, 0.02), id="none-100"),
    pytest.param("cv0.5", 10, (0.44, 0.44, 0.45, 0.44), (0.04, 0.08, 0.14, 0.28), id="cv.5-10"),
    pytest.param("cv0.5", 100, (0.44, 0.44, 0.44, 0.44), (0.01, 0.03, 0.05, 0.09), id="cv.5-100"),
    pytest.param("cv1", 10, (1.33, 1.33, 1.33, 1.32), (0.05, 0.12, 0.2, 0.36), id="cv1-10"),
    pytest.param("cv1", 100, (1.33, 1.34, 1.33, 1.34), (0.04, 0.08, 0.13, 0.24), id="cv1-100"),
    pytest.param("ar0.9", 10, (0.18, 0.77, 1.70, 2.88), (0.03, 0.13, 0.3, 0.71), id="ar.9-10"),
    pytest.param("ar0.9", 100, (0.18, 0.76, 1.68, 2.83), (0.01, 0.06, 0.2, 0.50), id="ar.9-100"),
    pytest.param("ar0.95", 10, (0.08, 0.37, 0.93, 2.11), (0.03, 0.1, 0.2, 0.58), id="ar.95-10"),
    pytest.param("ar0.95", 100, (0.08, 0.37, 0.94, 2.14), (0.01, 0.03, 0.1, 0.40), id="ar.95-100"),
]
"""Deviations that are not published (t_5, t_15 of some rows) are from a run of this estimator."""


def estimates(kind: str, rps: float, *, seed: int, hours: float = 72) -> list[dict[int, float]]:
    rng = np.random.default_rng(seed)
    drawn = [histories.simulated_history(kind, rps, hours, rng) for _ in range(RUNS)]
    return [{b: one.value for b, one in calibrating.moments(each).items()} for each in drawn]


def calibrated(found: Noise | Uncalibrated) -> Noise:
    assert isinstance(found, Noise), found
    return found


def history(kind: str, rps: float, hours: float, *, seed: int, **pods: Any) -> History:
    return histories.simulated_history(kind, rps, hours, np.random.default_rng(seed), **pods)


@pytest.mark.parametrize(("kind", "rps", "means", "spreads"), PUBLISHED)
def test_published_estimates_are_reproduced(
    kind: str, rps: float, means: tuple[float, ...], spreads: tuple[float, ...]
) -> None:
    found = estimates(kind, rps, seed=71)
    for block, mean, spread in zip((1, 5, 15, 60), means, spreads, strict=True):
        got = np.mean([one[block] for one in found])
        # Four standard errors, and half a digit of what is published.
        assert abs(got - mean) < 4.0 * spread / math.sqrt(RUNS) + 0.005, (block, got)


def test_the_standard_error_is_that_of_repeated_histories() -> None:
    rng = np.random.default_rng(72)
    drawn = [
        calibrating.moments(histories.simulated_history("cv0.5", 10, 72, rng))
        for _ in range(3 * RUNS)
    ]
    for block in (1, 5, 15, 60):
        spread = np.std([one[block].value for one in drawn])
        stated = np.mean([one[block].error for one in drawn])
        assert 0.6 < stated / spread < 1.6, block


@pytest.mark.parametrize(("kind", "truth"), [("cv0.5", 0.5), ("cv1", 2.0)])
def test_what_saturates_in_equal_halves_is_made_up_for(kind: str, truth: float) -> None:
    # The share g_c w / (g_c w + g_s (1 - w)) varies less at w = 1/2 than a 5 % canary's does.
    rng = np.random.default_rng(73)
    found = [
        calibrated(calibrating.calibrate(histories.simulated_history(kind, 100, 72, rng))).tau2
        for _ in range(RUNS)
    ]
    assert truth * 0.98 < np.mean(found) < truth * 1.2


def test_without_noise_hardly_any_is_found() -> None:
    found = calibrated(calibrating.calibrate(history("none", 100, 72, seed=74)))
    assert found.tau2 < 0.02
    assert found.omega2 == 0.0


def test_lasting_noise_counts_as_it_does_at_the_horizon() -> None:
    drawn = history("ar0.95", 100, 72, seed=75)
    short, long = (calibrating.calibrate(drawn, horizon_looks=looks) for looks in (5, 60))
    assert 0.25 < calibrated(short).tau2 < 0.45
    assert calibrated(long).tau2 > 1.0


def test_a_horizon_beyond_what_the_history_tells_is_cut() -> None:
    found = calibrated(calibrating.calibrate(history("cv0.5", 100, 12, seed=76), horizon_looks=600))
    assert found.horizon_looks == 60


def by_turns(apart: int, **more: Any) -> History:
    """Twelve hours in which each half has `apart` of 1,000 events more every other hour.

    t_60 is 60 apart^2 / 250,000, since u = (1/4)^2 * 2,000^2.
    """
    return halves(
        lambda look: (1000 + apart, 1000 - apart)[:: 1 if look // 60 % 2 else -1],
        trials=1_000_000,
        **more,
    )


def test_noise_that_hides_any_harm_is_refused() -> None:
    assert calibrated(calibrating.calibrate(by_turns(105))).tau2 == pytest.approx(2.67, rel=0.01)
    found = calibrating.calibrate(by_turns(125))
    assert isinstance(found, Uncalibrated)
    assert "differ by themselves" in found.reason


def test_what_fitting_the_difference_of_pods_takes_from_the_noise_is_made_up_for() -> None:
    known, unknown = (
        calibrated(calibrating.calibrate(by_turns(50, lives=lives)))
        for lives in (pods_apart(8), [])
    )
    assert known.tau2 == pytest.approx(unknown.tau2 * 12 / 11, rel=0.01)


def looks_of(whole: History, kept: NDArray[np.bool_]) -> History:
    return History(
        whole.minutes[kept],
        whole.trials_a[kept],
        whole.events_a[kept],
        whole.trials_b[kept],
        whole.events_b[kept],
        whole.pods,
    )


def halves(
    events: Any,
    *,
    looks: int = 720,
    trials: int = 1000,
    pods: float = 2.0,
    lives: Sequence[Life] = (),
) -> History:
    drawn = np.array([events(look) for look in range(looks)]).reshape(looks, 2)
    full = np.full(looks, trials)
    return History(np.arange(looks), full, drawn[:, 0], full, drawn[:, 1], pods, lives)


@pytest.mark.parametrize(
    ("drawn", "reason"),
    [
        pytest.param(lambda: history("none", 10, 11.9, seed=1), "there are 11.9 h", id="short"),
        pytest.param(
            lambda: halves(lambda _: (5, 5), pods=1.0), "stable had 1 at once", id="one-pod"
        ),
        pytest.param(lambda: history("none", 1, 72, seed=2), "events a minute", id="1-rps"),
        pytest.param(lambda: halves(lambda _: (0, 0)), "0 events a minute", id="no-events"),
        pytest.param(lambda: halves(lambda _: (0, 0), looks=0), "there are 0.0 h", id="empty"),
    ],
)
def test_too_little_is_said_to_be_too_little(drawn: Any, reason: str) -> None:
    found = calibrating.calibrate(drawn())
    assert isinstance(found, Uncalibrated)
    assert reason in found.reason


def test_a_history_of_gaps_tells_nothing_of_what_lasts() -> None:
    whole = history("none", 10, 72, seed=3)
    kept = whole.minutes % 2 == 0
    found = calibrating.calibrate(looks_of(whole, kept))
    assert isinstance(found, Uncalibrated)
    assert "too many gaps" in found.reason


def test_a_deploy_that_was_cut_out_changes_little() -> None:
    whole = history("cv0.5", 100, 72, seed=4)
    kept = (whole.minutes < 1000) | (whole.minutes > 1030)
    cut = calibrating.calibrate(looks_of(whole, kept))
    assert calibrated(cut).tau2 == pytest.approx(
        calibrated(calibrating.calibrate(whole)).tau2, rel=0.1
    )


def test_swapping_the_halves_changes_nothing() -> None:
    one = history("ar0.9", 100, 24, seed=77)
    other = History(one.minutes, one.trials_b, one.events_b, one.trials_a, one.events_a, one.pods)
    first, second = calibrated(calibrating.calibrate(one)), calibrated(calibrating.calibrate(other))
    assert first.tau2 == pytest.approx(second.tau2, rel=1e-9)


def test_common_outcomes_are_not_taken_for_quieter_ones() -> None:
    # Of 30 % the Binomial variance is too large by 1 / 0.7: t_1 would come out below 0.
    rng = np.random.default_rng(78)
    trials = rng.poisson(300, (4320, 2))
    drawn = rng.binomial(trials, 0.3)
    found = calibrating.moments(
        History(np.arange(4320), trials[:, 0], drawn[:, 0], trials[:, 1], drawn[:, 1], 2.0)
    )
    assert abs(found[1].value) < 4.0 * found[1].error


@pytest.mark.parametrize(("omega", "rps"), [(0.1, 100), (0.2, 100), (0.2, 10)])
def test_lasting_differences_between_pods_are_found(omega: float, rps: float) -> None:
    rng = np.random.default_rng(79)
    found = [
        calibrated(
            calibrating.calibrate(histories.simulated_history("pods", rps, 24, rng, omega=omega))
        ).omega2
        for _ in range(3 * RUNS)
    ]
    # A variance from eight pods has a relative deviation of sqrt(2 / 7).
    assert np.mean(found) == pytest.approx(omega**2, rel=4.0 * math.sqrt(2 / 7 / (3 * RUNS)))


def test_lasting_differences_are_not_counted_twice() -> None:
    found = calibrated(calibrating.calibrate(history("pods", 100, 72, seed=80, omega=0.2)))
    assert found.omega2 > 0.01
    assert found.tau2 < 0.3


def test_where_no_two_pods_tell_lasting_differences_stay_in_the_noise_and_that_is_said() -> None:
    drawn = history("pods", 10, 72, seed=81, omega=0.1)
    known = calibrated(calibrating.calibrate(drawn))
    unknown = calibrated(calibrating.calibrate(looks_of(drawn, drawn.minutes >= 0)))
    assert (unknown.omega2, unknown.lives) == (0.0, 0)
    assert unknown.tau2 > known.tau2
    assert "taken as noise" in unknown.sentence
    assert "8 pods differ by" in known.sentence


def pods_apart(count: int) -> list[Life]:
    """Pods that ran side by side, with 100 to 200 events each."""
    events = np.linspace(100, 200, count).round().astype(int).tolist()
    return [Life(looks=600, events=one, expected=150.0, own=1 / count) for one in events]


def test_the_variance_between_pods_is_that_beyond_their_chance() -> None:
    events = np.array([one.events for one in pods_apart(8)]) + 0.5
    expected = np.var(np.log(events), ddof=1) - np.mean(1 / events)
    assert calibrating.persistent(pods_apart(8)) == pytest.approx(expected)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_from_few_pods_it_is_raised(count: int) -> None:
    events = np.array([one.events for one in pods_apart(count)]) + 0.5
    expected = np.var(np.log(events), ddof=1) - np.mean(1 / events)
    found = calibrating.persistent(pods_apart(count))
    assert found == pytest.approx(expected * (1 + 1 / (count - 1)))


@pytest.mark.parametrize(
    "silent",
    [
        pytest.param(Life(looks=59, events=100, expected=150.0, own=0.5), id="short"),
        pytest.param(Life(looks=600, events=90, expected=9.0, own=0.5), id="few-expected"),
        pytest.param(Life(looks=600, events=90, expected=90.0, own=1.0), id="alone"),
    ],
)
def test_short_silent_or_lonely_lives_tell_nothing_of_pods(silent: Life) -> None:
    assert calibrating.persistent([*pods_apart(2)[:1], silent]) is None


def test_no_pods_tell_nothing() -> None:
    assert calibrating.persistent([]) is None


def test_pods_that_differ_by_chance_alone_do_not_differ() -> None:
    lives = [Life(looks=600, events=400 + i, expected=403.5, own=0.125) for i in range(8)]
    assert calibrating.persistent(lives) == 0.0


STORED = Noise(0.5, 0.01, pods=8.0, hours=71.6, horizon_looks=60, lives=9)


def test_equal_halves_keep_their_noise() -> None:
    assert STORED.during(4, 4).tau2 == pytest.approx(0.5)
    assert STORED.during(4, 4).omega2 == pytest.approx(0.005)


def test_one_pod_against_eight_has_nine_quarters_of_the_noise() -> None:
    assert STORED.during(1, 8).tau2 == pytest.approx(0.5 * 2.25)
    assert STORED.during(1, 8).omega2 == pytest.approx(0.01 * 1.125)


def test_a_rollout_without_pods_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a pod of each version, found 0 and 3"):
        STORED.during(0, 3)


def test_the_factor_is_known_before_the_events_are() -> None:
    rate = noise.usual_rate(0.005, events=0, trials=0)
    assert rate == pytest.approx(0.005)
    # 600 requests with 3 events expected, half each: v = 0.75 (1 - rate).
    found = noise.factor(ArmNoise(2.0), rate=rate, trials=600, share=0.5)
    assert found == pytest.approx(1.0 + 2.0 * 0.75 * 0.995)


def test_the_usual_rate_gives_way_to_what_is_seen() -> None:
    assert noise.usual_rate(0.005, events=20, trials=2000) == pytest.approx(0.0075)


def test_without_noise_or_traffic_the_factor_is_one() -> None:
    assert noise.factor(ArmNoise(0.0), rate=0.005, trials=10**12, share=0.5) == 1.0
    assert noise.factor(ArmNoise(2.0), rate=0.005, trials=0, share=0.5) == 1.0


@pytest.mark.parametrize(
    "given",
    [
        {"rate": 1.1, "trials": 1, "share": 0.5},
        {"rate": 0.1, "trials": -1, "share": 0.5},
        {"rate": 0.1, "trials": 1, "share": 1.5},
        {"rate": math.nan, "trials": 1, "share": 0.5},
        {"rate": 0.1, "trials": math.inf, "share": 0.5},
    ],
)
def test_a_look_that_cannot_be_is_refused(given: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected"):
        noise.factor(ArmNoise(1.0), **given)


@pytest.mark.parametrize(
    ("usual", "events", "trials"), [(-0.1, 0, 0), (0.1, 2, 1), (0.1, -1, 1), (math.nan, 0, 1)]
)
def test_a_rate_that_cannot_be_is_refused(usual: float, events: int, trials: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        noise.usual_rate(usual, events=events, trials=trials)


@given(omega=st.floats(0.001, 1.5), information=st.floats(0.0, 1e4), tau2=st.floats(0.0, 3.0))
def test_the_grid_is_fine_enough_and_its_weights_sum_to_one(
    omega: float, information: float, tau2: float
) -> None:
    points, weights = noise.random_null(ArmNoise(tau2, omega**2), information=information)
    assert 81 <= len(points) <= noise.MOST_POINTS
    assert np.exp(weights).sum() == pytest.approx(1.0)
    assert np.allclose(points, -points[::-1])
    assert points[-1] == pytest.approx(min(4.0 * omega, mixtures.REACH))
    if len(points) < noise.MOST_POINTS:
        assert points[1] - points[0] <= 0.25 / math.sqrt(max(information, 1.0)) + 1e-12


def test_the_grid_is_a_normal_law() -> None:
    points, weights = noise.random_null(ArmNoise(0.0, 0.04), information=100.0)
    assert np.exp(weights) @ points**2 == pytest.approx(0.04, rel=0.01)


def test_without_lasting_differences_the_null_is_equality() -> None:
    points, weights = noise.random_null(ArmNoise(1.0), information=100.0)
    assert (points.tolist(), weights.tolist()) == ([0.0], [0.0])


@pytest.mark.parametrize("information", [-1.0, math.nan, math.inf])
def test_information_that_is_none_is_refused(information: float) -> None:
    with pytest.raises(ValueError, match="expected finite information"):
        noise.random_null(ArmNoise(0.0, 0.04), information=information)


def test_the_random_null_keeps_pods_that_merely_differ() -> None:
    """Candidate pods worse by two deviations for good are no harm; eight times as bad is."""
    points, weights = noise.random_null(ArmNoise(0.0, 0.04), information=1000.0)
    effects, priors = mixtures.effects(information=1000.0, alpha=0.05)

    def log_e(found: float) -> float:
        def likelihood(at: Any) -> Any:
            return 1000.0 * (found * at - at**2 / 2.0)

        harmful = mixtures.log_mean_exp(likelihood(effects), priors)
        return harmful - mixtures.log_mean_exp(likelihood(points), weights)

    assert log_e(0.4) < math.log(20.0)
    assert log_e(math.log(8.0)) > math.log(20.0)


def test_noise_survives_storage() -> None:
    assert Noise.from_json(json.loads(json.dumps(STORED.to_json()))) == STORED


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "damaged",
        [],
        {},
        {**STORED.to_json(), "tau2": -1.0},
        {**STORED.to_json(), "tau2": math.nan},
        {**STORED.to_json(), "pods": None},
        {**STORED.to_json(), "lives": math.inf},
    ],
)
def test_damaged_noise_is_none(stored: Any) -> None:
    assert Noise.from_json(stored) is None


def test_stored_noise_is_small() -> None:
    found = calibrated(calibrating.calibrate(history("pods", 100, 24, seed=82)))
    assert len(json.dumps(found.to_json())) < 120


@pytest.mark.parametrize(
    ("minutes", "trials", "events", "match"),
    [
        ([0, 1], [9, 9], [10, 0], "at most as many events"),
        ([0, 1], [9, 0], [0, 0], "requests of both halves"),
        ([0, 1], [9, 9], [-1, 0], "at most as many events"),
        ([1, 1], [9, 9], [0, 0], "in order"),
        ([0], [9, 9], [0, 0], "one length"),
    ],
)
def test_a_history_that_cannot_be_is_refused(
    minutes: list[int], trials: list[int], events: list[int], match: str
) -> None:
    n, x = np.array(trials), np.array(events)
    with pytest.raises(ValueError, match=match):
        History(np.array(minutes), n, x, n, x, 2.0)


def test_a_horizon_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a horizon of at least one look, found 0"):
        calibrating.calibrate(history("none", 10, 12, seed=5), horizon_looks=0)


@pytest.mark.parametrize("size", [1, 10**6, 10**12])
def test_all_sizes_are_finite(size: int) -> None:
    found = calibrating.moments(halves(lambda look: (size, size + look % 2), trials=2 * size))
    assert all(math.isfinite(one.value) and math.isfinite(one.error) for one in found.values())
