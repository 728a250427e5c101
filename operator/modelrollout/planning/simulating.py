"""What a plan can see, by trying it: rollouts drawn at random and judged by the real evidence.

The formulas of `power` rest on expected totals and normal laws; here a few hundred rollouts take
every look, hold a step while evidence of harm is loud, and end by the rules that decide in
earnest. Slower by some orders of magnitude, and right where the formulas are not.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from modelrollout.analysis import combining, evidence, spending
from modelrollout.analysis.counts import Counts, MeanCounts, RateCounts
from modelrollout.analysis.questions import Better, Kind, Question
from modelrollout.analysis.verdicts import Judgement, Verdict
from modelrollout.planning.schedule import Schedule, Service

MOST_LOOKS = 120
"""During the steps: a longer plan is simulated with rarer looks."""
TAIL = 20.0
"""After the steps a look is taken at the latest when their time has grown by one in so many."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """Shares of the simulated rollouts, and means over them.

    Attributes:
        runs: how many.
        caught_by_step: rolled back until the least duration of each step was over.
        caught: rolled back until the deadline.
        promoted: until the deadline.
        candidate_requests: that the candidate served until the end, on average.
        median_s: until the promotion, of half of all rollouts; None when fewer are promoted.
    """

    runs: int
    caught_by_step: tuple[float, ...]
    caught: float
    promoted: float
    candidate_requests: float
    median_s: float | None

    @property
    def error(self) -> float:
        """Standard error of a share, at most."""
        return 0.5 / math.sqrt(self.runs)


@dataclass(frozen=True, slots=True)
class _End:
    at_s: float
    caught: bool
    promoted: bool
    candidate_requests: float


def simulated(
    question: Question,
    schedule: Schedule,
    service: Service,
    *,
    worse_by: float = 0.0,
    runs: int = 200,
    seed: int = 1,
) -> Simulated:
    """Virtual rollouts of a candidate that is worse by `worse_by`, in the metric's own unit.

    Args:
        question: of the metric, with its part of the error rates.
        schedule: of the rollout.
        service: the stable version; independent requests at a constant rate.
        worse_by: absolute, at least 0, in the direction that is bad.
        runs: rollouts.
        seed: of the random numbers; the same seed gives the same answer.

    Raises:
        ValueError: on a worsening below 0, no runs, or a service without what is asked about.
    """
    if not 0 <= worse_by < math.inf or runs < 1:
        raise ValueError(
            f"expected a worsening of at least 0 and at least one run, found {worse_by} and {runs}"
        )
    draw = _drawing(question, service, worse_by=worse_by)
    rng = np.random.default_rng(seed)
    ends = [_rollout(question, schedule, service, draw, rng) for _ in range(runs)]
    times = sorted(end.at_s if end.promoted else math.inf for end in ends)
    median_s = times[(runs - 1) // 2]
    return Simulated(
        runs=runs,
        caught_by_step=tuple(
            sum(end.caught and end.at_s <= by_s for end in ends) / runs for by_s in schedule.ends_s
        ),
        caught=sum(end.caught for end in ends) / runs,
        promoted=sum(end.promoted for end in ends) / runs,
        candidate_requests=sum(end.candidate_requests for end in ends) / runs,
        median_s=median_s if math.isfinite(median_s) else None,
    )


def _looks_s(schedule: Schedule) -> Iterator[tuple[float, float]]:
    """(begin, end) of each look until the deadline."""
    least_s, now_s = schedule.ends_s[-1], 0.0
    while now_s < schedule.deadline_s:
        gap_s = max(schedule.interval_s, least_s / MOST_LOOKS, (now_s - least_s) / TAIL)
        end_s = min(now_s + gap_s, schedule.deadline_s)
        yield now_s, end_s
        now_s = end_s


_Draw = Callable[[np.random.Generator, float, float], tuple[Counts, Counts]]
"""Counts of both arms, from expected requests of the candidate and of stable."""


def _drawing(question: Question, service: Service, *, worse_by: float) -> _Draw:
    sign = 1.0 if question.better is Better.LOWER else -1.0
    if question.kind is Kind.MEAN:
        if service.mean is None or service.deviation is None:
            raise ValueError("expected a service with a mean and a deviation, found none")
        mean, deviation = service.mean, service.deviation
        return lambda rng, c, s: (
            _values(rng, c, mean=mean + sign * worse_by, deviation=deviation),
            _values(rng, s, mean=mean, deviation=deviation),
        )
    if service.rate is None:
        raise ValueError("expected a service with a rate, found none")
    stable = service.rate
    candidate = min(max(stable + sign * worse_by, 0.0), 1.0)
    return lambda rng, c, s: (_events(rng, c, rate=candidate), _events(rng, s, rate=stable))


def _events(rng: np.random.Generator, expected: float, *, rate: float) -> RateCounts:
    trials = int(rng.poisson(expected))
    return RateCounts(trials, int(rng.binomial(trials, rate)))


def _values(
    rng: np.random.Generator, expected: float, *, mean: float, deviation: float
) -> MeanCounts:
    count = int(rng.poisson(expected))
    if count == 0:
        return MeanCounts(0, 0.0, 0.0)
    total = float(rng.normal(count * mean, deviation * math.sqrt(count)))
    around = deviation * deviation * float(rng.chisquare(count - 1)) if count > 1 else 0.0
    return MeanCounts(count, total, total * total / count + around)


@dataclass(slots=True)
class _Watch:
    """The evidence of one rollout, look by look, and the rule that decides harm.

    Error is spent here, and not in the evidence, because looks are rarer than in earnest.
    """

    question: Question
    plan: spending.Plan | None
    state: evidence.Evidence
    spent: spending.Spent

    def look(self, candidate: Counts, stable: Counts, *, number: int) -> Judgement:
        self.state = evidence.advance(self.state, self.question, candidate=candidate, stable=stable)
        if self.plan and isinstance(candidate, RateCounts) and isinstance(stable, RateCounts):
            c, s = candidate, stable
            if self.question.better is Better.HIGHER:
                c = RateCounts(c.trials, c.trials - c.events)
                s = RateCounts(s.trials, s.trials - s.events)
            spent = replace(self.spent, looks=number - 1)
            self.spent = spending.advance(spent, self.plan, candidate=c, stable=s)
        return evidence.judge(self.state, self.question)

    def harmful(self, said: Judgement) -> bool:
        return self.spent.alarm if self.plan else said.verdict is Verdict.WORSE


def _rollout(
    question: Question,
    schedule: Schedule,
    service: Service,
    draw: _Draw,
    rng: np.random.Generator,
) -> _End:
    plan, question = question.spending, replace(question, spending=None)
    watch = _Watch(question, plan, evidence.fresh(question), spending.Spent())
    step, begun_s, served = 0, 0.0, 0.0
    for start_s, now_s in _looks_s(schedule):
        share, least_s = schedule.steps[step]
        requests = service.requests_per_s * (now_s - max(start_s, begun_s + schedule.warm_up_s))
        requests = max(0.0, requests)
        served += service.requests_per_s * (now_s - start_s) * share
        number = max(1, round(now_s / schedule.interval_s))
        said = watch.look(*draw(rng, requests * share, requests * (1.0 - share)), number=number)
        if watch.harmful(said):
            return _End(now_s, caught=True, promoted=False, candidate_requests=served)
        if now_s - begun_s < least_s or not combining.is_quiet(said.log_e_harm):
            continue
        if step < len(schedule.steps) - 1:
            step, begun_s = step + 1, now_s
        elif _shown(said):
            return _End(now_s, caught=False, promoted=True, candidate_requests=served)
    return _End(schedule.deadline_s, caught=False, promoted=False, candidate_requests=served)


def _shown(said: Judgement) -> bool:
    log_e = said.log_e_not_worse
    return max(said.log_e_better, -math.inf if log_e is None else log_e) >= math.log(
        said.promotion_threshold
    )
