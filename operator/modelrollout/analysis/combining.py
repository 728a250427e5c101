"""From the evidence of single metrics to what a rollout may conclude.

Three rules, each valid under any dependence between metrics: harm by the weighted average of
e-values, promotion by intersection-union (every guardrail at full level), goals by Holm.
All e-values are natural logarithms.
"""

import math
from collections.abc import Sequence

QUIET = 3.0
"""A step advances only while the mean harm e-value is below this."""


def log_threshold(alpha: float, *, tries: int = 1) -> float:
    """What the logarithm of an e-value must reach: ln(tries / alpha).

    Repeating a revision until it passes multiplies the error; so the k-th try needs k / alpha.
    """
    if tries < 1:
        raise ValueError(f"tries counts from 1, found {tries}")
    return math.log(tries / alpha)


def average_log_e(log_es: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """Log of the weighted average of e-values: itself an e-value, whatever the dependence.

    Weights are normalised; none given means equal ones. Without any metric the average is 1: no
    evidence. Raises ValueError on lengths that differ, or weights that are negative or all 0.
    """
    if not log_es:
        return 0.0
    shares = [1.0] * len(log_es) if weights is None else list(weights)
    if len(shares) != len(log_es):
        raise ValueError(f"expected {len(log_es)} weights, one per metric, found {len(shares)}")
    if not all(0 <= share < math.inf for share in shares) or not sum(shares) > 0:
        raise ValueError(f"weights are at least 0 and not all 0, found {shares}")
    used = [(log_e, share) for log_e, share in zip(log_es, shares, strict=True) if share > 0]
    top = max(log_e for log_e, _ in used)
    if math.isinf(top):
        return top
    mean = sum(share * math.exp(log_e - top) for log_e, share in used) / sum(shares)
    return top + math.log(mean)


def log_e_with_limit(log_e_harm: float, log_e_limit: float | None) -> float:
    """Comparison and limit of one metric share its error: their average, not the larger of them."""
    if log_e_limit is None:
        return log_e_harm
    return average_log_e([log_e_harm, log_e_limit])


def blame(log_es: Sequence[float], weights: Sequence[float] | None = None) -> int:
    """Index of the metric that contributes most to the average."""
    shares = [1.0] * len(log_es) if weights is None else weights
    logs = [math.log(share) if share > 0 else -math.inf for share in shares]
    return max(range(len(log_es)), key=lambda index: log_es[index] + logs[index])


def is_quiet(log_mean_e: float, *, at_most: float = QUIET) -> bool:
    """May a step advance, as far as harm is concerned?"""
    return log_mean_e < math.log(at_most)


def all_shown(log_es: Sequence[float], *, log_at_least: float) -> bool:
    """Intersection-union: every guardrail shows it at full level, now; no correction needed."""
    return all(log_e >= log_at_least for log_e in log_es)


def holm(log_es: Sequence[float], *, alpha: float, tries: int = 1) -> tuple[bool, ...]:
    """Which of several goals are shown, with family-wise error alpha / tries (Holm 1979 on 1/e).

    The largest of n e-values needs n / alpha, the next (n - 1) / alpha, and so on; the first that
    fails ends the claims.
    """
    shown = [False] * len(log_es)
    ranked = sorted(range(len(log_es)), key=lambda index: -log_es[index])
    for left, index in zip(range(len(log_es), 0, -1), ranked, strict=True):
        if log_es[index] < log_threshold(alpha, tries=tries) + math.log(left):
            break
        shown[index] = True
    return tuple(shown)
