"""Users as units where no label can hold a user: hash buckets of users as clusters.

Requests of one user resemble each other, so that counting them as independent overstates the
evidence, often several times. Servers export sums by a hash of the user into B buckets (50 to
200); buckets are independent whatever happens inside a user, and the spread between buckets is an
honest standard error for any ratio of sums: errors per request, revenue per user, tokens per chat.

It assumes that the hash into buckets is independent of the one into arms, that users of different
buckets do not affect each other, and, for looking more than once, that what comes between two
looks is new: a user who comes back in later looks makes the increments dependent. Group-sequential
looks on `Comparison.z` then hold approximately (few looks, days apart), and so does
`interval_any_time`; or count only each user's first days, where they hold as stated.
Sources: Cochran, Sampling Techniques (1977), 6.3 (ratio estimator); Satterthwaite (1946); Deng, Xu,
Kohavi, Walker (2013) for CUPED.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from modelrollout.analysis import normal_mixture
from modelrollout.analysis.mixtures import Array

FEWEST_BUCKETS = 10
"""Below that the spread between buckets is itself too uncertain."""
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Buckets:
    """Sums of one arm over the same stretch of time, one pair per hash bucket.

    Attributes:
        sums: numerator per bucket, such as errors, revenue or seconds; finite.
        counts: denominator per bucket, such as requests or users; at least 0, not all 0.
    """

    sums: tuple[float, ...]
    counts: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sums) != len(self.counts) or len(self.sums) < FEWEST_BUCKETS:
            raise ValueError(
                f"expected at least {FEWEST_BUCKETS} buckets with a sum and a count each, found "
                f"{len(self.sums)} sums and {len(self.counts)} counts; export 50 to 200 buckets"
            )
        if not all(math.isfinite(value) for value in self.sums):
            raise ValueError("expected finite sums, found one that is not a number or infinite")
        if not all(0.0 <= count < math.inf for count in self.counts) or not any(self.counts):
            raise ValueError("expected finite counts of at least 0, and not all of them 0")


@dataclass(frozen=True, slots=True)
class Ratio:
    """R = sum S / sum N of one arm.

    Attributes:
        value: the ratio.
        variance: of the ratio, from the spread between buckets.
        buckets: how many.
    """

    value: float
    variance: float
    buckets: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Candidate against stable.

    Attributes:
        difference: of the ratios, candidate's less stable's.
        standard_error: of the difference.
        df: Satterthwaite's degrees of freedom.
        lift: difference over stable's ratio; NaN where that is 0.
        lift_error: its standard error by the delta method.
        z: the t statistic carried to the normal law at equal tail probability, for
            group-sequential boundaries; 0 where nothing varies.
        reduction: part of the variance that CUPED removed; 0 without it.
    """

    difference: float
    standard_error: float
    df: float
    lift: float
    lift_error: float
    z: float
    reduction: float = 0.0


def ratio(arm: Buckets) -> Ratio:
    """R and Var(R) = (s_S^2 - 2 R s_SN + R^2 s_N^2) / (B Nbar^2)."""
    value = math.fsum(arm.sums) / math.fsum(arm.counts)
    residuals = _residuals(arm)
    return Ratio(value, float(np.var(residuals, ddof=1)) / len(residuals), len(residuals))


def compare(*, candidate: Buckets, stable: Buckets) -> Comparison:
    """Difference and lift of two arms, each with users of its own.

    Arms share hash buckets but no users, so that their ratios are independent.
    """
    arms = ratio(candidate), ratio(stable)
    return _compared(arms[0].value - arms[1].value, arms)


def compare_cuped(
    *, candidate: Buckets, stable: Buckets, candidate_before: Buckets, stable_before: Buckets
) -> Comparison:
    """The same, less what the time before the experiment already shows (CUPED on buckets).

    Residuals of the ratio per bucket are regressed on those of the same bucket and arm before;
    theta is pooled over arms, so that it cannot favour one. The lift keeps stable's own ratio.

    Args:
        candidate: in the experiment.
        stable: in the experiment.
        candidate_before: of the same users, same buckets, before anybody was assigned.
        stable_before: likewise.

    Raises:
        ValueError: on arms whose buckets before and in the experiment differ in number.
    """
    pairs = ((candidate, candidate_before), (stable, stable_before))
    theta = _pooled_theta(pairs)
    arms = tuple(_adjusted(now, before, theta=theta) for now, before in pairs)
    plain = compare(candidate=candidate, stable=stable)
    before = ratio(candidate_before).value - ratio(stable_before).value
    adjusted = _compared(plain.difference - theta * before, (arms[0], arms[1]))
    variances = adjusted.standard_error**2, plain.standard_error**2
    return replace(adjusted, reduction=1.0 - variances[0] / variances[1] if variances[1] else 0.0)


def interval(compared: Comparison, *, alpha: float = 0.05) -> tuple[float, float]:
    """Fixed-sample t interval for the difference, level 1 - alpha: for one look, at the end."""
    _check_alpha(alpha)
    if compared.standard_error == 0.0:
        return compared.difference, compared.difference
    reach = compared.standard_error * float(special.stdtrit(compared.df, 1.0 - alpha / 2.0))
    return compared.difference - reach, compared.difference + reach


def interval_any_time(
    compared: Comparison, *, planned_error: float, alpha: float = 0.05
) -> tuple[float, float]:
    """Asymptotic confidence sequence for the difference, tightest at the planned standard error.

    The clock is information, 1 / standard error squared. A normal mixture in the limit of many
    buckets; it is widened by the ratio of the t to the normal quantile at the same tail.

    Args:
        compared: at this look, of all data so far.
        planned_error: standard error of the difference at the planned end; above 0.
        alpha: probability of ever missing the truth.

    Raises:
        ValueError: on a planned error that is not above 0, or alpha outside (0, 1/2).
    """
    _check_alpha(2.0 * alpha)
    if not 0.0 < planned_error < math.inf:
        raise ValueError(f"expected a planned standard error above 0, found {planned_error}")
    if compared.standard_error == 0.0:
        return compared.difference, compared.difference
    information = (planned_error / compared.standard_error) ** 2
    time = normal_mixture.clock(information, planned=1.0, alpha=alpha)
    radius = _as_t(normal_mixture.two_sided_radius(time, alpha=alpha), df=compared.df)
    reach = compared.standard_error * radius
    return compared.difference - reach, compared.difference + reach


def _residuals(arm: Buckets) -> Array:
    # Per bucket, (S - R N) / Nbar: they sum to 0, and their mean square is B Var(R).
    sums, counts = np.asarray(arm.sums, np.float64), np.asarray(arm.counts, np.float64)
    total = float(counts.sum())
    expected = float(sums.sum()) / total * counts
    left = sums - expected
    # What is left of buckets in exact proportion is rounding, not spread.
    noise = _ROUNDING * float(np.linalg.norm(sums) + np.linalg.norm(expected))
    if float(np.linalg.norm(left)) <= noise:
        return np.zeros(len(left))
    return np.asarray(left / (total / len(counts)))


def _pooled_theta(pairs: Sequence[tuple[Buckets, Buckets]]) -> float:
    shared, own = 0.0, 0.0
    for now, before in pairs:
        if len(now.sums) != len(before.sums):
            raise ValueError(
                f"expected the same buckets before and in the experiment, found "
                f"{len(before.sums)} and {len(now.sums)}"
            )
        past = _residuals(before)
        shared += float(past @ _residuals(now))
        own += float(past @ past)
    return shared / own if own else 0.0


def _adjusted(now: Buckets, before: Buckets, *, theta: float) -> Ratio:
    # The value stays stable's own, for the lift; the variance is that of the adjusted ratio.
    left = _residuals(now) - theta * _residuals(before)
    return Ratio(ratio(now).value, float(np.var(left, ddof=1)) / len(left), len(left))


def _compared(difference: float, arms: tuple[Ratio, Ratio]) -> Comparison:
    candidate, stable = arms
    variance = candidate.variance + stable.variance
    error = math.sqrt(variance)
    df = _satterthwaite(arms)
    lift, lift_error = _lifted(difference, arms)
    z = _as_z(difference / error, df=df) if error else 0.0
    return Comparison(difference, error, df, lift, lift_error, z)


def _lifted(difference: float, arms: tuple[Ratio, Ratio]) -> tuple[float, float]:
    candidate, stable = arms
    if stable.value == 0.0:
        return math.nan, math.nan
    lift = difference / stable.value
    variance = candidate.variance + (1.0 + lift) ** 2 * stable.variance
    return lift, math.sqrt(variance) / abs(stable.value)


def _satterthwaite(arms: tuple[Ratio, Ratio]) -> float:
    total = math.fsum(arm.variance for arm in arms)
    parts = math.fsum((arm.variance / total) ** 2 / (arm.buckets - 1) for arm in arms if total)
    return 1.0 / parts if parts else math.inf


def _as_z(t: float, *, df: float) -> float:
    tail = float(special.stdtr(df, -abs(t)))
    return math.copysign(-float(special.ndtri(max(tail, 1e-300))), t)


def _as_t(z: float, *, df: float) -> float:
    return -float(special.stdtrit(df, max(float(special.ndtr(-z)), 1e-300)))


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"expected an alpha above 0 and small enough for its use, found {alpha}")
