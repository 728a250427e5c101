"""F1: the stratified conditional e-process for "is the candidate's share of the events too large?".

Given the totals of a look, randomisation alone decides how many events fall to the candidate,
whatever the base rate, the traffic weight and the mix of requests do. Nothing is ever pooled over
looks of different weight. The state is a running sum of log moment generating functions on a fixed
grid of log ratios: a few numbers, flat in age, from which every e-value and interval follows.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from modelrollout.analysis import mixtures
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.noise import ArmNoise, random_null

DEGREE = 28
NODES: Array = -mixtures.REACH * np.cos(np.pi * np.arange(DEGREE + 1) / DEGREE)
"""Chebyshev points in u = ln ratio. Each summand is analytic for |Im u| < pi, so interpolation
between them is exact to 2e-10 of the number of events: no history is needed."""
NODES[DEGREE // 2] = 0.0
_BARYCENTRIC: Array = np.where(np.arange(DEGREE + 1) % 2 == 0, 1.0, -1.0)
_BARYCENTRIC[[0, -1]] /= 2.0
_UP: Array = np.expm1(NODES)
_DOWN: Array = np.expm1(-NODES)

PEAK_TOLERANCE = 1e-3
"""Accuracy of the peak, in standard errors."""
RARE = 0.1
"""Up to this share of the rarer outcome its total is what is conditioned on. The Binomial bound
then wastes at most a tenth, and splitting a look of unchanged weight changes nothing."""


@dataclass(frozen=True, slots=True)
class RatioSums:
    """lnL(u) = tilt * u - table(u): the log likelihood of the log ratio u against 0.

    `table` holds the sum at `NODES`; `tilt` is a whole number unless looks are tempered.
    """

    tilt: float = 0
    table: tuple[float, ...] = (0.0,) * (DEGREE + 1)

    def plus(self, *, n_c: int, x_c: int, n_s: int, x_s: int, phi: float = 1.0) -> Self:
        """Add one look: trials n and events x of candidate and stable, both arms with trials.

        `phi`, at least 1 and known before the events are, tempers the look: known noise widens it.
        """
        tilt, terms = stratum(n_c=n_c, x_c=x_c, n_s=n_s, x_s=x_s)
        added = np.asarray(self.table) + terms / phi
        return type(self)(self.tilt + tilt / phi, tuple(added.tolist()))


def stratum(*, n_c: int, x_c: int, n_s: int, x_s: int) -> tuple[int, Array]:
    """What one look adds to `tilt` and `table`.

    Under equal rates x_c is hypergeometric, a sum of independent Bernoullis, and its moment
    generating function is at most that of each of four Binomials (Hoeffding 1963): events or
    others that fall to the candidate, candidate's or stable's requests that are events. Any is
    exact in the sense E[L] <= 1; the one with fewest trials wastes least. The choice uses only
    totals, which are conditioned on.
    """
    trials, events = n_c + n_s, x_c + x_s
    others = trials - events
    rarer, arm = min(events, others), min(n_c, n_s)
    if rarer <= max(RARE * trials, arm):
        if events <= others:
            return x_c, events * np.log1p(n_c / trials * _UP)
        return x_c - n_c, others * np.log1p(n_c / trials * _DOWN)
    if n_c <= n_s:
        return x_c, n_c * np.log1p(events / trials * _UP)
    return -x_s, n_s * np.log1p(events / trials * _DOWN)


def interpolation(points: Array) -> Array:
    """Matrix of shape (points, nodes) that maps a table to its values at `points`."""
    gaps = points[:, None] - NODES[None, :]
    hit = gaps == 0.0
    terms = _BARYCENTRIC / np.where(hit, 1.0, gaps)
    matrix: Array = terms / terms.sum(axis=1, keepdims=True)
    on_node = hit.any(axis=1)
    matrix[on_node] = hit[on_node]
    return matrix


@lru_cache(maxsize=1024)
def _alternatives(toward: int, information: float, alpha: float) -> tuple[Array, Array, Array]:
    points, log_weights = mixtures.effects(information=information, alpha=alpha)
    points = toward * points
    return points, log_weights, interpolation(points)


def log_e(
    sums: RatioSums,
    *,
    toward: int,
    information: float,
    alpha: float,
    dispersion: float = 1.0,
    noise: ArmNoise | None = None,
) -> float:
    """Log of the e-value against a ratio of at most 1 (`toward` 1) or at least 1 (`toward` -1).

    With `noise`, what the draw of the pods alone may bring about belongs to the null: the mean
    likelihood over it takes the place of that of the ratio 1 (notes C.4). Tempering by the noise of
    each look is in the sums already.

    Exact at any stopping time for independent requests. A dispersion above 1 tempers the
    likelihood: exact when it is fixed or known before the look, an approximation when estimated.
    Source: notes F1; the composite null is covered by the monotone likelihood ratio.
    """
    points, log_weights, matrix = _alternatives(toward, information, alpha)
    log_likelihood = sums.tilt * points - matrix @ np.asarray(sums.table)
    found = mixtures.log_mean_exp(log_likelihood / dispersion, log_weights)
    if noise is None or noise.omega2 <= 0.0:
        return found
    drawn, drawn_weights = random_null(noise, information=information)
    under_null = sums.tilt * drawn - interpolation(drawn) @ np.asarray(sums.table)
    return found - mixtures.log_mean_exp(under_null / dispersion, drawn_weights)


def _differentiation() -> Array:
    gaps = NODES[:, None] - NODES[None, :] + np.eye(DEGREE + 1)
    matrix = (_BARYCENTRIC[None, :] / _BARYCENTRIC[:, None]) / gaps
    np.fill_diagonal(matrix, 0.0)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return np.asarray(matrix, dtype=np.float64)


_SLOPE: Array = _differentiation()
_CURVATURE: Array = _SLOPE @ _SLOPE


def peak(sums: RatioSums) -> tuple[float, float]:
    """The log ratio of largest likelihood and the information there (per unit of log ratio)."""
    table = np.asarray(sums.table)
    slopes, curvatures = _SLOPE @ table, _CURVATURE @ table
    low, high, u = -mixtures.REACH, mixtures.REACH, 0.0
    for _ in range(40):
        row = interpolation(np.array([u]))[0]
        slope, curvature = sums.tilt - float(row @ slopes), float(row @ curvatures)
        low, high = (u, high) if slope > 0 else (low, u)
        step = u + slope / curvature if curvature > 0 else math.nan
        following = step if low < step < high else (low + high) / 2.0
        if abs(following - u) * math.sqrt(max(curvature, 1.0)) < PEAK_TOLERANCE:
            return following, max(curvature, 0.0)
        u = following
    return u, max(curvature, 0.0)


def interval(
    sums: RatioSums, *, information: float, alpha: float, dispersion: float = 1.0
) -> tuple[float, float]:
    """Time-uniform interval for the ratio at level 1 - alpha; (0, inf) while nothing is known.

    All ratios whose likelihood is not beaten 1/alpha-fold by one fixed two-sided mixture (half
    normal, tuned to `information`; half uniform in the log ratio up to 60-fold). Bounds beyond
    60-fold are given as 0 or infinity. The likelihood of a ratio other than 1 is that of rare
    events (Poisson); for common ones use the interval of the difference.
    """
    centre, curvature = peak(sums)
    width = min(2.0 * mixtures.REACH, 9.0 / math.sqrt(max(curvature / dispersion, 1e-12)))
    points = np.linspace(
        max(centre - width, -mixtures.REACH), min(centre + width, mixtures.REACH), 65
    )
    log_likelihood = sums.tilt * points - interpolation(points) @ np.asarray(sums.table)
    log_likelihood /= dispersion
    mixed = mixtures.log_mean_exp(log_likelihood, _two_sided(points, information, alpha))
    return _crossings(points, log_likelihood - mixed + math.log(1.0 / alpha))


def _two_sided(points: Array, information: float, alpha: float) -> Array:
    # Trapezoid weights of the prior on the local grid; mass outside it is dropped, which can only
    # widen the interval.
    variance = mixtures.information_scale(alpha) / information
    normal = np.exp(-0.5 * points**2 / variance) / math.sqrt(2.0 * math.pi * variance)
    weights = (0.5 * normal + 0.25 / mixtures.REACH) * (points[1] - points[0])
    weights[[0, -1]] /= 2.0
    return np.asarray(np.log(weights), dtype=np.float64)


def _crossings(points: Array, excess: Array) -> tuple[float, float]:
    inside = np.flatnonzero(excess > 0.0)
    if not len(inside):
        return 0.0, math.inf
    first, last = int(inside[0]), int(inside[-1])
    low = 0.0 if first == 0 else math.exp(_zero(points, excess, first - 1))
    high = math.inf if last == len(points) - 1 else math.exp(_zero(points, excess, last))
    return low, high


def _zero(points: Array, excess: Array, left: int) -> float:
    a, b = float(excess[left]), float(excess[left + 1])
    return float(points[left] + (points[left + 1] - points[left]) * a / (a - b))
