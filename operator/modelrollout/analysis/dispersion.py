"""Running dispersion: how much noisier the looks are than independent requests would be.

The stopgap while no history calibrates the noise. Residuals are taken
around the fitted ratio: around the null, a real effect would inflate the dispersion and hide
itself. Written out, the Pearson sum is a closed function of three sums, so the state is flat.
"""

import math
from dataclasses import dataclass
from typing import Self

PRIOR_LOOKS = 5.0
"""Weight, in looks, of the belief that requests are independent."""
FEWEST_LOOKS = 2
SMALLEST_VARIANCE = 0.5
"""Looks with less expected variance say nothing about dispersion."""


@dataclass(frozen=True, slots=True)
class NoiseSums:
    """sum (x_c - m theta_k)^2 / (m theta_k (1 - theta_k)) = cc / r + ss r - 2 cs at ratio r."""

    looks: int = 0
    cc: float = 0.0
    ss: float = 0.0
    cs: float = 0.0

    def plus(self, *, n_c: int, x_c: int, n_s: int, x_s: int) -> Self:
        """Add one look; looks without enough variance are passed over."""
        trials, events = n_c + n_s, x_c + x_s
        others = trials - events
        if events * n_c * n_s * others < SMALLEST_VARIANCE * trials * trials * (trials - 1):
            return self
        # Given the totals the variance is hypergeometric: smaller by others / (trials - 1).
        scale = (trials - 1) / (others * events)
        odds = n_c / n_s
        return type(self)(
            looks=self.looks + 1,
            cc=self.cc + scale * x_c * x_c / odds,
            ss=self.ss + scale * x_s * x_s * odds,
            cs=self.cs + scale * x_c * x_s,
        )

    def dispersion(self, ratio: float) -> float:
        """At least 1: the variance around `ratio`, relative to independent requests."""
        if self.looks < FEWEST_LOOKS or not ratio > 0:
            return 1.0
        pearson = max(0.0, self.cc / ratio + self.ss * ratio - 2.0 * self.cs)
        return max(1.0, (pearson + PRIOR_LOOKS) / (self.looks - 1 + PRIOR_LOOKS))


def by_chance(looks: int) -> float:
    """What the dispersion of so many looks is on average though requests are independent.

    Nearly normal around 1 and at least 1: 1 and the mean of a normal's positive part.
    """
    deviation = math.sqrt(2.0 * max(0, looks - 1)) / (looks - 1 + PRIOR_LOOKS)
    return 1.0 + deviation / math.sqrt(2.0 * math.pi)
