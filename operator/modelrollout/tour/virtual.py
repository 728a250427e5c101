"""A rollout in a world made of numbers: the real `plan`, virtual time, random requests.

Everything that a cluster would do is done here as soon as it is asked: pods are ready, routes
follow, Prometheus answers. Requests arrive at random and fail independently, at the rate their
version has. What is left is the decision itself, which is the operator's own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from modelrollout.analysis.counts import RateCounts
from modelrollout.api import scalars
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain import looking, plan
from modelrollout.domain.observed import Look, Observed, Pair, TrafficSeen, VersionSeen
from modelrollout.domain.planned import Event, Window

_BEGINNING: Final = 1_800_000_000.0
_SHORTEST_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class Nature:
    """How the world is, which nobody in it knows.

    Attributes:
        requests_per_s: of the whole service.
        rates: by version and metric, the share of requests that are events.
        crash_after: by version, requests after which one of its pods dies; such a version has one
            pod that comes back at once.
        scrape_interval_s: how late counters can be read.
    """

    requests_per_s: float
    rates: Mapping[str, Mapping[str, float]]
    crash_after: Mapping[str, int] = field(default_factory=dict)
    scrape_interval_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Instant:
    """What is known after one pass.

    Attributes:
        at_s: seconds since the beginning of the rollout.
        status: as persisted.
        events: told in this pass.
        met: requests answered so far, by version.
    """

    at_s: float
    status: ModelRolloutStatus
    events: tuple[Event, ...]
    met: Mapping[str, float]


class World:
    """One ModelRollout in a world."""

    def __init__(
        self, spec: ModelRolloutSpec, nature: Nature, *, random: np.random.Generator
    ) -> None:
        self.spec = spec
        self.status = ModelRolloutStatus()
        self._nature = nature
        self._random = random
        self._now = _BEGINNING
        self._generation = 1
        self._shares: dict[str, int] = {}
        self._met: dict[str, float] = {}
        self._events: list[Event] = []

    def settle(self) -> None:
        """Pass until nothing is left to do: the version of the spec serves."""
        while self._pass() is not None:
            pass
        self._events.clear()

    def retarget(self, version: str, *, within_s: float) -> Iterator[Instant]:
        """Release `version`, and tell every pass until the rollout ends or `within_s` is over."""
        self.spec = self.spec.model_copy(update={"target": version})
        self._generation += 1
        self._met = {}
        begun = self._now
        while (now := self._now) < begun + within_s:
            wake_at = self._pass()
            told, self._events = tuple(self._events), []
            yield Instant(now - begun, self.status, told, dict(self._met))
            if self.status.rollout is None and wake_at is None:
                return

    def _pass(self) -> float | None:
        """One pass, and the time until the next; None when there is nothing to wait for."""
        window = self._due()
        decided = plan.plan(self._now, self.spec, self.status, self._observed(window))
        self.status = decided.status
        self._events.extend(decided.events)
        changed = decided.shares is not None and dict(decided.shares) != self._shares
        if decided.shares is not None:
            self._shares = dict(decided.shares)
        if changed:
            return self._now  # the route's change is seen at once
        if decided.wake_at is None:
            return None
        self._pass_time(max(self._next(decided.wake_at), self._now + _SHORTEST_S))
        return self._now

    def _next(self, wake_at: float) -> float:
        look_at = looking.next_at(
            self.spec, self.status, scrape_interval_s=self._nature.scrape_interval_s
        )
        return wake_at if look_at is None else min(wake_at, max(look_at, self._now))

    def _pass_time(self, until: float) -> None:
        for version, share in self._shares.items():
            answered = (until - self._now) * self._nature.requests_per_s * share / scalars.PARTS
            self._met[version] = self._met.get(version, 0.0) + answered
        self._now = until

    def _due(self) -> Window | None:
        return looking.due(
            self._now,
            self.spec,
            self.status,
            scrape_interval_s=self._nature.scrape_interval_s,
        )

    def _observed(self, window: Window | None) -> Observed:
        return Observed(
            namespace="virtual",
            name="world",
            uid="1",
            generation=self._generation,
            versions={version.name: self._seen(version.name) for version in self.spec.versions},
            traffic=self._traffic(),
            look=self._look(window) if window else None,
        )

    def _seen(self, version: str) -> VersionSeen:
        limit = self._nature.crash_after.get(version)
        restarts = int(self._met.get(version, 0.0) // limit) if limit else 0
        return VersionSeen(revision="r1", ready=1, wanted=1, restarts={f"{version}-0": restarts})

    def _traffic(self) -> TrafficSeen:
        if not self._shares:
            return TrafficSeen()
        return TrafficSeen(exists=True, shares=dict(self._shares), programmed=True)

    def _look(self, window: Window) -> Look:
        """Counts of one look: arrivals are Poisson, events binomial."""
        requests = {arm: self._arrived(arm, window) for arm in (window.candidate, window.stable)}
        pairs = {
            metric.name: Pair(
                candidate=self._counts(window.candidate, metric.name, requests),
                stable=self._counts(window.stable, metric.name, requests),
            )
            for metric in self.spec.analysis.metrics
        }
        return Look(start=window.start, end=window.end, pairs=pairs)

    def _arrived(self, version: str, window: Window) -> int:
        share = self._shares.get(version, 0) / scalars.PARTS
        expected = (window.end - window.start) * self._nature.requests_per_s * share
        return int(self._random.poisson(expected))

    def _counts(self, version: str, metric: str, requests: Mapping[str, int]) -> RateCounts:
        rate = self._nature.rates[version].get(metric, 0.0)
        trials = requests[version]
        return RateCounts(trials=trials, events=int(self._random.binomial(trials, rate)))
