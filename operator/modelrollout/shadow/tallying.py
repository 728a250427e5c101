"""Increments added up, without a registry: for reports, replays of logs, and tests of the core.

The core is fed by fronts; those with a registry put increments straight into it. Adding is exact
for counts; sums of magnitudes are floats.
"""

import bisect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from modelrollout.shadow import increments

Key = tuple[increments.Metric, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts per bucket, not cumulated; the last one is beyond all edges.

    Raises:
        ValueError: where two with other edges are added.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: float = 0.0

    @classmethod
    def of(cls, observation: increments.Observation) -> Self:
        """One value; a value on an edge belongs below it, as in Prometheus (`le`)."""
        at = bisect.bisect_left(observation.edges, observation.value)
        counts = tuple(int(at == bucket) for bucket in range(len(observation.edges) + 1))
        return cls(observation.edges, counts, observation.value)

    @property
    def count(self) -> int:
        """All observations."""
        return sum(self.counts)

    def __add__(self, other: Self) -> Self:
        if self.edges != other.edges:
            raise ValueError(
                "expected histograms with the same edges, found others; were both replicas "
                "started with one configuration?"
            )
        counts = tuple(a + b for a, b in zip(self.counts, other.counts, strict=True))
        return type(self)(self.edges, counts, self.total + other.total)


@dataclass(frozen=True, slots=True)
class Tally:
    """All that was counted, by metric and labels."""

    counters: Mapping[Key, float] = field(default_factory=dict)
    histograms: Mapping[Key, Histogram] = field(default_factory=dict)

    @classmethod
    def of(cls, added: Iterable[increments.Increment]) -> Self:
        """From nothing."""
        counters: dict[Key, float] = {}
        histograms: dict[Key, Histogram] = {}
        for increment in added:
            key = (increment.metric, increment.labels)
            if isinstance(increment, increments.Count):
                counters[key] = counters.get(key, 0.0) + increment.amount
            else:
                one = Histogram.of(increment)
                histograms[key] = histograms[key] + one if key in histograms else one
        return cls(counters, histograms)

    def __add__(self, other: Self) -> Self:
        counters = dict(self.counters)
        for key, amount in other.counters.items():
            counters[key] = counters.get(key, 0.0) + amount
        histograms = dict(self.histograms)
        for key, more in other.histograms.items():
            histograms[key] = histograms[key] + more if key in histograms else more
        return type(self)(counters, histograms)

    def count(self, metric: increments.Metric, *labels: str) -> float:
        """Of one counter, 0 where nothing was counted."""
        return self.counters.get((metric, labels), 0.0)
