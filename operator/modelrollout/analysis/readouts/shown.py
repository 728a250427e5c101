"""What every read-out returns: an estimate with its interval, a test with its p-value."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from scipy import special


class Side(StrEnum):
    """The alternative that a p-value speaks for, always about the candidate against stable."""

    TWO_SIDED = "two-sided"
    GREATER = "greater"
    LESS = "less"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with a two-sided interval; NaN where the data say nothing about the value."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Significance:
    """A test: its statistic, the p-value for `side`, and degrees of freedom where it has any."""

    statistic: float
    p_value: float
    side: Side = Side.TWO_SIDED
    freedom: float | None = None


def normal_p(z: float, *, side: Side) -> float:
    """p-value of a standard normal statistic."""
    match side:
        case Side.TWO_SIDED:
            return min(1.0, 2.0 * float(special.ndtr(-abs(z))))
        case Side.GREATER:
            return float(special.ndtr(-z))
        case Side.LESS:
            return float(special.ndtr(z))
        case _:
            assert_never(side)


def student_p(t: float, *, freedom: float, side: Side) -> float:
    """p-value of a Student t statistic."""
    match side:
        case Side.TWO_SIDED:
            return min(1.0, 2.0 * float(special.stdtr(freedom, -abs(t))))
        case Side.GREATER:
            return float(special.stdtr(freedom, -t))
        case Side.LESS:
            return float(special.stdtr(freedom, t))
        case _:
            assert_never(side)


def critical(alpha: float) -> float:
    """The two-sided normal quantile z with P(|Z| > z) = alpha.

    Raises:
        ValueError: on an alpha outside (0, 1).
    """
    check_alpha(alpha)
    return -float(special.ndtri(alpha / 2.0))


def check_alpha(alpha: float) -> None:
    """Raises ValueError on an alpha outside (0, 1), NaN included."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"expected an alpha above 0 and below 1, found {alpha}")


def quotient(above: float, below: float) -> float:
    """The quotient of numbers of at least 0: inf for x/0, NaN for 0/0."""
    if below > 0.0:
        return above / below
    return math.inf if above > 0.0 else math.nan
