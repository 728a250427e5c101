"""From e-values to the verdict of one metric, the same for rates and means."""

import math
from dataclasses import dataclass

from modelrollout.analysis import combining
from modelrollout.analysis.questions import Question
from modelrollout.analysis.verdicts import Because, Spending, Verdict

NOISY = 2.0
"""Dispersion from which noise, and not traffic, is named as the reason for no conclusion."""


@dataclass(frozen=True, slots=True)
class LogEs:
    """The e-values of one metric, as natural logarithms; None: not asked."""

    harm: float = 0.0
    not_worse: float | None = None
    better: float = 0.0
    limit: float | None = None


def verdict(
    log_es: LogEs, question: Question, *, tries: int, spending: Spending | None = None
) -> Verdict:
    """What is shown on this metric's own evidence, the gravest first."""
    promotion = combining.log_threshold(question.false_promotion, tries=tries)
    alarmed = (
        combining.log_e_with_limit(log_es.harm, log_es.limit)
        >= combining.log_threshold(question.false_rollback, tries=tries)
        if spending is None
        else spent_alarm(spending, log_es)
    )
    if alarmed:
        return Verdict.WORSE
    if log_es.better >= promotion:
        return Verdict.BETTER
    if log_es.not_worse is not None and log_es.not_worse >= promotion:
        return Verdict.NOT_WORSE
    return Verdict.UNDECIDED


def spent_alarm(spending: Spending, log_es: LogEs) -> bool:
    """Harm where alpha is spent exactly; a limit of the same metric has an alpha of its own.

    Once the law has ended, the e-process may use what is left of alpha: their errors add up.
    """
    if spending.alarm:
        return True
    left = spending.alpha - spending.error if spending.boundary is None else 0.0
    if left > 0 and log_es.harm >= -math.log(left):
        return True
    return log_es.limit is not None and log_es.limit >= -math.log(spending.alpha)


def because(question: Question, *, grey: bool, dispersion: float) -> Because:
    """Why a metric with data and a working method is undecided."""
    if not question.margin.given:
        return Because.NO_MARGIN
    if grey:
        return Because.GREY_ZONE
    return Because.NOISE if dispersion >= NOISY else Because.TRAFFIC
