"""The two-arm e-process with projected null, for margins: absolute, relative, and both.

The null is a set of pairs (candidate's rate c, stable's rate s) bounded by lines c = offset +
slope s. A bet on one pair outside is paid as the ratio of its likelihood to that of its projection
on the null. That is exact for any moving base rate, any ramp, any share of events, and no events.

Why (Turner and Gruenwald's reverse information projection): for a null point, even one that
differs per request, E[factor] = prod (1 + (p_ci - c0) A)(1 + (p_sj - s0) B) <= exp(n_c A (p_c - c0)
+ n_s B (p_s - s0)) by ln(1 + y) <= y, and the exponent is at most 0 by the optimality of the
projection (c0, s0) on a convex null.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from modelrollout.analysis.mixtures import Array

Number = float | Array

TOLERANCE = 1e-9
MOST_STEPS = 80
FEW = 16
"""Bets up to which they are projected one by one."""


@dataclass(frozen=True, slots=True)
class Line:
    """The boundary c = offset + slope * s; the margin is reached where c lies on or above it."""

    offset: Number
    slope: Number

    def at(self, stable: Array) -> Array:
        """The candidate's rate on the line where stable has rate `stable`."""
        return np.asarray(self.offset + self.slope * stable, dtype=np.float64)


def project(line: Line, *, alt_c: Array, alt_s: Array, n_c: Number, n_s: Number) -> Array:
    """Stable's rate at the projection of (alt_c, alt_s) on `line`, weighted by the arms' trials.

    Minimises n_c KL(alt_c | c) + n_s KL(alt_s | s) along the line; everything broadcasts. The
    stationarity condition, cleared of its pole at s = 0 or 1, is almost linear; Newton inside
    the bracket given by the two coordinates of the alternative needs three or four steps.
    """
    if alt_c.ndim == 1 and alt_c.size <= FEW and np.ndim(n_c) == np.ndim(n_s) == 0:
        return _one_by_one(line, alt_c, alt_s, n_c=float(n_c), n_s=float(n_s))
    crossing = (alt_c - line.offset) / line.slope
    ceiling = np.minimum(1.0, (1.0 - line.offset) / line.slope)
    low = np.maximum(np.minimum(crossing, alt_s), 0.0)
    high = np.minimum(np.maximum(crossing, alt_s), ceiling)
    pull = n_c * line.slope
    s = _first_guess(line, alt_c, alt_s, n_c, n_s)
    s = np.where((s <= low) | (s >= high), (low + high) / 2.0, s)
    for _ in range(MOST_STEPS):
        c = line.offset + line.slope * s
        spread_s, spread_c = s * (1.0 - s), c * (1.0 - c)
        share, gap = spread_s / spread_c, c - alt_c
        value = pull * gap * share + n_s * (s - alt_s)
        above = value > 0
        high, low = np.where(above, s, high), np.where(above, low, s)
        bend = share * ((1.0 - 2.0 * s) / spread_s - line.slope * (1.0 - 2.0 * c) / spread_c)
        step = s - value / (pull * (line.slope * share + gap * bend) + n_s)
        step = np.where((step < low) | (step > high), (low + high) / 2.0, step)
        if (np.abs(step - s) <= TOLERANCE * step).all():
            return np.asarray(step, dtype=np.float64)
        s = step
    return np.asarray(s, dtype=np.float64)


def _one_by_one(line: Line, alt_c: Array, alt_s: Array, *, n_c: float, n_s: float) -> Array:
    """The same for a handful of bets, where an array costs more than all of its arithmetic."""
    offsets, slopes = np.ravel(line.offset).tolist(), np.ravel(line.slope).tolist()
    bets = list(zip(alt_c.tolist(), alt_s.tolist(), strict=True))
    found = [
        [_newton(offset, slope, c, s, n_c, n_s) for c, s in bets]
        for offset, slope in zip(offsets, slopes, strict=True)
    ]
    shape = np.shape(line.offset)[:1] + alt_c.shape
    return np.asarray(found, dtype=np.float64).reshape(shape)


def _newton(  # noqa: PLR0917 - called for each bet of each look
    offset: float, slope: float, alt_c: float, alt_s: float, n_c: float, n_s: float
) -> float:
    crossing = (alt_c - offset) / slope
    low = max(min(crossing, alt_s), 0.0)
    high = min(max(crossing, alt_s), 1.0, (1.0 - offset) / slope)
    pull = n_c * slope
    rate_c = max(alt_c, min(offset + slope * alt_s, 0.999999))
    precision_c, precision_s = pull / (rate_c * (1.0 - rate_c)), n_s / (alt_s * (1.0 - alt_s))
    s = (precision_c * (alt_c - offset) + precision_s * alt_s) / (precision_c * slope + precision_s)
    if not low < s < high:
        s = (low + high) / 2.0
    for _ in range(MOST_STEPS):
        c = offset + slope * s
        spread_s, spread_c = s * (1.0 - s), c * (1.0 - c)
        if not (spread_s > 0.0 and spread_c > 0.0):
            return s
        share, gap = spread_s / spread_c, c - alt_c
        value = pull * gap * share + n_s * (s - alt_s)
        low, high = (low, s) if value > 0.0 else (s, high)
        bend = share * ((1.0 - 2.0 * s) / spread_s - slope * (1.0 - 2.0 * c) / spread_c)
        step = s - value / (pull * (slope * share + gap * bend) + n_s)
        if not low <= step <= high:
            step = (low + high) / 2.0
        if abs(step - s) <= TOLERANCE * step:
            return step
        s = step
    return s


def _first_guess(line: Line, alt_c: Array, alt_s: Array, n_c: Number, n_s: Number) -> Array:
    rate_c = np.maximum(alt_c, np.minimum(line.at(alt_s), 0.999999))
    precision_c = n_c * line.slope / (rate_c * (1.0 - rate_c))
    precision_s = n_s / (alt_s * (1.0 - alt_s))
    pulled = precision_c * (alt_c - line.offset) + precision_s * alt_s
    return np.asarray(pulled / (precision_c * line.slope + precision_s), dtype=np.float64)


def project_on_all(
    lines: Sequence[Line], *, alt_c: Array, alt_s: Array, n_c: Number, n_s: Number
) -> tuple[Array, Array]:
    """Projection (c0, s0) of alternatives below all lines on {c on or above every line}.

    The null of two margins of which the larger is tolerated is this convex intersection. At most
    two lines: the projection lies on one of them where the other also holds, else in their corner.
    """
    if len(lines) == 1:
        s = project(lines[0], alt_c=alt_c, alt_s=alt_s, n_c=n_c, n_s=n_s)
        return lines[0].at(s), s
    one, two = lines
    shape = (2,) + (1,) * alt_c.ndim
    both = Line(
        np.array([one.offset, two.offset]).reshape(shape),
        np.array([one.slope, two.slope]).reshape(shape),
    )
    s1, s2 = project(both, alt_c=alt_c, alt_s=alt_s, n_c=n_c, n_s=n_s)
    corner = (one.offset - two.offset) / (two.slope - one.slope)
    s = np.where(one.at(s1) >= two.at(s1), s1, np.where(two.at(s2) >= one.at(s2), s2, corner))
    return np.maximum(one.at(s), two.at(s)), s


def log_factor(
    *,
    alt: tuple[Array, Array],
    null: tuple[Array, Array],
    n_c: Number,
    x_c: Number,
    n_s: Number,
    x_s: Number,
) -> Array:
    """Log likelihood of the counts under `alt` minus that under its projection `null`."""
    return _log_ratio(alt[0], null[0], n_c, x_c) + _log_ratio(alt[1], null[1], n_s, x_s)


def _log_ratio(p: Array, q: Array, trials: Number, events: Number) -> Array:
    # log1p of the relative change keeps all digits when both rates are nearly equal.
    odds_of_events = events * np.log1p((p - q) / q)
    return np.asarray(
        odds_of_events + (trials - events) * np.log1p((q - p) / (1.0 - q)), dtype=np.float64
    )
