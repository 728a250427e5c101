"""Many claims at once with a bounded share of false ones: Benjamini-Hochberg and e-BH.

`combining` holds what one rollout needs (averages, intersection-union, Holm). This is for lists: a
fleet of rollouts, or the drift of fifty features, where one false claim among twenty is tolerable
and Holm would miss most true ones.
"""

import math
from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float], *, alpha: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected, with a false discovery rate of at most alpha.

    The k smallest, for the largest k with p_(k) <= alpha k / n. Assumes independent or positively
    dependent p-values. Source: Benjamini and Hochberg (1995).

    Raises:
        ValueError: on an alpha outside (0, 1) or a p-value outside [0, 1].
    """
    _check_alpha(alpha)
    if not all(0.0 <= p <= 1.0 for p in p_values):
        raise ValueError(f"expected p-values between 0 and 1, found {list(p_values)}")
    return _step_up([-p for p in p_values], [-alpha * k / len(p_values) for k in _ranks(p_values)])


def e_bh(log_es: Sequence[float], *, alpha: float) -> tuple[bool, ...]:
    """Which hypotheses are rejected, from natural logs of e-values, under any dependence.

    The k largest, for the largest k with e_(k) >= n / (alpha k). Source: Wang and Ramdas (2022).

    Raises:
        ValueError: on an alpha outside (0, 1) or a NaN.
    """
    _check_alpha(alpha)
    if any(math.isnan(log_e) for log_e in log_es):
        raise ValueError(f"expected logarithms of e-values, found NaN in {list(log_es)}")
    return _step_up(log_es, [math.log(len(log_es) / (alpha * k)) for k in _ranks(log_es)])


def _step_up(strengths: Sequence[float], needed: Sequence[float]) -> tuple[bool, ...]:
    order = sorted(range(len(strengths)), key=lambda index: -strengths[index])
    passing = [k for k, index in enumerate(order) if strengths[index] >= needed[k]]
    rejected = set(order[: passing[-1] + 1]) if passing else set()
    return tuple(index in rejected for index in range(len(strengths)))


def _ranks(values: Sequence[float]) -> range:
    return range(1, len(values) + 1)


def _check_alpha(alpha: float) -> None:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"expected an alpha above 0 and below 1, found {alpha}")
