"""The evidence of a rollout: kept small in status, advanced exactly once per look.

A look belongs to the evidence when it begins where the last one ended; any other (a replay after a
crash, a look read before the weights changed) is not counted. Where a metric has no counts of both
arms, nothing happens to its evidence: missing data never counts for or against a candidate.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from modelrollout.analysis import evidence, split
from modelrollout.analysis.counts import Counts, RateCounts
from modelrollout.analysis.evidence import Evidence
from modelrollout.analysis.noise import ArmNoise
from modelrollout.analysis.questions import Question
from modelrollout.analysis.split import Split
from modelrollout.api import scalars
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain import questions
from modelrollout.domain.observed import Look, Pair
from modelrollout.domain.questions import Known
from modelrollout.domain.reasons import Code, Reason


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
        asked: the question of each metric.
        looked: looks that came through since the present share was decided.
        known: before the first look.
    """

    entries: Mapping[str, Entry]
    split: Split
    asked: Mapping[str, Question]
    looked: int = 0
    known: Known = questions.NOTHING_KNOWN


def fresh(spec: ModelRolloutSpec, known: Known = questions.NOTHING_KNOWN) -> Book:
    """No evidence yet."""
    return _read(spec, {}, known=known)


def opened(spec: ModelRolloutSpec, text: str) -> Book:
    """The evidence as stored, with metrics that are new or were edited at their beginning."""
    stored = json.loads(text) if text else {}
    known = Known(
        usual={str(k): float(v) for k, v in stored.get("usual", {}).items()},
        requests=float(stored.get("requests", 0.0)),
        looks=int(stored.get("looks", 0)),
        tries=int(stored.get("tries", 1)),
        noise={name: ArmNoise(*values) for name, values in stored.get("noise", {}).items()},
        calibration={str(k): str(v) for k, v in stored.get("calibration", {}).items()},
    )
    book = _read(spec, stored.get("metrics", {}), known=known)
    guard, looked = Split.from_json(stored.get("split")), int(stored.get("looked", 0))
    return replace(book, split=guard, looked=looked)


def _read(
    spec: ModelRolloutSpec,
    kept: Mapping[str, Any],
    *,
    known: Known,
) -> Book:
    asked = questions.asked(spec, known)
    entries = {
        metric.name: _entry(metric, asked[metric.name], kept.get(metric.name))
        for metric in spec.analysis.metrics
    }
    return Book(entries, split.fresh(), asked, known=known)


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
        "looked": book.looked,
        "usual": dict(book.known.usual),
        "requests": book.known.requests,
        "looks": book.known.looks,
        "tries": book.known.tries,
        "noise": {name: [n.tau2, n.omega2] for name, n in book.known.noise.items()},
        "calibration": dict(book.known.calibration),
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
    entries = {
        metric.name: _after(
            book.entries[metric.name],
            look,
            metric=metric,
            question=book.asked[metric.name],
            confirmed_at=confirmed_at,
        )
        for metric in spec.analysis.metrics
    }
    guard = _split(book.split, look, spec=spec, share=share)
    return replace(book, entries=entries, split=guard, looked=book.looked + 1)


def _after(
    entry: Entry, look: Look, *, metric: Metric, question: Question, confirmed_at: float
) -> Entry:
    entry = replace(entry, problem=look.problems.get(metric.name))
    warm = metric.warm_up is None or look.start >= confirmed_at + metric.warm_up
    candidate, stable = _arms(look.pairs.get(metric.name), metric)
    if not warm or candidate is None or stable is None:
        return entry
    state = evidence.advance(entry.state, question, candidate=candidate, stable=stable)
    return replace(entry, state=state)


def _arms(pair: Pair | None, metric: Metric) -> tuple[Counts | None, Counts | None]:
    """The counts of both arms; an absolute limit needs those of the candidate alone."""
    if pair is None:
        return None, None
    alone = metric.limit is not None and isinstance(pair.candidate, RateCounts)
    return pair.candidate, RateCounts() if alone and pair.stable is None else pair.stable


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


def restarted(book: Book, spec: ModelRolloutSpec) -> Book:
    """No evidence any more, but what is known of stable and the traffic."""
    return fresh(spec, book.known)


def new_step(book: Book) -> Book:
    """The evidence at the beginning of a step: the split is watched anew."""
    return replace(book, split=split.fresh(), looked=0)
