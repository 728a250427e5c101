"""The evidence of a rollout: kept small in status, advanced exactly once per look, and judged.

A look belongs to the evidence when it begins where the last one ended; any other (a replay after a
crash, a look read before the weights changed) is not counted. Where a metric has no counts of both
arms, nothing happens to its evidence: missing data never counts for or against a candidate.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from modelrollout.analysis import combining, evidence, split
from modelrollout.analysis.counts import Counts, RateCounts
from modelrollout.analysis.evidence import Evidence
from modelrollout.analysis.questions import Question
from modelrollout.analysis.split import Split
from modelrollout.analysis.verdicts import Judgement, Verdict
from modelrollout.api import scalars
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain import questions
from modelrollout.domain.observed import Look, Pair
from modelrollout.domain.reasons import Code, Reason

SPLIT_ALARM = math.log(1000.0)
"""Evidence against the split from which on no step advances."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The evidence of one metric.

    Attributes:
        asked: fingerprint of the metric as written; an edit of the metric starts it anew.
        state: what the looks brought so far.
        problem: why the last look had no counts of it, None when it had.
    """

    asked: str
    state: Evidence
    problem: Reason | None = None


@dataclass(frozen=True, slots=True)
class Book:
    """All evidence of a rollout.

    Attributes:
        entries: by metric name, in the order of the spec.
        split: whether requests arrive in the shares decided, of the present step.
        usual: stable's value per metric before the rollout.
        planned_requests: requests of both arms expected until the deadline.
    """

    entries: Mapping[str, Entry]
    split: Split
    usual: Mapping[str, float] = field(default_factory=dict)
    planned_requests: float = 0.0

    def questions(self, spec: ModelRolloutSpec) -> dict[str, Question]:
        """What is asked of each metric."""
        return questions.asked(spec, planned_requests=self.planned_requests, usual=self.usual)


def opened(spec: ModelRolloutSpec, text: str) -> Book:
    """The evidence as stored, with metrics that are new or were edited at their beginning."""
    stored = json.loads(text) if text else {}
    usual = {str(k): float(v) for k, v in stored.get("usual", {}).items()}
    planned = float(stored.get("planned", 0.0))
    asked = questions.asked(spec, planned_requests=planned, usual=usual)
    kept = stored.get("metrics", {})
    entries = {
        metric.name: _entry(metric, asked[metric.name], kept.get(metric.name))
        for metric in spec.analysis.metrics
    }
    guard = Split.from_json(stored["split"]) if "split" in stored else split.fresh()
    return Book(entries, guard, usual, planned)


def _entry(metric: Metric, question: Question, stored: Mapping[str, Any] | None) -> Entry:
    print_ = fingerprint(metric)
    if stored is None or stored.get("asked") != print_:
        return Entry(print_, evidence.fresh(question))
    problem = stored.get("problem")
    return Entry(
        print_,
        Evidence.from_json(stored["state"]),
        Reason(Code(problem[0]), problem[1]) if isinstance(problem, list) else None,
    )


def fingerprint(metric: Metric) -> str:
    """What identifies the question a metric asks."""
    text = metric.model_dump_json(by_alias=True, exclude={"warm_up", "role"})
    return sha256(text.encode()).hexdigest()[:12]


def closed(book: Book) -> str:
    """The evidence as text for the status."""
    metrics = {
        name: {
            "asked": entry.asked,
            "state": entry.state.to_json(),
            **({"problem": [entry.problem.code, entry.problem.sentence]} if entry.problem else {}),
        }
        for name, entry in book.entries.items()
    }
    stored = {
        "metrics": metrics,
        "split": book.split.to_json(),
        "usual": dict(book.usual),
        "planned": book.planned_requests,
    }
    return json.dumps(stored, separators=(",", ":"))


def counted(
    book: Book, look: Look, *, spec: ModelRolloutSpec, share: int, confirmed_at: float
) -> Book:
    """The evidence after one look.

    Args:
        book: as it was.
        look: the look, which came through.
        spec: of the rollout.
        share: decided share of the candidate, in parts of ten thousand.
        confirmed_at: when the split was confirmed, for metrics with a longer warm-up.
    """
    asked = book.questions(spec)
    entries = dict(book.entries)
    for metric in spec.analysis.metrics:
        warm = metric.warm_up is None or look.start >= confirmed_at + metric.warm_up
        pair = look.pairs.get(metric.name)
        entry = replace(entries[metric.name], problem=look.problems.get(metric.name))
        if warm and pair is not None and pair.candidate is not None and pair.stable is not None:
            state = evidence.advance(
                entry.state, asked[metric.name], candidate=pair.candidate, stable=pair.stable
            )
            entry = replace(entry, state=state)
        entries[metric.name] = entry
    return replace(book, entries=entries, split=_split(book.split, look, spec=spec, share=share))


def _split(guard: Split, look: Look, *, spec: ModelRolloutSpec, share: int) -> Split:
    pair = requests(look, spec=spec)
    if pair is None or not 0 < share < scalars.PARTS:
        return guard
    return split.advance(
        guard,
        share=share / scalars.PARTS,
        candidate=_trials(pair.candidate),
        stable=_trials(pair.stable),
    )


def requests(look: Look, *, spec: ModelRolloutSpec) -> Pair | None:
    """The pair whose trials are requests: of the first latency metric, else the first rate."""
    ranked = sorted(spec.analysis.metrics, key=lambda metric: metric.latency is None)
    for metric in ranked:
        pair = look.pairs.get(metric.name)
        if metric.mean is None and pair is not None:
            return pair
    return None


def _trials(counts: Counts | None) -> int:
    return counts.trials if isinstance(counts, RateCounts) else 0


def request_counts(look: Look, *, spec: ModelRolloutSpec) -> tuple[int, int]:
    """Requests of candidate and stable in a look, 0 where they are unknown."""
    pair = requests(look, spec=spec)
    return (0, 0) if pair is None else (_trials(pair.candidate), _trials(pair.stable))


def new_step(book: Book) -> Book:
    """The evidence at the beginning of a step: the split is watched anew."""
    return replace(book, split=split.fresh())


def judgements(book: Book, *, spec: ModelRolloutSpec, tries: int) -> dict[str, Judgement]:
    """What each metric says now."""
    asked = book.questions(spec)
    return {
        name: evidence.judge(entry.state, asked[name], tries=tries)
        for name, entry in book.entries.items()
    }


@dataclass(frozen=True, slots=True)
class Weighed:
    """What all metrics say together.

    Attributes:
        judgements: by metric name.
        log_e_harm: of the weighted average over guardrails and goals.
        threshold: what it must reach to roll back, likewise a logarithm.
        culprit: the metric that contributes most, "" without any.
        missing: judged metrics that have no data.
        unproven: judged metrics that do not show yet what they must.
        split_leans: evidence against the split, in one sentence, "" when it stands.
    """

    judgements: Mapping[str, Judgement]
    log_e_harm: float
    threshold: float
    culprit: str
    missing: tuple[str, ...]
    unproven: tuple[str, ...]
    split_leans: str

    @property
    def harmful(self) -> bool:
        """The evidence of harm has reached its threshold."""
        return self.log_e_harm >= self.threshold

    @property
    def quiet(self) -> bool:
        """The evidence of harm is low enough for a step to advance."""
        return combining.is_quiet(self.log_e_harm)


def weighed(book: Book, *, spec: ModelRolloutSpec, tries: int) -> Weighed:
    """Weighs all metrics together."""
    judged = questions.judged(spec)
    said = judgements(book, spec=spec, tries=tries)
    log_es = [_log_e_harm(said[name]) for name in judged]
    rates = spec.analysis.error_rate
    return Weighed(
        judgements=said,
        log_e_harm=combining.average_log_e(log_es),
        threshold=combining.log_threshold(rates.false_rollback, tries=tries),
        culprit=judged[combining.blame(log_es)] if judged else "",
        missing=tuple(
            name
            for name in judged
            if said[name].verdict is Verdict.NO_DATA or book.entries[name].problem is not None
        ),
        unproven=_unproven(said, spec=spec, tries=tries),
        split_leans=split.leaning(book.split) if split.log_e(book.split) >= SPLIT_ALARM else "",
    )


def _log_e_harm(judgement: Judgement) -> float:
    """Evidence of harm of one metric: its comparison, averaged with its limit where it has one."""
    if judgement.log_e_limit is None:
        return judgement.log_e_harm
    return combining.average_log_e([judgement.log_e_harm, judgement.log_e_limit])


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
