"""Two models answered the same requests: evidence from what differs within the pair.

What makes a request hard is common to both answers and cancels, so that a pair says more than two
requests. Only a comparer that sees both answers can count pairs; two series that were counted
apart can never be paired afterwards.

Outcomes that are good or bad: only pairs in which exactly one answer is bad count, and under no
difference a fair coin decides which one (McNemar 1947; here as an e-process, a Beta mixture on one
side of the coin). Exact at any stopping time for independent pairs. Numbers: the mean difference,
by the asymptotic normal mixture. All e-values are natural logarithms.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import special

from modelrollout.analysis import dirichlet, normal_mixture

LEAST_PAIRS = 100
"""Before that many pairs nothing is said about means: the normal law is a limit."""
_PRIOR = (1.0, 1.0)
_HALVINGS = 45
"""Of an interval of shares: to 3 in 10^14, always rounded outwards."""


@dataclass(frozen=True, slots=True)
class Discordant:
    """Pairs in which exactly one of both answers was bad; whole numbers.

    Attributes:
        worse: only the candidate's answer was bad.
        better: only the other answer was bad.
    """

    worse: int = 0
    better: int = 0

    def __post_init__(self) -> None:
        _expect_whole("worse pairs", self.worse)
        _expect_whole("better pairs", self.better)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.worse + other.worse, self.better + other.better)

    def swapped(self) -> Self:
        """Seen from the other arm."""
        return type(self)(self.better, self.worse)


def noise_cancelled(*, candidate: int, secondary: int, both: int) -> Discordant:
    """Pairs of disagreements with the primary, where a second copy of stable shows the noise.

    On each request the primary's answer is compared with the candidate's and with the secondary's,
    a further copy of stable. If the candidate is no different, both disagree equally often on the
    same requests, however noisy the model is. (Diffy's idea, with an error rate.)

    Args:
        candidate: requests on which the candidate differs from the primary.
        secondary: requests on which the secondary differs from the primary.
        both: requests on which both differ from it.

    Raises:
        ValueError: on negative or broken numbers, or more of both than of either.
    """
    for name, count in (("candidate", candidate), ("secondary", secondary), ("both", both)):
        _expect_whole(f"disagreements of {name}", count)
    if both > min(candidate, secondary):
        raise ValueError(
            f"expected at most {min(candidate, secondary)} requests on which both differ, "
            f"found {both}; do all three counts come from the same requests?"
        )
    return Discordant(worse=candidate - both, better=secondary - both)


def log_e_worse(pairs: Discordant, *, share: float = 0.5) -> float:
    """Against "at most `share` of the discordant pairs are worse": evidence of harm.

    Raises:
        ValueError: on a share outside (0, 1).
    """
    return _one_sided(pairs, share=_checked_share(share))


def log_e_better(pairs: Discordant, *, share: float = 0.5) -> float:
    """Against "at least `share` of the discordant pairs are worse".

    With the default, evidence of improvement. With a margin such as 0.6, evidence of
    non-inferiority: at most 1.5 times as many pairs got worse as got better.
    """
    return _one_sided(pairs.swapped(), share=1.0 - _checked_share(share))


def share_interval(pairs: Discordant, *, alpha: float = 0.05) -> tuple[float, float]:
    """Time-uniform interval, level 1 - alpha, for the share of discordant pairs that are worse.

    All shares that a uniform mixture does not refute at 1/alpha; (0, 1) without pairs.

    Raises:
        ValueError: on an alpha outside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"expected an alpha above 0 and below 1, found {alpha}")
    counts = (pairs.worse, pairs.better)
    total = sum(counts)
    if total == 0:
        return 0.0, 1.0
    allowed = -math.log(alpha) - dirichlet.log_regret(counts, prior=_PRIOR)
    best = pairs.worse / total
    return _edge(counts, allowed, inside=best, end=0.0), _edge(
        counts, allowed, inside=best, end=1.0
    )


@dataclass(frozen=True, slots=True)
class Differences:
    """Sums over pairs of d = candidate's value - other's value, in the unit of the value.

    Attributes:
        count: pairs.
        total: sum of d.
        squares: sum of d squared.
    """

    count: int
    total: float
    squares: float

    def __post_init__(self) -> None:
        _expect_whole("pairs", self.count)
        if not (math.isfinite(self.total) and math.isfinite(self.squares) and self.squares >= 0.0):
            raise ValueError(
                f"expected a finite total and a finite sum of squares of at least 0, found "
                f"{self.total} and {self.squares}"
            )
        least = self.total * self.total / self.count if self.count else 0.0
        if self.squares < least * (1.0 - 1e-6) or (not self.count and (self.total or self.squares)):
            raise ValueError(
                f"{self.count} differences with total {self.total:g} have squares of at least "
                f"{least:g}, found {self.squares:g}; are the sums those of the same pairs?"
            )

    @classmethod
    def of(cls, pairs: Discordant, *, of_pairs: int) -> Self:
        """Good or bad as numbers: mean d is the difference of both rates, for absolute margins."""
        discordant = pairs.worse + pairs.better
        if of_pairs < discordant:
            raise ValueError(
                f"expected at least {discordant} pairs, the discordant ones, found {of_pairs}"
            )
        return cls(of_pairs, float(pairs.worse - pairs.better), float(discordant))

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.count + other.count, self.total + other.total, self.squares + other.squares
        )

    @property
    def mean(self) -> float:
        """NaN without pairs."""
        return self.total / self.count if self.count else math.nan

    @property
    def standard_error(self) -> float:
        """Of the mean; infinite before LEAST_PAIRS pairs, and while all differences are equal.

        Equal differences show no spread to measure by, not a spread of 0: good-or-bad outcomes
        that never differ are to be read as discordant pairs.
        """
        if self.count < LEAST_PAIRS:
            return math.inf
        within = self.squares - self.total * self.total / self.count
        if within <= 1e-12 * self.squares:
            return math.inf
        return math.sqrt(within / (self.count - 1) / self.count)


def mean_log_e_above(d: Differences, *, margin: float, planned: int, alpha: float = 0.05) -> float:
    """Against "the mean difference is at most `margin`"; asymptotic, 0 while nothing can be said.

    For harm where higher is worse, with margin 0. `planned` pairs are where it is sharpest.

    Raises:
        ValueError: on a margin that is not finite, no planned pairs, or alpha outside (0, 1/2).
    """
    time = _clock(d, planned=planned, alpha=alpha)
    if not math.isfinite(margin):
        raise ValueError(f"expected a finite margin, found {margin}")
    if math.isinf(d.standard_error):
        return 0.0
    return normal_mixture.one_sided_log_e((d.mean - margin) / d.standard_error, time)


def mean_log_e_below(d: Differences, *, margin: float, planned: int, alpha: float = 0.05) -> float:
    """Against "the mean difference is at least `margin`": non-inferiority where higher is worse."""
    mirrored = Differences(d.count, -d.total, d.squares)
    return mean_log_e_above(mirrored, margin=-margin, planned=planned, alpha=alpha)


def mean_interval(d: Differences, *, planned: int, alpha: float = 0.05) -> tuple[float, float]:
    """Time-uniform asymptotic interval, level 1 - alpha, for the mean difference."""
    time = _clock(d, planned=planned, alpha=alpha)
    if math.isinf(d.standard_error):
        return -math.inf, math.inf
    reach = d.standard_error * normal_mixture.two_sided_radius(time, alpha=alpha)
    return d.mean - reach, d.mean + reach


def _clock(d: Differences, *, planned: int, alpha: float) -> float:
    if planned < 1 or not 0.0 < 2.0 * alpha < 1.0:
        raise ValueError(
            f"expected at least one planned pair and an alpha above 0 and below 1/2, found "
            f"{planned} and {alpha}"
        )
    return normal_mixture.clock(float(d.count), planned=float(planned), alpha=alpha)


def _one_sided(pairs: Discordant, *, share: float) -> float:
    # Beta(2 share, 2 (1 - share)) cut to shares above the null; the ratio is monotone in the
    # share, so that the edge is the least favourable null.
    prior = (2.0 * share, 2.0 * (1.0 - share))
    counts = (pairs.worse, pairs.better)
    whole = dirichlet.log_ratio(counts, law=(share, 1.0 - share), prior=prior)
    after = special.betaincc(prior[0] + pairs.worse, prior[1] + pairs.better, share)
    before = special.betaincc(*prior, share)
    return whole + float(np.log(max(after, 1e-300)) - np.log(before)) if after > 0 else -math.inf


def _edge(counts: tuple[int, int], allowed: float, *, inside: float, end: float) -> float:
    near, far = inside, end
    if near == far:
        return end
    for _ in range(_HALVINGS):
        middle = (near + far) / 2.0
        fits = dirichlet.divergence(counts, law=(middle, 1.0 - middle)) <= allowed
        near, far = (middle, far) if fits else (near, middle)
    return far


def _checked_share(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise ValueError(f"expected a share between 0 and 1, both excluded, found {share}")
    return share


def _expect_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"expected {name} to be a whole number of at least 0, found {value!r}")
