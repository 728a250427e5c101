"""Sums by hash bucket of users: the same series as any look, kept apart by one label.

Exporters put the bucket of the user on the metrics that are judged by user. Series without the
label are of users that nobody could tell: they count for requests and not here.
"""

from collections.abc import Mapping

from modelrollout.api.spec import Metric
from modelrollout.domain.observed import UserPair, UserSums
from modelrollout.metrics.answers import Table
from modelrollout.metrics.parts import Quantity

_MOST = 1000
"""Buckets at most: more is a label that holds users themselves."""


class TooManyBucketsError(ValueError):
    """A label that holds no hash bucket; the message says what to export instead."""


def pair(
    found: Table, metric: Metric, *, candidate: str, stable: str, began: Mapping[str, float]
) -> UserPair | None:
    """The sums of both arms by bucket; None for a metric that has no buckets.

    Raises:
        TooManyBucketsError: when the label has more values than buckets could.
    """
    if metric.buckets is None:
        return None
    label = metric.buckets.label
    sides = [_sums(found, metric, label, version, began) for version in (candidate, stable)]
    return UserPair(sides[0], sides[1])


def _sums(
    found: Table, metric: Metric, label: str, version: str, began: Mapping[str, float]
) -> UserSums:
    grown = {
        wanted.part.quantity: found.grown_by(label, number, began)
        for number, wanted in enumerate(found.question.wanted)
        if wanted.part.metric == metric.name and wanted.version == version
    }
    above, below = _numerator(grown), _denominator(grown)
    buckets = sorted(bucket for bucket in below if bucket)
    if len(buckets) > _MOST:
        raise TooManyBucketsError(
            f"{metric.name}: the label {label} of {version} has {len(buckets):,} values, expected "
            "some 100 hash buckets: export the bucket of the user, not the user"
        )
    return {bucket: (above.get(bucket, 0.0), below[bucket]) for bucket in buckets}


def _numerator(grown: Mapping[Quantity, Mapping[str, float]]) -> Mapping[str, float]:
    if Quantity.SUM in grown:
        return grown[Quantity.SUM]
    if Quantity.FAST in grown:
        total, fast = grown.get(Quantity.COUNT, {}), grown[Quantity.FAST]
        return {bucket: max(0.0, count - fast.get(bucket, 0.0)) for bucket, count in total.items()}
    return grown.get(Quantity.EVENTS, {})


def _denominator(grown: Mapping[Quantity, Mapping[str, float]]) -> Mapping[str, float]:
    if Quantity.OTHERS in grown:
        events, others = grown.get(Quantity.EVENTS, {}), grown[Quantity.OTHERS]
        names = events.keys() | others.keys()
        return {name: events.get(name, 0.0) + others.get(name, 0.0) for name in names}
    return grown.get(Quantity.TOTAL) or grown.get(Quantity.COUNT) or {}
