"""Strata: Berkeley, eight centres, eight cities, thirteen trials; statsmodels on random strata."""

import math

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import StratifiedTable

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.readouts import proportions, strata
from modelrollout.analysis.readouts.shown import Side

Cells = list[tuple[int, int, int, int]]

BERKELEY: Cells = [
    (512, 313, 89, 19),
    (353, 207, 17, 8),
    (120, 205, 202, 391),
    (138, 279, 131, 244),
    (53, 138, 94, 299),
    (22, 351, 24, 317),
]
"""Admitted and rejected men, admitted and rejected women, in six departments: Bickel, Hammel and
O'Connell (1975), as in R's UCBAdmissions."""
CENTRES: Cells = [
    (11, 25, 10, 27),
    (16, 4, 22, 10),
    (14, 5, 7, 12),
    (2, 14, 1, 16),
    (6, 11, 0, 12),
    (1, 10, 0, 10),
    (1, 4, 1, 8),
    (4, 2, 6, 1),
]
"""A cream against infection: Agresti, Categorical Data Analysis (2002), table 6.9."""
CITIES: Cells = [
    (126, 100, 35, 61),
    (908, 688, 497, 807),
    (913, 747, 336, 598),
    (235, 172, 58, 121),
    (402, 308, 121, 215),
    (182, 156, 72, 98),
    (60, 99, 11, 43),
    (104, 89, 21, 36),
]
"""Smoking and lung cancer in Chinese cities: Agresti (1996), table 3.3, from Liu (1992)."""
BCG: Cells = [
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
]
"""Tuberculosis with and without vaccine: Colditz et al. (1994), as in R's metafor, dat.bcg."""


def pairs(cells: Cells) -> list[tuple[RateCounts, RateCounts]]:
    return [
        (RateCounts(trials=a + b, events=a), RateCounts(trials=c + d, events=c))
        for a, b, c, d in cells
    ]


def test_berkeley_did_not_prefer_men() -> None:
    # R: mantelhaen.test(UCBAdmissions): 1.4269 with correction, p 0.2323; without 1.5246; common
    # odds ratio 0.9046968 with interval 0.7719074 to 1.0603298.
    corrected = strata.cochran_mantel_haenszel(pairs(BERKELEY), corrected=True)
    assert corrected.statistic == pytest.approx(1.4269, abs=5e-5)
    assert corrected.p_value == pytest.approx(0.2323, abs=5e-5)
    plain = strata.cochran_mantel_haenszel(pairs(BERKELEY))
    assert plain.statistic == pytest.approx(1.5246, abs=5e-5)
    odds = strata.odds_ratio(pairs(BERKELEY))
    assert odds.value == pytest.approx(0.9046968, abs=5e-8)
    assert (odds.low, odds.high) == pytest.approx((0.7719074, 1.0603298), abs=5e-8)
    # Pooled, the table claims the opposite: an odds ratio of 1.84.
    pooled = [sum(column) for column in zip(*BERKELEY, strict=True)]
    men, women = pairs([(pooled[0], pooled[1], pooled[2], pooled[3])])[0]
    assert proportions.odds_ratio(men, women).low > 1.6


def test_eight_centres_read_as_in_agresti() -> None:
    # Agresti (2002), sections 6.3.2 and 6.3.5: CMH 6.38, P 0.012; common odds ratio 2.13;
    # Breslow-Day 8.0.
    found = strata.cochran_mantel_haenszel(pairs(CENTRES))
    assert found.statistic == pytest.approx(6.38, abs=5e-3)
    assert found.p_value == pytest.approx(0.012, abs=5e-4)
    assert strata.odds_ratio(pairs(CENTRES)).value == pytest.approx(2.13, abs=6e-3)
    same = strata.breslow_day(pairs(CENTRES), tarone=False)
    assert same.statistic == pytest.approx(8.0, abs=5e-2)
    assert same.freedom == 7


def test_eight_cities_read_as_in_agresti() -> None:
    # Agresti (1996), section 3.2: CMH 280.1; 2.17 with interval (1.98, 2.38);
    # Breslow-Day 5.2, P 0.64.
    assert strata.cochran_mantel_haenszel(pairs(CITIES)).statistic == pytest.approx(280.1, abs=0.05)
    odds = strata.odds_ratio(pairs(CITIES))
    assert odds.value == pytest.approx(2.17, abs=6e-3)
    assert (odds.low, odds.high) == pytest.approx((1.98, 2.38), abs=6e-3)
    same = strata.breslow_day(pairs(CITIES), tarone=False)
    assert same.statistic == pytest.approx(5.2, abs=5e-2)
    assert same.p_value == pytest.approx(0.64, abs=6e-3)


def test_thirteen_vaccine_trials_read_as_in_metafor() -> None:
    # Viechtbauer (2010), Journal of Statistical Software 36(3), and metafor's help page of rma.mh:
    # RR 0.6353 (0.5881, 0.6862), OR 0.6229 (0.5748, 0.6750).
    risk = strata.risk_ratio(pairs(BCG))
    found = (risk.value, risk.low, risk.high)
    assert found == pytest.approx((0.6353, 0.5881, 0.6862), abs=6e-5)
    odds = strata.odds_ratio(pairs(BCG))
    found = (odds.value, odds.low, odds.high)
    assert found == pytest.approx((0.6229, 0.5748, 0.6750), abs=6e-5)
    # metafor: rma.mh(measure = "RD"), whose variance is Sato's: -0.003288181832613, standard error
    # 0.0002866567485273736.
    gap = strata.risk_difference(pairs(BCG))
    reach = 1.959963984540054 * 2.866567485273736e-04
    assert gap.value == pytest.approx(-3.288181832613e-03, rel=1e-10)
    assert gap.high - gap.value == pytest.approx(reach, rel=1e-10)


def test_three_trials_with_few_events_read_as_in_metafor() -> None:
    # MetidaFreq.jl's tests, from rma.mh(measure = "RD", ai = c(21, 14, 11), bi = c(20, 17, 12),
    # ci = c(2, 12, 9), di = c(10, 22, 7)).
    trials = pairs([(21, 20, 2, 10), (14, 17, 12, 22), (11, 12, 9, 7)])
    gap = strata.risk_difference(trials)
    found = (gap.value, gap.low, gap.high)
    assert found == pytest.approx((0.114863, -0.047325, 0.277052), abs=1e-6)


def random_strata(base: float) -> Cells:
    rng = np.random.default_rng(11)
    cells = []
    for _ in range(12):
        n, m = (int(size) for size in rng.integers(2_000, 50_000, size=2))
        rate = base * rng.uniform(0.5, 2.0)
        a, c = int(rng.binomial(n, 1.1 * rate)), int(rng.binomial(m, rate))
        cells.append((a, n - a, c, m - c))
    return cells


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param(random_strata(0.0005), id="0.05-percent"),
        pytest.param(random_strata(0.05), id="5-percent"),
        pytest.param(random_strata(0.3), id="30-percent"),
        pytest.param(CENTRES, id="centres"),
        pytest.param(BCG, id="bcg"),
    ],
)
def test_strata_agree_with_statsmodels(cells: Cells) -> None:
    other = StratifiedTable([np.array([[a, b], [c, d]], dtype=float) for a, b, c, d in cells])
    for corrected in (False, True):
        expected = other.test_null_odds(correction=corrected)
        found = strata.cochran_mantel_haenszel(pairs(cells), corrected=corrected)
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-9)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    odds = strata.odds_ratio(pairs(cells), alpha=0.02)
    assert odds.value == pytest.approx(other.oddsratio_pooled)
    assert (odds.low, odds.high) == pytest.approx(other.oddsratio_pooled_confint(alpha=0.02))
    assert strata.risk_ratio(pairs(cells)).value == pytest.approx(other.riskratio_pooled)
    for tarone in (False, True):
        expected = other.test_equal_odds(adjust=tarone)
        found = strata.breslow_day(pairs(cells), tarone=tarone)
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-6)
        assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_one_stratum_is_the_plain_table() -> None:
    c, s = pairs([(40, 960, 25, 975)])[0]
    for of, plain in (
        (strata.odds_ratio, proportions.odds_ratio),
        (strata.risk_ratio, proportions.risk_ratio),
    ):
        found, expected = of([(c, s)]), plain(c, s)
        assert (found.value, found.low, found.high) == pytest.approx(
            (expected.value, expected.low, expected.high)
        )
    z = proportions.z_test(c, s).statistic
    # The hypergeometric variance has N - 1 for N.
    joined = strata.cochran_mantel_haenszel([(c, s)])
    assert joined.statistic == pytest.approx(z * z * 1999 / 2000)


def test_a_correction_never_takes_an_excess_past_zero() -> None:
    found = strata.cochran_mantel_haenszel(pairs([(5, 5, 5, 6)]), corrected=True)
    assert (found.statistic, found.p_value) == (0.0, 1.0)


def test_one_sided_p_values_are_about_the_candidate() -> None:
    worse = pairs([(40, 960, 20, 980), (4, 96, 2, 98)])
    greater = strata.cochran_mantel_haenszel(worse, side=Side.GREATER).p_value
    assert greater < 0.01
    assert strata.cochran_mantel_haenszel(worse).p_value == pytest.approx(2 * greater)
    assert strata.cochran_mantel_haenszel(worse, side=Side.LESS).p_value == pytest.approx(
        1 - greater
    )


def test_strata_that_say_nothing_change_nothing() -> None:
    silent = pairs([(0, 0, 5, 9), (0, 7, 0, 0)])
    for read in (
        strata.cochran_mantel_haenszel,
        strata.odds_ratio,
        strata.risk_ratio,
        strata.risk_difference,
        strata.breslow_day,
    ):
        assert read(pairs(CENTRES) + silent) == read(pairs(CENTRES))
    concordant = pairs([(0, 50, 0, 70)])
    for read in (strata.cochran_mantel_haenszel, strata.odds_ratio, strata.risk_ratio):
        assert read(pairs(CENTRES) + concordant) == read(pairs(CENTRES))


def test_strata_without_any_event_claim_nothing() -> None:
    none = pairs([(0, 10, 0, 20), (0, 5, 0, 7)])
    found = strata.cochran_mantel_haenszel(none)
    assert (found.statistic, found.p_value) == (0.0, 1.0)
    for of in (strata.odds_ratio, strata.risk_ratio):
        assert math.isnan(of(none).value)
        assert (of(none).low, of(none).high) == (0.0, math.inf)
    gap = strata.risk_difference(none)
    assert (gap.value, gap.low, gap.high) == (0.0, -1.0, 1.0)
    assert strata.breslow_day(none).p_value == 1.0


def test_strata_where_all_are_events_have_no_odds() -> None:
    every = pairs([(10, 0, 20, 0), (5, 0, 7, 0)])
    assert math.isnan(strata.odds_ratio(every).value)
    assert strata.risk_ratio(every).value == pytest.approx(1.0)


def test_one_arm_without_events_has_a_ratio_of_zero_or_infinity() -> None:
    better, worse = pairs([(0, 10, 3, 20)]), pairs([(3, 20, 0, 10)])
    for of in (strata.odds_ratio, strata.risk_ratio):
        assert (of(better).value, of(worse).value) == (0.0, math.inf)


def test_strata_hold_at_10_to_the_12() -> None:
    million = 10**6
    scaled = [(a * 10**9, b * 10**9, c * 10**9, d * 10**9) for a, b, c, d in BERKELEY]
    large, small = strata.odds_ratio(pairs(scaled)), strata.odds_ratio(pairs(BERKELEY))
    assert large.value == pytest.approx(small.value, rel=1e-12)
    log = math.log(small.high / small.low) / math.sqrt(10**9)
    assert math.log(large.high / large.low) == pytest.approx(log, rel=1e-6)
    risk, few = strata.risk_ratio(pairs(scaled)), strata.risk_ratio(pairs(BERKELEY))
    log = math.log(few.high / few.low) / math.sqrt(10**9)
    assert math.log(risk.high / risk.low) == pytest.approx(log, rel=1e-6)
    rare = strata.cochran_mantel_haenszel(pairs([(20, 10**12, 10, 10**12)] * 3))
    assert rare.statistic == pytest.approx(30**2 / 90, rel=1e-6)
    assert strata.breslow_day(pairs(scaled)).statistic == pytest.approx(
        10**9 * strata.breslow_day(pairs(BERKELEY)).statistic, rel=1e-6
    )
    assert million * strata.risk_difference(pairs(scaled)).value == pytest.approx(
        million * strata.risk_difference(pairs(BERKELEY)).value, rel=1e-9
    )


def test_no_strata_are_refused() -> None:
    for read in (
        strata.cochran_mantel_haenszel,
        strata.odds_ratio,
        strata.risk_ratio,
        strata.risk_difference,
        strata.breslow_day,
    ):
        with pytest.raises(ValueError, match="at least one stratum"):
            read([])


def test_a_difference_needs_requests_of_both_arms() -> None:
    with pytest.raises(ValueError, match="requests of both arms"):
        strata.risk_difference(pairs([(0, 0, 5, 9)]))


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_levels_that_are_none_are_refused(alpha: float) -> None:
    for read in (strata.odds_ratio, strata.risk_ratio, strata.risk_difference):
        with pytest.raises(ValueError, match="alpha above 0 and below 1"):
            read(pairs(CENTRES), alpha=alpha)
