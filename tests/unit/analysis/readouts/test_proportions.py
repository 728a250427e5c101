"""Two rates: published tables, statsmodels on random tables, and the corners."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from statsmodels.stats import contingency_tables, proportion

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.readouts import proportions
from modelrollout.analysis.readouts.proportions import ZeroCells
from modelrollout.analysis.readouts.shown import Estimate, Side

HUGE = 10**12
Two = Callable[[RateCounts, RateCounts], object]


def counts(events: int, trials: int) -> RateCounts:
    return RateCounts(trials=trials, events=events)


def random_tables() -> list[tuple[RateCounts, RateCounts]]:
    """Base rates of 0.05, 5 and 30 %, candidates up to twice as bad, arms of unequal size."""
    rng = np.random.default_rng(7)
    tables = []
    for base, sizes in ((0.0005, (20_000, 10**7)), (0.05, (200, 10**5)), (0.3, (40, 10**5))):
        for _ in range(25):
            n, m = (int(size) for size in np.geomspace(*sizes, 1000)[rng.integers(1000, size=2)])
            rate = base * rng.uniform(0.7, 2.0)
            tables.append(
                (counts(int(rng.binomial(n, rate)), n), counts(int(rng.binomial(m, base)), m))
            )
    return tables


TABLES = random_tables()


def assert_interval(found: Estimate, expected: tuple[float, float], *, digits: float) -> None:
    assert (found.low, found.high) == pytest.approx(expected, abs=digits)


@pytest.mark.parametrize(
    ("events", "trials", "plain", "corrected"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 857-872, table I.
        pytest.param(81, 263, (0.2553, 0.3662), (0.2535, 0.3682), id="81-of-263"),
        pytest.param(15, 148, (0.0624, 0.1605), (0.0598, 0.1644), id="15-of-148"),
        pytest.param(0, 20, (0.0, 0.1611), (0.0, 0.2005), id="none-of-20"),
        pytest.param(1, 29, (0.0061, 0.1718), (0.0018, 0.1963), id="1-of-29"),
    ],
)
def test_wilson_intervals_are_those_of_newcombes_table(
    events: int, trials: int, plain: tuple[float, float], corrected: tuple[float, float]
) -> None:
    arm = counts(events, trials)
    assert_interval(proportions.wilson(arm), plain, digits=6e-5)
    assert_interval(proportions.wilson(arm, corrected=True), corrected, digits=6e-5)


@pytest.mark.parametrize(
    ("c", "s", "plain", "corrected"),
    [
        # Newcombe (1998), Statistics in Medicine 17, 873-890, table II, methods 10 and 11.
        pytest.param((56, 70), (48, 80), (0.0524, 0.3339), (0.0428, 0.3422), id="a"),
        pytest.param((9, 10), (3, 10), (0.1705, 0.8090), (0.1013, 0.8387), id="b"),
        pytest.param((6, 7), (2, 7), (0.0582, 0.8062), (-0.0290, 0.8423), id="c"),
        pytest.param((5, 56), (0, 29), (-0.0381, 0.1926), (-0.0667, 0.2037), id="d"),
        pytest.param((0, 10), (0, 20), (-0.1611, 0.2775), (-0.2005, 0.3445), id="e"),
        pytest.param((0, 10), (0, 10), (-0.2775, 0.2775), (-0.3445, 0.3445), id="f"),
        pytest.param((10, 10), (0, 20), (0.6791, 1.0), (0.6014, 1.0), id="g"),
        pytest.param((10, 10), (0, 10), (0.6075, 1.0), (0.5128, 1.0), id="h"),
    ],
)
def test_differences_are_those_of_newcombes_table(
    c: tuple[int, int],
    s: tuple[int, int],
    plain: tuple[float, float],
    corrected: tuple[float, float],
) -> None:
    found = proportions.newcombe(counts(*c), counts(*s))
    assert found.value == pytest.approx(c[0] / c[1] - s[0] / s[1])
    assert_interval(found, plain, digits=6e-5)
    assert_interval(
        proportions.newcombe(counts(*c), counts(*s), corrected=True), corrected, digits=6e-5
    )


def test_a_trial_of_epinephrine_reads_as_in_the_review_of_intervals() -> None:
    # Fagerland, Lydersen, Laake (2015), Statistical Methods in Medical Research, tables 8 to 10, on
    # Perondi et al. (2004): 7 of 34 against 1 of 34; the numbers stand in the tests of statsmodels.
    c, s = counts(7, 34), counts(1, 34)
    assert_interval(proportions.newcombe(c, s), (0.019, 0.34), digits=5e-3)
    katz = proportions.risk_ratio(c, s)
    assert katz.value == pytest.approx(7.0)
    # R, contingencytables::Katz_log_CI_2x2(perondi_2004).
    assert_interval(katz, (0.9096, 53.8695), digits=6e-5)
    koopman = proportions.score_ratio(c, s)
    # The table rounds the limits; R, PropCIs::riskscoreci(7, 34, 1, 34, 0.95) has all digits.
    assert_interval(koopman, (1.220853, 42.575718), digits=6e-7)
    woolf = proportions.odds_ratio(c, s)
    assert woolf.low == pytest.approx(0.99, abs=5e-3)
    assert woolf.high == pytest.approx(74, abs=0.5)
    gart = proportions.odds_ratio(c, s, zero_cells=ZeroCells.HALF_ALWAYS)
    assert gart.low == pytest.approx(0.98, abs=5e-3)
    assert gart.high == pytest.approx(38, abs=0.5)


def test_aspirin_and_heart_attacks_read_as_in_agresti() -> None:
    # Agresti, An Introduction to Categorical Data Analysis (2007), section 2.2 and 2.3: the
    # Physicians' Health Study, 189 of 11,034 on placebo, 104 of 11,037 on aspirin.
    placebo, aspirin = counts(189, 11_034), counts(104, 11_037)
    gap = proportions.newcombe(placebo, aspirin)
    assert gap.value == pytest.approx(0.0077, abs=5e-5)
    assert_interval(gap, (0.005, 0.011), digits=5e-4)
    risk = proportions.risk_ratio(placebo, aspirin)
    assert risk.value == pytest.approx(1.82, abs=5e-3)
    assert_interval(risk, (1.43, 2.30), digits=6e-3)
    odds = proportions.odds_ratio(placebo, aspirin)
    assert odds.value == pytest.approx(1.832, abs=5e-4)
    assert_interval(odds, (1.44, 2.33), digits=5e-3)


def test_koopmans_own_example() -> None:
    # Koopman (1984), Biometrics 40, 513-517: 36 of 40 against 16 of 80.
    found = proportions.score_ratio(counts(36, 40), counts(16, 80))
    assert found.value == pytest.approx(4.5)
    assert_interval(found, (2.94, 7.15), digits=6e-3)


@pytest.mark.parametrize(("c", "s"), TABLES)
def test_intervals_agree_with_statsmodels(c: RateCounts, s: RateCounts) -> None:
    four = (c.events, c.trials, s.events, s.trials)
    for alpha in (0.05, 0.001):
        found = proportions.newcombe(c, s, alpha=alpha)
        expected = proportion.confint_proportions_2indep(*four, method="newcomb", alpha=alpha)
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-12)
        alone = proportions.wilson(c, alpha=alpha)
        expected = proportion.proportion_confint(c.events, c.trials, alpha=alpha, method="wilson")
        assert (alone.low, alone.high) == pytest.approx(expected, rel=1e-9, abs=1e-15)
    if not 0 < c.events < c.trials or not 0 < s.events < s.trials:
        return
    table = contingency_tables.Table2x2(
        np.array([[c.events, c.trials - c.events], [s.events, s.trials - s.events]])
    )
    odds, risk = proportions.odds_ratio(c, s), proportions.risk_ratio(c, s)
    assert odds.value == pytest.approx(table.oddsratio, rel=1e-12)
    assert (odds.low, odds.high) == pytest.approx(table.oddsratio_confint(), rel=1e-9)
    assert risk.value == pytest.approx(table.riskratio, rel=1e-12)
    assert (risk.low, risk.high) == pytest.approx(table.riskratio_confint(), rel=1e-9)
    score = proportions.score_ratio(c, s)
    for ratio in (score.low, score.high):
        tested = proportion.score_test_proportions_2indep(
            *four, value=ratio, compare="ratio", correction=False, return_results=False
        )
        assert tested[1] == pytest.approx(0.05, rel=1e-5)


@pytest.mark.parametrize(("c", "s"), TABLES)
def test_the_z_test_agrees_with_statsmodels(c: RateCounts, s: RateCounts) -> None:
    if c.events + s.events == 0:
        pytest.skip("the other has no answer without events")
    names = {Side.TWO_SIDED: "two-sided", Side.GREATER: "larger", Side.LESS: "smaller"}
    for side, alternative in names.items():
        z, p = proportion.proportions_ztest(
            [c.events, s.events], [c.trials, s.trials], alternative=alternative
        )
        found = proportions.z_test(c, s, side=side)
        assert found.side is side
        assert found.statistic == pytest.approx(z, rel=1e-7, abs=1e-12)
        assert found.p_value == pytest.approx(p, rel=1e-6)


def test_the_z_test_of_wald_by_hand() -> None:
    # (0.4 - 0.2) / sqrt(0.4 x 0.6 / 100 + 0.2 x 0.8 / 400).
    found = proportions.z_test(counts(40, 100), counts(80, 400), pooled=False)
    assert found.statistic == pytest.approx(0.2 / math.sqrt(0.0024 + 0.0004))
    corrected = proportions.z_test(counts(40, 100), counts(80, 400), pooled=False, corrected=True)
    less = (1 / 100 + 1 / 400) / 2
    assert corrected.statistic == pytest.approx((0.2 - less) / math.sqrt(0.0024 + 0.0004))


def test_the_square_of_the_corrected_z_is_the_chi_square_of_yates() -> None:
    # By hand, N (|ad - bc| - N/2)^2 / (product of margins) = 100 (500 - 50)^2 / (40 60 50 50).
    found = proportions.z_test(counts(15, 50), counts(25, 50), corrected=True)
    assert found.statistic == pytest.approx(-math.sqrt(100 * 450**2 / (40 * 60 * 50 * 50)))
    assert found.p_value == pytest.approx(0.06619257972219346, rel=1e-9)


def test_a_correction_never_takes_a_difference_past_zero() -> None:
    found = proportions.z_test(counts(1, 3), counts(1, 4), corrected=True)
    assert (abs(found.statistic), found.p_value) == (0.0, 1.0)


def test_one_sided_p_values_are_about_the_candidate() -> None:
    worse, better = counts(40, 100), counts(20, 100)
    greater = proportions.z_test(worse, better, side=Side.GREATER).p_value
    less = proportions.z_test(worse, better, side=Side.LESS).p_value
    assert greater < 0.01
    assert greater + less == pytest.approx(1.0)
    assert proportions.z_test(worse, better).p_value == pytest.approx(2 * greater)


def test_swapping_the_arms_turns_differences_and_inverts_ratios() -> None:
    for c, s in TABLES[::7]:
        gap, back = proportions.newcombe(c, s), proportions.newcombe(s, c)
        assert (gap.low, gap.high) == pytest.approx((-back.high, -back.low), abs=1e-15)
        for of in (proportions.odds_ratio, proportions.risk_ratio, proportions.score_ratio):
            ratio, other = of(c, s), of(s, c)
            if other.low > 0.0 and other.high < math.inf:
                assert (ratio.low, ratio.high) == pytest.approx((1 / other.high, 1 / other.low))


NONE, ALL = counts(0, 1000), counts(1000, 1000)


def test_without_any_event_nothing_is_claimed_of_a_ratio() -> None:
    for of in (proportions.odds_ratio, proportions.risk_ratio, proportions.score_ratio):
        found = of(NONE, counts(0, 50))
        assert math.isnan(found.value)
        assert (found.low, found.high) == (0.0, math.inf)
    tested = proportions.z_test(NONE, NONE)
    assert (tested.statistic, tested.p_value) == (0.0, 1.0)


def test_where_all_are_events_only_the_odds_are_unknown() -> None:
    assert math.isnan(proportions.odds_ratio(ALL, ALL).value)
    for of in (proportions.risk_ratio, proportions.score_ratio):
        found = of(ALL, ALL)
        assert found.value == 1.0
        assert 0.99 < found.low < 1.0 < found.high < 1.01
    assert proportions.z_test(ALL, ALL).p_value == 1.0


def test_one_arm_without_events_has_a_ratio_of_zero_or_infinity_inside_its_interval() -> None:
    some = counts(5, 1000)
    for of in (proportions.risk_ratio, proportions.odds_ratio):
        assert of(NONE, some).value == 0.0
        assert of(NONE, some).low == 0.0
        assert 1 / 11 < of(NONE, some).high < 2.0
        assert (of(some, NONE).value, of(some, NONE).high) == (math.inf, math.inf)
        assert of(some, NONE).low == pytest.approx(1.0 / of(NONE, some).high)
        assert of(NONE, some, zero_cells=ZeroCells.AS_COUNTED) == Estimate(0.0, 0.0, math.inf)
    # (0.5/1001) / (5.5/1001) with its spread, by hand.
    spread = math.sqrt(1 / 0.5 - 1 / 1001 + 1 / 5.5 - 1 / 1001)
    found = proportions.risk_ratio(NONE, some)
    assert found.high == pytest.approx(math.exp(1.959963984540054 * spread) / 11)
    halves = proportions.risk_ratio(NONE, some, zero_cells=ZeroCells.HALF_ALWAYS)
    assert halves.value == pytest.approx(1 / 11)
    assert halves.low == pytest.approx(math.exp(-1.959963984540054 * spread) / 11)
    assert proportions.score_ratio(NONE, some).low == 0.0
    assert 0.5 < proportions.score_ratio(NONE, some).high < 1.0
    assert proportions.score_ratio(some, NONE).high == math.inf
    assert proportions.score_ratio(some, NONE).low > 1.0


def test_none_against_all_is_as_far_apart_as_can_be() -> None:
    pooled = proportions.z_test(ALL, NONE)
    assert pooled.statistic == pytest.approx(math.sqrt(2000.0))
    assert proportions.z_test(ALL, NONE, pooled=False).statistic == math.inf
    assert proportions.z_test(NONE, ALL, pooled=False).p_value == 0.0
    gap = proportions.newcombe(ALL, NONE)
    assert (gap.value, gap.high) == (1.0, 1.0)
    assert gap.low > 0.99


def test_few_events_of_10_to_the_12_follow_the_law_of_rare_events() -> None:
    # Poisson: with p -> 0 the score interval of a count x is x + z^2/2 -+ z sqrt(x + z^2/4).
    z = 1.959963984540054
    found = proportions.wilson(counts(5, HUGE))
    reach = z * math.sqrt(5 + z * z / 4)
    assert found.high * HUGE == pytest.approx(5 + z * z / 2 + reach, rel=1e-9)
    assert found.low * HUGE == pytest.approx(5 + z * z / 2 - reach, rel=1e-9)
    ratio = proportions.risk_ratio(counts(20, HUGE), counts(10, HUGE))
    assert ratio.high == pytest.approx(2 * math.exp(z * math.sqrt(1 / 20 + 1 / 10)), rel=1e-9)


@pytest.mark.parametrize("events", [0, 1, HUGE // 2, HUGE - 1, HUGE])
def test_intervals_hold_their_value_at_10_to_the_12(events: int) -> None:
    c, s = counts(events, HUGE), counts(HUGE // 2, HUGE)
    for corrected in (False, True):
        alone = proportions.wilson(c, corrected=corrected)
        assert 0.0 <= alone.low <= alone.value <= alone.high <= 1.0
        gap = proportions.newcombe(c, s, corrected=corrected)
        assert -1.0 <= gap.low <= gap.value <= gap.high <= 1.0
    for of in (proportions.odds_ratio, proportions.risk_ratio, proportions.score_ratio):
        found = of(c, s)
        assert found.low <= found.value * (1 + 1e-12)
        assert found.value <= found.high * (1 + 1e-12)


@pytest.mark.parametrize(
    "of",
    [
        proportions.z_test,
        proportions.newcombe,
        proportions.risk_ratio,
        proportions.odds_ratio,
        proportions.score_ratio,
    ],
)
def test_an_arm_without_requests_is_refused(of: Two) -> None:
    for c, s in ((counts(0, 0), counts(1, 2)), (counts(1, 2), counts(0, 0))):
        with pytest.raises(ValueError, match="at least one request in each arm"):
            of(c, s)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_levels_that_are_none_are_refused(alpha: float) -> None:
    c = counts(1, 10)
    with pytest.raises(ValueError, match="alpha above 0 and below 1"):
        proportions.wilson(c, alpha=alpha)
    for read in (
        proportions.newcombe,
        proportions.risk_ratio,
        proportions.odds_ratio,
        proportions.score_ratio,
    ):
        with pytest.raises(ValueError, match="alpha above 0 and below 1"):
            read(c, c, alpha=alpha)


@pytest.mark.parametrize(("events", "trials"), [(-1, 5), (6, 5), (1, -5), (math.nan, 5), (1.5, 5)])
def test_counts_that_cannot_be_are_refused_at_the_door(events: float, trials: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        RateCounts(trials=trials, events=events)  # type: ignore[arg-type]
