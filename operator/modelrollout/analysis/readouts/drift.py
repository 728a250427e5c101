"""Has the law of a value changed? Distances between two histograms, against what chance gives.

A population stability index of 0.1 or 0.25 as limit alarms always on few values and never on many:
under no change the index is about (1/n + 1/m) times a chi-square, up to 0.4 for a hundred values in
ten bins and 0.0004 for 100,000. Each distance here comes with its null mean, its threshold and its
p-value; the `effect` is what is left above chance. Values are assumed independent.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import special

from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.readouts import bins, shown

DRAWS = 9_999
"""Histograms drawn for a null law without a formula: p-values are then at least 1 / 10,000."""
MOST_DRAWN = 10**9
"""Values of both arms up to which histograms can be drawn."""


class Null(StrEnum):
    """Where the law under no change comes from.

    Attributes:
        LIMIT: the law for many values, good from about five expected in each bin on.
        PERMUTED: values of both arms shuffled, DRAWS times with a fixed seed: exact for any
            number of values, also with rare bins; up to MOST_DRAWN values.
    """

    LIMIT = "limit"
    PERMUTED = "permuted"


@dataclass(frozen=True, slots=True)
class Drift:
    """A distance between two histograms, calibrated.

    Attributes:
        value: the distance.
        null_mean: what it is on average without any change.
        threshold: what it exceeds with probability alpha without any change.
        p_value: probability of such a distance or a larger one without any change.
        freedom: filled bins less one.
        smallest_expected: count in the emptiest bin of the smaller arm, if nothing changed; below 5
            prefer the permuted law.
    """

    value: float
    null_mean: float
    threshold: float
    p_value: float
    freedom: int
    smallest_expected: float

    @property
    def effect(self) -> float:
        """The part of the distance that chance does not explain, at least 0."""
        return max(0.0, self.value - self.null_mean)


def psi(
    candidate: Sequence[int],
    stable: Sequence[int],
    *,
    alpha: float = 0.01,
    null: Null = Null.LIMIT,
    seed: int = 0,
) -> Drift:
    """Population stability index: sum of (p - q) ln(p / q) over bins, natural logs.

    Bins empty in both arms are left out; if one is empty in one arm, 0.5 is added to every bin of
    both, as n and m demand; a fixed share such as 0.0001 would decide the index by itself. Without
    change (1/n + 1/m) chi-square with bins - 1 degrees of freedom. Bins are assumed
    chosen beforehand, not from the candidate's values.

    Args:
        candidate: values per bin.
        stable: the same bins.
        alpha: of the threshold.
        null: the law under no change.
        seed: of the draws, where there are any.

    Source: Lewis (1994); Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14(4).

    Raises:
        ValueError: on differing lengths, impossible counts, an empty arm, an alpha outside (0, 1),
            or more than MOST_DRAWN values to be drawn.
    """
    arms = _Arms.of(candidate, stable)
    return _scaled(arms, _psi, scale=arms.inverse, alpha=alpha, null=null, seed=seed)


def jsd(
    candidate: Sequence[int],
    stable: Sequence[int],
    *,
    alpha: float = 0.01,
    null: Null = Null.LIMIT,
    seed: int = 0,
) -> Drift:
    """Jensen-Shannon divergence in nats, from 0 to ln 2; over ln 2 it is in bits.

    Both arms weigh one half. scipy's jensenshannon is its square root. Without change
    (1/n + 1/m) / 8 chi-square. Arguments and errors as `psi`; empty bins need no care.

    Source: Lin (1991); the limit from its second-order expansion, as of every f-divergence.
    """
    arms = _Arms.of(candidate, stable)
    return _scaled(arms, _jsd, scale=arms.inverse / 8.0, alpha=alpha, null=null, seed=seed)


def chi_square(
    candidate: Sequence[int],
    stable: Sequence[int],
    *,
    alpha: float = 0.01,
    null: Null = Null.LIMIT,
    seed: int = 0,
) -> Drift:
    """Pearson's statistic of homogeneity; grows with the number of values where there is a change.

    Without change chi-square with bins - 1 degrees of freedom. Arguments and errors as `psi`.

    Source: Pearson (1900); `tables.chi_square` is the same test.
    """
    arms = _Arms.of(candidate, stable)
    return _scaled(arms, _pearson, scale=1.0, alpha=alpha, null=null, seed=seed)


def wasserstein(
    candidate: Sequence[int],
    stable: Sequence[int],
    *,
    edges: Sequence[float],
    alpha: float = 0.01,
    null: Null = Null.LIMIT,
    seed: int = 0,
) -> Drift:
    """First Wasserstein distance, in the unit of `edges`: how far values have moved, on average.

    Every value is taken at the point of its bin (see `bins.points`), so that moves within a bin
    are not seen and what lies beyond the last finite edge has not moved further. Without change
    the differences of both cumulative laws are a Brownian bridge: its mean is computed, its law
    drawn DRAWS times with a fixed seed. Other arguments and errors as `psi`.

    Args:
        candidate: values per bin.
        stable: the same bins.
        edges: one more than bins, increasing; the ends may be infinite.
        alpha: of the threshold.
        null: the law under no change.
        seed: of the draws.

    Source: Vallender (1974); del Barrio, Gine, Matran (1999) for the limit.
    """
    shown.check_alpha(alpha)
    points = bins.points(edges, bins=len(candidate))
    arms = _Arms.of(candidate, stable)
    gaps = np.diff(points[arms.filled])

    def distance(c: Array, s: Array) -> Array:
        return _moved(c, s, gaps=gaps)

    value = float(distance(arms.c, arms.s))
    if null is Null.PERMUTED:
        return _drawn(arms, value, _permuted(arms, distance, seed=seed), alpha=alpha)
    below = np.cumsum(arms.law)[:-1]
    spread = np.sqrt(np.maximum(0.0, below * (1.0 - below)) * arms.inverse)
    mean = float(gaps @ spread) * float(np.sqrt(2.0 / np.pi))
    return _drawn(arms, value, _bridges(arms, gaps=gaps, seed=seed), alpha=alpha, mean=mean)


@dataclass(frozen=True, slots=True)
class _Arms:
    """Counts of both arms in the bins that are filled in either."""

    c: Array
    s: Array
    filled: NDArray[np.bool_]

    @classmethod
    def of(cls, candidate: Sequence[int], stable: Sequence[int]) -> "_Arms":
        c, s = bins.both(candidate, stable)
        filled = c + s > 0
        return cls(c[filled], s[filled], filled)

    @property
    def inverse(self) -> float:
        """That is, 1/n + 1/m."""
        return 1.0 / float(self.c.sum()) + 1.0 / float(self.s.sum())

    @property
    def law(self) -> Array:
        both = self.c + self.s
        return np.asarray(both / both.sum(), dtype=np.float64)

    @property
    def freedom(self) -> int:
        return len(self.c) - 1

    @property
    def smallest_expected(self) -> float:
        return float(self.law.min()) * min(float(self.c.sum()), float(self.s.sum()))


Distance = Callable[[Array, Array], Array]


def _scaled(
    arms: _Arms, distance: Distance, *, scale: float, alpha: float, null: Null, seed: int
) -> Drift:
    """Calibrated by the chi-square limit, in units of `scale`, or by shuffling."""
    shown.check_alpha(alpha)
    value = float(distance(arms.c, arms.s))
    if null is Null.PERMUTED:
        return _drawn(arms, value, _permuted(arms, distance, seed=seed), alpha=alpha)
    freedom = arms.freedom
    if freedom == 0:
        return Drift(0.0, 0.0, 0.0, 1.0, 0, arms.smallest_expected)
    return Drift(
        value=value,
        null_mean=freedom * scale,
        threshold=float(special.chdtri(freedom, alpha)) * scale,
        p_value=float(special.chdtrc(freedom, max(0.0, value) / scale)),
        freedom=freedom,
        smallest_expected=arms.smallest_expected,
    )


def _drawn(
    arms: _Arms, value: float, draws: Array, *, alpha: float, mean: float | None = None
) -> Drift:
    # The one that was seen is one of the equally likely ones: Phipson and Smyth (2010).
    reached = int(np.sum(draws >= value * (1.0 - 1e-9)))
    return Drift(
        value=value,
        null_mean=float(draws.mean()) if mean is None else mean,
        threshold=float(np.quantile(draws, 1.0 - alpha, method="higher")),
        p_value=(1 + reached) / (1 + len(draws)),
        freedom=arms.freedom,
        smallest_expected=arms.smallest_expected,
    )


def _permuted(arms: _Arms, distance: Distance, *, seed: int) -> Array:
    both = (arms.c + arms.s).astype(np.int64)
    if int(both.sum()) >= MOST_DRAWN:
        raise ValueError(
            f"expected fewer than {MOST_DRAWN:,} values to shuffle, found {int(both.sum()):,}; the "
            f"law in the limit is right by then"
        )
    rng = np.random.default_rng(seed)
    c = rng.multivariate_hypergeometric(both, int(arms.c.sum()), size=DRAWS, method="marginals")
    return distance(c.astype(np.float64), (both - c).astype(np.float64))


def _bridges(arms: _Arms, *, gaps: Array, seed: int) -> Array:
    law = arms.law
    noise = np.random.default_rng(seed).standard_normal((DRAWS, len(law))) * np.sqrt(law)
    steps = noise - law * noise.sum(axis=1, keepdims=True)
    bridges = np.cumsum(steps, axis=1)[:, :-1]
    return np.asarray(np.abs(bridges) @ gaps * np.sqrt(arms.inverse), dtype=np.float64)


def _shares(c: Array, s: Array) -> tuple[Array, Array]:
    return c / c.sum(axis=-1, keepdims=True), s / s.sum(axis=-1, keepdims=True)


def _psi(c: Array, s: Array) -> Array:
    empty = np.any((c == 0.0) | (s == 0.0), axis=-1, keepdims=True)
    half = np.where(empty, 0.5, 0.0)
    p, q = _shares(c + half, s + half)
    gap = p - q
    near = np.log1p(np.clip(gap / q, -0.5, 0.5))
    logs = np.where(np.abs(gap) < 0.5 * q, near, np.log(p / q))
    return np.asarray(np.sum(gap * logs, axis=-1), dtype=np.float64)


def _jsd(c: Array, s: Array) -> Array:
    p, q = _shares(c, s)
    middle, lean = (p + q) / 2.0, (p - q) / (p + q)
    terms = special.xlog1py(1.0 + lean, lean) + special.xlog1py(1.0 - lean, -lean)
    return np.asarray(np.maximum(0.0, np.sum(middle * terms, axis=-1) / 2.0), dtype=np.float64)


def _pearson(c: Array, s: Array) -> Array:
    p, q = _shares(c, s)
    n, m = c.sum(axis=-1), s.sum(axis=-1)
    pooled = (c + s) / (n + m)[..., None]
    total = np.sum((p - q) ** 2 / pooled, axis=-1)
    return np.asarray(total / (1.0 / n + 1.0 / m), dtype=np.float64)


def _moved(c: Array, s: Array, *, gaps: Array) -> Array:
    p, q = _shares(c, s)
    return np.asarray(np.abs(np.cumsum(p - q, axis=-1)[..., :-1]) @ gaps, dtype=np.float64)
