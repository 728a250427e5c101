"""Drift: distances by hand and by scipy, false alarms by simulation, corners."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import spatial, stats

from modelrollout.analysis.readouts import drift, tables
from modelrollout.analysis.readouts.drift import Drift, Null

HUGE = 10**12
ON_BINS = (drift.psi, drift.jsd, drift.chi_square)
COUNTS = st.lists(st.integers(min_value=0, max_value=40), min_size=3, max_size=3)


def moved(
    c: list[int], s: list[int], *, alpha: float = 0.01, null: Null = Null.LIMIT, seed: int = 0
) -> Drift:
    """Wasserstein on bins of width 1."""
    edges = [float(edge) for edge in range(len(c) + 1)]
    return drift.wasserstein(c, s, edges=edges, alpha=alpha, null=null, seed=seed)


ALL = (*ON_BINS, moved)
Distance = Callable[..., Drift]


def test_a_stability_index_by_hand() -> None:
    # (0.5 - 0.25) ln 2 + (0.5 - 0.75) ln(2/3).
    found = drift.psi([50, 50], [100, 300])
    assert found.value == pytest.approx(0.25 * math.log(2) - 0.25 * math.log(2 / 3))


def test_a_stability_index_with_an_empty_bin_by_hand() -> None:
    # 0.5 more in each bin of both: 0.5 and 10.5 of 11 against 5.5 and 5.5 of 11.
    found = drift.psi([0, 10], [5, 5])
    expected = (0.5 - 5.5) / 11 * math.log(0.5 / 5.5) + 5 / 11 * math.log(10.5 / 5.5)
    assert found.value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("each", "quantile"), [(100, 0.43), (1000, 0.043), (10_000, 0.0043), (100_000, 0.00043)]
)
def test_thresholds_of_the_stability_index_shrink_with_the_values(
    each: int, quantile: float
) -> None:
    # Yurdakul and Naranjo (2020): (1/n + 1/m) chi-square with 9 degrees of freedom, of which the
    # 99 % point is 21.666 in any table. The folk limits 0.1 and 0.25 do not.
    found = drift.psi([each // 10] * 10, [each // 10] * 10)
    assert found.threshold == pytest.approx(quantile, rel=1e-2)
    assert found.threshold == pytest.approx(2 / each * 21.666, rel=1e-4)
    assert found.null_mean == pytest.approx(2 / each * 9)
    assert (found.value, found.effect, found.p_value) == (0.0, 0.0, 1.0)


def test_divergences_of_the_documentation_of_scipy() -> None:
    # scipy, jensenshannon([1, 0, 0], [0, 1, 0], 2) = 1 bit; ([1, 0], [0.5, 0.5]) = 0.46450140.
    assert drift.jsd([9, 0, 0], [0, 5, 0]).value == pytest.approx(math.log(2))
    found = drift.jsd([10, 0], [5, 5])
    assert math.sqrt(found.value) == pytest.approx(0.46450140402245893)


def test_a_distance_of_the_documentation_of_scipy() -> None:
    # scipy, wasserstein_distance([0, 1], [0, 1], [3, 1], [2, 2]) = 0.25.
    assert moved([3, 1], [2, 2]).value == pytest.approx(0.25)


@given(c=COUNTS, s=COUNTS)
def test_distances_agree_with_scipy(c: list[int], s: list[int]) -> None:
    if sum(c) == 0 or sum(s) == 0:
        return
    p, q = np.array(c) / sum(c), np.array(s) / sum(s)
    root = float(spatial.distance.jensenshannon(p, q))
    assert drift.jsd(c, s).value == pytest.approx(root**2, abs=1e-12)
    edges = [-math.inf, 1.0, 4.0, 9.0]
    points = [1.0, 2.5, 6.5]
    expected = stats.wasserstein_distance(points, points, c, s)
    found = drift.wasserstein(c, s, edges=edges)
    assert found.value == pytest.approx(expected, abs=1e-12)
    pearson = tables.chi_square(c, s)
    assert drift.chi_square(c, s).value == pytest.approx(pearson.statistic, abs=1e-9)
    assert drift.chi_square(c, s).p_value == pytest.approx(pearson.p_value)


@given(c=COUNTS, s=COUNTS)
def test_distances_do_not_depend_on_which_arm_is_which(c: list[int], s: list[int]) -> None:
    if sum(c) == 0 or sum(s) == 0:
        return
    for distance in ALL:
        there, back = distance(c, s), distance(s, c)
        assert there.value == pytest.approx(back.value, abs=1e-12)
        assert there.value >= 0.0
        assert 0.0 <= there.effect <= there.value


LAW = np.array([0.05, 0.1, 0.2, 0.3, 0.2, 0.1, 0.05])
RARE = np.array([0.9, 0.05, 0.03, 0.01, 0.007, 0.003])


def p_values(*, law: np.ndarray, n: int, m: int, null: Null, runs: int, kind: int) -> np.ndarray:
    rng = np.random.default_rng(47)
    return np.array(
        [
            ALL[kind](
                rng.multinomial(n, law).tolist(), rng.multinomial(m, law).tolist(), null=null
            ).p_value
            for _ in range(runs)
        ]
    )


@pytest.mark.parametrize("kind", range(4), ids=["psi", "jsd", "chi-square", "wasserstein"])
@pytest.mark.parametrize(("n", "m"), [(400, 2_000), (30_000, 5_000)])
def test_without_change_p_values_are_uniform(kind: int, n: int, m: int) -> None:
    found = p_values(law=LAW, n=n, m=m, null=Null.LIMIT, runs=300, kind=kind)
    for level in (0.05, 0.2, 0.5):
        spread = math.sqrt(level * (1 - level) / 300)
        assert np.mean(found <= level) == pytest.approx(level, abs=4 * spread)


@pytest.mark.parametrize("kind", range(4), ids=["psi", "jsd", "chi-square", "wasserstein"])
def test_shuffling_keeps_its_level_where_bins_are_rare(kind: int) -> None:
    found = p_values(law=RARE, n=60, m=90, null=Null.PERMUTED, runs=120, kind=kind)
    for level in (0.05, 0.2):
        assert np.mean(found <= level) <= level + 3 * math.sqrt(level * (1 - level) / 120)


@pytest.mark.parametrize("distance", ALL)
def test_both_null_laws_agree_where_there_are_many_values(distance: Distance) -> None:
    c, s = [220, 410, 610, 380, 190], [2100, 4000, 6000, 4000, 2050]
    limit, permuted = distance(c, s), distance(c, s, null=Null.PERMUTED)
    assert limit.value == permuted.value
    assert limit.null_mean == pytest.approx(permuted.null_mean, rel=0.03)
    assert limit.threshold == pytest.approx(permuted.threshold, rel=0.08)
    assert limit.p_value == pytest.approx(permuted.p_value, abs=0.03)


@pytest.mark.parametrize("distance", ALL)
def test_the_threshold_is_where_the_p_value_is_alpha(distance: Distance) -> None:
    c, s = [220, 410, 610, 380, 190], [2100, 4000, 6000, 4000, 2050]
    first = distance(c, s)
    assert distance(c, s, alpha=first.p_value).threshold == pytest.approx(first.value, rel=0.02)


@pytest.mark.parametrize("distance", ALL)
def test_a_real_change_is_seen_and_its_size_does_not_depend_on_the_values(
    distance: Distance,
) -> None:
    small = distance([200, 300, 500], [500, 300, 200])
    assert small.p_value < 1e-3
    assert small.value > small.threshold
    large = distance(
        [200 * 10**6, 300 * 10**6, 500 * 10**6], [500 * 10**6, 300 * 10**6, 200 * 10**6]
    )
    if distance is drift.chi_square:
        assert large.value == pytest.approx(10**6 * small.value)
    else:
        assert large.value == pytest.approx(small.value)
        assert large.effect == pytest.approx(large.value, rel=1e-4)


@pytest.mark.parametrize("distance", ALL)
def test_a_single_filled_bin_cannot_drift(distance: Distance) -> None:
    for null in Null:
        found = distance([0, 7, 0], [0, 9, 0], null=null)
        assert (found.value, found.effect, found.p_value, found.freedom) == (0.0, 0.0, 1.0, 0)


@pytest.mark.parametrize("distance", ON_BINS)
def test_bins_that_nobody_filled_change_nothing(distance: Distance) -> None:
    assert distance([3, 0, 9, 4], [5, 0, 2, 8]) == distance([3, 9, 4], [5, 2, 8])


@pytest.mark.parametrize("distance", ALL)
def test_distances_hold_at_10_to_the_12(distance: Distance) -> None:
    half = HUGE // 2
    same = distance([half, half], [half, half])
    assert (same.value, same.effect, same.p_value) == (0.0, 0.0, 1.0)
    # Off by two standard deviations: chi-square 4 in every unit.
    off = distance(
        [half + 10**6, half - 10**6], [half + 10**6 - 1_414_213, half - 10**6 + 1_414_213]
    )
    assert off.p_value == pytest.approx(2 * stats.norm.sf(2.0), abs=6e-3)
    apart = distance([HUGE, 0], [0, HUGE])
    assert math.isfinite(apart.value)
    assert apart.p_value <= 1e-4


def test_empty_bins_of_one_arm_are_flagged_as_too_rare_for_the_limit() -> None:
    found = drift.psi([100, 0], [99, 1])
    assert found.smallest_expected == pytest.approx(0.5)


def test_values_beyond_the_last_finite_edge_stand_at_it() -> None:
    edges = [0.0, 0.1, 0.5, math.inf]
    # From 0.3 to 0.5: one half of the values.
    assert drift.wasserstein([0, 5, 5], [0, 10, 0], edges=edges).value == pytest.approx(0.1)


@pytest.mark.parametrize("distance", ALL)
def test_shuffled_histograms_that_are_just_as_far_apart_count(distance: Distance) -> None:
    # One value each: shuffled, it is this histogram or its mirror image.
    assert distance([1, 0], [0, 1], null=Null.PERMUTED).p_value == 1.0


def test_draws_are_repeatable() -> None:
    c, s = [10, 20, 30], [15, 25, 20]
    assert moved(c, s) == moved(c, s)
    assert moved(c, s, seed=1) != moved(c, s, seed=2)


@pytest.mark.parametrize("distance", ALL)
@pytest.mark.parametrize(
    ("c", "s", "sentence"),
    [
        pytest.param([0, 0], [1, 2], "at least one value in the bins of candidate", id="empty-c"),
        pytest.param([1, 2], [0, 0], "at least one value in the bins of stable", id="empty-s"),
        pytest.param([1, 2], [1, 2, 3], "same bins", id="lengths"),
        pytest.param([1, -2], [1, 2], "at least 0", id="negative"),
        pytest.param([1, math.nan], [1, 2], "whole numbers", id="nan"),
        pytest.param([1, 0.5], [1, 2], "whole numbers", id="fraction"),
    ],
)
def test_bins_that_cannot_be_are_refused(
    distance: Distance, c: list[int], s: list[int], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        distance(c, s)


@pytest.mark.parametrize("distance", ALL)
@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_levels_that_are_none_are_refused(distance: Distance, alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha above 0 and below 1"):
        distance([1, 2], [2, 1], alpha=alpha)


@pytest.mark.parametrize("distance", ALL)
def test_too_many_values_are_not_shuffled(distance: Distance) -> None:
    with pytest.raises(ValueError, match="fewer than 1,000,000,000 values to shuffle"):
        distance([10**9, 5], [5, 10], null=Null.PERMUTED)


def test_edges_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 edges around 2 bins"):
        drift.wasserstein([1, 2], [2, 1], edges=[0.0, 1.0])
    with pytest.raises(ValueError, match="increase strictly"):
        drift.wasserstein([1, 2], [2, 1], edges=[0.0, 1.0, 0.5])
