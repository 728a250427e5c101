"""What buckets can say about one arm: shares above a bound, quantiles for people, moments.

A histogram is exact at its bounds and silent between them. So decisions rest on the share above a
bound (`exceedance`), while a quantile is an interpolation with an interval that is honest about
buckets, and a mean or variance comes with the bounds of what any values in these buckets can have.
"""

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, assert_never

from scipy import special

from modelrollout.analysis import counts as counting
from modelrollout.analysis import dirichlet


@dataclass(frozen=True, slots=True)
class Histogram:
    """Cumulative counts of one arm in one stretch of time, in buckets of Prometheus' kind.

    Attributes:
        bounds: upper bounds, included in their bucket, rising, the last +Inf; unit of the metric.
        counts: values at most the bound, whole numbers, never falling; the last is all values.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.bounds) != len(self.counts) or not self.bounds:
            raise ValueError(
                f"expected one count per bound and at least one, found {len(self.bounds)} bounds "
                f"and {len(self.counts)} counts"
            )
        pairs = itertools.pairwise(self.bounds)
        if not self.bounds[-1] == math.inf or not all(low < high for low, high in pairs):
            raise ValueError(f"expected rising bounds, the last +Inf, found {list(self.bounds)}")
        for count in self.counts:
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise ValueError(f"expected whole counts of at least 0, found {count!r}")
        if any(low > high for low, high in itertools.pairwise(self.counts)):
            raise ValueError(
                f"expected cumulative counts, which never fall from bound to bound, found "
                f"{list(self.counts)}; were all buckets read at the same instant?"
            )

    @property
    def total(self) -> int:
        """All values."""
        return self.counts[-1]

    def in_buckets(self) -> tuple[int, ...]:
        """Values per bucket, not cumulative."""
        return tuple(high - low for low, high in itertools.pairwise((0, *self.counts)))

    def __add__(self, other: Self) -> Self:
        """Of two pods, or of two stretches of time."""
        self._expect_same_bounds(other)
        pairs = zip(self.counts, other.counts, strict=True)
        return type(self)(self.bounds, tuple(one + two for one, two in pairs))

    def __sub__(self, earlier: Self) -> Self:
        """What came since `earlier`; a counter that was reset in between is refused."""
        self._expect_same_bounds(earlier)
        pairs = zip(self.counts, earlier.counts, strict=True)
        return type(self)(self.bounds, tuple(now - before for now, before in pairs))

    def _expect_same_bounds(self, other: Self) -> None:
        if self.bounds != other.bounds:
            raise ValueError(
                f"expected histograms with the same bounds, found {list(self.bounds)} and "
                f"{list(other.bounds)}; do all versions export the same buckets?"
            )


def exceedance(histogram: Histogram, *, bound: float) -> counting.RateCounts:
    """Values above a bucket bound, of all values: exact integers, ready for the tests of rates.

    Raises:
        ValueError: on a bound that no bucket has; the sentence names the nearest ones.
    """
    if bound not in histogram.bounds:
        at = bisect.bisect(histogram.bounds, bound)
        near = [f"{edge:g}" for edge in histogram.bounds[max(0, at - 1) : at + 1]]
        raise ValueError(
            f"expected a bound of the histogram, found {bound:g}; the nearest are "
            f"{' and '.join(near)}. Between bounds nothing is known"
        )
    at_most = histogram.counts[histogram.bounds.index(bound)]
    return counting.RateCounts(trials=histogram.total, events=histogram.total - at_most)


def quantile(histogram: Histogram, q: float) -> float | None:
    """The q-quantile as Prometheus' `histogram_quantile` interpolates it; None without values.

    Linear within the bucket, from 0 in the first one if its bound is above 0; the largest finite
    bound if the quantile lies in the +Inf bucket, so never larger than that.

    Raises:
        ValueError: on q outside [0, 1].
    """
    if not 0.0 <= q <= 1.0:
        raise ValueError(f"expected a quantile between 0 and 1, found {q}")
    finite = len(histogram.bounds) - 1
    if histogram.total == 0 or finite == 0:
        return None
    rank = q * histogram.total
    at = next(index for index, count in enumerate(histogram.counts) if count >= rank)
    if at == finite:
        return histogram.bounds[finite - 1]
    if at == 0 and histogram.bounds[0] <= 0.0:
        return histogram.bounds[0]
    start, end = lower_end(histogram, at), histogram.bounds[at]
    before = histogram.counts[at - 1] if at else 0
    inside = histogram.counts[at] - before
    return start + (end - start) * ((rank - before) / inside) if inside else start


def lower_end(histogram: Histogram, index: int) -> float:
    """Where a bucket begins. The first one: 0 if its bound is above 0, as Prometheus has it."""
    if index:
        return histogram.bounds[index - 1]
    return 0.0 if histogram.bounds[0] > 0.0 else -math.inf


class Looks(StrEnum):
    """How often the interval may be looked at for its level to hold."""

    ONE = "One"
    ANY = "Any"


@dataclass(frozen=True, slots=True)
class QuantileInterval:
    """From bucket bound to bucket bound, in the unit of the metric.

    Attributes:
        low: the quantile is above it; -inf or, of values above 0, 0 if nothing else is known.
        high: the quantile is at most this; infinite where only the +Inf bucket holds it.
        note: why there is no upper end, in one sentence; empty if there is one.
    """

    low: float
    high: float
    note: str = ""


def quantile_interval(
    histogram: Histogram, q: float, *, alpha: float = 0.05, looks: Looks = Looks.ONE
) -> QuantileInterval:
    """Order-statistic interval for the q-quantile, level 1 - alpha, rounded outwards to bounds.

    Assumes independent values of one law. With `Looks.ONE` by exact Binomial ranks (David and
    Nagaraja, Order Statistics, 7.1), for one look only. With `Looks.ANY` time-uniform: the count of
    values below the quantile is a Bernoulli sum, kept by its Beta(100 q, 100 (1 - q)) mixture.

    Raises:
        ValueError: on q or alpha outside (0, 1).
    """
    if not (0.0 < q < 1.0 and 0.0 < alpha < 1.0):
        raise ValueError(f"expected q and alpha above 0 and below 1, found {q} and {alpha}")
    n = histogram.total
    match looks:
        case Looks.ONE:
            fewest, most = _fixed_ranks(n, q, alpha=alpha)
        case Looks.ANY:
            fewest, most = _uniform_ranks(n, q, alpha=alpha)
        case _:
            assert_never(looks)
    # At least `fewest` and at most `most` values lie at or below the quantile.
    lowest = bisect.bisect_left(histogram.counts, fewest)
    low = lower_end(histogram, lowest if fewest else 0)
    if most >= n:
        return QuantileInterval(low, math.inf, _too_few(n, q))
    high = histogram.bounds[bisect.bisect_left(histogram.counts, most + 1)]
    return QuantileInterval(low, high, "" if high < math.inf else _overflow(histogram))


def enough(q: float) -> int:
    """Values from which on a two-sided 95 % interval for the q-quantile has both ends.

    4 q / (1 - q) for q above a half (two standard errors of the rank within n), and its mirror
    image below; 396 for the 99th percentile. One look.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"expected a quantile above 0 and below 1, found {q}")
    odds = max(q / (1.0 - q), (1.0 - q) / q)
    return math.ceil(4.0 * odds - 1e-9)


def _too_few(n: int, q: float) -> str:
    return (
        f"{n:,} values are too few for an upper end of the {q:.4g}-quantile, "
        f"about {enough(q):,} are needed"
    )


def _overflow(histogram: Histogram) -> str:
    last = histogram.bounds[-2] if len(histogram.bounds) > 1 else math.nan
    return f"the interval reaches beyond the last finite bound, {last:g}: add larger buckets"


def _fixed_ranks(n: int, q: float, *, alpha: float) -> tuple[int, int]:
    def at_most(k: int) -> float:
        return 1.0 if k >= n else float(special.betainc(n - k, k + 1, 1.0 - q))

    fewest = _first(n, lambda k: at_most(k) > alpha / 2.0)
    most = _first(n, lambda k: 1.0 - at_most(k) <= alpha / 2.0)
    return fewest, most


def _uniform_ranks(n: int, q: float, *, alpha: float) -> tuple[int, int]:
    prior = (100.0 * q, 100.0 * (1.0 - q))

    def fits(k: int) -> bool:
        ratio = dirichlet.log_ratio((k, n - k), law=(q, 1.0 - q), prior=prior)
        return ratio < -math.log(alpha)

    centre = min(n, round(n * q))
    fewest = _first(centre, fits)
    return fewest, centre + _first(n - centre, lambda more: not fits(centre + more + 1))


def _first(most: int, holds: Callable[[int], bool]) -> int:
    # Smallest k below `most` from which on it holds; `most` if there is none.
    return bisect.bisect_left(range(most), 1, key=holds)
