"""The metrics of the spec as questions to the evidence, with every default filled in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelrollout.analysis import questions, rates, spending
from modelrollout.analysis.noise import ArmNoise
from modelrollout.analysis.questions import Kind, Question
from modelrollout.api.spec import (
    HarmTest,
    Margin,
    Metric,
    ModelRolloutSpec,
    OnInconclusive,
    Role,
    RollBackWhen,
)

_DEFAULT_MARGINS = {
    "rate": Margin(relative="50%", absolute=0.001),
    "latency": Margin(absolute=0.01),
    "mean": Margin(relative="1%"),
}


@dataclass(frozen=True, slots=True)
class Known:
    """What is known before the first look, and frozen then.

    Attributes:
        usual: stable's value per metric before the rollout, where it is known.
        requests: of both arms, expected in one look; 0 when unknown.
        looks: expected until the answer, the ramp and the bake included; 0 when unknown.
        tries: which try of this candidate it is, from 1.
        noise: per metric, where the service's own history tells it.
        calibration: per metric, what is said of its noise: from what it is known, or why it is not.
    """

    usual: Mapping[str, float] = field(default_factory=dict)
    requests: float = 0.0
    looks: int = 0
    tries: int = 1
    noise: Mapping[str, ArmNoise] = field(default_factory=dict)
    calibration: Mapping[str, str] = field(default_factory=dict)


NOTHING_KNOWN = Known()


def kind_of(metric: Metric) -> str:
    """`rate`, `latency` or `mean`."""
    if metric.latency is not None:
        return "latency"
    return "mean" if metric.mean is not None else "rate"


def margin_of(metric: Metric) -> Margin:
    """The margin in force: the metric's own, else the default of its kind."""
    return metric.margin or _DEFAULT_MARGINS[kind_of(metric)]


def roll_back_when(metric: Metric) -> RollBackWhen:
    """Which evidence is harm: the metric's own word, else the default of its kind."""
    if metric.roll_back_when is not None:
        return metric.roll_back_when
    plain = metric.rate is not None
    return RollBackWhen.WORSE if plain else RollBackWhen.WORSE_THAN_MARGIN


def asked(spec: ModelRolloutSpec, known: Known = NOTHING_KNOWN) -> dict[str, Question]:
    """One question per metric, by name, in the order of the spec.

    Args:
        spec: of the rollout, its preset already merged.
        known: before the first look.
    """
    return {
        metric.name: _question(metric, spec=spec, known=known) for metric in spec.analysis.metrics
    }


def _question(metric: Metric, *, spec: ModelRolloutSpec, known: Known) -> Question:
    margin, limit = margin_of(metric), metric.limit
    is_rate = metric.mean is None
    rate = known.usual.get(metric.name) if is_rate else None
    return Question(
        kind=Kind.RATE if is_rate else Kind.MEAN,
        better=questions.Better(metric.better),
        role=questions.Role(metric.role),
        margin=questions.Margin(relative=margin.relative, absolute=margin.absolute),
        limit=questions.Limit(at_most=limit.at_most, at_least=limit.at_least) if limit else None,
        roll_back_when=questions.RollBackWhen(roll_back_when(metric)),
        false_rollback=spec.analysis.error_rate.false_rollback,
        false_promotion=spec.analysis.error_rate.false_promotion,
        planned_events=known.requests * max(1, known.looks) * (rate or 0.0) or None,
        usual_rate=rate,
        spending=_spending(metric, spec=spec, known=known),
        noise=known.noise.get(metric.name) if is_rate else None,
    )


def _spending(metric: Metric, *, spec: ModelRolloutSpec, known: Known) -> spending.Plan | None:
    """How the metric's part of the stated error is spent; None where its e-process decides."""
    tests_equality = metric.mean is None and roll_back_when(metric) is RollBackWhen.WORSE
    if not (tests_equality and known.looks and metric.role is not Role.WATCH):
        return None
    if spec.analysis.harm_test is HarmTest.E_PROCESS:
        return None
    if spec.analysis.harm_test is HarmTest.AUTO and not _suits(metric, known=known):
        return None
    part = part_of_error(spec, tries=known.tries)
    alpha = _follows_outcome(spec) * part / (2.0 if metric.limit else 1.0)
    return spending.Plan(alpha, known.looks, after_deadline=_may_go_on(spec))


def _follows_outcome(spec: ModelRolloutSpec) -> float:
    """What weights that follow the outcome leave of the error.

    A ramp that takes risk by a budget chooses its speed by the estimate itself. Steps that are only
    held, and only while the e-value of harm is at least 3, cost nothing: simulated, they spend what
    a fixed ramp spends (1.97 % of 2 %, +-0.07, in 40,000 rollouts at 10 and 100 requests/s).
    """
    canary = spec.strategy.canary
    by_risk = canary is not None and canary.ramp is not None
    return spending.GATED if by_risk else 1.0


def _suits(metric: Metric, *, known: Known) -> bool:
    rate = known.usual.get(metric.name, 0.0)
    per_look = known.requests * rate * (1.0 - rate) / 4.0
    if per_look * known.looks > spending.MOST_INFORMATION:
        return False
    noise = known.noise.get(metric.name)
    return noise is None or not rates.is_noisy(noise, per_look=per_look, looks=known.looks)


def part_of_error(spec: ModelRolloutSpec, *, tries: int) -> float:
    """Each judged metric's part of the false rollbacks stated; the k-th try has a k-th of it."""
    return spec.analysis.error_rate.false_rollback / (max(1, len(judged(spec))) * tries)


def _may_go_on(spec: ModelRolloutSpec) -> bool:
    return spec.on_inconclusive is OnInconclusive.HOLD or spec.bake is not None


def judged(spec: ModelRolloutSpec) -> tuple[str, ...]:
    """Names of the metrics that decide: guardrails and goals."""
    return tuple(metric.name for metric in spec.analysis.metrics if metric.role is not Role.WATCH)
