"""What only code can see about the metrics of a spec, before any is read."""

from collections.abc import Mapping

from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.domain.reasons import Code, Reason
from modelrollout.metrics import arms, parts, selectors
from modelrollout.metrics.facts import SourceFacts


def check(spec: ModelRolloutSpec, sources: Mapping[str, SourceFacts]) -> Reason | None:
    """Why the metrics of a spec cannot be read, None when they can.

    Args:
        spec: its preset merged already.
        sources: what the administrator declared, by name.
    """
    for metric in spec.analysis.metrics:
        reason = _source(metric, spec, sources) or _arm(metric, spec)
        if reason is not None:
            return reason
    return None


def _source(
    metric: Metric, spec: ModelRolloutSpec, sources: Mapping[str, SourceFacts]
) -> Reason | None:
    name = metric.source or spec.analysis.source
    facts = sources.get(name)
    if facts is None:
        declared = ", ".join(sorted(sources)) or "none; the administrator declares them"
        return Reason(
            Code.UNKNOWN_SOURCE,
            f"{metric.name}: source {name} is none of those declared: {declared}",
        )
    if metric.latency is not None:
        return _plain(metric.name, metric.latency.histogram)
    if metric.mean is not None and metric.mean.histogram is not None:
        reason = _plain(metric.name, metric.mean.histogram)
        if reason is not None:
            return reason
    for part in parts.of(metric):
        if (reason := _raw(part, facts)) is not None:
            return reason
    return None


def _plain(metric: str, text: str) -> Reason | None:
    try:
        found = selectors.parsed(text)
    except selectors.SelectorError as problem:
        sentence = f"{metric}: the histogram {text!r} is no selector: {problem}"
        return Reason(Code.BAD_SELECTOR, sentence)
    if any(matcher.label == "le" for matcher in found.matchers):
        sentence = f"{metric}: the histogram {text!r} selects one bucket; leave `le` out"
        return Reason(Code.BAD_SELECTOR, sentence)
    return None


def _raw(part: parts.Part, facts: SourceFacts) -> Reason | None:
    where = f"{part.metric}, {part.quantity}: {part.text!r}"
    try:
        selectors.parsed(part.text)
    except selectors.SelectorError as problem:
        why = str(problem)
    else:
        return None
    if not facts.allow_raw_queries:
        return Reason(
            Code.RAW_QUERY_REFUSED if "(" in part.text else Code.BAD_SELECTOR,
            f"{where} is no plain selector ({why}), and source {facts.name} does not allow raw "
            "queries: write a metric name with matchers",
        )
    if parts.ARM not in part.text:
        return Reason(
            Code.BAD_SELECTOR,
            f"{where} is a raw query ({why}) and must contain {parts.ARM} inside the braces of its "
            "selectors: the matchers of the version are put there",
        )
    return None


def _arm(metric: Metric, spec: ModelRolloutSpec) -> Reason | None:
    arm = metric.arm or spec.analysis.arm
    if trouble := arms.trouble(arm):
        return Reason(Code.BAD_SELECTOR, f"{metric.name}: {trouble}")
    without = next((one for one in spec.versions if one.front is None), None)
    if without is not None and arms.needs_service(arm):
        return Reason(
            Code.BAD_SELECTOR,
            f"{metric.name}: the series are told apart by Service, and version {without.name} has "
            f"none ({' '.join(without.backend)}): write `arm: {{kind: Pods}}`, or a label whose "
            "pattern has {version} or {workload}",
        )
    return None
