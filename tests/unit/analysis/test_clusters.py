"""Users as units: honest standard errors from hash buckets, CUPED, looks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelrollout.analysis import clusters
from modelrollout.analysis.clusters import Buckets

Sums = np.ndarray


def arm(sums: Sums, counts: Sums) -> Buckets:
    return Buckets(tuple(sums.tolist()), tuple(counts.tolist()))


def test_equal_denominators_give_welchs_t_test() -> None:
    # With one request per bucket the ratio is a mean: scipy's Welch test, an independent code.
    rng = np.random.default_rng(90)
    one, two = rng.normal(1.0, 2.0, 40), rng.normal(0.0, 1.0, 60)
    found = clusters.compare(candidate=arm(one, np.ones(40)), stable=arm(two, np.ones(60)))
    expected = stats.ttest_ind(one, two, equal_var=False)
    assert found.difference / found.standard_error == pytest.approx(expected.statistic)
    assert found.df == pytest.approx(expected.df)
    assert 2 * stats.norm.sf(abs(found.z)) == pytest.approx(expected.pvalue)
    low, high = clusters.interval(found)
    assert (low, high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_a_ratio_has_cochrans_variance() -> None:
    # Cochran (1977), 6.3: by the definition, s_S^2 - 2 R s_SN + R^2 s_N^2 over B Nbar^2.
    sums = np.array([3.0, 5, 2, 8, 6, 4, 9, 1, 7, 5])
    counts = np.array([10.0, 14, 9, 20, 16, 12, 22, 8, 17, 12])
    found = clusters.ratio(arm(sums, counts))
    covariance = np.cov(sums, counts)
    r = sums.sum() / counts.sum()
    top = covariance[0, 0] - 2 * r * covariance[0, 1] + r * r * covariance[1, 1]
    assert found.value == pytest.approx(50 / 140)
    assert found.variance == pytest.approx(top / (10 * counts.mean() ** 2))


def service(
    rng: np.random.Generator, *, lift: float = 0.0, users: int = 3_000, buckets: int = 50
) -> tuple[Buckets, Buckets, Buckets, Buckets]:
    """Candidate, stable and both before: users differ much, in error rate and in requests."""
    out: list[Buckets] = []
    past: list[Buckets] = []
    for grown in (1.0 + lift, 1.0):
        bucket = rng.integers(0, buckets, users)
        habit, activity = rng.beta(1.0, 9.0, users), rng.gamma(1.0, 40.0, users)
        for part, rate in ((out, np.minimum(habit * grown, 1.0)), (past, habit)):
            requests = 1 + rng.poisson(activity)
            events = rng.binomial(requests, rate)
            sums = np.bincount(bucket, events, buckets), np.bincount(bucket, requests, buckets)
            part.append(arm(sums[0].astype(float), sums[1].astype(float)))
    return out[0], out[1], past[0], past[1]


def naive_z(candidate: Buckets, stable: Buckets) -> float:
    x, n = sum(candidate.sums), sum(candidate.counts)
    y, m = sum(stable.sums), sum(stable.counts)
    p = (x + y) / (n + m)
    return (x / n - y / m) / math.sqrt(p * (1 - p) * (1 / n + 1 / m))


def test_buckets_keep_the_error_rate_that_requests_break() -> None:
    # 400 runs: standard error 1.1 points at 5 %.
    rng, clustered, adjusted, requests, saved = np.random.default_rng(91), [], [], [], []
    for _ in range(400):
        candidate, stable, before_c, before_s = service(rng, users=1_000)
        plain = clusters.compare(candidate=candidate, stable=stable)
        cuped = clusters.compare_cuped(
            candidate=candidate,
            stable=stable,
            candidate_before=before_c,
            stable_before=before_s,
        )
        clustered.append(abs(plain.z) > 1.96)
        adjusted.append(abs(cuped.z) > 1.96)
        requests.append(abs(naive_z(candidate, stable)) > 1.96)
        saved.append(cuped.reduction)
    slack = 2.5 * math.sqrt(0.05 * 0.95 / 400)
    assert np.mean(clustered) <= 0.05 + slack
    assert np.mean(adjusted) <= 0.05 + slack
    assert np.mean(requests) >= 0.15
    assert np.mean(saved) >= 0.7  # seen over 1500 runs: 0.77, as the spread of estimates has it


def test_cuped_moves_the_estimate_towards_the_truth() -> None:
    rng, plain_off, cuped_off = np.random.default_rng(92), [], []
    for _ in range(150):
        candidate, stable, before_c, before_s = service(rng, lift=0.2, users=1_000)
        plain = clusters.compare(candidate=candidate, stable=stable)
        cuped = clusters.compare_cuped(
            candidate=candidate, stable=stable, candidate_before=before_c, stable_before=before_s
        )
        plain_off.append(plain.difference - 0.02)
        cuped_off.append(cuped.difference - 0.02)
    assert abs(np.mean(cuped_off)) <= 3.0 * np.std(cuped_off) / math.sqrt(150) + 2e-4
    assert np.var(cuped_off) <= 0.35 * np.var(plain_off)


def test_looking_at_each_day_keeps_the_level_of_the_any_time_interval() -> None:
    # New users each day, 14 days, 200 runs: standard error 1.5 points at 5 %.
    rng, missed, peeked = np.random.default_rng(93), [], []
    for _ in range(200):
        days = rng.normal(0.0, 1.0, (2, 14, 50))
        sums = days.cumsum(axis=1)
        ever, peeking = False, False
        for day in range(14):
            arms = [arm(sums[side, day], np.full(50, day + 1.0)) for side in (0, 1)]
            found = clusters.compare(candidate=arms[0], stable=arms[1])
            planned = math.sqrt(2 / (50 * 14))
            low, high = clusters.interval_any_time(found, planned_error=planned)
            ever = ever or not low <= 0.0 <= high
            fixed = clusters.interval(found)
            peeking = peeking or not fixed[0] <= 0.0 <= fixed[1]
        missed.append(ever)
        peeked.append(peeking)
    assert np.mean(missed) <= 0.05
    assert np.mean(peeked) >= 0.1  # what daily looks at the fixed interval cost


VALUES = st.lists(st.floats(min_value=0.0, max_value=1e12), min_size=12, max_size=12)
COUNTS = st.lists(st.floats(min_value=1.0, max_value=1e12), min_size=12, max_size=12)


@given(one=VALUES, two=VALUES, n=COUNTS, m=COUNTS)
def test_swapping_arms_changes_the_sign_only(
    one: list[float], two: list[float], n: list[float], m: list[float]
) -> None:
    first, second = Buckets(tuple(one), tuple(n)), Buckets(tuple(two), tuple(m))
    there = clusters.compare(candidate=first, stable=second)
    back = clusters.compare(candidate=second, stable=first)
    assert there.difference == -back.difference
    assert there.z == pytest.approx(-back.z)
    assert there.standard_error == pytest.approx(back.standard_error)
    assert math.isfinite(there.z)


@given(one=VALUES, two=VALUES, n=COUNTS, scale=st.sampled_from([2.0**-20, 2.0**10, 2.0**20]))
def test_the_unit_of_the_metric_does_not_matter(
    one: list[float], two: list[float], n: list[float], scale: float
) -> None:
    def judged(by: float) -> clusters.Comparison:
        arms = [Buckets(tuple(by * value for value in sums), tuple(n)) for sums in (one, two)]
        return clusters.compare(candidate=arms[0], stable=arms[1])

    # Powers of two are exact, so that this holds however close to rounding the spread is.
    assert judged(scale).z == pytest.approx(judged(1.0).z)


def test_lift_has_the_error_of_the_delta_method() -> None:
    # By hand: ratios 2 +- 0.1 and 1 +- 0.05, lift 1, sqrt(0.1^2 + 2^2 0.05^2) = 0.1414.
    steps = np.array([-1.0, 1.0] * 5)
    unit = steps / math.sqrt(np.var(steps, ddof=1) / 10)
    found = clusters.compare(
        candidate=arm(2.0 + 0.1 * unit, np.ones(10)), stable=arm(1.0 + 0.05 * unit, np.ones(10))
    )
    assert (found.lift, found.lift_error) == pytest.approx((1.0, math.sqrt(0.02)))


def test_no_events_are_no_difference_and_no_crash() -> None:
    nothing = arm(np.zeros(10), np.ones(10))
    found = clusters.compare(candidate=nothing, stable=nothing)
    assert (found.difference, found.z) == (0.0, 0.0)
    assert math.isnan(found.lift)
    assert clusters.interval(found) == (0.0, 0.0)


def test_refuses_what_is_no_set_of_buckets() -> None:
    ten = (1.0,) * 10
    with pytest.raises(ValueError, match="at least 10 buckets"):
        Buckets((1.0,), (1.0,))
    with pytest.raises(ValueError, match="finite sums"):
        Buckets((math.nan, *ten[1:]), ten)
    with pytest.raises(ValueError, match="not all of them 0"):
        Buckets(ten, (0.0,) * 10)
    with pytest.raises(ValueError, match="at least 0"):
        Buckets(ten, (-1.0, *ten[1:]))
    good, wide = Buckets(ten, ten), Buckets((*ten, 1.0), (*ten, 1.0))
    with pytest.raises(ValueError, match="same buckets"):
        clusters.compare_cuped(
            candidate=good, stable=good, candidate_before=wide, stable_before=good
        )
    compared = clusters.compare(candidate=good, stable=good)
    with pytest.raises(ValueError, match="planned standard error"):
        clusters.interval_any_time(compared, planned_error=0.0)
    with pytest.raises(ValueError, match="alpha"):
        clusters.interval(compared, alpha=1.0)
