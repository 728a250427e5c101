"""Two means side by side, from what a metric exports: how many values, their sum, their squares.

Values are assumed independent with a finite variance. At the few values where the t law differs
from the normal they are assumed normal, too; for heavy tails read exceedances or `ranks` instead.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from scipy import special

from modelrollout.analysis.counts import MeanCounts
from modelrollout.analysis.readouts import shown
from modelrollout.analysis.readouts.shown import Estimate, Side, Significance


def mean(counts: MeanCounts, *, alpha: float = 0.05) -> Estimate:
    """The mean of one arm with its t interval, in the unit of the values.

    Raises:
        ValueError: on fewer than two values, missing squares, or an alpha outside (0, 1).
    """
    shown.check_alpha(alpha)
    arm = _Arm.of(counts)
    reach = _quantile(alpha, freedom=arm.count - 1) * math.sqrt(arm.error)
    return Estimate(arm.mean, arm.mean - reach, arm.mean + reach)


def welch(
    candidate: MeanCounts,
    stable: MeanCounts,
    *,
    side: Side = Side.TWO_SIDED,
    difference: float = 0.0,
) -> Significance:
    """Do the means differ by more than `difference`, candidate minus stable? Welch's t-test.

    Variances need not be equal. Source: Welch (1947), degrees of freedom of Satterthwaite (1946).

    Raises:
        ValueError: on fewer than two values in an arm, missing squares, a difference that is not
            finite, or values that do not vary in either arm: a t-test then has no yardstick.
    """
    if not math.isfinite(difference):
        raise ValueError(f"expected a finite difference, found {difference}")
    c, s = _both(candidate, stable)
    t = (_gap(c, s) - difference) / math.sqrt(c.error + s.error)
    freedom = _freedom(c, s)
    return Significance(t, shown.student_p(t, freedom=freedom, side=side), side, freedom)


def difference(candidate: MeanCounts, stable: MeanCounts, *, alpha: float = 0.05) -> Estimate:
    """The difference of the means, candidate minus stable, with Welch's interval.

    Raises:
        ValueError: as `welch`, or on an alpha outside (0, 1).
    """
    shown.check_alpha(alpha)
    c, s = _both(candidate, stable)
    gap = _gap(c, s)
    reach = _quantile(alpha, freedom=_freedom(c, s)) * math.sqrt(c.error + s.error)
    return Estimate(gap, gap - reach, gap + reach)


def difference_error(candidate: MeanCounts, stable: MeanCounts) -> float:
    """The standard error of the difference of the means, in the unit of the values.

    Raises:
        ValueError: as `welch`.
    """
    c, s = _both(candidate, stable)
    return math.sqrt(c.error + s.error)


def lift(candidate: MeanCounts, stable: MeanCounts, *, alpha: float = 0.05) -> Estimate:
    """The relative difference of the means, mean_c / mean_s - 1, by the delta method.

    A ratio: 0.05 is five per cent more. Its variance is e_c / mean_s^2 + mean_c^2 e_s / mean_s^4,
    where e are squared standard errors, and its interval that of t with Welch's degrees of freedom,
    as in GrowthBook. It assumes that stable's mean is many standard errors from 0; `fieller` holds
    where it is not. Rates are means of zeros and ones: squares equal the sum.

    Raises:
        ValueError: as `welch`, if stable's mean is not above 0 (less than nothing has no
            percentages), or on an alpha outside (0, 1).
    """
    shown.check_alpha(alpha)
    c, s = _relative(candidate, stable)
    reach = _quantile(alpha, freedom=_freedom(c, s)) * _lift_error(c, s)
    value = _gap(c, s) / s.mean
    return Estimate(value, value - reach, value + reach)


def lift_error(candidate: MeanCounts, stable: MeanCounts) -> float:
    """The standard error of `lift`, a ratio, by the delta method.

    Raises:
        ValueError: as `lift`.
    """
    return _lift_error(*_relative(candidate, stable))


def fieller(candidate: MeanCounts, stable: MeanCounts, *, alpha: float = 0.05) -> Estimate:
    """The relative difference of the means by Fieller's theorem: exact for normal means.

    All ratios of means that a t-test of mean_c - ratio mean_s does not refute, with Welch's degrees
    of freedom. (-inf, inf) where stable's mean itself cannot be told from 0. Source: Fieller
    (1954).

    Raises:
        ValueError: as `lift`.
    """
    shown.check_alpha(alpha)
    c, s = _relative(candidate, stable)
    square = _quantile(alpha, freedom=_freedom(c, s)) ** 2
    ratio = c.mean / s.mean
    doubt = square * s.error / (s.mean * s.mean)
    value = _gap(c, s) / s.mean
    if doubt >= 1.0:
        return Estimate(value, -math.inf, math.inf)
    spread = c.error * (1.0 - doubt) + ratio * ratio * s.error
    reach = math.sqrt(square * spread) / s.mean / (1.0 - doubt)
    centre = (value + doubt) / (1.0 - doubt)
    return Estimate(value, centre - reach, centre + reach)


@dataclass(frozen=True, slots=True)
class _Arm:
    """Mean of one arm, exact as a fraction of the sums, and its squared standard error."""

    count: int
    exact: Fraction
    error: float

    @property
    def mean(self) -> float:
        return float(self.exact)

    @classmethod
    def of(cls, counts: MeanCounts) -> "_Arm":
        if counts.count < 2:  # noqa: PLR2004
            raise ValueError(
                f"expected at least two values in each arm, found {counts.count}; a single value "
                f"does not show how much values vary"
            )
        if counts.squares is None:
            raise ValueError(
                "expected the sum of squares of the values, found none; export it, or read the "
                "metric as a rate of exceedances"
            )
        # In fractions: as floats, sum of squares minus square of sum loses every digit where the
        # mean dwarfs the deviation.
        count, total = counts.count, Fraction(counts.total)
        deviations = max(Fraction(0), Fraction(counts.squares) - total * total / count)
        return cls(count, total / count, float(deviations / (count - 1) / count))


def _both(candidate: MeanCounts, stable: MeanCounts) -> tuple[_Arm, _Arm]:
    c, s = _Arm.of(candidate), _Arm.of(stable)
    if c.error + s.error == 0.0:
        raise ValueError(
            f"expected values that vary in at least one arm, found only {c.mean:g} and {s.mean:g}"
        )
    return c, s


def _relative(candidate: MeanCounts, stable: MeanCounts) -> tuple[_Arm, _Arm]:
    c, s = _both(candidate, stable)
    if s.mean <= 0.0:
        raise ValueError(
            f"expected a mean of stable above 0 to relate to, found {s.mean:g}; read the "
            f"difference instead"
        )
    return c, s


def _gap(c: _Arm, s: _Arm) -> float:
    return float(c.exact - s.exact)


def _lift_error(c: _Arm, s: _Arm) -> float:
    ratio = c.mean / s.mean
    return math.sqrt(c.error + ratio * ratio * s.error) / s.mean


def _freedom(c: _Arm, s: _Arm) -> float:
    part = c.error / (c.error + s.error)
    return 1.0 / (part * part / (c.count - 1) + (1.0 - part) ** 2 / (s.count - 1))


def _quantile(alpha: float, *, freedom: float) -> float:
    return -float(special.stdtrit(freedom, alpha / 2.0))
