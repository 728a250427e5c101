"""Whole tables: textbook chi-squares, the exact tests of R and scipy, and 10^12 requests."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.readouts import densities, proportions, tables
from modelrollout.analysis.readouts.shown import Side, Significance

HUGE = 10**12
SIDES = {Side.TWO_SIDED: "two-sided", Side.GREATER: "greater", Side.LESS: "less"}


def counts(events: int, others: int) -> RateCounts:
    return RateCounts(trials=events + others, events=events)


def test_gender_and_party_read_as_in_agresti() -> None:
    # Agresti, An Introduction to Categorical Data Analysis (2007), table 2.5: X^2 = 30.1, df = 2.
    found = tables.chi_square([762, 327, 468], [484, 239, 477])
    assert found.statistic == pytest.approx(30.1, abs=0.05)
    assert found.freedom == 2
    assert found.p_value < 0.0001
    # Its expected count of male independents is 246.4; the smallest.
    assert tables.smallest_expected([762, 327, 468], [484, 239, 477]) == pytest.approx(
        246.4, abs=0.1
    )


def test_a_table_with_the_correction_of_yates_by_hand() -> None:
    # N (|ad - bc| - N/2)^2 / (product of margins).
    expected = 100 * (15 * 25 - 25 * 35 + 50) ** 2 / (40 * 60 * 50 * 50)
    found = tables.chi_square([15, 35], [25, 25], corrected=True)
    assert found.statistic == pytest.approx(expected)


@pytest.mark.parametrize("rate", [0.0005, 0.05, 0.3])
def test_chi_squares_agree_with_scipy(rate: float) -> None:
    rng = np.random.default_rng(3)
    for _ in range(40):
        outcomes = int(rng.integers(2, 8))
        law = np.append(np.full(outcomes - 1, rate / (outcomes - 1)), 1 - rate)
        c, s = rng.multinomial(20_000, law), rng.multinomial(300_000, law)
        filled = c + s > 0
        for corrected in (False, True):
            expected = stats.chi2_contingency(
                np.array([c[filled], s[filled]]), correction=corrected
            )
            found = tables.chi_square(c.tolist(), s.tolist(), corrected=corrected)
            assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-12)
            assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
            assert found.freedom == expected.dof
            smallest = tables.smallest_expected(c.tolist(), s.tolist())
            assert smallest == pytest.approx(expected.expected_freq.min())


def test_two_outcomes_are_the_square_of_the_pooled_z() -> None:
    c, s = counts(189, 10_845), counts(104, 10_933)
    for corrected in (False, True):
        z = proportions.z_test(c, s, corrected=corrected)
        found = tables.chi_square([189, 10_845], [104, 10_933], corrected=corrected)
        assert found.statistic == pytest.approx(z.statistic**2)
        assert found.p_value == pytest.approx(z.p_value)


def test_outcomes_that_nobody_had_change_nothing() -> None:
    assert tables.chi_square([5, 0, 7], [9, 0, 2]) == tables.chi_square([5, 7], [9, 2])
    assert tables.chi_square([5, 0], [9, 0]) == Significance(0.0, 1.0, freedom=0)


def test_chi_square_holds_at_10_to_the_12() -> None:
    half = HUGE // 2
    found = tables.chi_square([half + 10**6, half - 10**6], [half, half])
    # (2e6)^2 / (4 x 5e11), by hand: each cell is off by 5e5 from 5e11 + 5e5 or less.
    assert found.statistic == pytest.approx(4 * (5e5) ** 2 / 5e11, rel=1e-6)
    assert tables.chi_square([HUGE, 0], [0, HUGE]).statistic == pytest.approx(2 * HUGE)


@pytest.mark.parametrize(
    ("c", "s", "expected"),
    [
        # scipy's tests of fisher_exact, whose numbers are R's.
        pytest.param((100, 2), (1000, 5), 0.1300759363430016, id="100-2-1000-5"),
        pytest.param((2, 7), (8, 2), 0.02301413756522116, id="2-7-8-2"),
        pytest.param((5, 1), (10, 10), 0.1973244147157191, id="5-1-10-10"),
        pytest.param((5, 15), (20, 20), 0.0958044001247763, id="5-15-20-20"),
        pytest.param((5, 16), (20, 25), 0.1725864953812995, id="5-16-20-25"),
        pytest.param((10, 5), (10, 1), 0.1973244147157192, id="10-5-10-1"),
        pytest.param((5, 0), (1, 4), 0.04761904761904762, id="5-0-1-4"),
        pytest.param((0, 1), (3, 2), 1.0, id="0-1-3-2"),
        pytest.param((0, 2), (6, 4), 0.4545454545454545, id="0-2-6-4"),
        # R, help page of fisher.test: the lady tasting tea, and twins of criminals.
        pytest.param((3, 1), (1, 3), 0.4857142857142857, id="tea"),
        pytest.param((2, 15), (10, 3), 0.0005367241, id="twins"),
    ],
)
def test_exact_p_values_are_those_of_r(
    c: tuple[int, int], s: tuple[int, int], expected: float
) -> None:
    assert tables.fisher(counts(*c), counts(*s)).p_value == pytest.approx(expected, rel=1e-7)


def test_one_sided_exact_p_values_are_those_of_r() -> None:
    # R: fisher.test(TeaTasting, alternative = "greater"), fisher.test(Convictions, "less").
    tea = tables.fisher(counts(3, 1), counts(1, 3), side=Side.GREATER)
    assert tea.p_value == pytest.approx(17 / 70)
    twins = tables.fisher(counts(2, 15), counts(10, 3), side=Side.LESS)
    assert twins.p_value == pytest.approx(0.0004651809, rel=1e-6)


def test_mid_p_of_the_lady_tasting_tea() -> None:
    # Agresti (2007), section 2.6.3: mid P-value 0.229 / 2 + 0.014 = 0.129.
    found = tables.fisher(counts(3, 1), counts(1, 3), side=Side.GREATER, mid=True)
    assert found.p_value == pytest.approx(8 / 70 + 1 / 70)
    # Two-sided both of 1 and 3 count by half, 0 and 4 whole.
    found = tables.fisher(counts(3, 1), counts(1, 3), mid=True)
    assert found.p_value == pytest.approx((16 + 16) / 70 / 2 + 2 / 70)


def test_mid_p_where_two_counts_are_the_likeliest() -> None:
    # 2 or 3 of 5 in the candidate: 100 of 252 tables each.
    for seen in (2, 3):
        found = tables.fisher(counts(seen, 5 - seen), counts(5 - seen, seen), mid=True)
        assert found.p_value == pytest.approx(1 - 200 / 252 / 2)


@pytest.mark.parametrize(("n", "m", "events"), [(3, 14, 6), (3, 14, 11), (4, 11, 4), (3, 23, 13)])
def test_tables_just_as_likely_count_although_rounding_parts_them(
    n: int, m: int, events: int
) -> None:
    ways = {k: math.comb(n, k) * math.comb(m, events - k) for k in range(min(n, events) + 1)}
    for seen, way in ways.items():
        expected = sum(w for w in ways.values() if w <= way) / math.comb(n + m, events)
        found = tables.fisher(counts(seen, n - seen), counts(events - seen, m - events + seen))
        assert found.p_value == pytest.approx(expected, rel=1e-9)


def test_log_probabilities_at_the_ends_keep_their_digits() -> None:
    found = densities.log_hypergeometric(
        np.array([0.0, 1.0]), drawn=1, others=HUGE, marked=HUGE - 2
    )
    assert found.tolist() == pytest.approx([math.log(3 / (HUGE + 1)), -3 / HUGE], rel=1e-9)
    found = densities.log_hypergeometric(np.array([0.0, 1.0]), drawn=1, others=HUGE, marked=3)
    assert found.tolist() == pytest.approx([-3 / HUGE, math.log(3 / (HUGE + 1))], rel=1e-9)


SMALL = st.integers(min_value=0, max_value=60)


@given(a=SMALL, b=SMALL, c=SMALL, d=SMALL)
def test_exact_p_values_agree_with_scipy(a: int, b: int, c: int, d: int) -> None:
    if 0 in {a + b, c + d}:
        return
    for side, alternative in SIDES.items():
        found = tables.fisher(counts(a, b), counts(c, d), side=side)
        expected = stats.fisher_exact([[a, b], [c, d]], alternative=alternative).pvalue
        assert found.p_value == pytest.approx(expected, rel=1e-9)


@given(a=SMALL, b=SMALL, c=SMALL, d=SMALL)
def test_mid_p_values_are_sums_over_all_tables(a: int, b: int, c: int, d: int) -> None:
    n, m, events = a + b, c + d, a + c
    if 0 in {n, m}:
        return
    support = range(max(0, events - m), min(n, events) + 1)
    ways = {k: math.comb(n, k) * math.comb(m, events - k) for k in support}
    less = sum(w for w in ways.values() if w < ways[a])
    alike = sum(w for w in ways.values() if w == ways[a])
    found = tables.fisher(counts(a, b), counts(c, d), mid=True).p_value
    assert found == pytest.approx((less + alike / 2) / math.comb(n + m, events), rel=1e-9)


@pytest.mark.parametrize("rate", [0.0005, 0.05, 0.3])
def test_exact_p_values_of_larger_tables_agree_with_scipy(rate: float) -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        n, m = (int(size) for size in rng.integers(1_000, 30_000, size=2))
        a, c = int(rng.binomial(n, rate * 1.1)), int(rng.binomial(m, rate))
        for side, alternative in SIDES.items():
            found = tables.fisher(counts(a, n - a), counts(c, m - c), side=side)
            expected = stats.fisher_exact([[a, n - a], [c, m - c]], alternative=alternative)
            assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)


@pytest.mark.parametrize("events", [0, 1000])
def test_no_event_or_nothing_else_says_nothing(events: int) -> None:
    arm = counts(events, 1000 - events)
    for side in Side:
        assert tables.fisher(arm, arm, side=side).p_value == 1.0


def test_rare_events_of_10_to_the_12_are_a_fair_coin() -> None:
    # With as many requests in both arms the law of few events is Binomial(15, 1/2): at most 3.
    found = tables.fisher(counts(3, HUGE - 3), counts(12, HUGE - 12))
    assert found.p_value == pytest.approx(2 * (1 + 15 + 105 + 455) / 2**15, rel=1e-9)


def test_extreme_tables_of_10_to_the_12_end_at_0_and_1() -> None:
    none, every = counts(0, HUGE), counts(HUGE, 0)
    assert tables.fisher(none, every).p_value == 0.0
    assert tables.fisher(none, every, side=Side.GREATER).p_value == 1.0
    assert tables.fisher(every, every).p_value == 1.0


def test_many_events_approach_the_normal_law() -> None:
    c, s = RateCounts(trials=10**9, events=10**6 + 2_000), RateCounts(trials=10**9, events=10**6)
    exact = tables.fisher(c, s).p_value
    assert exact == pytest.approx(proportions.z_test(c, s).p_value, rel=5e-3)
    assert tables.fisher(c, s, mid=True).p_value < exact


@pytest.mark.parametrize("scale", [1, 10, 1000, 10**6])
def test_log_probabilities_are_those_of_exact_binomial_coefficients(scale: int) -> None:
    drawn, others, marked = 7 * scale, 11 * scale, 5
    found = densities.log_hypergeometric(np.arange(6.0), drawn=drawn, others=others, marked=marked)
    for count, log in enumerate(found.tolist()):
        ways = math.comb(drawn, count) * math.comb(others, marked - count)
        assert log == pytest.approx(math.log(ways / math.comb(drawn + others, marked)), abs=1e-11)


@pytest.mark.parametrize(
    ("c", "s", "sentence"),
    [
        pytest.param([], [], "at least one value in the bins of candidate", id="empty"),
        pytest.param([0, 0], [1, 2], "at least one value in the bins of candidate", id="no-c"),
        pytest.param([1, 2], [0, 0], "at least one value in the bins of stable", id="no-s"),
        pytest.param([1, 2], [1, 2, 3], "expected the same bins", id="lengths"),
        pytest.param([1, -2], [1, 2], "at least 0 in the bins of candidate", id="negative"),
        pytest.param([1, math.nan], [1, 2], "whole numbers", id="nan"),
        pytest.param([1, 2], [1, 2.5], "whole numbers in the bins of stable", id="fraction"),
        pytest.param([1, True], [1, 2], "whole numbers", id="truth"),
    ],
)
def test_tables_that_cannot_be_are_refused(c: list[int], s: list[int], sentence: str) -> None:
    for read in (tables.chi_square, tables.smallest_expected):
        with pytest.raises(ValueError, match=sentence):
            read(c, s)


def test_an_arm_without_requests_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one request in each arm"):
        tables.fisher(counts(0, 0), counts(1, 1))
