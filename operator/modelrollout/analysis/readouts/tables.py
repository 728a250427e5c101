"""Whole tables of counts: Pearson's chi-square for any number of outcomes, Fisher's exact test."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.readouts import bins, densities
from modelrollout.analysis.readouts.shown import Side, Significance

FEWEST = 5.0
"""Expected count in a cell below which the chi-square law is doubtful (Cochran 1954)."""


def chi_square(
    candidate: Sequence[int], stable: Sequence[int], *, corrected: bool = False
) -> Significance:
    """Do both arms have the same law over outcomes? Pearson's test of homogeneity.

    Outcomes that neither arm has are left out; with one left the statistic is 0 with 0 degrees
    of freedom and a p-value of 1. `corrected` moves each count of a two-by-two table by at most 0.5
    towards what is expected (Yates 1934, as in R and scipy) and does nothing with more outcomes.
    Assumes independent requests and expected counts of about FEWEST or more, see
    `smallest_expected`. Source: Pearson (1900).

    Args:
        candidate: requests of each outcome; whole numbers of at least 0.
        stable: the same outcomes in the same order.
        corrected: with Yates' correction for continuity.

    Raises:
        ValueError: on differing lengths, impossible counts, or an arm without any.
    """
    c, s = _kept(candidate, stable)
    freedom = len(c) - 1
    if freedom == 0:
        return Significance(0.0, 1.0, freedom=0)
    statistic = 0.0
    for counts, expected in ((c, _expected(c, s)), (s, _expected(s, c))):
        gaps = np.abs(counts - expected)
        if corrected and freedom == 1:
            gaps = gaps - np.minimum(0.5, gaps)
        statistic += float(np.sum(gaps * gaps / expected))
    return Significance(statistic, float(special.chdtrc(freedom, statistic)), freedom=freedom)


def smallest_expected(candidate: Sequence[int], stable: Sequence[int]) -> float:
    """The smallest expected count of the table: below FEWEST prefer an exact test.

    Raises:
        ValueError: as `chi_square`.
    """
    c, s = _kept(candidate, stable)
    return float(min(_expected(c, s).min(), _expected(s, c).min()))


def fisher(
    candidate: RateCounts, stable: RateCounts, *, side: Side = Side.TWO_SIDED, mid: bool = False
) -> Significance:
    """Fisher's exact test: the chance, given all totals, of a table at least as far off.

    The statistic is the candidate's events. Two-sided, tables count that are at most as likely as
    the one seen, within one part in 10^7 (R's fisher.test, scipy). `mid` counts tables exactly as
    likely as the one seen by half (one-sided: the one seen): nearer to its level, not a guarantee
    any more. No event at all, or nothing else: 1. Up to 10^12 requests; milliseconds up to
    10^8, seconds at worst, since probabilities are added up one by one. Source: Fisher (1935),
    for mid-p Lancaster (1961).

    Raises:
        ValueError: if an arm has no requests.
    """
    if min(candidate.trials, stable.trials) == 0:
        raise ValueError("expected at least one request in each arm, found none; wait for traffic")
    law = _Law(candidate, stable)
    seen = candidate.events
    match side:
        case Side.GREATER:
            p = law.tail(seen, step=1) - (law.at(seen) / 2.0 if mid else 0.0)
        case Side.LESS:
            p = law.tail(seen, step=-1) - (law.at(seen) / 2.0 if mid else 0.0)
        case Side.TWO_SIDED:
            p = law.as_unlikely(seen, mid=mid)
    return Significance(float(seen), min(1.0, p), side=side)


_TIES = 1e-7
_CHUNK = 1 << 15
_NEGLIGIBLE = 1e-17


class _Law:
    """The candidate's events given all margins: hypergeometric, with one mode."""

    def __init__(self, candidate: RateCounts, stable: RateCounts) -> None:
        self.drawn, self.others = candidate.trials, stable.trials
        self.marked = candidate.events + stable.events
        self.least = max(0, self.marked - self.others)
        self.most = min(self.marked, self.drawn)
        mode = (self.drawn + 1) * (self.marked + 1) // (self.drawn + self.others + 2)
        self.mode = min(max(mode, self.least), self.most)

    def logs(self, counts: Array) -> Array:
        return densities.log_hypergeometric(
            counts, drawn=self.drawn, others=self.others, marked=self.marked
        )

    def log_at(self, count: int) -> float:
        return float(self.logs(np.array([float(count)]))[0])

    def at(self, count: int) -> float:
        return math.exp(self.log_at(count))

    def tail(self, first: int, *, step: int) -> float:
        """P(at least `first`) for step 1, P(at most `first`) for -1: the shorter way round."""
        beyond = first > self.mode if step > 0 else first < self.mode
        if beyond:
            return self._sum(first, step=step)
        return max(0.0, 1.0 - self._sum(first - step, step=-step))

    def _sum(self, first: int, *, step: int) -> float:
        # Outwards from beyond the mode the terms fall, so that the sum can stop early.
        end = self.most if step > 0 else self.least
        total, start = 0.0, first
        while (end - start) * step >= 0:
            length = min(_CHUNK, (end - start) * step + 1)
            terms = np.exp(self.logs(start + step * np.arange(length, dtype=np.float64)))
            total += float(terms.sum())
            if float(terms[-1]) * _CHUNK <= _NEGLIGIBLE * total:
                break
            start += step * length
        return total

    def as_unlikely(self, seen: int, *, mid: bool) -> float:
        """Chance of all counts that are at most as likely as the one seen."""
        limit = self.log_at(seen) + _TIES
        step = 1 if seen >= self.mode else -1
        first = self._first_below(limit, step=-step)
        half = self._tied(seen, across=first) / 2.0 if mid else 0.0
        if limit >= self.log_at(self.mode):
            return 1.0 - half
        across = 0.0 if first is None else self._sum(first, step=-step)
        return self._sum(seen, step=step) + across - half

    def _tied(self, seen: int, *, across: int | None) -> float:
        """Chance of all counts exactly as likely as the one seen: that, and one other at most."""
        others = {across, seen + 1} - {None, seen}
        possible = [c for c in others if c is not None and self.least <= c <= self.most]
        alike = [c for c in possible if abs(self.log_at(c) - self.log_at(seen)) <= _TIES]
        return self.at(seen) + sum(self.at(c) for c in alike)

    def _first_below(self, limit: float, *, step: int) -> int | None:
        """The count nearest to the mode, on one side of it, that is at most so likely."""
        near, far = self.mode, self.most if step > 0 else self.least
        if self.log_at(far) > limit:
            return None
        while abs(far - near) > 1:
            middle = (near + far) // 2
            near, far = (near, middle) if self.log_at(middle) <= limit else (middle, far)
        return far


def _kept(candidate: Sequence[int], stable: Sequence[int]) -> tuple[Array, Array]:
    c, s = bins.both(candidate, stable)
    filled = c + s > 0
    return c[filled], s[filled]


def _expected(counts: Array, others: Array) -> Array:
    n, m = float(counts.sum()), float(others.sum())
    return np.asarray((counts + others) * (n / (n + m)))
