"""All metrics weighed together: is there harm, is anything missing, what is not shown yet.

Where a metric has no counts of both arms, its evidence stands still: missing data never counts for
or against a candidate.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from modelrollout.analysis import combining, evidence, split
from modelrollout.analysis.verdicts import Judgement, Verdict
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import questions
from modelrollout.domain.book import Book


def judgements(book: Book, *, tries: int) -> dict[str, Judgement]:
    """What each metric says now."""
    return {
        name: evidence.judge(entry.state, book.asked[name], tries=tries)
        for name, entry in book.entries.items()
    }


@dataclass(frozen=True, slots=True)
class Weighed:
    """What all metrics say together.

    Attributes:
        judgements: by metric name.
        log_e_harm: of the weighted average over guardrails and goals.
        threshold: what it must reach to roll back where e-processes decide, likewise a logarithm.
        culprit: the metric that shows harm; else the one that contributes most, "" without any.
        harmful: the evidence of harm has reached its threshold.
        missing: judged metrics that have no data.
        unproven: judged metrics that do not show yet what they must.
        split_leans: evidence against the split, in one sentence, "" when it stands.
    """

    judgements: Mapping[str, Judgement]
    log_e_harm: float
    threshold: float
    culprit: str
    harmful: bool
    missing: tuple[str, ...]
    unproven: tuple[str, ...]
    split_leans: str

    @property
    def quiet(self) -> bool:
        """The evidence of harm is low enough for a step to advance."""
        return combining.is_quiet(self.log_e_harm)


def weighed(
    book: Book, said: Mapping[str, Judgement], *, spec: ModelRolloutSpec, tries: int
) -> Weighed:
    """Weighs all metrics together.

    Args:
        book: the evidence.
        said: what each metric says now, by `judgements` of this book.
        spec: of the rollout.
        tries: which try of this candidate it is; the k-th needs k times the evidence.
    """
    judged = questions.judged(spec)
    log_es = [_log_e_harm(said[name]) for name in judged]
    averaged = [name for name in judged if said[name].spending is None]
    # Metrics that spend have each its part of the error; the others share what is left by their
    # average. All together are the whole of it.
    alpha = questions.part_of_error(spec, tries=tries) * max(1, len(averaged))
    threshold = combining.log_threshold(alpha)
    together = [_log_e_harm(said[name]) for name in averaged]
    alarmed = [
        name for name in judged if said[name].spending and said[name].verdict is Verdict.WORSE
    ]
    if together and combining.average_log_e(together) >= threshold:
        alarmed.append(averaged[combining.blame(together)])
    blamed = judged[combining.blame(log_es)] if judged else ""
    return Weighed(
        judgements=said,
        log_e_harm=combining.average_log_e(log_es),
        threshold=threshold,
        culprit=alarmed[0] if alarmed else blamed,
        harmful=bool(alarmed),
        missing=tuple(
            name
            for name in judged
            if said[name].verdict is Verdict.NO_DATA or book.entries[name].problem is not None
        ),
        unproven=_unproven(said, spec=spec, tries=tries),
        split_leans=split.leaning(book.split) if split.log_e(book.split) >= split.ALARM else "",
    )


def _log_e_harm(judgement: Judgement) -> float:
    return combining.log_e_with_limit(judgement.log_e_harm, judgement.log_e_limit)


def _unproven(
    said: Mapping[str, Judgement], *, spec: ModelRolloutSpec, tries: int
) -> tuple[str, ...]:
    alpha = spec.analysis.error_rate.false_promotion
    needed = combining.log_threshold(alpha, tries=tries)
    goals = [metric.name for metric in spec.analysis.metrics if metric.role == "goal"]
    shown = combining.holm([said[name].log_e_better for name in goals], alpha=alpha, tries=tries)
    met = {name for name, is_shown in zip(goals, shown, strict=True) if is_shown}
    return tuple(
        metric.name
        for metric in spec.analysis.metrics
        if (metric.role == "goal" and metric.name not in met)
        or (metric.role == "guardrail" and not _not_worse(said[metric.name], needed=needed))
    )


def _not_worse(judgement: Judgement, *, needed: float) -> bool:
    log_e = judgement.log_e_not_worse
    return max(judgement.log_e_better, -math.inf if log_e is None else log_e) >= needed
