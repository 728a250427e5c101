"""Values compared by their order alone, where a mean would follow a few outliers.

Mann-Whitney asks whether values of the candidate tend to lie above those of stable; Hodges and
Lehmann say by how much. On raw values, and on bins, where all values of one bin are ties. Values
are assumed independent: minutes of one service are not.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.readouts import bins, shown
from modelrollout.analysis.readouts.shown import Estimate, Side, Significance

FEW = 50
"""Below so many values in each arm, without ties, the exact law is used unless told otherwise."""
MOST_PAIRS = 40_000
"""Pairs for which the exact law is computed at most."""


def mann_whitney(
    candidate: ArrayLike,
    stable: ArrayLike,
    *,
    side: Side = Side.TWO_SIDED,
    exact: bool | None = None,
    corrected: bool = True,
) -> Significance:
    """Do the candidate's values tend to be higher or lower? The Wilcoxon-Mann-Whitney test.

    The statistic is U of the candidate: pairs in which its value is the higher one, ties by half;
    over the number of pairs it is the chance to be higher. As in R's wilcox.test the law is exact
    for few values without ties, else normal with the variance corrected for ties, moved by 0.5
    towards the mean if `corrected`. Where all values are equal the p-value is 1. A two-sided
    p-value is twice the smaller side, at most 1.

    Args:
        candidate: values, one-dimensional, any unit.
        stable: values in the same unit.
        side: GREATER if the candidate's values tend to be higher.
        exact: use the exact law, or the normal one; None chooses.
        corrected: with the correction for continuity of the normal law.

    Source: Mann and Whitney (1947), Lehmann (1975).

    Raises:
        ValueError: on an empty arm, values that are not finite, more than one dimension, or an
            exact law asked for with ties or more than MOST_PAIRS pairs.
    """
    joint = _Joint.of(candidate, stable)
    few = max(joint.n, joint.m) < FEW and not joint.has_ties
    if few if exact is None else exact:
        return _exactly(joint, side=side)
    return _nearly(joint, side=side, corrected=corrected)


def mann_whitney_on_bins(
    candidate: Sequence[int],
    stable: Sequence[int],
    *,
    side: Side = Side.TWO_SIDED,
    corrected: bool = True,
) -> Significance:
    """The same test on counts per bin, lowest bin first: the normal law with ties.

    Up to 10^12 values. What differs within a bin is not seen.

    Raises:
        ValueError: on differing lengths, impossible counts, or an empty arm.
    """
    return _nearly(_Joint.binned(candidate, stable), side=side, corrected=corrected)


def chance_higher(candidate: ArrayLike, stable: ArrayLike) -> float:
    """Chance that a value of the candidate is above one of stable, ties by half.

    The common-language effect size (McGraw and Wong 1992; Vargha and Delaney 2000).

    Raises:
        ValueError: as `mann_whitney`.
    """
    joint = _Joint.of(candidate, stable)
    return joint.doubled_u / (2 * joint.n * joint.m)


def shift(
    candidate: ArrayLike, stable: ArrayLike, *, alpha: float = 0.05, exact: bool | None = None
) -> Estimate:
    """How far the candidate's values lie above stable's: the estimate of Hodges and Lehmann.

    The median of all differences, and as interval those two of them that the test at level alpha
    just refutes: by the exact law of U, or its normal limit without correction for ties, which
    can only widen it. Assumes that both laws differ by a shift. (-inf, inf) where so few values
    cannot reach the level. Seconds for 100,000 values that all differ, at once for a few thousand.

    Source: Hodges and Lehmann (1963); Hollander and Wolfe (1999), section 4.3.

    Raises:
        ValueError: as `mann_whitney`, or on an alpha outside (0, 1).
    """
    joint = _Joint.of(candidate, stable)
    few = max(joint.n, joint.m) < FEW and not joint.has_ties
    return _shift(joint, alpha=alpha, exact=few if exact is None else exact)


def shift_on_bins(
    candidate: Sequence[int],
    stable: Sequence[int],
    *,
    edges: Sequence[float],
    alpha: float = 0.05,
) -> Estimate:
    """The same shift with every value at the point of its bin: its middle, in the unit of `edges`.

    Known to about the width of a bin, however many values there are; 0 means less than a bin.

    Args:
        candidate: values per bin.
        stable: values per bin.
        edges: one more than bins, increasing; the ends may be infinite (see `bins.points`).
        alpha: one less the level of the interval.

    Raises:
        ValueError: on differing lengths, impossible counts or edges, an empty arm, or an alpha
            outside (0, 1).
    """
    points = bins.points(edges, bins=len(candidate))
    return _shift(_Joint.binned(candidate, stable, points=points), alpha=alpha, exact=False)


@dataclass(frozen=True, slots=True)
class _Joint:
    """Both arms on their common values: how often each occurs in either, whole numbers."""

    values: Array
    c: list[int]
    s: list[int]

    @classmethod
    def of(cls, candidate: ArrayLike, stable: ArrayLike) -> "_Joint":
        x, y = _finite("candidate", candidate), _finite("stable", stable)
        values, where = np.unique(np.concatenate([x, y]), return_inverse=True)
        c = np.bincount(where[: len(x)], minlength=len(values))
        s = np.bincount(where[len(x) :], minlength=len(values))
        return cls(values, c.tolist(), s.tolist())

    @classmethod
    def binned(
        cls, candidate: Sequence[int], stable: Sequence[int], *, points: Array | None = None
    ) -> "_Joint":
        c, s = bins.both(candidate, stable)
        values = np.arange(len(c), dtype=np.float64) if points is None else points
        return cls(values, [int(count) for count in c], [int(count) for count in s])

    @property
    def n(self) -> int:
        return sum(self.c)

    @property
    def m(self) -> int:
        return sum(self.s)

    @property
    def has_ties(self) -> bool:
        return any(a + b > 1 for a, b in zip(self.c, self.s, strict=True))

    @property
    def doubled_u(self) -> int:
        """Twice U, so that ties are whole; exact at any size."""
        below = doubled = 0
        for a, b in zip(self.c, self.s, strict=True):
            doubled += a * (2 * below + b)
            below += b
        return doubled

    @property
    def variance(self) -> float:
        """Of U under no difference. In whole numbers: nearly all values may be ties."""
        total = self.n + self.m
        if total < 2:  # noqa: PLR2004
            return 0.0
        tied = sum((a + b) ** 3 - (a + b) for a, b in zip(self.c, self.s, strict=True))
        untied = total**3 - total - tied
        return self.n * self.m * untied / (12 * total * (total - 1))


def _finite(arm: str, values: ArrayLike) -> Array:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"expected numbers of {arm}, found {values!r}") from None
    if array.ndim != 1 or len(array) == 0:
        raise ValueError(f"expected a row of values of {arm}, found the shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError(
            f"expected finite values of {arm}, found {int(np.sum(~np.isfinite(array)))} that are "
            f"not; leave out minutes without traffic"
        )
    return array


def _nearly(joint: _Joint, *, side: Side, corrected: bool) -> Significance:
    u, variance = joint.doubled_u / 2, joint.variance
    if variance == 0.0:
        return Significance(u, 1.0, side)
    gap = (joint.doubled_u - joint.n * joint.m) / 2
    half = 0.5 if corrected else 0.0
    match side:
        case Side.TWO_SIDED:
            gap = math.copysign(max(0.0, abs(gap) - half), gap)
        case Side.GREATER:
            gap -= half
        case Side.LESS:
            gap += half
    return Significance(u, shown.normal_p(gap / math.sqrt(variance), side=side), side)


def _exactly(joint: _Joint, *, side: Side) -> Significance:
    law = _checked_law(joint)
    u = joint.doubled_u // 2
    at_most = float(np.sum(law[: u + 1]))
    at_least = float(np.sum(law[u:]))
    p = {
        Side.TWO_SIDED: 2.0 * min(at_most, at_least),
        Side.GREATER: at_least,
        Side.LESS: at_most,
    }[side]
    return Significance(float(u), min(1.0, p), side)


def _checked_law(joint: _Joint) -> Array:
    if joint.has_ties:
        raise ValueError("expected values without ties for the exact law, found some; ask for none")
    if joint.n * joint.m > MOST_PAIRS:
        raise ValueError(
            f"expected at most {MOST_PAIRS:,} pairs for the exact law, found "
            f"{joint.n * joint.m:,}; the normal law is as good by then"
        )
    return _law(joint.n, joint.m)


@lru_cache(maxsize=8)
def _law(n: int, m: int) -> Array:
    """Probabilities of U = 0 .. n m under no difference, for untied values."""
    # The highest of all values is the candidate's with chance n / (n + m), and then adds m pairs.
    rows = [np.ones(1) for _ in range(m + 1)]
    for i in range(1, n + 1):
        new = [np.ones(1)]
        for j in range(1, m + 1):
            law = np.zeros(i * j + 1)
            law[j:] += i / (i + j) * rows[j]
            law[: i * (j - 1) + 1] += j / (i + j) * new[j - 1]
            new.append(law)
        rows = new
    return rows[m]


def _shift(joint: _Joint, *, alpha: float, exact: bool) -> Estimate:
    shown.check_alpha(alpha)
    differences = _Differences.of(joint)
    pairs = joint.n * joint.m
    upper = differences.at(pairs // 2 + 1)
    middle = upper if pairs % 2 else (differences.at(pairs // 2) + upper) / 2.0
    rank = _exact_rank(joint, alpha=alpha) if exact else _normal_rank(joint, alpha=alpha)
    if rank < 1:
        return Estimate(middle, -math.inf, math.inf)
    return Estimate(middle, differences.at(rank), differences.at(pairs + 1 - rank))


def _exact_rank(joint: _Joint, *, alpha: float) -> int:
    # The smallest u with P(U <= u) >= alpha / 2; at 0 already the level is out of reach.
    return int(np.searchsorted(np.cumsum(_checked_law(joint)), alpha / 2.0))


def _normal_rank(joint: _Joint, *, alpha: float) -> int:
    pairs, total = joint.n * joint.m, joint.n + joint.m
    reach = shown.critical(alpha) * math.sqrt(pairs * (total + 1) / 12)
    return math.ceil(pairs / 2 - reach - 0.5)


_HALVINGS = 64
_NARROW = 1e-13


@dataclass(frozen=True, slots=True)
class _Differences:
    """All differences candidate - stable, in order, without writing them down."""

    x: Array
    of_x: Array
    y: Array
    above: Array
    """Values of stable at y[i] or higher; 0 at the end."""

    @classmethod
    def of(cls, joint: _Joint) -> "_Differences":
        c, s = np.array(joint.c, dtype=np.float64), np.array(joint.s, dtype=np.float64)
        in_c, in_s = c > 0, s > 0
        above = np.append(np.cumsum(s[in_s][::-1])[::-1], 0.0)
        return cls(joint.values[in_c], c[in_c], joint.values[in_s], above)

    def at(self, rank: int) -> float:
        """The difference with this rank, from 1."""
        low = float(self.x[0] - self.y[-1])
        high = float(self.x[-1] - self.y[0])
        span = high - low
        if self._up_to(low) >= rank:
            return low
        for _ in range(_HALVINGS):
            middle = low / 2.0 + high / 2.0
            if high - low <= _NARROW * span:
                break
            low, high = (low, middle) if self._up_to(middle) >= rank else (middle, high)
        return self._next_above(low)

    def _up_to(self, difference: float) -> float:
        return float(self.of_x @ self.above[np.searchsorted(self.y, self.x - difference)])

    def _next_above(self, difference: float) -> float:
        index = np.searchsorted(self.y, self.x - difference)
        reached = index > 0
        return float(np.min(self.x[reached] - self.y[index[reached] - 1]))
