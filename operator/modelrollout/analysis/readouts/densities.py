"""Hypergeometric probabilities that keep their digits from one request to 10^12.

Differences of log-gammas of 10^12 are off by a thousandth. The saddle-point form of Loader (2000),
"Fast and accurate computation of binomial probabilities", has no such differences.
"""

import math

import numpy as np
from scipy import special

from modelrollout.analysis.mixtures import Array

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)
_SMALL = 16.0
_NEAR = 0.05
_SERIES = 12
"""Terms of the series of the deviance; each is at most 1/400 of the one before."""


def log_hypergeometric(counts: Array, *, drawn: int, others: int, marked: int) -> Array:
    """Log of the chance of `counts` marked among `drawn`, if `marked` are among drawn + others.

    Counts must be possible: from max(0, marked - others) to min(marked, drawn). Drawn and others
    are above 0; if nothing or everything is marked the one possible count has log 0.
    """
    total = drawn + others
    if marked in {0, total}:
        return np.zeros_like(counts)
    share, rest = marked / total, (total - marked) / total
    among = _log_binomial(counts, drawn, share=share, rest=rest)
    beside = _log_binomial(marked - counts, others, share=share, rest=rest)
    whole = _log_binomial(np.array([float(marked)]), total, share=share, rest=rest)
    return among + beside - whole


def _log_binomial(counts: Array, trials: int, *, share: float, rest: float) -> Array:
    missed = trials - counts
    error = _stirling_error(np.array([float(trials)]))
    error = error - _stirling_error(counts) - _stirling_error(missed)
    kernel = error - _deviance(counts, trials * share) - _deviance(missed, trials * rest)
    inside = (counts > 0) & (missed > 0)
    scale = np.where(inside, counts * (missed / trials), 1.0)
    return np.where(
        inside,
        kernel - 0.5 * np.log(2.0 * math.pi * scale),
        _at_the_ends(counts, missed, share=share, rest=rest),
    )


def _at_the_ends(counts: Array, missed: Array, *, share: float, rest: float) -> Array:
    # The logarithm of whichever of both is known to more digits.
    log_share = math.log(share) if share < rest else math.log1p(-rest)
    log_rest = math.log(rest) if rest < share else math.log1p(-share)
    none, every = missed * log_rest, counts * log_share
    return np.where(counts > 0, every, none)


def _stirling_error(n: Array) -> Array:
    """What is left of log n! - log(sqrt(2 pi n) (n/e)^n), 0 at n = 0, where it is not used."""
    safe = np.maximum(n, 1.0)
    inverse = 1.0 / safe
    series = inverse * np.polyval(_STIRLING[::-1], inverse * inverse)
    few = np.minimum(safe, _SMALL)
    direct = special.gammaln(few + 1.0) - (few + 0.5) * np.log(few) + few
    return np.asarray(np.where(safe < _SMALL, direct - 0.5 * math.log(2.0 * math.pi), series))


def _deviance(x: Array, mean: float) -> Array:
    """That is, x log(x / mean) + mean - x, without cancellation where x is near the mean."""
    v = (x - mean) / (x + mean)
    powers = np.polyval(1.0 / (2.0 * np.arange(_SERIES, 0, -1) + 1.0), v * v) * v * v
    near = (x - mean) * v + 2.0 * x * v * powers
    far = special.xlogy(x, x / mean) + mean - x
    return np.asarray(np.where(np.abs(v) < _NEAR, near, far))
