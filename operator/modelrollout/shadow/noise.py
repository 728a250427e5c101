"""The noise floor: how often does stable disagree with itself, and what is beyond that?

Paired: a control, a second copy of stable, gets the same request; what counts is the difference of
both disagreements within the request, which cancels the noise they share. Calibrated: the floor is
measured once against the control and frozen at its upper bound. The core is fed by fronts; the
sequential interval on the discordant counts is `analysis.paired`'s.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from modelrollout.shadow import comparison, increments, settling

_HALVINGS = 60


class Sign(StrEnum):
    """Who disagreed with the primary on one request."""

    CANDIDATE_ONLY = "candidate_only"
    CONTROL_ONLY = "control_only"
    BOTH = "both"
    NEITHER = "neither"


def sign(*, candidate: bool, control: bool) -> Sign:
    """By who disagreed."""
    if candidate:
        return Sign.BOTH if control else Sign.CANDIDATE_ONLY
    return Sign.CONTROL_ONLY if control else Sign.NEITHER


def excess(
    candidate: settling.Settled, control: settling.Settled
) -> tuple[increments.Increment, ...]:
    """What one request with a control says above the noise: rows that both could be compared on.

    Counters of the sign, and of the difference of both distances as magnitudes and squares. Only
    these pairs belong into the excess: a control on a sub-sample compares nothing with the rest.
    """
    pairs = zip(candidate.rows, control.rows, strict=False)
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return tuple(count for a, b in both for count in _excess_of(a, b))


def _excess_of(
    candidate: comparison.Comparison, control: comparison.Comparison
) -> Iterable[increments.Increment]:
    metric = increments.Metric
    who = sign(candidate=candidate.disagrees, control=control.disagrees)
    yield increments.Count(metric.EXCESS, (who,))
    x = candidate.distance - control.distance
    if x:
        yield increments.Count(metric.EXCESS_ABOVE if x > 0.0 else metric.EXCESS_BELOW, (), abs(x))
        yield increments.Count(metric.EXCESS_SQUARES, (), x * x)


@dataclass(frozen=True, slots=True)
class Excess:
    """Requests by who disagreed with the primary; whole numbers.

    Raises:
        ValueError: on a negative or broken count.
    """

    candidate_only: int = 0
    control_only: int = 0
    both: int = 0
    neither: int = 0

    def __post_init__(self) -> None:
        for count in (self.candidate_only, self.control_only, self.both, self.neither):
            if isinstance(count, bool) or not isinstance(count, int) or count < 0:
                raise ValueError(
                    f"expected whole numbers of at least 0, found {count!r}; "
                    "was a counter reset not handled?"
                )

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.candidate_only + other.candidate_only,
            self.control_only + other.control_only,
            self.both + other.both,
            self.neither + other.neither,
        )

    @property
    def pairs(self) -> int:
        """All requests on which candidate and control were both compared."""
        return self.candidate_only + self.control_only + self.both + self.neither

    def disagreements(self) -> dict[str, int]:
        """The arguments of `analysis.paired.noise_cancelled`."""
        return {
            "candidate": self.candidate_only + self.both,
            "secondary": self.control_only + self.both,
            "both": self.both,
        }

    @property
    def mean(self) -> float:
        """Excess disagreement, -1 to 1; NaN without pairs. (n10 - n01) / N."""
        return (self.candidate_only - self.control_only) / self.pairs if self.pairs else math.nan

    @property
    def standard_error(self) -> float:
        """Of the mean, for one look; infinite without pairs. var = (n10 + n01) / N - mean^2."""
        if not self.pairs:
            return math.inf
        share = (self.candidate_only + self.control_only) / self.pairs
        return math.sqrt(max(0.0, share - self.mean**2) / self.pairs)


@dataclass(frozen=True, slots=True)
class Floor:
    """A calibration: stable against its own copy, no candidate involved.

    Raises:
        ValueError: on counts that cannot be.
    """

    pairs: int
    disagreements: int

    def __post_init__(self) -> None:
        if not 0 <= self.disagreements <= self.pairs:
            raise ValueError(
                f"expected 0 to {self.pairs} disagreements in {self.pairs} pairs, found "
                f"{self.disagreements}"
            )

    def upper(self, *, alpha: float = 0.05) -> float:
        """Above this share the noise is not, with confidence 1 - alpha; 1 without pairs.

        Chernoff's bound: the largest u with n KL(share || u) <= ln(1/alpha), for one look and
        independent pairs, never too low. Without a disagreement 1 - alpha^(1/n), the exact bound
        whose shape is the rule of three.

        Raises:
            ValueError: on an alpha outside (0, 1).
        """
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"expected an alpha above 0 and below 1, found {alpha}")
        if self.disagreements == self.pairs:
            return 1.0
        share = self.disagreements / self.pairs
        low, high = share, 1.0
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            inside = self.pairs * _divergence(share, middle) <= -math.log(alpha)
            low, high = (middle, high) if inside else (low, middle)
        return high


def _divergence(p: float, q: float) -> float:
    """KL of two coins in nats, 0 <= p < 1, p <= q; infinite at q = 1."""
    if q >= 1.0:
        return math.inf
    head = p * math.log(p / q) if p else 0.0
    return head + (1.0 - p) * (math.log1p(-p) - math.log1p(-q))
