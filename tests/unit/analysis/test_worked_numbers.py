"""Worked numbers, each with its source, and checks against independent calculations."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize, special, stats
from statsmodels.stats import contingency_tables

from modelrollout.analysis import (
    combining,
    concluding,
    evidence,
    limits,
    mixtures,
    normal_mixture,
    projected,
    ratio,
)
from modelrollout.analysis.concluding import LogEs
from modelrollout.analysis.counts import MeanCounts, RateCounts
from modelrollout.analysis.dispersion import NoiseSums
from modelrollout.analysis.projected import Line
from modelrollout.analysis.questions import Kind, Limit, Margin, Question
from modelrollout.analysis.ratio import RatioSums
from modelrollout.analysis.verdicts import Because, SpreadFrom, Verdict

# Howard, Ramdas, McAuliffe, Sekhon (2021) as computed in the tests of confseq 0.0.11
# (uniform_boundaries_unittest.cpp): mixtures tuned to intrinsic time 100 at 5 %.


def test_precision_of_the_normal_mixture() -> None:
    # best_rho(100, 0.05) = 12.60056, two-sided, which is one-sided at half the level.
    assert 100.0 / mixtures.information_scale(0.025) == pytest.approx(12.60056, abs=1e-5)


def test_one_sided_normal_mixture() -> None:
    time = mixtures.information_scale(0.05)
    log_e = normal_mixture.one_sided_log_e(10.0 / math.sqrt(100.0), time)
    assert log_e == pytest.approx(-0.06502391, abs=1e-7)
    at_bound = normal_mixture.one_sided_log_e(27.66071 / 10.0, time)
    assert at_bound == pytest.approx(math.log(20.0), abs=1e-5)


def test_two_sided_normal_mixture() -> None:
    time = mixtures.information_scale(0.025)
    assert 10.0 * normal_mixture.two_sided_radius(time, alpha=0.05) == pytest.approx(
        30.35209, abs=1e-5
    )


def test_the_closed_one_sided_bound_is_never_tighter_than_the_exact_one() -> None:
    for time, alpha in itertools.product((0.1, 1.0, 5.0, 50.0, 1e6), (0.01, 0.05, 0.2)):
        radius = normal_mixture.one_sided_radius(time, alpha=alpha)
        log_e = normal_mixture.one_sided_log_e(radius, time)
        assert math.log(1.0 / alpha) <= log_e <= math.log(1.0 / alpha) + 0.3


def test_holm_on_e_values() -> None:
    # Holm (1979) at 5 % on p = 1/e = 0.005, 0.01, 0.03, 0.04, as in the textbook table.
    log_es = [-math.log(p) for p in (0.01, 0.04, 0.03, 0.005)]
    assert combining.holm(log_es, alpha=0.05) == (True, False, False, True)


def test_average_of_e_values() -> None:
    assert combining.average_log_e([math.log(40.0), math.log(2.0)]) == pytest.approx(math.log(21.0))
    assert combining.average_log_e([0.0, 2.0], [1.0, 0.0]) == 0.0
    assert combining.average_log_e([-math.inf, math.inf]) == math.inf
    assert combining.average_log_e([800.0, 0.0]) == pytest.approx(800.0 - math.log(2.0))
    assert combining.average_log_e([]) == 0.0


def test_the_culprit_is_the_metric_that_adds_most() -> None:
    assert combining.blame([1.0, 3.0, 2.0]) == 1
    assert combining.blame([1.0, 3.0, 2.0], [0.9, 0.05, 0.05]) == 0


def test_the_third_try_needs_three_times_the_evidence() -> None:
    assert combining.log_threshold(0.05, tries=3) == pytest.approx(math.log(60.0))


# F1: one look by hand, and the exact law.


def test_one_event_at_equal_traffic_doubles_the_odds() -> None:
    # Given one event and half of the traffic, a ratio of r gives it to the candidate with
    # probability r / (r + 1): 2 r / (r + 1) times as likely as under equality.
    sums = RatioSums().plus(n_c=1000, x_c=1, n_s=1000, x_s=0)
    points = np.log([1.5, 3.0, 20.0])
    found = sums.tilt * points - ratio.interpolation(points) @ np.asarray(sums.table)
    assert np.exp(found) == pytest.approx([3.0 / 2.5, 6.0 / 4.0, 40.0 / 21.0], rel=1e-8)


@pytest.mark.parametrize(
    ("n_c", "n_s", "events"),
    [(5, 5, 3), (3, 17, 2), (10, 10, 10), (20, 4, 9), (8, 30, 34), (6, 6, 12), (1, 40, 20)],
)
@pytest.mark.parametrize("toward", [1, -1])
def test_the_expected_e_value_of_one_look_is_at_most_1(
    n_c: int, n_s: int, events: int, toward: int
) -> None:
    # Under equality the candidate's events are hypergeometric; all outcomes are enumerated.
    law = stats.hypergeom(n_c + n_s, events, n_c)
    low, high = max(0, events - n_s), min(events, n_c)
    expected = 0.0
    for x_c in range(low, high + 1):
        sums = RatioSums().plus(n_c=n_c, x_c=x_c, n_s=n_s, x_s=events - x_c)
        log_e = ratio.log_e(sums, toward=toward, information=5.0, alpha=0.02)
        expected += law.pmf(x_c) * math.exp(log_e)
    assert 0.4 < expected <= 1.0 + 1e-9


def test_the_peak_of_the_likelihood_is_the_conditional_estimate() -> None:
    # Constant weights and rare events: the ratio of the two rates.
    sums = RatioSums()
    for _ in range(20):
        sums = sums.plus(n_c=1000, x_c=6, n_s=3000, x_s=9)
    centre, information = ratio.peak(sums)
    assert math.exp(centre) == pytest.approx(2.0, rel=1e-3)
    # m theta (1 - theta) with m = 300 and theta = 2/5.
    assert information == pytest.approx(300 * 0.4 * 0.6, rel=1e-3)


def test_the_interval_of_a_ratio_is_wider_than_the_fixed_sample_one_and_inside_twice() -> None:
    sums = RatioSums()
    for _ in range(30):
        sums = sums.plus(n_c=2000, x_c=10, n_s=2000, x_s=10)
    low, high = ratio.interval(sums, information=150.0, alpha=0.05)
    table = contingency_tables.Table2x2(np.array([[300, 59_700], [300, 59_700]]))
    fixed = math.log(table.riskratio_confint(0.05)[1])
    assert fixed < math.log(high) < 2.0 * fixed
    assert math.log(low) == pytest.approx(-math.log(high), rel=1e-6)


def test_estimates_are_mantel_haenszel() -> None:
    # Cross-check against statsmodels on a ramp with a shared incident.
    looks = [((100, 4), (1900, 20)), ((500, 9), (1500, 30)), ((1000, 60), (1000, 55))]
    state = evidence.fresh(Question())
    tables = []
    for (n_c, x_c), (n_s, x_s) in looks:
        state = evidence.advance(
            state, Question(), candidate=RateCounts(n_c, x_c), stable=RateCounts(n_s, x_s)
        )
        tables.append(np.array([[x_c, n_c - x_c], [x_s, n_s - x_s]]))
    pooled = contingency_tables.StratifiedTable(tables).riskratio_pooled
    found = evidence.judge(state, Question()).ratio
    assert found is not None
    assert found.estimate == pytest.approx(pooled, rel=1e-9)


def test_dispersion_is_pearsons_chi_square_per_look() -> None:
    # At the ratio 1 each look's term is the 2 x 2 chi-square, but for N - 1 in place of N.
    looks = [((400, 9), (600, 8)), ((500, 20), (500, 9)), ((100, 4), (900, 21))]
    sums, total = NoiseSums(), 0.0
    for (n_c, x_c), (n_s, x_s) in looks:
        sums = sums.plus(n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s)
        table = [[x_c, n_c - x_c], [x_s, n_s - x_s]]
        size = n_c + n_s
        total += stats.chi2_contingency(table, correction=False).statistic * (size - 1) / size
    assert sums.dispersion(1.0) == pytest.approx(max(1.0, (total + 5.0) / (3 - 1 + 5.0)))


# The projected null.


@pytest.mark.parametrize("line", [Line(0.01, 1.0), Line(0.0, 1.5), Line(0.1, 0.9)], ids=str)
@pytest.mark.parametrize("q", [1e-5, 0.004, 0.05, 0.4])
def test_the_projection_minimises_the_divergence(line: Line, q: float) -> None:
    n_c, n_s = 70.0, 500.0

    def divergence(s: float) -> float:
        c = line.offset + line.slope * s
        both = ((n_c, float(c)), (n_s, s))
        return sum(
            n * float(special.rel_entr(q, p) + special.rel_entr(1 - q, 1 - p)) for n, p in both
        )

    best = optimize.minimize_scalar(
        divergence,
        bounds=(1e-12, min(1.0, 0.9 / line.slope)),
        method="bounded",
        options={"xatol": 1e-13},
    )
    found = projected.project(line, alt_c=np.array([q]), alt_s=np.array([q]), n_c=n_c, n_s=n_s)[0]
    assert divergence(found) <= best.fun + 1e-9


@pytest.mark.parametrize(
    "lines",
    [(Line(0.1, 1.0),), (Line(0.0, 1.5),), (Line(0.1, 1.0), Line(0.0, 1.5)), (Line(0.2, 0.8),)],
    ids=["absolute", "relative", "both", "higher"],
)
@pytest.mark.parametrize("q", [0.01, 0.1, 0.3])
def test_the_expected_factor_is_at_most_1_on_the_whole_null(
    lines: tuple[Line, ...], q: float
) -> None:
    # All outcomes of 6 and 9 requests, at points on and beyond the margin.
    n_c, n_s, bet = 6, 9, np.array([q])
    null = projected.project_on_all(lines, alt_c=bet, alt_s=bet, n_c=float(n_c), n_s=float(n_s))
    x_c, x_s = np.meshgrid(np.arange(n_c + 1.0), np.arange(n_s + 1.0), indexing="ij")
    factor = np.exp(
        projected.log_factor(alt=(bet, bet), null=null, n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s)
    )
    largest = 0.0
    for s in np.linspace(0.0, 0.6, 25):
        edge = max(float(line.offset + line.slope * s) for line in lines)
        for c in np.linspace(edge, 1.0, 6) if edge < 1 else ():
            law = np.outer(
                stats.binom.pmf(range(n_c + 1), n_c, c), stats.binom.pmf(range(n_s + 1), n_s, s)
            )
            largest = max(largest, float((law * factor).sum()))
    assert 0.5 < largest <= 1.0 + 1e-9


def test_without_events_the_evidence_grows_by_the_margin_per_request() -> None:
    # The bet on "never", an absolute margin d, stable's traffic overwhelming: -ln(1 - d) each.
    never = np.array([1e-9])
    null = projected.project_on_all((Line(0.01, 1.0),), alt_c=never, alt_s=never, n_c=1.0, n_s=1e9)
    gained = projected.log_factor(alt=(never, never), null=null, n_c=300.0, x_c=0, n_s=3e11, x_s=0)
    assert gained[0] == pytest.approx(-300 * math.log(0.99), rel=1e-3)


# Limits.


@pytest.mark.parametrize(
    ("limit", "p"),
    [(Limit(at_most=0.1), 0.1), (Limit(at_least=0.8), 0.8), (Limit(at_most=0.6), 0.6)],
)
def test_the_expected_e_value_of_a_limit_is_1_on_its_edge(limit: Limit, p: float) -> None:
    trials = 30
    es = [
        math.exp(limits.rate_log_e(limit, RateCounts(trials, x), alpha=0.05))
        for x in range(trials + 1)
    ]
    law = stats.binom.pmf(range(trials + 1), trials, p)
    assert float(law @ es) == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize(
    ("limit", "counts", "expected"),
    [
        (Limit(at_most=0.0), RateCounts(100, 0), 0.0),
        (Limit(at_most=0.0), RateCounts(100, 1), math.inf),
        (Limit(at_least=1.0), RateCounts(100, 99), math.inf),
        (Limit(at_least=1.0), RateCounts(100, 100), 0.0),
        (Limit(at_most=1.0), RateCounts(100, 100), 0.0),
        (Limit(at_least=0.0), RateCounts(100, 0), 0.0),
    ],
)
def test_limits_that_forbid_all_or_nothing(
    limit: Limit, counts: RateCounts, expected: float
) -> None:
    assert limits.rate_log_e(limit, counts, alpha=0.02) == expected


@pytest.mark.parametrize(
    ("limit", "events"), [(Limit(at_most=0.01), 40), (Limit(at_least=0.99), 1960)]
)
def test_a_broken_limit_is_harm_though_both_versions_are_alike(limit: Limit, events: int) -> None:
    asked = Question(limit=limit)
    counts = RateCounts(2000, events)
    state = evidence.advance(evidence.fresh(asked), asked, candidate=counts, stable=counts)
    judged = evidence.judge(state, asked)
    assert judged.verdict == "Worse"
    assert judged.log_e_harm < 0 < math.log(50.0) <= (judged.log_e_limit or 0.0)


def test_a_limit_and_the_comparison_share_one_error_rate() -> None:
    # 1 / alpha = 50: the e-value of one of the two must be 100 while the other says nothing.
    asked = Question(limit=Limit(at_most=0.5))
    for limit, verdict in ((60.0, Verdict.UNDECIDED), (101.0, Verdict.WORSE)):
        log_es = LogEs(harm=-20.0, limit=math.log(limit))
        assert concluding.verdict(log_es, asked, tries=1) is verdict
        turned = LogEs(harm=math.log(limit), limit=-20.0)
        assert concluding.verdict(turned, asked, tries=1) is verdict
    without = LogEs(harm=math.log(51.0))
    assert concluding.verdict(without, Question(), tries=1) is Verdict.WORSE


# Means.


def test_a_mean_by_hand() -> None:
    # Two arms of 400 values: means 1.3 and 1, variance 1 each. Welch's standard error is
    # sqrt(2 / 400); the planned pairs of 5000 are a quarter done for at 200 pairs of 1250.
    asked = Question(kind=Kind.MEAN)
    arms = [MeanCounts(400, 400 * m, 399 + 400 * m * m) for m in (1.3, 1.0)]
    state = evidence.advance(evidence.fresh(asked), asked, candidate=arms[0], stable=arms[1])
    time = 200 / 1250 * mixtures.information_scale(0.02)
    expected = normal_mixture.one_sided_log_e(0.3 / math.sqrt(2 / 400), time)
    judged = evidence.judge(state, asked)
    assert judged.log_e_harm == pytest.approx(expected, rel=1e-9)
    assert judged.difference is not None
    assert judged.difference.estimate == pytest.approx(0.3)


def test_fewer_than_a_hundred_values_of_an_arm_say_nothing() -> None:
    asked = Question(kind=Kind.MEAN, margin=Margin(relative=0.1))
    for count, because in ((99, Because.TOO_FEW), (100, None)):
        slow, quick = MeanCounts(count, count * 9.0, count * 82.0), MeanCounts(900, 900.0, 1800.0)
        for candidate, stable in ((slow, quick), (quick, slow)):
            state = evidence.advance(
                evidence.fresh(asked), asked, candidate=candidate, stable=stable
            )
            judged = evidence.judge(state, asked)
            assert judged.because is because
            assert (judged.log_e_harm == 0.0) == (because is Because.TOO_FEW)


def test_a_judgement_says_where_the_spread_was_learnt() -> None:
    asked = Question(kind=Kind.MEAN, margin=Margin(relative=0.1))
    rng = np.random.default_rng(41)
    said = {}
    for squares in (True, False):
        state = evidence.fresh(asked)
        for _ in range(19):
            arms = []
            for _arm in range(2):
                values = rng.exponential(size=50)
                sum_of_squares = float(values @ values) if squares else None
                arms.append(MeanCounts(50, float(values.sum()), sum_of_squares))
            state = evidence.advance(state, asked, candidate=arms[0], stable=arms[1])
        said[squares] = evidence.judge(state, asked)
        last = evidence.advance(state, asked, candidate=arms[0], stable=arms[1])
        assert evidence.judge(last, asked).spread_from == (
            SpreadFrom.SQUARES if squares else SpreadFrom.LOOKS
        )
    assert said[True].spread_from is SpreadFrom.SQUARES
    assert said[False].spread_from is None
    assert said[False].because is Because.SPREAD_UNKNOWN
