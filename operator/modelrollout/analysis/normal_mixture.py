"""The normal mixture: evidence and time-uniform intervals from a z-score and an intrinsic time.

Asymptotic: the z-score must be close to normal by the time anyone listens (means: not before 100
candidate values). `time` is variance of the summed statistic relative to the variance at which
the mixture is tightest, times its precision; see `clock`.
Source: Robbins' mixture as in Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2103.06476), with
intrinsic time instead of sample size, so that a ramp of weights keeps it exact in the limit.
"""

import math

from scipy import special

from modelrollout.analysis import mixtures


def clock(variance: float, *, planned: float, alpha: float) -> float:
    """Intrinsic time: 0 at the start, `mixtures.information_scale(alpha)` at the plan's end."""
    return variance / planned * mixtures.information_scale(alpha)


def one_sided_log_e(z: float, time: float) -> float:
    """Log of the e-value against "the mean is at most 0", for a sum z standard errors above 0."""
    if time <= 0.0:
        return 0.0
    share = time / (1.0 + time)
    quadratic = share * z * z / 2.0
    return (
        math.log(2.0)
        - math.log1p(time) / 2.0
        + quadratic
        + float(special.log_ndtr(z * math.sqrt(share)))
    )


def two_sided_radius(time: float, *, alpha: float) -> float:
    """Half-width, in standard errors, of the time-uniform interval at level 1 - alpha."""
    if time <= 0.0:
        return math.inf
    return math.sqrt((1.0 + time) / time * (math.log1p(time) + 2.0 * math.log(1.0 / alpha)))


def one_sided_radius(time: float, *, alpha: float) -> float:
    """Distance, in standard errors, of the one-sided time-uniform bound at level 1 - alpha."""
    if time <= 0.0:
        return math.inf
    spread = math.sqrt(1.0 + time)
    return spread * math.sqrt(2.0 / time * math.log1p(spread / (2.0 * alpha)))
