"""What `modelrollout plan` foresees: from the file, and from what is known of the service."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from modelrollout.analysis.questions import Question
from modelrollout.api import scalars
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.cli.failing import Failure
from modelrollout.domain import questions, steps, surveying
from modelrollout.domain.steps import Step, WeightStep
from modelrollout.metrics import presets
from modelrollout.planning import duration, pacing, power, simulating
from modelrollout.planning.duration import Forecast
from modelrollout.planning.power import Course, Smallest
from modelrollout.planning.schedule import Schedule, Service
from modelrollout.planning.simulating import Simulated
from modelrollout.routing import capabilities

ALL = ""
"""The name under which a value stands for all metrics of its kind."""
RUNS = 200
"""Simulated rollouts of each kind."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the user knows of the service today.

    Attributes:
        requests_per_s: of the whole service, 0 when unknown.
        rates: share of events of the stable version, by metric, or `ALL`.
        means: mean of the stable version, likewise.
        deviations: standard deviation of one value, likewise.
    """

    requests_per_s: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    means: Mapping[str, float] = field(default_factory=dict)
    deviations: Mapping[str, float] = field(default_factory=dict)

    def named(self) -> set[str]:
        """The metrics that values were given for."""
        return {*self.rates, *self.means, *self.deviations} - {ALL}


@dataclass(frozen=True, slots=True)
class Row:
    """One weight of the plan.

    Attributes:
        share: in parts of ten thousand.
        least_s: least length.
        candidate_per_s: requests that the candidate gets, 0 where the traffic is unknown.
    """

    share: int
    least_s: float
    candidate_per_s: float

    @property
    def candidate_requests(self) -> float:
        """During the least length."""
        return self.candidate_per_s * self.least_s


@dataclass(frozen=True, slots=True)
class Trial:
    """Simulated rollouts: of a healthy candidate, and of one that is worse by `worse_by`."""

    healthy: Simulated
    worse_by: float | None
    harmful: Simulated | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is foreseen of one metric.

    Attributes:
        metric: its name.
        is_share: a rate, not a mean.
        stable: value of the stable version.
        smallest: regressions that are seen with 80 %.
        course: of the smallest regression that is seen until the end of the steps, or until the
            deadline where none is until then; None where none is seen at all.
        forecast: how long a healthy candidate takes.
        promoted: chance that a healthy candidate is shown to be not worse by the deadline.
        trial: the simulated figures, where asked for.
    """

    metric: str
    is_share: bool
    stable: float
    smallest: Smallest
    course: Course | None
    forecast: Forecast
    promoted: float
    trial: Trial | None = None

    @property
    def seen(self) -> float | None:
        """The regression of `course`."""
        return self.smallest.by_step[-1] or self.smallest.by_deadline


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollout as foreseen.

    Attributes:
        target: name of the candidate.
        steps: as compiled.
        bake_s: length of the bake, 0 for none.
        deadline_s: of the rollout.
        rows: the weights in order; without requests where the traffic is unknown.
        outlooks: of the judged metrics that enough is known of.
        asks: what to give for the others, one sentence each.
    """

    target: str
    steps: tuple[Step, ...]
    bake_s: float
    deadline_s: float
    rows: tuple[Row, ...]
    outlooks: tuple[Outlook, ...]
    asks: tuple[str, ...]


def foreseen(spec: ModelRolloutSpec, traffic: Traffic, *, simulate: bool = False) -> Plan:
    """The plan with all that can be said of it.

    Raises:
        Failure: on a strategy that no rollout, or not this provider of traffic, can follow, or
            values that are none.
    """
    try:
        spec = presets.resolve(spec)
    except presets.MetricError as problem:
        raise Failure(str(problem)) from None
    if (refused := capabilities.refusal(spec)) is not None:
        raise Failure(refused.sentence)
    known = {metric.name for metric in spec.analysis.metrics}
    if strange := traffic.named() - known:
        raise Failure(f"expected a metric of the file ({_listed(known)}), saw {_listed(strange)}")
    try:
        return _foreseen(spec, traffic, simulate=simulate)
    except ValueError as problem:
        raise Failure(str(problem)) from None


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _foreseen(spec: ModelRolloutSpec, traffic: Traffic, *, simulate: bool) -> Plan:
    plan = _paced(
        spec, steps.compiled(spec, chosen=steps.weights_for(traffic.requests_per_s)), traffic
    )
    answers = list(_answers(spec, plan, traffic, simulate=simulate))
    return Plan(
        target=spec.target,
        steps=plan,
        bake_s=spec.bake.duration if spec.bake else 0.0,
        deadline_s=spec.deadline,
        rows=tuple(_rows(plan, traffic)),
        outlooks=tuple(answer for answer in answers if isinstance(answer, Outlook)),
        asks=tuple(answer for answer in answers if isinstance(answer, str)),
    )


def _paced(spec: ModelRolloutSpec, plan: tuple[Step, ...], traffic: Traffic) -> tuple[Step, ...]:
    """The steps as long as a risk-limited ramp makes them for a healthy candidate."""
    ramp = spec.strategy.canary.ramp if spec.strategy.canary else None
    asked, judged = questions.asked(spec), questions.judged(spec)
    known = [
        (asked[metric.name], service)
        for metric in spec.analysis.metrics
        if metric.name in judged and metric.mean is None
        if isinstance(service := _service(metric, traffic), Service)
    ]
    if ramp is None or not known or traffic.requests_per_s <= 0:
        return plan
    weights = [step for step in plan if isinstance(step, WeightStep)]
    lengths_s = pacing.lengths_s(
        known,
        [step.share / scalars.PARTS for step in weights],
        budget=ramp.risk_budget,
        interval_s=spec.analysis.interval,
        deadline_s=spec.deadline,
    )
    return tuple(
        WeightStep(step.share, max(step.min_duration_s, spec.analysis.warm_up + length_s))
        for step, length_s in zip(weights, lengths_s, strict=True)
    )


def _rows(plan: Sequence[Step], traffic: Traffic) -> Iterator[Row]:
    for step in plan:
        if isinstance(step, WeightStep):
            per_s = traffic.requests_per_s * step.share / scalars.PARTS
            yield Row(step.share, step.min_duration_s, per_s)


def least_s(plan: Sequence[Step]) -> float:
    """Seconds that the steps take at least."""
    return sum(steps.least_s(step) for step in plan)


def _answers(
    spec: ModelRolloutSpec, plan: Sequence[Step], traffic: Traffic, *, simulate: bool
) -> Iterator[Outlook | str]:
    judged = questions.judged(spec)
    if not steps.compares(plan):
        yield (
            "observational: both versions never have users at one time, so nothing is compared; "
            "absolute limits and readiness roll back in the bake (`overlap` compares)"
        )
        return
    if not judged:
        yield "no metric is judged: only a person can promote"
        return
    if traffic.requests_per_s <= 0:
        yield "give --rps (requests per second of the service) for the time the evidence takes"
        return
    services = {
        metric.name: _service(metric, traffic)
        for metric in spec.analysis.metrics
        if metric.name in judged
    }
    schedule = _schedule(spec, plan)
    asked = _asked(spec, plan, services, schedule)
    for metric in spec.analysis.metrics:
        match services.get(metric.name):
            case Service() as service:
                yield _outlook(metric, asked[metric.name], schedule, service, simulate=simulate)
            case str() as missing:
                yield f"{metric.name}: {missing}"
            case None:
                pass


def _asked(
    spec: ModelRolloutSpec,
    plan: Sequence[Step],
    services: Mapping[str, Service | str],
    schedule: Schedule,
) -> dict[str, Question]:
    """The questions as the rollout will ask them, once its survey knows stable."""
    known = {name: one for name, one in services.items() if isinstance(one, Service)}
    plain = questions.asked(spec)
    forecasts = [_forecast(plain[name], schedule, service) for name, service in known.items()]
    lengths_s = [math.inf if one.seconds is None else one.seconds for one in forecasts]
    per_s = max((service.requests_per_s for service in known.values()), default=0.0)
    asked = questions.asked(
        spec,
        questions.Known(
            usual={name: one.rate for name, one in known.items() if one.rate is not None},
            requests=per_s * spec.analysis.interval,
            looks=surveying.expected_looks(spec, plan, max(lengths_s, default=0.0)),
        ),
    )
    # All judged metrics together may roll a healthy candidate back so often, not each.
    part = questions.part_of_error(spec, tries=1)
    return {name: replace(question, false_rollback=part) for name, question in asked.items()}


def _forecast(question: Question, schedule: Schedule, service: Service) -> Forecast:
    return duration.time_to_answer(
        question,
        stable_rate=service.rate,
        stable_mean=service.mean,
        stable_sd=service.deviation,
        requests_per_s=service.requests_per_s,
        steps=schedule.steps,
        deadline_s=schedule.deadline_s,
    )


def _schedule(spec: ModelRolloutSpec, plan: Sequence[Step]) -> Schedule:
    interval_s = min(spec.analysis.interval, spec.deadline)
    return Schedule(
        steps=tuple(steps.weights_over_time(plan)),
        deadline_s=spec.deadline,
        interval_s=interval_s,
        warm_up_s=spec.analysis.warm_up,
    )


def _service(metric: Metric, traffic: Traffic) -> Service | str:
    """What is known of stable, or what to give for it."""
    name = metric.name
    rate, per_s = _of(traffic.rates, name), traffic.requests_per_s
    mean, deviation = _of(traffic.means, name), _of(traffic.deviations, name)
    if metric.mean is None:
        if rate is None:
            return f"give --stable-rate {name}=SHARE, such as {name}=0.004"
        return Service(per_s, rate=rate)
    if mean is None or deviation is None:
        return f"give --stable-mean {name}=VALUE and --stable-sd {name}=VALUE"
    return Service(per_s, mean=mean, deviation=deviation)


def _of(values: Mapping[str, float], name: str) -> float | None:
    return values.get(name, values.get(ALL))


def _outlook(
    metric: Metric, question: Question, schedule: Schedule, service: Service, *, simulate: bool
) -> Outlook:
    smallest = power.smallest(question, schedule, service)
    seen = smallest.by_step[-1] or smallest.by_deadline
    stable = service.rate if service.rate is not None else service.mean
    return Outlook(
        metric=metric.name,
        is_share=metric.mean is None,
        stable=stable or 0.0,
        smallest=smallest,
        course=power.course(question, schedule, service, worse_by=seen) if seen else None,
        forecast=_forecast(question, schedule, service),
        promoted=power.promoted(question, schedule, service),
        trial=_trial(question, schedule, service, seen) if simulate else None,
    )


def _trial(
    question: Question, schedule: Schedule, service: Service, worse_by: float | None
) -> Trial:
    return Trial(
        healthy=simulating.simulated(question, schedule, service, runs=RUNS),
        worse_by=worse_by,
        harmful=simulating.simulated(question, schedule, service, worse_by=worse_by, runs=RUNS)
        if worse_by
        else None,
    )
