"""From e-values to the verdict of one metric, the same for rates and means."""

from dataclasses import dataclass

from modelrollout.analysis import combining
from modelrollout.analysis.questions import Question
from modelrollout.analysis.verdicts import Because, Verdict

NOISY = 2.0
"""Dispersion from which noise, and not traffic, is named as the reason for no conclusion."""


@dataclass(frozen=True, slots=True)
class LogEs:
    """The e-values of one metric, as natural logarithms; None: not asked."""

    harm: float = 0.0
    not_worse: float | None = None
    better: float = 0.0
    limit: float | None = None


def verdict(log_es: LogEs, question: Question, *, tries: int) -> Verdict:
    """What is shown on this metric's own evidence, the gravest first."""
    harm = combining.log_threshold(question.false_rollback, tries=tries)
    promotion = combining.log_threshold(question.false_promotion, tries=tries)
    # Comparison and limit share one error rate: their average, not the larger of the two.
    asked = [log_e for log_e in (log_es.harm, log_es.limit) if log_e is not None]
    if combining.average_log_e(asked) >= harm:
        return Verdict.WORSE
    if log_es.better >= promotion:
        return Verdict.BETTER
    if log_es.not_worse is not None and log_es.not_worse >= promotion:
        return Verdict.NOT_WORSE
    return Verdict.UNDECIDED


def because(question: Question, *, grey: bool, dispersion: float) -> Because:
    """Why a metric with data and a working method is undecided."""
    if not question.margin.given:
        return Because.NO_MARGIN
    if grey:
        return Because.GREY_ZONE
    return Because.NOISE if dispersion >= NOISY else Because.TRAFFIC
