"""Ranks: Hollander and Wolfe's data, all differences written down, scipy, and huge ties."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelrollout.analysis.readouts import ranks
from modelrollout.analysis.readouts.shown import Side

AT_TERM = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
EARLIER = [1.15, 0.88, 0.90, 0.74, 1.21]
"""Permeability of the chorioamnion: Hollander and Wolfe (1999), table 4.1."""
HUGE = 10**12
SIDES = {Side.TWO_SIDED: "two-sided", Side.GREATER: "greater", Side.LESS: "less"}
VALUES = st.lists(st.integers(min_value=0, max_value=9), min_size=1, max_size=30)


def test_permeability_reads_as_in_r() -> None:
    # R: wilcox.test(x, y, alternative = "g"): W = 35, p-value = 0.1272; two-sided 0.2544; with
    # conf.int: 0.305, interval -0.15 to 0.76 (also in coin's vignette, from Hollander and Wolfe).
    found = ranks.mann_whitney(AT_TERM, EARLIER, side=Side.GREATER)
    assert found.statistic == 35
    assert found.p_value == pytest.approx(0.1272, abs=5e-5)
    assert ranks.mann_whitney(AT_TERM, EARLIER).p_value == pytest.approx(0.2544, abs=5e-5)
    shift = ranks.shift(AT_TERM, EARLIER)
    assert (shift.value, shift.low, shift.high) == pytest.approx((0.305, -0.15, 0.76))
    assert ranks.chance_higher(AT_TERM, EARLIER) == 0.7


def test_complete_separation_has_the_smallest_exact_p_value() -> None:
    found = ranks.mann_whitney([6, 7, 8, 9, 10], [1, 2, 3, 4, 5])
    assert found.p_value == pytest.approx(2 / math.comb(10, 5))


def test_turtles_and_hares_by_hand() -> None:
    # The example of many courses: they finish in the order T H H H H H T T T T T H, so that
    # tortoises beat 6, 1, 1, 1, 1, 1 hares: 11 of 36 pairs.
    tortoises, hares = [1, 7, 8, 9, 10, 11], [2, 3, 4, 5, 6, 12]
    assert ranks.mann_whitney(hares, tortoises).statistic == 11
    assert ranks.mann_whitney(tortoises, hares).statistic == 25


@given(x=VALUES, y=VALUES)
def test_ties_agree_with_scipy(x: list[int], y: list[int]) -> None:
    if len(set(x + y)) == 1:
        assert ranks.mann_whitney(x, y, exact=False).p_value == 1.0
        return
    for side, alternative in SIDES.items():
        for corrected in (False, True):
            found = ranks.mann_whitney(x, y, side=side, exact=False, corrected=corrected)
            expected = stats.mannwhitneyu(
                x, y, alternative=alternative, method="asymptotic", use_continuity=corrected
            )
            assert found.statistic == expected.statistic
            assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 9), (5, 7), (12, 30), (49, 49)])
def test_exact_p_values_agree_with_scipy(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    for _ in range(5):
        x, y = rng.normal(0.3, 1.0, n), rng.normal(0.0, 1.0, m)
        for side, alternative in SIDES.items():
            expected = stats.mannwhitneyu(x, y, alternative=alternative, method="exact")
            found = ranks.mann_whitney(x, y, side=side)
            assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)


@given(x=VALUES, y=VALUES)
def test_bins_read_as_their_values(x: list[int], y: list[int]) -> None:
    c, s = np.bincount(x, minlength=10).tolist(), np.bincount(y, minlength=10).tolist()
    for side in Side:
        assert ranks.mann_whitney_on_bins(c, s, side=side) == ranks.mann_whitney(
            x, y, side=side, exact=False
        )
    edges = np.arange(11) - 0.5
    binned = ranks.shift_on_bins(c, s, edges=edges.tolist())
    raw = ranks.shift(x, y, exact=False)
    assert (binned.value, binned.low, binned.high) == (raw.value, raw.low, raw.high)


@given(x=VALUES, y=VALUES, alpha=st.sampled_from([0.5, 0.1, 0.05, 0.01]))
def test_shifts_are_those_of_all_differences_written_down(
    x: list[int], y: list[int], alpha: float
) -> None:
    differences = sorted(a - b for a in x for b in y)
    found = ranks.shift(x, y, alpha=alpha, exact=False)
    assert found.value == np.median(differences)
    pairs, total = len(differences), len(x) + len(y)
    reach = stats.norm.isf(alpha / 2) * math.sqrt(pairs * (total + 1) / 12)
    rank = math.ceil(pairs / 2 - reach - 0.5)
    if rank < 1:
        assert (found.low, found.high) == (-math.inf, math.inf)
    else:
        assert (found.low, found.high) == (differences[rank - 1], differences[-rank])


def test_shifts_of_real_numbers_are_those_of_all_differences_written_down() -> None:
    rng = np.random.default_rng(37)
    for _ in range(20):
        n, m = (int(size) for size in rng.integers(50, 200, size=2))
        x, y = rng.lognormal(0.0, 2.0, n), rng.lognormal(0.2, 2.0, m)
        differences = np.sort(np.subtract.outer(x, y), axis=None)
        found = ranks.shift(x, y)
        assert found.value == pytest.approx(np.median(differences), rel=1e-12)
        for limit in (found.low, found.high):
            assert np.min(np.abs(differences - limit)) < 1e-12


def test_the_limits_of_a_shift_are_what_the_test_just_refutes() -> None:
    rng = np.random.default_rng(41)
    x, y = rng.normal(0.5, 1.0, 20), rng.normal(0.0, 1.0, 25)
    found = ranks.shift(x, y)
    for limit, away in ((found.low, -1e-9), (found.high, 1e-9)):
        assert ranks.mann_whitney(x - (limit + away), y).p_value <= 0.05
        assert ranks.mann_whitney(x - (limit - away), y).p_value > 0.05


def test_intervals_of_shifts_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(43)
    hits = 0
    for _ in range(400):
        found = ranks.shift(rng.exponential(1.0, 60) + 0.3, rng.exponential(1.0, 60), alpha=0.1)
        hits += found.low <= 0.3 <= found.high
    assert hits / 400 == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / 400))


def test_too_few_values_have_no_interval_at_the_level() -> None:
    found = ranks.shift([1.0, 2.0], [0.0, 0.5])
    assert (found.value, found.low, found.high) == (1.25, -math.inf, math.inf)


def test_swapping_the_arms_turns_the_shift() -> None:
    found, back = ranks.shift(AT_TERM, EARLIER), ranks.shift(EARLIER, AT_TERM)
    turned = (-back.value, -back.high, -back.low)
    assert (found.value, found.low, found.high) == pytest.approx(turned)


def test_one_sided_p_values_are_about_the_candidate() -> None:
    higher = ranks.mann_whitney_on_bins([10, 20, 70], [30, 40, 30], side=Side.GREATER)
    assert higher.p_value < 1e-6


def test_10_to_the_12_ties_leave_what_is_not_tied() -> None:
    # All but a few in one bin: as the z-test of the share above it, whose square has N for N - 1.
    few = ranks.mann_whitney_on_bins([HUGE, 40], [HUGE, 20], corrected=False)
    assert few.p_value == pytest.approx(2 * stats.norm.sf(20 / math.sqrt(60)), rel=1e-6)
    same = ranks.mann_whitney_on_bins([HUGE, 0], [HUGE, 0])
    assert (same.statistic, same.p_value) == (HUGE * HUGE / 2, 1.0)
    shift = ranks.shift_on_bins([HUGE, 40], [HUGE, 20], edges=[0.0, 1.0, math.inf])
    assert (shift.value, shift.low, shift.high) == (0.0, 0.0, 0.0)
    moved = ranks.shift_on_bins([0, HUGE], [HUGE, 0], edges=[0.0, 1.0, math.inf])
    # From the middle of the first bin to the finite edge of the last.
    assert (moved.value, moved.low, moved.high) == (0.5, 0.5, 0.5)


def test_empty_bins_change_nothing() -> None:
    wide = ranks.shift_on_bins([4, 0, 9], [8, 0, 3], edges=[0, 1, 2, 3])
    assert wide == ranks.shift([0.5] * 4 + [2.5] * 9, [0.5] * 8 + [2.5] * 3, exact=False)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        pytest.param([], "row of values of candidate", id="empty"),
        pytest.param([[1.0, 2.0]], "row of values of candidate", id="two-dimensional"),
        pytest.param(3.0, "row of values of candidate", id="a-number"),
        pytest.param([1.0, math.nan], "finite values of candidate, found 1", id="nan"),
        pytest.param([1.0, math.inf], "finite values of candidate, found 1", id="infinite"),
        pytest.param(["a"], "numbers of candidate", id="text"),
    ],
)
def test_values_that_are_none_are_refused(x: list[float], sentence: str) -> None:
    for read in (ranks.mann_whitney, ranks.chance_higher, ranks.shift):
        with pytest.raises(ValueError, match=sentence):
            read(x, EARLIER)
        with pytest.raises(ValueError, match=sentence.replace("candidate", "stable")):
            read(EARLIER, x)


def test_an_exact_law_is_refused_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="without ties"):
        ranks.mann_whitney([1.0, 1.0], [2.0, 3.0], exact=True)
    with pytest.raises(ValueError, match="at most 40,000 pairs"):
        ranks.shift(np.arange(300) + 0.5, np.arange(300), exact=True)


@pytest.mark.parametrize(
    ("c", "s", "sentence"),
    [
        pytest.param([1, 2], [1], "same bins", id="lengths"),
        pytest.param([0, 0], [1, 2], "at least one value in the bins of candidate", id="empty"),
        pytest.param([1, -1], [1, 2], "at least 0", id="negative"),
        pytest.param([1, math.nan], [1, 2], "whole numbers", id="nan"),
    ],
)
def test_bins_that_cannot_be_are_refused(c: list[int], s: list[int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ranks.mann_whitney_on_bins(c, s)
    with pytest.raises(ValueError, match=sentence):
        ranks.shift_on_bins(c, s, edges=[0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("edges", "sentence"),
    [
        pytest.param([0.0, 1.0], "expected 3 edges around 2 bins", id="too-few"),
        pytest.param([0.0, 1.0, 1.0], "increase strictly", id="twice"),
        pytest.param([0.0, math.nan, 1.0], "increase strictly", id="nan"),
    ],
)
def test_edges_that_cannot_be_are_refused(edges: list[float], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        ranks.shift_on_bins([1, 2], [2, 1], edges=edges)


def test_a_single_bin_without_edges_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one finite edge"):
        ranks.shift_on_bins([1], [1], edges=[-math.inf, math.inf])


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_levels_that_are_none_are_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha above 0 and below 1"):
        ranks.shift(AT_TERM, EARLIER, alpha=alpha)
