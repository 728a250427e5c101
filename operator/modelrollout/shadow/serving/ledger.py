"""What was counted, as Prometheus reads it: counters and histograms alone, so that replicas add up.

A collector of its own over plain dicts: an increment costs one look-up, and the number of series is
bounded whatever is counted.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from prometheus_client import core, registry

from modelrollout.shadow import eligibility, increments, noise, outcomes

SEEN = "modelrollout_shadow_seen"
FOLDED = "modelrollout_shadow_folded"
WHOLE = "all"
"""The slice of everything, where none are declared."""


class Pair(StrEnum):
    """Who was compared with the primary."""

    CANDIDATE = "candidate"
    CONTROL = "control"


Key = tuple[str, ...]
"""Pair, slice, then the metric's own labels."""


@dataclass(slots=True)
class _Buckets:
    edges: tuple[float, ...]
    counts: list[int]
    total: float = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_left(self.edges, value)] += 1
        self.total += value

    def cumulated(self) -> list[tuple[str, float]]:
        counted, found = 0, []
        edges = (*(repr(edge) for edge in self.edges), "+Inf")
        for edge, count in zip(edges, self.counts, strict=True):
            counted += count
            found.append((edge, float(counted)))
        return found


@dataclass(slots=True, eq=False)
class Ledger(registry.Collector):
    """Everything that is counted.

    Every request that was seen ends as exactly one of `requests_total{pair="candidate"}`; what is
    missing there is in hand.

    Attributes:
        labels: on every series.
        most_series: with more, what would be a new one is only counted as folded. A histogram
            counts as one.
        slices: declared ones.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    most_series: int = 2_000
    slices: tuple[str, ...] = ()
    seen: int = 0
    folded: int = 0
    _counters: dict[increments.Metric, dict[Key, float]] = field(default_factory=dict)
    _histograms: dict[increments.Metric, dict[Key, _Buckets]] = field(default_factory=dict)
    _series: int = 0

    def __post_init__(self) -> None:
        """What is sure to be counted begins at 0, so that its first increase is seen."""
        known = (
            *(increments.Count(increments.Metric.REQUESTS, (o,), 0) for o in outcomes.Outcome),
            *(increments.Count(increments.Metric.COMPARISONS, (v,), 0) for v in increments.Verdict),
        )
        dropped = (
            increments.Count(increments.Metric.REQUESTS, (reason,), 0)
            for reason in eligibility.Eligibility
            if reason is not eligibility.Eligibility.ELIGIBLE
        )
        signs = (increments.Count(increments.Metric.EXCESS, (sign,), 0) for sign in noise.Sign)
        first = self.slices[0] if self.slices else WHOLE
        for pair in Pair:
            self.add(pair, known, slice_name=first)
        self.add(Pair.CANDIDATE, (*dropped, *signs), slice_name=first)

    def end(self, outcome: str, *, slice_name: str = WHOLE) -> None:
        """One request ended without a comparison."""
        count = increments.Count(increments.Metric.REQUESTS, (outcome,))
        self.add(Pair.CANDIDATE, (count,), slice_name=slice_name)

    def add(self, pair: Pair, added: Iterable[increments.Increment], *, slice_name: str) -> None:
        """Count all of it."""
        for one in added:
            key = (pair, slice_name, *one.labels)
            if isinstance(one, increments.Count):
                self._count(one, key)
            else:
                self._observe(one, key)

    def _count(self, one: increments.Count, key: Key) -> None:
        counters = self._counters.setdefault(one.metric, {})
        if key in counters:
            counters[key] += one.amount
        elif self._has_room():
            counters[key] = one.amount

    def _observe(self, one: increments.Observation, key: Key) -> None:
        histograms = self._histograms.setdefault(one.metric, {})
        if key not in histograms:
            if not self._has_room():
                return
            histograms[key] = _Buckets(one.edges, [0] * (len(one.edges) + 1))
        histograms[key].add(one.value)

    def _has_room(self) -> bool:
        if self._series >= self.most_series:
            self.folded += 1
            return False
        self._series += 1
        return True

    def ended(self) -> int:
        """Requests that were seen and have ended."""
        requests = self._counters[increments.Metric.REQUESTS].items()
        return int(sum(amount for key, amount in requests if key[0] == Pair.CANDIDATE))

    def collect(self) -> Iterable[core.Metric]:
        """As the client library asks for it."""
        for name, amount, about in (
            (SEEN, self.seen, "Copies of requests that were received."),
            (FOLDED, self.folded, "Increments without a series, as there were too many."),
        ):
            plain = core.CounterMetricFamily(name, about, labels=list(self.labels))
            plain.add_metric(list(self.labels.values()), amount)
            yield plain
        for metric, counters in self._counters.items():
            yield self._counter_family(metric, counters)
        for metric, histograms in self._histograms.items():
            yield self._histogram_family(metric, histograms)

    def _counter_family(
        self, metric: increments.Metric, counters: Mapping[Key, float]
    ) -> core.Metric:
        name = increments.PREFIX + metric.removesuffix("_total")
        family = core.CounterMetricFamily(name, f"Shadow: {metric}.", labels=self._names(metric))
        for key, amount in counters.items():
            family.add_metric([*self.labels.values(), *key], amount)
        return family

    def _histogram_family(
        self, metric: increments.Metric, histograms: Mapping[Key, _Buckets]
    ) -> core.Metric:
        family = core.HistogramMetricFamily(
            increments.PREFIX + metric, f"Shadow: {metric}.", labels=self._names(metric)
        )
        for key, seen in histograms.items():
            values = [*self.labels.values(), *key]
            family.add_metric(values, buckets=seen.cumulated(), sum_value=seen.total)
        return family

    def _names(self, metric: increments.Metric) -> list[str]:
        return [*self.labels, "pair", "slice", *increments.LABELS[metric]]
