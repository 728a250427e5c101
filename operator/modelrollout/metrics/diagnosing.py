"""Why a version has no series: what to ask a source, and the sentence that its answer makes.

Asked only when something is missing, and seldom. It looks at the rollout's own namespace alone, so
that no tenant learns the labels of another.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from modelrollout.api.spec import Latency, Metric
from modelrollout.domain.reasons import Code, Reason
from modelrollout.metrics import parts, selectors
from modelrollout.metrics.parts import Part
from modelrollout.metrics.queries import LOOKBACK_S, Wanted
from modelrollout.metrics.selectors import Matcher, Selector

_SHOWN: Final = ("service", "pod", "container", "job", "exported_service")
_MOST: Final = 4
_RECENT: Final = parts.milliseconds(LOOKBACK_S)


def label_sets(wanted: Wanted, *, namespace: str, fixed: Mapping[str, str]) -> str | None:
    """The query for label sets that exist under the metric's name in the namespace."""
    selector = wanted.part.selector
    if selector is None:
        return None
    owned = (Matcher("namespace", "=", namespace), *selectors.equal(fixed))
    there = Selector(selector.name, owned)
    return f"count by ({', '.join(_SHOWN)}) (last_over_time({there}[{_RECENT}]))"


def no_series(
    metric: Metric, wanted: Wanted, *, namespace: str, vector: Iterable[Mapping[str, Any]]
) -> Reason:
    """Which metric, which version, the query to try, and what does exist."""
    selector = wanted.part.selector
    name = selector.name if selector is not None else "the query"
    sets = [_shown(found["metric"]) for found in vector]
    if sets:
        exist = f"{name} exists with {'; '.join(sorted(sets)[:_MOST])}"
        more = f" and {len(sets) - _MOST} more" if len(sets) > _MOST else ""
        exist += f"{more}: does `arm` name the label that tells the versions apart?"
    elif any(matcher.label == "namespace" for matcher in wanted.matchers):
        exist = f"no series named {name} in namespace {namespace}: is it scraped, and named so?"
    else:
        label = wanted.matchers[0].label if wanted.matchers else "arm"
        exist = (
            f"no series named {name} in namespace {namespace}, and none elsewhere whose {label} "
            "fits the pattern: compare it with the values of that label"
        )
    return Reason(
        Code.NO_SERIES,
        f"{metric.name}: no series of {wanted.version}; try {wanted.example}; {exist}",
    )


def _shown(labels: Mapping[str, str]) -> str:
    shown = [f"{label}={selectors.quoted(labels[label])}" for label in _SHOWN if labels.get(label)]
    return "{" + ",".join(shown) + "}"


def bounds(wanted: Wanted) -> str | None:
    """The query for the bucket bounds that a histogram has."""
    selector = wanted.part.selector
    if selector is None:
        return None
    without = Selector(selector.name, tuple(m for m in selector.matchers if m.label != "le"))
    return f"count by (le) (last_over_time({without.with_matchers(wanted.matchers)}[{_RECENT}]))"


def no_bucket(
    metric: Metric, latency: Latency, vector: Iterable[Mapping[str, Any]]
) -> Reason | None:
    """The nearest bounds, when the histogram has buckets but not this one."""
    found = sorted({float(one["metric"].get("le", "inf")) for one in vector})
    finite = [bound for bound in found if bound != float("inf")]
    wanted = parts.bound_of(latency)
    if not finite or wanted in finite:
        return None
    place = min(max(1, bisect.bisect(finite, wanted)), max(1, len(finite) - 1))
    near = finite[place - 1 : place + 1]
    unit = latency.unit
    told = " and ".join(f"{bound:g}{unit}" for bound in near)
    return Reason(
        Code.NOT_A_BUCKET,
        f"{metric.name}: {wanted:g}{unit} is no bucket bound of {latency.histogram}; the nearest "
        f"are {told}{_unit_hint(latency, finite)}",
    )


def _unit_hint(latency: Latency, finite: Sequence[float]) -> str:
    """A threshold a thousand times beside all bounds was written in the other unit."""
    other = latency.threshold if latency.unit == "ms" else latency.threshold * 1000.0
    wanted = parts.bound_of(latency)
    beside = not min(finite) <= wanted <= max(finite)
    if beside and min(finite) <= other <= max(finite):
        unit = "s" if latency.unit == "ms" else "ms"
        return f"; the histogram seems to be in {unit}: write `unit: {unit}`"
    return ""


def is_bucket(part: Part) -> bool:
    """Whether a part is the bucket of a latency."""
    return part.quantity is parts.Quantity.FAST
