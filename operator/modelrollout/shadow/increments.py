"""What the shadow exports: only what adds up, over pairs, replicas and windows.

Agreement, kappa, bias, RMSE and correlation are sums of these, divided in PromQL: a ready-made
gauge cannot be averaged across pods. Distances, not similarities, with an edge at 0: "identical" is
an exact count. The core is fed by fronts; they add the labels of the rollout, `pair` and `slice`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Metric(StrEnum):
    """Names, without the common prefix."""

    REQUESTS = "requests_total"
    TROUBLES = "troubles_total"
    COMPARISONS = "comparisons_total"
    EXCESS = "excess_total"
    EXCESS_ABOVE = "excess_distance_above_total"
    EXCESS_BELOW = "excess_distance_below_total"
    EXCESS_SQUARES = "excess_distance_squares_total"
    FIELDS = "field_mismatches_total"
    IGNORED = "ignored_total"
    LABELS = "labels_total"
    CONFUSION = "confusion_total"
    MARKS = "marks_total"
    ERROR_ABOVE = "error_above_total"
    ERROR_BELOW = "error_below_total"
    SHIFT_ABOVE = "shift_above_total"
    SHIFT_BELOW = "shift_below_total"
    MOMENT = "moment_total"
    DISTANCE = "distance"
    ABSOLUTE_ERROR = "absolute_error"
    RELATIVE_ERROR = "relative_error"
    CONFIDENCE = "confidence"
    DURATION = "duration_seconds"


PREFIX = "modelrollout_shadow_"

LABELS: Mapping[Metric, tuple[str, ...]] = MappingProxyType(
    {
        Metric.REQUESTS: ("outcome",),
        Metric.TROUBLES: ("side", "kind"),
        Metric.COMPARISONS: ("verdict",),
        Metric.EXCESS: ("sign",),
        Metric.EXCESS_ABOVE: (),
        Metric.EXCESS_BELOW: (),
        Metric.EXCESS_SQUARES: (),
        Metric.FIELDS: ("field", "kind"),
        Metric.IGNORED: ("rule",),
        Metric.LABELS: ("side", "label"),
        Metric.CONFUSION: ("primary", "candidate"),
        Metric.MARKS: ("side", "mark"),
        Metric.ERROR_ABOVE: (),
        Metric.ERROR_BELOW: (),
        Metric.SHIFT_ABOVE: ("quantity",),
        Metric.SHIFT_BELOW: ("quantity",),
        Metric.MOMENT: ("term",),
        Metric.DISTANCE: ("measure",),
        Metric.ABSOLUTE_ERROR: (),
        Metric.RELATIVE_ERROR: (),
        Metric.CONFIDENCE: ("side",),
        Metric.DURATION: ("side",),
    }
)
"""The names of each metric's own labels, in the order in which increments give their values."""

DISTANCES = (0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
CONFIDENCES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
DURATIONS_S = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip
OTHER = "other"
"""The value of a label that was not declared: what models answer must not make new series."""


class Side(StrEnum):
    """Whose answer."""

    PRIMARY = "primary"
    CANDIDATE = "candidate"


class Verdict(StrEnum):
    """Of one compared pair."""

    MATCH = "match"
    MISMATCH = "mismatch"
    IGNORED = "ignored"
    """It differs, but only where a named rule allows it."""


@dataclass(frozen=True, slots=True)
class Count:
    """Add `amount`, finite and at least 0, to one counter."""

    metric: Metric
    labels: tuple[str, ...] = ()
    amount: float = 1.0


@dataclass(frozen=True, slots=True)
class Observation:
    """Add one `value` of at least 0 to a histogram with these upper `edges` (+Inf is implied)."""

    metric: Metric
    labels: tuple[str, ...]
    value: float
    edges: tuple[float, ...]


Increment = Count | Observation


def distance(measure: str, value: float) -> Observation:
    """One distance, 0 for identical."""
    return Observation(Metric.DISTANCE, (measure,), value, DISTANCES)


def confidence(side: Side, value: float) -> Observation:
    """One side's confidence, 0 to 1."""
    return Observation(Metric.CONFIDENCE, (side,), value, CONFIDENCES)


def mark(name: str, *, side: str = "both") -> Count:
    """Something worth counting about the pair, or about one side of it."""
    return Count(Metric.MARKS, (side, name))


def shift(quantity: str, *, primary: float, candidate: float) -> tuple[Count, ...]:
    """A signed difference as two counters of magnitudes, as counters cannot fall."""
    change = candidate - primary
    if change == 0:
        return ()
    metric = Metric.SHIFT_ABOVE if change > 0 else Metric.SHIFT_BELOW
    return (Count(metric, (quantity,), abs(change)),)


def folded(label: str, *, declared: tuple[str, ...]) -> str:
    """The label where it is declared, else `other`."""
    return label if label in declared else OTHER
