"""Is the candidate slower anywhere? One band over all bucket bounds, and over all looks.

An exceedance asks at one bound that was chosen beforehand. This asks at every bound at once, for
the price of a wider margin, and may be looked at whenever one likes.

It assumes independent values that follow one law per arm for as long as they are pooled: within
one traffic weight, and not over a shared incident (where the weight moved in between, the mix of
hours differs between the arms, and any pooled comparison is wrong).
Source: Howard and Ramdas (2022), "Sequential estimation of quantiles with applications to A/B
testing and best-arm identification", theorem 2: the law of the iterated logarithm for empirical
distribution functions. At bucket bounds only, the band is conservative.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from modelrollout.analysis.histograms import Histogram
from modelrollout.analysis.mixtures import Array

FIRST = 100
"""Values per arm before which the band says nothing; it is tightest some looks after that."""
_SCALE = 0.85
_GRID = 200
_REFINEMENTS = 4


@dataclass(frozen=True, slots=True)
class Refuted:
    """Where the claim fails most, and by how much.

    Attributes:
        bound: bucket bound, in the unit of the metric.
        difference: seen, in the share of values at most `bound`; positive.
        at_least: of the difference that is beyond doubt at the stated level, margin taken off.
    """

    bound: float
    difference: float
    at_least: float


def radius(n: int, *, alpha: float, first: int = FIRST) -> float:
    """Half-width around an empirical distribution function, for all bounds and all n >= first.

    The probability that the true function ever leaves the band is at most `alpha`. Infinite for
    n below `first`.

    Raises:
        ValueError: on an alpha outside (0, 1), negative n or `first` below 1.
    """
    if not 0.0 < alpha < 1.0 or n < 0 or first < 1:
        raise ValueError(
            f"expected an alpha above 0 and below 1, n of at least 0 and a first n of at least 1, "
            f"found {alpha}, {n} and {first}"
        )
    if n < first:
        return math.inf
    return _SCALE * math.sqrt((math.log1p(math.log(n / first)) + _constant(alpha)) / n)


def slower(
    *,
    candidate: Histogram,
    stable: Histogram,
    alpha: float = 0.05,
    margin: float = 0.0,
    first: int = FIRST,
) -> Refuted | None:
    """Refutes "the candidate is not stochastically slower than stable", or None if it stands.

    The claim: at every bound T at least as large a share of the candidate's values, less `margin`,
    lies at most at T. Each arm's band gets alpha / 2.

    Args:
        candidate: all its values so far at one traffic weight.
        stable: likewise, with the same bounds.
        alpha: probability of ever refuting a true claim.
        margin: tolerated loss, in the share of values at most a bound; at least 0.
        first: values per arm from which on it looks.

    Raises:
        ValueError: on different bounds, an alpha outside (0, 1), or a margin outside [0, 1).
    """
    if not 0.0 <= margin < 1.0:
        raise ValueError(f"expected a margin of at least 0 and below 1, found {margin}")
    doubt = reach(candidate=candidate, stable=stable, alpha=alpha, first=first)
    if math.isinf(doubt):
        return None
    gaps = _shares(stable) - _shares(candidate)
    at = int(np.argmax(gaps))
    if gaps[at] <= doubt + margin:
        return None
    return Refuted(candidate.bounds[at], float(gaps[at]), float(gaps[at] - doubt - margin))


def different(
    *, candidate: Histogram, stable: Histogram, alpha: float = 0.05, first: int = FIRST
) -> Refuted | None:
    """Refutes "both arms have the same distribution", in either direction; else None.

    The same band serves both directions, so that asking this and `slower` costs nothing more.
    """
    worse = slower(candidate=candidate, stable=stable, alpha=alpha, first=first)
    better = slower(candidate=stable, stable=candidate, alpha=alpha, first=first)
    found = [refuted for refuted in (worse, better) if refuted]
    return max(found, key=lambda refuted: refuted.difference) if found else None


def reach(*, candidate: Histogram, stable: Histogram, alpha: float, first: int = FIRST) -> float:
    """What a difference at a bound must exceed: the sum of both arms' radii at alpha / 2."""
    if candidate.bounds != stable.bounds:
        raise ValueError(
            f"expected both arms in the same buckets, found bounds {list(candidate.bounds)} and "
            f"{list(stable.bounds)}"
        )
    arms = (candidate, stable)
    return sum(radius(arm.total, alpha=alpha / 2.0, first=first) for arm in arms)


def _shares(histogram: Histogram) -> Array:
    return np.asarray(histogram.counts, np.float64) / histogram.total


@lru_cache(maxsize=64)
def _constant(alpha: float) -> float:
    # The C of the theorem at which its bound on the error is alpha; the error falls with C.
    return _bisected(lambda constant: _log_error(constant) - math.log(alpha), low=1.0, high=2000.0)


def _log_error(constant: float) -> float:
    # ln inf over eta of 4 exp(-gamma^2 C) (1 + 1/((gamma^2 - 1) ln eta)), on ever finer grids.
    left, right = 1.0, 2.0 * _SCALE * _SCALE
    least = math.inf
    for _ in range(_REFINEMENTS):
        eta = np.linspace(left, right, _GRID + 2)
        errors = _log_errors(eta[1:-1], constant)
        at = int(np.argmin(errors))
        least, left, right = min(least, float(errors[at])), float(eta[at]), float(eta[at + 2])
    return least


def _log_errors(eta: Array, constant: float) -> Array:
    gamma = np.sqrt(2.0 / eta) * (_SCALE - np.sqrt(2.0 * (eta - 1.0) / constant))
    above = np.where(gamma > 1.0, gamma * gamma - 1.0, math.nan)
    errors = math.log(4.0) - (above + 1.0) * constant + np.log1p(1.0 / (above * np.log(eta)))
    return np.nan_to_num(errors, nan=math.inf)


def _bisected(falling: Callable[[float], float], *, low: float, high: float) -> float:
    for _ in range(60):
        middle = (low + high) / 2.0
        low, high = (middle, high) if falling(middle) > 0.0 else (low, middle)
    return high
