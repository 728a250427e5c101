"""Evidence that the candidate breaks an absolute limit (an SLO), from its own totals alone.

A second kind of guardrail: it sees harm that strikes both versions, which comparisons cannot.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special

from modelrollout.analysis import mixtures, normal_mixture
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.questions import Limit

PLANNED_EVENTS = 100.0
"""Where the test is most sensitive: at about this many events' worth of information."""


def rate_log_e(limit: Limit, counts: RateCounts, *, alpha: float, dispersion: float = 1.0) -> float:
    """Natural log of the e-value against "the candidate's rate keeps its limit in every look".

    A mixture of Bernoulli likelihood ratios beyond the limit, the prior of F1 in log odds (a
    discrete relative of the beta-binomial mixture F5, one-sided as an SLO is). Exact at any
    stopping time for independent requests, also while the rate moves below the limit. A limit
    of 0 or 1 is broken by the first event that it forbids.
    """
    edge, bad = _as_at_most(limit, counts)
    if edge in (0.0, 1.0):
        return math.inf if bad > 0 and edge == 0.0 else 0.0
    log_up, log_down, log_weights = _alternatives(edge, alpha)
    log_likelihood = bad * log_up + (counts.trials - bad) * log_down
    return mixtures.log_mean_exp(log_likelihood / dispersion, log_weights)


def mean_log_e(limit: Limit, *, mean: float, standard_error: float, time: float) -> float:
    """Log of the e-value against "the candidate's mean keeps its limit"; asymptotic."""
    beyond = mean - limit.at_most if limit.at_most is not None else (limit.at_least or 0.0) - mean
    return normal_mixture.one_sided_log_e(beyond / standard_error, time)


def _as_at_most(limit: Limit, counts: RateCounts) -> tuple[float, int]:
    if limit.at_most is not None:
        return limit.at_most, counts.events
    return 1.0 - (limit.at_least or 0.0), counts.trials - counts.events


@lru_cache(maxsize=256)
def _alternatives(edge: float, alpha: float) -> tuple[Array, Array, Array]:
    effects, log_weights = mixtures.effects(
        information=PLANNED_EVENTS * max(edge, 1.0 - edge), alpha=alpha
    )
    beyond = special.expit(special.logit(edge) + effects)
    log_up = np.log1p((beyond - edge) / edge)
    return log_up, np.log1p((edge - beyond) / (1.0 - edge)), log_weights
