"""The metrics of the spec as questions to the evidence, with every default filled in."""

from collections.abc import Mapping

from modelrollout.analysis import questions
from modelrollout.analysis.questions import Kind, Question
from modelrollout.api.spec import Margin, Metric, ModelRolloutSpec, Role, RollBackWhen

_DEFAULT_MARGINS = {
    "rate": Margin(relative="50%", absolute=0.001),
    "latency": Margin(absolute=0.01),
    "mean": Margin(relative="1%"),
}


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


def asked(
    spec: ModelRolloutSpec,
    *,
    planned_requests: float = 0.0,
    usual: Mapping[str, float] | None = None,
) -> dict[str, Question]:
    """One question per metric, by name, in the order of the spec.

    Args:
        spec: of the rollout, its preset already merged.
        planned_requests: requests of both arms expected until the deadline, 0 when unknown.
        usual: stable's value per metric before the rollout, where it is known.
    """
    known = usual or {}
    return {
        metric.name: _question(
            metric, spec=spec, planned_requests=planned_requests, usual=known.get(metric.name)
        )
        for metric in spec.analysis.metrics
    }


def _question(
    metric: Metric, *, spec: ModelRolloutSpec, planned_requests: float, usual: float | None
) -> Question:
    margin, limit = margin_of(metric), metric.limit
    is_rate = metric.mean is None
    rate = usual if is_rate and usual is not None else None
    return Question(
        kind=Kind.RATE if is_rate else Kind.MEAN,
        better=questions.Better(metric.better),
        role=questions.Role(metric.role),
        margin=questions.Margin(relative=margin.relative, absolute=margin.absolute),
        limit=questions.Limit(at_most=limit.at_most, at_least=limit.at_least) if limit else None,
        roll_back_when=questions.RollBackWhen(roll_back_when(metric)),
        false_rollback=spec.analysis.error_rate.false_rollback,
        false_promotion=spec.analysis.error_rate.false_promotion,
        planned_events=planned_requests * (rate or 0.0) or None,
        usual_rate=rate,
    )


def judged(spec: ModelRolloutSpec) -> tuple[str, ...]:
    """Names of the metrics that decide: guardrails and goals."""
    return tuple(metric.name for metric in spec.analysis.metrics if metric.role is not Role.WATCH)
