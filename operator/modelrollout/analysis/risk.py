"""How much worse the candidate can still be: the bound that lets a risk-limited ramp go on.

A ramp spends an error budget: at a share w of the traffic a candidate that is worse by d harms
w d of all requests. As long as that stays below the budget for the largest d that the evidence
still allows, the share may grow; with much traffic after seconds, with little after hours.
"""

import math

from modelrollout.analysis import normal_mixture
from modelrollout.analysis.questions import Better, Question
from modelrollout.analysis.rates import RateEvidence

ALPHA = 0.2
"""Probability that the bound is ever below the truth: it paces a ramp, and decides nothing."""
UNSEEN = 1.0
"""Events of each arm that are added to the variance: no events is not no noise. Simulated at base
rates of 0.05 to 30 % and two ramps: the bound is below the truth in 16 % of rollouts at most."""
MOST_GROWTH = 1e9
TINY = 1e-12


def upper_bound(
    evidence: RateEvidence,
    question: Question,
    *,
    alpha: float = ALPHA,
    dispersion: float = 1.0,
) -> float:
    """The largest worsening of the rate that is still plausible, in shares of requests.

    Time-uniform: with probability `1 - alpha` it is at least the true difference of bad outcomes
    after every look, whatever the ramp did; 1 before both arms had requests. It assumes independent
    requests (of looks that vary more, give the judgement's `dispersion`), and holds asymptotically
    in the number of bad outcomes.

    Source: Robbins' one-sided normal mixture as in `normal_mixture`, on Mantel-Haenszel differences
    of the looks, tuned to the variance of one event; notes 2.2, risk-limited ramp.

    Raises:
        ValueError: for an alpha outside (0, 0.5], or a dispersion below 1.
    """
    if not 0.0 < alpha <= 0.5:  # noqa: PLR2004 - beyond a half it would not be a bound
        raise ValueError(f"expected an alpha above 0 and at most 0.5, found {alpha}")
    if not 1.0 <= dispersion < math.inf:
        raise ValueError(f"expected a dispersion of at least 1, found {dispersion}")
    if evidence.looks == 0:
        return 1.0
    radius = _radius(evidence, alpha=alpha, dispersion=dispersion)
    found = _worsening(evidence, question) + radius
    return min(max(found, -1.0), 1.0)


def trials_left(
    evidence: RateEvidence,
    question: Question,
    *,
    at_most: float,
    alpha: float = ALPHA,
    dispersion: float = 1.0,
) -> float:
    """More candidate requests until the bound is `at_most`, if both versions are equal.

    0 where it is there already; infinite where it cannot be told, before the first look.

    Raises:
        ValueError: for a bound of 0 or less, which equal versions never reach; as `upper_bound`.
    """
    if not at_most > 0.0:
        raise ValueError(f"expected a bound above 0, found {at_most}")
    bound = upper_bound(evidence, question, alpha=alpha, dispersion=dispersion)
    if bound <= at_most:
        return 0.0
    if evidence.looks == 0:
        return math.inf

    def enough(growth: float) -> bool:
        return _radius(evidence, alpha=alpha, dispersion=dispersion, growth=growth) <= at_most

    low, high = 1.0, 2.0
    while not enough(high):
        low, high = high, 2.0 * high
        if high > MOST_GROWTH:
            return math.inf
    while high > 1.001 * low:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if enough(middle) else (middle, high)
    # What was seen so far may count against an equal candidate: then it is at least as much again.
    return max(high - 1.0, 0.1) * evidence.compared.trials_c


def _worsening(evidence: RateEvidence, question: Question) -> float:
    sums = evidence.standardised
    found = (sums.candidate - sums.stable) / sums.overlap
    return found if question.better is Better.LOWER else -found


def _radius(
    evidence: RateEvidence, *, alpha: float, dispersion: float, growth: float = 1.0
) -> float:
    """Half-width of the bound once there are `growth` times as many requests."""
    sums, past = evidence.standardised, evidence.compared
    p_c, p_s = sums.candidate / sums.overlap, sums.stable / sums.overlap
    share = past.trials_c / (past.trials_c + past.trials_s)
    noise_c = max(0.0, sums.noise_c - p_c * p_c * sums.square_c)
    noise_s = max(0.0, sums.noise_s - p_s * p_s * sums.square_s)
    unseen = UNSEEN * ((1.0 - share) ** 2 + share**2)
    variance = growth * dispersion * (noise_c + noise_s) + unseen
    clock = normal_mixture.clock(variance, planned=max(share * (1.0 - share), TINY), alpha=alpha)
    width = normal_mixture.one_sided_radius(clock, alpha=alpha)
    return width * math.sqrt(variance) / (growth * sums.overlap)
