"""Two rates side by side: how large each is, how far apart, and how surely.

Requests are assumed independent and equally likely to fail within an arm. Corrections for
continuity are off unless asked for, as in the papers' recommended forms; with them intervals widen
and p-values rise. All intervals are two-sided at level 1 - alpha.
"""

import math
from enum import StrEnum

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.readouts import shown
from modelrollout.analysis.readouts.shown import Estimate, Side, Significance


class ZeroCells(StrEnum):
    """What the intervals on a log scale do where a cell of the two-by-two table is empty.

    Attributes:
        HALF_IF_EMPTY: add 0.5 to all four cells if one of them is 0 (Haldane 1956, Anscombe 1956;
            what Cochrane reviews do).
        HALF_ALWAYS: add 0.5 to all four cells (Gart 1966 for odds).
        AS_COUNTED: add nothing; an interval without finite standard error is (0, inf).
    """

    HALF_IF_EMPTY = "half-if-empty"
    HALF_ALWAYS = "half-always"
    AS_COUNTED = "as-counted"


def z_test(
    candidate: RateCounts,
    stable: RateCounts,
    *,
    side: Side = Side.TWO_SIDED,
    pooled: bool = True,
    corrected: bool = False,
) -> Significance:
    """Are both rates equal? The two-proportion z-test.

    Pooled, its square is Pearson's chi-square; not pooled (Wald), each arm has its own variance.
    `corrected` takes (1/n_c + 1/n_s)/2 off the difference, never past 0 (Yates 1934). Assumes
    some five events and non-events in each arm; `tables.fisher` needs no such thing. Where no
    variance is left the statistic is 0, if the rates are equal, or infinite (0 of n against n of n,
    not pooled). Source: Fleiss, Levin, Paik (2003), section 3.2.

    Raises:
        ValueError: if an arm has no requests.
    """
    p_c, p_s = _rate(candidate), _rate(stable)
    inverse = 1.0 / candidate.trials + 1.0 / stable.trials
    gap = p_c - p_s
    if corrected:
        gap = math.copysign(max(0.0, abs(gap) - inverse / 2.0), gap)
    both = candidate + stable
    if pooled:
        variance = both.events / both.trials * _complement(both) * inverse
    else:
        variance = _variance(candidate) + _variance(stable)
    z = shown.quotient(abs(gap), math.sqrt(variance)) if gap else 0.0
    z = math.copysign(z, gap)
    return Significance(statistic=z, p_value=shown.normal_p(z, side=side), side=side)


def wilson(counts: RateCounts, *, alpha: float = 0.05, corrected: bool = False) -> Estimate:
    """The rate of one arm with the score interval of Wilson (1927).

    `corrected` is the form with continuity correction of Newcombe (1998a), method 4: closed to 0 at
    no events and to 1 at all events.

    Raises:
        ValueError: if the arm has no requests, or on an alpha outside (0, 1).
    """
    z = shown.critical(alpha)
    rate = _rate(counts)
    low, high = _continued(counts, z=z) if corrected else _plain(counts, z=z)
    # Rounding must not part what is equal by definition.
    return Estimate(
        rate,
        0.0 if counts.events == 0 else min(low, rate),
        1.0 if counts.events == counts.trials else max(high, rate),
    )


def newcombe(
    candidate: RateCounts, stable: RateCounts, *, alpha: float = 0.05, corrected: bool = False
) -> Estimate:
    """The difference of the rates, candidate minus stable, with Newcombe's hybrid score interval.

    From the Wilson limits of both arms, squared and added: method 10 of Newcombe (1998b),
    Statistics in Medicine 17, 873-890; method 11 if `corrected`.

    Raises:
        ValueError: if an arm has no requests, or on an alpha outside (0, 1).
    """
    c = wilson(candidate, alpha=alpha, corrected=corrected)
    s = wilson(stable, alpha=alpha, corrected=corrected)
    gap = c.value - s.value
    return Estimate(
        gap,
        max(-1.0, gap - math.hypot(c.value - c.low, s.high - s.value)),
        min(1.0, gap + math.hypot(c.high - c.value, s.value - s.low)),
    )


def risk_ratio(
    candidate: RateCounts,
    stable: RateCounts,
    *,
    alpha: float = 0.05,
    zero_cells: ZeroCells = ZeroCells.HALF_IF_EMPTY,
) -> Estimate:
    """The ratio of the rates with the interval of Katz et al. (1978), normal on a log scale.

    The value is the ratio as counted: 0 or inf where one arm has no events, and the interval
    reaches out to it; NaN with the interval (0, inf) where neither has, since then nothing is known
    of a ratio. HALF_ALWAYS shrinks the value, too, and gives both as Cochrane reviews print them.
    `score_ratio` has the better interval for few events.

    Raises:
        ValueError: if an arm has no requests, or on an alpha outside (0, 1).
    """
    z = shown.critical(alpha)
    value = shown.quotient(_rate(candidate), _rate(stable))
    if candidate.events + stable.events == 0:
        return Estimate(math.nan, 0.0, math.inf)
    a, b, c, d = _cells(candidate, stable, zero_cells=zero_cells)
    if zero_cells is ZeroCells.HALF_ALWAYS:
        value = a * (c + d) / (c * (a + b))
    if a == 0.0 or c == 0.0:
        return Estimate(value, 0.0, math.inf)
    # 1/a - 1/(a+b), without the difference that cancels where nearly all are events.
    spread = math.sqrt(b / (a * (a + b)) + d / (c * (c + d)))
    return _on_log_scale(value, centre=a / (a + b) / (c / (c + d)), reach=z * spread)


def odds_ratio(
    candidate: RateCounts,
    stable: RateCounts,
    *,
    alpha: float = 0.05,
    zero_cells: ZeroCells = ZeroCells.HALF_IF_EMPTY,
) -> Estimate:
    """The ratio of the odds with the interval of Woolf (1955), normal on a log scale.

    Zero cells as in `risk_ratio`; NaN with (0, inf) also where all requests of both arms are
    events. With HALF_ALWAYS it is the interval of Gart.

    Raises:
        ValueError: if an arm has no requests, or on an alpha outside (0, 1).
    """
    z = shown.critical(alpha)
    _rate(candidate), _rate(stable)
    both = candidate + stable
    if both.events in {0, both.trials}:
        return Estimate(math.nan, 0.0, math.inf)
    a, b, c, d = _cells(candidate, stable, zero_cells=ZeroCells.AS_COUNTED)
    value = shown.quotient(a * d, b * c)
    a, b, c, d = _cells(candidate, stable, zero_cells=zero_cells)
    if zero_cells is ZeroCells.HALF_ALWAYS:
        value = a * d / (b * c)
    if min(a, b, c, d) == 0.0:
        return Estimate(value, 0.0, math.inf)
    spread = math.sqrt(1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d)
    return _on_log_scale(value, centre=a / b * (d / c), reach=z * spread)


def score_ratio(candidate: RateCounts, stable: RateCounts, *, alpha: float = 0.05) -> Estimate:
    """The ratio of the rates with the score interval of Koopman (1984).

    All ratios that a score test does not refute. Empty cells need no correction: no events in the
    candidate gives a low end of 0, none in stable a high end of inf.

    Raises:
        ValueError: if an arm has no requests, or on an alpha outside (0, 1).
    """
    z = shown.critical(alpha)
    value = shown.quotient(_rate(candidate), _rate(stable))
    if candidate.events + stable.events == 0:
        return Estimate(math.nan, 0.0, math.inf)
    low = 0.0 if candidate.events == 0 else _score_low(candidate, stable, z=z)
    high = math.inf if stable.events == 0 else 1.0 / _score_low(stable, candidate, z=z)
    return Estimate(value, low, high)


_FARTHEST = 100.0
"""Natural log of ratios beyond all that 10^12 requests can tell apart."""
_HALVINGS = 60


def _score_low(upper: RateCounts, lower: RateCounts, *, z: float) -> float:
    # The score falls as the ratio grows to the estimate: bisection on the log of the ratio.
    estimate = shown.quotient(_rate(upper), _rate(lower))
    refuted, kept = -_FARTHEST, _FARTHEST if math.isinf(estimate) else math.log(estimate)
    for _ in range(_HALVINGS):
        middle = (refuted + kept) / 2.0
        if _score(upper, lower, ratio=math.exp(middle)) > z:
            refuted = middle
        else:
            kept = middle
    return math.exp(kept)


def _score(upper: RateCounts, lower: RateCounts, *, ratio: float) -> float:
    """Score statistic, positive where `upper` has more events than `ratio` explains."""
    n, m, x, y = upper.trials, lower.trials, upper.events, lower.events
    # The likelihood's root for the lower rate q, where the upper rate is ratio * q.
    a = (n + m) * ratio
    b = ratio * (n + y) + x + m
    c = x + y
    root = math.sqrt(max(0.0, b * b - 4.0 * a * c))
    q = min(2.0 * c / (b + root), 1.0, 1.0 / ratio)
    p = min(1.0, ratio * q)
    variance = p * (1.0 - p) / n + ratio * ratio * q * (1.0 - q) / m
    gap = x / n - ratio * (y / m)
    return shown.quotient(gap, math.sqrt(variance)) if gap > 0.0 else 0.0


def _rate(counts: RateCounts) -> float:
    if counts.trials == 0:
        raise ValueError(
            "expected at least one request in each arm, found none; wait for traffic to arrive"
        )
    return counts.events / counts.trials


def _complement(counts: RateCounts) -> float:
    return (counts.trials - counts.events) / counts.trials


def _variance(counts: RateCounts) -> float:
    return _rate(counts) * _complement(counts) / counts.trials


def _plain(counts: RateCounts, *, z: float) -> tuple[float, float]:
    p, n, square = _rate(counts), counts.trials, z * z
    half = z * math.sqrt(p * _complement(counts) / n + square / (4.0 * n * n))
    above = p + square / (2.0 * n) + half
    # The product of both roots is p^2 n / (n + z^2): dividing by the larger one keeps all digits.
    return p * p / above, above / (1.0 + square / n)


def _continued(counts: RateCounts, *, z: float) -> tuple[float, float]:
    p, q, n, square = _rate(counts), _complement(counts), counts.trials, z * z
    below = square - 2.0 - 1.0 / n + 4.0 * p * (n * q + 1.0)
    above = square + 2.0 - 1.0 / n + 4.0 * p * (n * q - 1.0)
    low = 2.0 * counts.events + square - 1.0 - z * math.sqrt(max(0.0, below))
    high = 2.0 * counts.events + square + 1.0 + z * math.sqrt(max(0.0, above))
    return max(0.0, low / (2.0 * (n + square))), min(1.0, high / (2.0 * (n + square)))


def _cells(
    candidate: RateCounts, stable: RateCounts, *, zero_cells: ZeroCells
) -> tuple[float, float, float, float]:
    a, c = candidate.events, stable.events
    b, d = candidate.trials - a, stable.trials - c
    half_if_empty = zero_cells is ZeroCells.HALF_IF_EMPTY and min(a, b, c, d) == 0
    add = 0.5 if half_if_empty or zero_cells is ZeroCells.HALF_ALWAYS else 0.0
    return a + add, b + add, c + add, d + add


def _on_log_scale(value: float, *, centre: float, reach: float) -> Estimate:
    low, high = centre * math.exp(-reach), centre * math.exp(reach)
    return Estimate(value, min(low, value), max(high, value))
