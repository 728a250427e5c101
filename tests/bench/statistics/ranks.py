"""A Mann-Whitney test with a Hodges-Lehmann interval for many pairs of samples at once.

The interval comes from inverting the tie-corrected normal approximation with continuity
correction (Hollander and Wolfe, Nonparametric Statistical Methods, chapter 4), the way statistics
packages do for samples with ties; bisection finds where the score crosses its quantile.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from tests.bench.statistics.noise import Floats

CONFIDENCE: Final = 0.98
TOLERANCE: Final = 0.25
"""Part of the estimated shift that the interval's lower end must exceed."""
_HALVINGS: Final = 40


def is_high(candidate: Floats, control: Floats) -> NDArray[np.bool_]:
    """Which rows of `candidate` are judged higher than `control`; NaN is no observation."""
    critical = float(special.ndtri(0.5 + CONFIDENCE / 2.0))
    low = _root(candidate, control, quantile=critical, correct=True)
    middle = _root(candidate, control, quantile=0.0, correct=False)
    larger = np.nanmean(candidate, axis=1) > np.nanmean(control, axis=1)
    same = np.all(np.nan_to_num(candidate) == np.nan_to_num(control), axis=1)
    return np.asarray(~same & larger & (low > TOLERANCE * np.abs(middle)))


def _root(candidate: Floats, control: Floats, *, quantile: float, correct: bool) -> Floats:
    """The shift at which the score of (candidate - shift, control) falls to `quantile`."""
    low = np.nanmin(candidate, axis=1) - np.nanmax(control, axis=1)
    high = np.nanmax(candidate, axis=1) - np.nanmin(control, axis=1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        above = score(candidate - middle[:, None], control, correct=correct) > quantile
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.asarray((low + high) / 2.0)


def score(candidate: Floats, control: Floats, *, correct: bool) -> Floats:
    """Standard score of each row: positive where `candidate` is the higher; NaN is none."""
    n, m = np.sum(~np.isnan(candidate), axis=1), np.sum(~np.isnan(control), axis=1)
    both = np.concatenate([candidate, control], axis=1)
    # Shifts are found by halving: equal rates would differ by rounding alone otherwise.
    ranked = stats.rankdata(np.round(both, 10), axis=1, nan_policy="omit")
    excess = np.nansum(ranked[:, : candidate.shape[1]], axis=1) - n * (n + 1) / 2.0 - n * m / 2.0
    total = n + m
    # The sum of squared mid-ranks falls short of that of distinct ranks by sum (t^3 - t) / 12.
    ties = total * (total + 1) * (2 * total + 1) / 6.0 - np.nansum(ranked**2, axis=1)
    variance = n * m / 12.0 * (total + 1 - 12.0 * ties / (total * np.maximum(total - 1, 1)))
    shift = np.sign(excess) * 0.5 if correct else 0.0
    return np.where(variance > 0, (excess - shift) / np.sqrt(np.maximum(variance, 1e-12)), 0.0)
