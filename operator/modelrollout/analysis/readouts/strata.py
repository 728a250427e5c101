"""Two rates compared within strata: looks, steps or node classes, each with its own base rate.

Within a look of a rollout the weight is constant, so that ramps and shared incidents cancel: what
a pooled table would read as harm (Simpson's paradox) is no difference here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.readouts import shown
from modelrollout.analysis.readouts.shown import Estimate, Side, Significance

Pairs = Sequence[tuple[RateCounts, RateCounts]]


def cochran_mantel_haenszel(
    pairs: Pairs, *, side: Side = Side.TWO_SIDED, corrected: bool = False
) -> Significance:
    """Is the rate the same in both arms in every stratum? Power against a common direction.

    The statistic is chi-square with one degree of freedom, (|A - E| - 0.5)^2 / V if `corrected`
    (never past 0: R's mantelhaen.test, whose default it is), without the 0.5 if not; A are the
    candidate's events, E and V their hypergeometric mean and variance. One-sided p-values take the
    sign of A - E. Strata in which an arm has no requests, or all or no requests are events, say
    nothing. If none says anything: statistic 0, p-value 1.

    Args:
        pairs: (candidate, stable) counts of each stratum.
        side: of the p-value.
        corrected: with the correction for continuity.

    Source: Cochran (1954), Mantel and Haenszel (1959); Agresti (2013), section 6.4.2.

    Raises:
        ValueError: without any stratum.
    """
    t = _Tables.of(pairs)
    excess = float(np.sum((t.a * t.d - t.b * t.c) / t.total))
    variance = float(
        np.sum(t.n / t.total * (t.m / t.total) * t.events * (t.others / (t.total - 1)))
    )
    gap = max(0.0, abs(excess) - 0.5) if corrected else abs(excess)
    z = math.copysign(gap / math.sqrt(variance), excess) if variance > 0.0 else 0.0
    return Significance(z * z, shown.normal_p(z, side=side), side=side, freedom=1)


def odds_ratio(pairs: Pairs, *, alpha: float = 0.05) -> Estimate:
    """The odds ratio common to all strata, by Mantel and Haenszel (1959).

    Interval of Robins, Breslow and Greenland (1986), normal on a log scale, fit for few large and
    for many small strata. Empty cells within strata need no correction. 0 or inf where the sums
    are empty, with an interval of (0, inf), and NaN where nothing speaks for either side.

    Raises:
        ValueError: without any stratum, or on an alpha outside (0, 1).
    """
    z, t = shown.critical(alpha), _Tables.of(pairs)
    r, s = t.a * t.d / t.total, t.b * t.c / t.total
    top, low = float(r.sum()), float(s.sum())
    if top == 0.0 or low == 0.0:
        return Estimate(shown.quotient(top, low), 0.0, math.inf)
    p, q = (t.a + t.d) / t.total, (t.b + t.c) / t.total
    variance = (
        float(np.sum(p * r)) / (2.0 * top * top)
        + float(np.sum(p * s + q * r)) / (2.0 * top * low)
        + float(np.sum(q * s)) / (2.0 * low * low)
    )
    return _around(top / low, reach=z * math.sqrt(variance))


def risk_ratio(pairs: Pairs, *, alpha: float = 0.05) -> Estimate:
    """The ratio of rates common to all strata, Mantel-Haenszel weights.

    Value and interval of Greenland and Robins (1985), normal on a log scale. Corners as in
    `odds_ratio`.

    Raises:
        ValueError: without any stratum, or on an alpha outside (0, 1).
    """
    z, t = shown.critical(alpha), _Tables.of(pairs)
    top, low = float(np.sum(t.a * t.m / t.total)), float(np.sum(t.c * t.n / t.total))
    if top == 0.0 or low == 0.0:
        return Estimate(shown.quotient(top, low), 0.0, math.inf)
    # n m e - a c T over T^2, without its difference.
    spread = (t.a * (t.n / t.total) * t.d + t.c * (t.m / t.total) * t.b) / t.total
    variance = float(np.sum(spread)) / (top * low)
    return _around(top / low, reach=z * math.sqrt(variance))


def risk_difference(pairs: Pairs, *, alpha: float = 0.05) -> Estimate:
    """The difference of rates common to all strata, Mantel-Haenszel weights n m / (n + m).

    Interval of Sato, Greenland and Robins (1989), Biometrics 45, 1323-1324: fit for few large and
    for many small strata. Where nothing varies, such as without any event, that interval would be
    a point; it is (-1, 1) then, and `proportions.newcombe` of the sums says more.

    Raises:
        ValueError: without any stratum, if no stratum has requests of both arms, or on an alpha
            outside (0, 1).
    """
    z, t = shown.critical(alpha), _Tables.of(pairs)
    weights = t.n / t.total * t.m
    if float(weights.sum()) == 0.0:
        raise ValueError("expected a stratum with requests of both arms, found none")
    whole = float(weights.sum())
    value = float(np.sum((t.a * t.m - t.c * t.n) / t.total)) / whole
    first = (t.n * (t.n / t.total) * (t.c / t.total) - t.m * (t.m / t.total) * (t.a / t.total)) + (
        t.n / t.total * t.m * ((t.m - t.n) / t.total) / 2.0
    )
    second = (t.a * (t.d / t.total) + t.c * (t.b / t.total)) / 2.0
    variance = max(0.0, value * float(first.sum()) + float(second.sum())) / (whole * whole)
    reach = z * math.sqrt(variance) if variance > 0.0 else math.inf
    return Estimate(value, max(-1.0, value - reach), min(1.0, value + reach))


def breslow_day(pairs: Pairs, *, tarone: bool = True) -> Significance:
    """Is the odds ratio the same in all strata? A small p-value: read strata, not the common ratio.

    Breslow and Day (1980), with Tarone's (1985) correction unless told otherwise. Strata that
    say nothing of an odds ratio are left out; with fewer than two left, or a common odds ratio of 0
    or inf, nothing can be told: statistic 0, p-value 1.

    Raises:
        ValueError: without any stratum.
    """
    telling = [
        (c, s)
        for c, s in pairs
        if c.trials and s.trials and 0 < c.events + s.events < c.trials + s.trials
    ]
    common = odds_ratio(pairs).value
    if len(telling) < 2 or not 0.0 < common < math.inf:  # noqa: PLR2004
        return Significance(0.0, 1.0, freedom=max(0, len(telling) - 1))
    fits = [_fitted(c, s, ratio=common) for c, s in telling]
    gaps = np.array([c.events - fit for (c, _), (fit, _) in zip(telling, fits, strict=True)])
    variances = np.array([variance for _, variance in fits])
    statistic = float(np.sum(gaps * gaps / variances))
    if tarone:
        statistic -= float(gaps.sum()) ** 2 / float(variances.sum())
    statistic, freedom = max(0.0, statistic), len(telling) - 1
    return Significance(statistic, float(special.chdtrc(freedom, statistic)), freedom=freedom)


def _fitted(c: RateCounts, s: RateCounts, *, ratio: float) -> tuple[float, float]:
    """The candidate's events if the odds ratio is `ratio`, given the margins; their variance."""
    n, m, events = c.trials, s.trials, c.events + s.events
    if ratio == 1.0:
        a = n * (events / (n + m))
    else:
        middle = (m - events) + ratio * (n + events)
        root = math.sqrt(middle * middle - 4.0 * ratio * (ratio - 1.0) * n * events)
        a = 2.0 * ratio * n * events / (middle + root)
    return a, 1.0 / (1.0 / a + 1.0 / (n - a) + 1.0 / (events - a) + 1.0 / (m - events + a))


@dataclass(frozen=True, slots=True)
class _Tables:
    """Strata that have at least two requests, as columns: a, b of the candidate, c, d of stable."""

    a: Array
    b: Array
    c: Array
    d: Array

    @classmethod
    def of(cls, pairs: Pairs) -> "_Tables":
        if not pairs:
            raise ValueError("expected at least one stratum, found none")
        rows = [
            (c.events, c.trials - c.events, s.events, s.trials - s.events)
            for c, s in pairs
            if c.trials > 0 and s.trials > 0
        ]
        columns = np.array(rows, dtype=np.float64).reshape(-1, 4).T
        return cls(*columns)

    @property
    def n(self) -> Array:
        return self.a + self.b

    @property
    def m(self) -> Array:
        return self.c + self.d

    @property
    def events(self) -> Array:
        return self.a + self.c

    @property
    def others(self) -> Array:
        return self.b + self.d

    @property
    def total(self) -> Array:
        return self.n + self.m


def _around(value: float, *, reach: float) -> Estimate:
    return Estimate(value, value * math.exp(-reach), value * math.exp(reach))
