"""How much better a mixture explains category counts than one fixed law does, up to 10^12 counts.

Assignment, paired outcomes and quantile intervals all rest on this one likelihood ratio. Written
as differences of log-gammas it loses every digit at 10^12 (each term is about 10^13); here the
large parts cancel on paper and only small ones are computed.
Source: Lindon and Malek (2011.03567) for the Dirichlet mixture; the rearrangement is Stirling's.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from modelrollout.analysis.mixtures import Array

FEWEST = 2
"""Categories."""
_ROUNDING = 1e-9
_SERIES_FROM = 16.0
"""From here on three terms of Stirling's series are exact to double precision."""


def log_ratio(counts: Sequence[int], *, law: Sequence[float], prior: Sequence[float]) -> float:
    """Log of the Dirichlet(prior)-mixture likelihood of `counts`, over the one under `law`.

    A martingale with mean 1 while independent draws follow `law`, so an e-value at any time.

    Args:
        counts: per category, whole numbers of at least 0.
        law: probability of each category, above 0, sum 1.
        prior: of the Dirichlet, above 0 each.

    Raises:
        ValueError: on counts, law or prior that are not of this kind, or of different lengths.
    """
    _check(counts, law=law, prior=prior)
    return log_regret(counts, prior=prior) + divergence(counts, law=law)


def log_regret(counts: Sequence[int], *, prior: Sequence[float]) -> float:
    """Log of the mixture likelihood over that of the observed shares: what not knowing costs."""
    seen, weights = np.asarray(counts, np.float64), np.asarray(prior, np.float64)
    n, total = float(seen.sum()), float(weights.sum())
    if n == 0.0:
        return 0.0
    leading = float(np.sum(_scaled(seen, weights))) - float(_scaled(n, total))
    halves = 0.5 * (math.log(n + total) - float(np.sum(np.log(seen + weights))))
    rest = float(np.sum(_beyond_stirling(seen + weights))) - float(_beyond_stirling(n + total))
    constant = 0.5 * (len(seen) - 1) * math.log(2.0 * math.pi)
    return leading + halves + rest + constant - _log_beta(weights)


def divergence(counts: Sequence[int], *, law: Sequence[float]) -> float:
    """Counts times the Kullback-Leibler divergence of their shares from `law`; at least 0."""
    seen, expected = np.asarray(counts, np.float64), np.asarray(law, np.float64)
    expected = expected / expected.sum() * seen.sum()
    if seen.sum() == 0.0:
        return 0.0
    off = (seen - expected) / expected
    grown = (1.0 + off) * np.log1p(np.where(seen > 0.0, off, 0.0))
    return max(0.0, float(np.sum(expected * (grown - off))))


def _scaled(seen: Array | float, weights: Array | float) -> Array:
    # x ln x - c ln c with x = c + a, without forming either.
    seen, weights = np.asarray(seen), np.asarray(weights)
    grown = seen * np.log1p(weights / np.where(seen > 0.0, seen, 1.0))
    return np.asarray(grown + weights * np.log(seen + weights), np.float64)


def _beyond_stirling(x: Array | float) -> Array:
    # ln Gamma(x) less (x - 1/2) ln x - x + ln(2 pi)/2.
    x = np.asarray(x, np.float64)
    large = np.maximum(x, _SERIES_FROM)
    inverse = 1.0 / (large * large)
    series = (1.0 - inverse * (1.0 / 30.0 - inverse * (1.0 / 105.0 - inverse / 140.0))) / 12 / large
    small = np.minimum(x, _SERIES_FROM)
    direct = special.gammaln(small) - (small - 0.5) * np.log(small) + small
    direct = direct - 0.5 * math.log(2.0 * math.pi)
    return np.asarray(np.where(x >= _SERIES_FROM, series, direct), np.float64)


def _log_beta(weights: Array) -> float:
    return float(np.sum(special.gammaln(weights)) - special.gammaln(weights.sum()))


def _check(counts: Sequence[int], *, law: Sequence[float], prior: Sequence[float]) -> None:
    if len(counts) < FEWEST or len(law) != len(counts) or len(prior) != len(counts):
        raise ValueError(
            f"expected at least two categories with a share and a prior each, found "
            f"{len(counts)} counts, {len(law)} shares and {len(prior)} priors"
        )
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < 0:
            raise ValueError(f"expected whole counts of at least 0, found {count!r}")
    if not all(0.0 < share < 1.0 for share in law) or abs(math.fsum(law) - 1.0) > _ROUNDING:
        raise ValueError(f"expected shares above 0 that sum to 1, found {list(law)}")
    if not all(0.0 < weight < math.inf for weight in prior):
        raise ValueError(f"expected finite prior weights above 0, found {list(prior)}")
