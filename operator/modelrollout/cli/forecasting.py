"""`modelrollout plan`: the steps of a rollout and how long they take, from the file alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelrollout.analysis.questions import Question
from modelrollout.api import scalars
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.cli.failing import Failure
from modelrollout.domain import questions, steps
from modelrollout.domain.steps import PauseStep, Step, WeightStep
from modelrollout.metrics import presets
from modelrollout.planning import duration

ALL = ""
"""The name under which a value stands for all metrics of its kind."""


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


def text(spec: ModelRolloutSpec, traffic: Traffic) -> str:
    """The steps, and what can be said of their length, ending in a newline.

    Raises:
        Failure: on a strategy that no rollout can follow, or values that are none.
    """
    try:
        spec = presets.resolve(spec)
    except presets.MetricError as problem:
        raise Failure(str(problem)) from None
    known = {metric.name for metric in spec.analysis.metrics}
    if strange := traffic.named() - known:
        raise Failure(f"expected a metric of the file ({_listed(known)}), saw {_listed(strange)}")
    chosen = steps.weights_for(traffic.requests_per_s)
    try:
        plan = steps.compiled(spec, chosen=chosen)
        lines = [*_steps(spec, plan), *_answers(spec, plan, traffic)]
    except ValueError as problem:
        raise Failure(str(problem)) from None
    return "\n".join(lines) + "\n"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _steps(spec: ModelRolloutSpec, plan: Sequence[Step]) -> list[str]:
    least_s = sum(_least_s(step) for step in plan)
    bake = f"bake for {scalars.duration(spec.bake.duration)}" if spec.bake else ""
    ends = [f"  {len(plan) + 1}. {bake}"] if bake else []
    people = sum(isinstance(step, PauseStep) and step.approval for step in plan)
    waits = f", and {people} approval{'s' if people > 1 else ''}" if people else ""
    return [
        f"to {spec.target} in {len(plan)} steps:",
        *(f"  {at}. {step}" for at, step in enumerate(plan, start=1)),
        *ends,
        f"at least {scalars.duration(least_s)} until the promotion{waits}",
    ]


def _least_s(step: Step) -> float:
    return step.min_duration_s if isinstance(step, WeightStep) else step.duration_s


def _answers(spec: ModelRolloutSpec, plan: Sequence[Step], traffic: Traffic) -> list[str]:
    judged = questions.judged(spec)
    if not judged:
        return ["no metric is judged: only a person can promote"]
    if traffic.requests_per_s <= 0:
        return ["give --rps (requests per second of the service) for the time the evidence takes"]
    asked = questions.asked(spec)
    shares = steps.weights_over_time(plan)
    return [
        f"{metric.name}: {_answer(metric, asked[metric.name], shares, spec, traffic)}"
        for metric in spec.analysis.metrics
        if metric.name in judged
    ]


def _answer(
    metric: Metric,
    question: Question,
    shares: Sequence[tuple[float, float]],
    spec: ModelRolloutSpec,
    traffic: Traffic,
) -> str:
    rate = _of(traffic.rates, metric)
    mean, deviation = _of(traffic.means, metric), _of(traffic.deviations, metric)
    if metric.mean is None and rate is None:
        return f"give --stable-rate {metric.name}=SHARE, such as {metric.name}=0.004"
    if metric.mean is not None and (mean is None or deviation is None):
        return f"give --stable-mean {metric.name}=VALUE and --stable-sd {metric.name}=VALUE"
    found = duration.time_to_answer(
        question,
        stable_rate=rate,
        stable_mean=mean,
        stable_sd=deviation,
        requests_per_s=traffic.requests_per_s,
        steps=shares,
        deadline_s=spec.deadline,
    )
    return found.sentence


def _of(values: Mapping[str, float], metric: Metric) -> float | None:
    return values.get(metric.name, values.get(ALL))
