"""Mean and variance from buckets, with the bounds of what any values in these buckets can have.

For means whose squares nobody exports. The estimate follows Prometheus' `histogram_stdvar` on
classic buckets; how wrong it can be is not a matter of trust but computed: the smallest and the
largest mean and variance of values that fall into the same buckets.
"""

import math
from dataclasses import dataclass

import numpy as np

from modelrollout.analysis import histograms
from modelrollout.analysis.histograms import Histogram
from modelrollout.analysis.mixtures import Array

_HALVINGS = 80


@dataclass(frozen=True, slots=True)
class Moments:
    """Of the values of one arm: estimates, and what binning leaves open.

    Attributes:
        mean: exact where the total is known, else from bucket middles; unit of the metric.
        variance: per value, around `mean`, from bucket middles; unit squared.
        means: least and greatest possible mean.
        variances: least and greatest possible variance; they hold whatever the law is.
    """

    mean: float
    variance: float
    means: tuple[float, float]
    variances: tuple[float, float]


def from_buckets(
    histogram: Histogram,
    *,
    total: float | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Moments:
    """Moments of the values in a histogram, with n (not n - 1) as divisor.

    Args:
        histogram: of one arm, with at least one value.
        total: exact sum of the values where it is exported (`_sum`).
        least: no value is smaller; None means 0 if the first bound is above 0, else unknown.
        most: no value is larger; None means unknown, so that values in the +Inf bucket make the
            upper bounds infinite. Estimates put those on the last finite bound, as Prometheus does.

    Raises:
        ValueError: without values, on ends inside the buckets that hold values, or on a total
            that no values in these buckets have.
    """
    if histogram.total == 0:
        raise ValueError("expected a histogram with values, found none")
    weights, lows, highs = _occupied(histogram, least=least, most=most)
    means = (_weighted(lows, weights), _weighted(highs, weights))
    middles = _middles(lows, highs)
    mean = _weighted(middles, weights)
    if total is not None:
        mean = _checked(total / histogram.total, means)
    variance = _weighted((middles - mean) ** 2, weights)
    variances = (_least_variance(weights, lows, highs), _greatest_variance(weights, lows, highs))
    return Moments(mean, variance, means, variances)


def squares(histogram: Histogram, *, total: float) -> float:
    """Sum of squares of the values that a histogram and their exact sum speak for.

    Around the exact mean, each bucket's values spread evenly over it (width^2 / 12): on middles
    alone, values in one bucket would seem not to spread at all, and a test that rests on them
    would claim too much. A bucket without end has no width.

    Raises:
        ValueError: as `from_buckets`.
    """
    found = from_buckets(histogram, total=total)
    shares, lows, highs = _occupied(histogram, least=None, most=None)
    widths = np.where(np.isfinite(lows) & np.isfinite(highs), highs - lows, 0.0)
    variance = found.variance + _weighted(widths**2, shares) / 12.0
    return histogram.total * (variance + found.mean * found.mean)


def _occupied(
    histogram: Histogram, *, least: float | None, most: float | None
) -> tuple[Array, Array, Array]:
    # Shares of the values, lower and upper ends of the buckets that hold any.
    inside = histogram.in_buckets()
    used = [index for index, count in enumerate(inside) if count]
    lows = [histograms.lower_end(histogram, index) for index in used]
    highs = [histogram.bounds[index] for index in used]
    if least is not None:
        lows[0] = _end(least, below=highs[0], above=lows[0] if used[0] else -math.inf)
    if most is not None:
        beyond = used[-1] == len(inside) - 1
        highs[-1] = _end(most, below=math.inf if beyond else highs[-1], above=lows[-1])
    shares = [inside[index] / histogram.total for index in used]
    return np.asarray(shares), np.asarray(lows), np.asarray(highs)


def _end(end: float, *, below: float, above: float) -> float:
    if not (math.isfinite(end) and above <= end <= below):
        raise ValueError(
            f"expected the end of the values between {above:g} and {below:g}, where the outermost "
            f"bucket with values lies, found {end}"
        )
    return end


def _middles(lows: Array, highs: Array) -> Array:
    # An open bucket stands for its finite end.
    closed = np.where(np.isinf(highs), lows, highs)
    return np.asarray((np.where(np.isinf(lows), closed, lows) + closed) / 2.0)


def _checked(mean: float, means: tuple[float, float]) -> float:
    slack = 1e-9 * max(1.0, abs(mean))
    if not means[0] - slack <= mean <= means[1] + slack:
        raise ValueError(
            f"expected a mean between {means[0]:g} and {means[1]:g}, as the buckets have it, found "
            f"{mean:g}; do the sum and the buckets come from the same instant?"
        )
    return mean


def _least_variance(weights: Array, lows: Array, highs: Array) -> float:
    # The variance is the least mean square distance from a point; every value moves towards that
    # point as far as its bucket allows. Convex in the point, so its slope is bisected.
    left, right = float(np.min(highs)), float(np.max(lows))
    if right <= left:
        return 0.0
    for _ in range(_HALVINGS):
        centre = (left + right) / 2.0
        pull = _weighted(np.clip(centre, lows, highs) - centre, weights)
        left, right = (centre, right) if pull > 0.0 else (left, centre)
    return _weighted((np.clip(right, lows, highs) - right) ** 2, weights)


def _greatest_variance(weights: Array, lows: Array, highs: Array) -> float:
    # Convex in the values: each lies at an end, up to some bucket at the lower one, from there on
    # at the upper one; that bucket is divided as suits best (a concave quadratic).
    if np.isinf(lows).any() or np.isinf(highs).any():
        return math.inf
    origin = _weighted(_middles(lows, highs), weights)
    low, high = lows - origin, highs - origin
    return max(_divided(weights, low, high, at) for at in range(len(weights)))


def _divided(weights: Array, low: Array, high: Array, at: int) -> float:
    places = np.concatenate([low[: at + 1], high[at + 1 :]])
    sum1, sum2 = _weighted(places, weights), _weighted(places**2, weights)
    weight, width = float(weights[at]), float(high[at] - low[at])
    gain1, gain2 = weight * width, weight * float(high[at] ** 2 - low[at] ** 2)
    best = (gain2 - 2.0 * sum1 * gain1) / (2.0 * gain1 * gain1) if gain1 > 0.0 else 0.0
    part = min(1.0, max(0.0, best))
    return sum2 + part * gain2 - (sum1 + part * gain1) ** 2


def _weighted(values: Array, weights: Array) -> float:
    return float(np.sum(values * weights))
