"""A cluster on virtual time: versions, a route, traffic, metrics, and people; `plan` is real.

Each pass reads the status back from JSON, as the operator does, so that nothing survives but what
the apiserver would have stored. Traffic is a steady stream split by the route; events are drawn
from the rates of each version with a fixed seed, so that a story is the same every time.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from modelrollout.analysis.counts import Counts, MeanCounts, RateCounts
from modelrollout.api import intents
from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus, to_object
from modelrollout.domain import holding, looking
from modelrollout.domain.observed import (
    AutoscalerSeen,
    CheckSeen,
    JobState,
    Look,
    Observed,
    Pair,
    TrafficSeen,
    UserPair,
    UserSums,
    VersionSeen,
)
from modelrollout.domain.plan import plan
from modelrollout.domain.planned import Plan, Window
from modelrollout.domain.reasons import Code, Reason

START = 1_800_000_000.0
SCRAPE_S = 2.0
BUCKETS = 100
USERS_SPREAD = 0.1
"""How much the buckets of users differ, whatever model they meet."""


@dataclass
class Version:
    """One deployed version and how it behaves.

    `rates` gives per metric the share of events, or for a mean its value.
    """

    revision: str = "r1"
    wanted: int = 2
    ready: int = 2
    exists: bool = True
    workload_exists: bool = True
    restarts: int = 0
    oom_killed: frozenset[str] = frozenset()
    crash_looping: frozenset[str] = frozenset()
    replicas_owner: str = ""
    trouble: str = ""
    rates: dict[str, float] = field(default_factory=dict)

    def seen(self) -> VersionSeen:
        """What the operator sees of it."""
        return VersionSeen(
            backend_exists=self.exists,
            workload_exists=self.workload_exists,
            revision=self.revision if self.exists else "",
            ready=self.ready,
            wanted=self.wanted,
            restarts={"pod": self.restarts},
            oom_killed=self.oom_killed,
            crash_looping=self.crash_looping,
            replicas_owner=self.replicas_owner,
            trouble=self.trouble,
        )


def spec(**changes: Any) -> dict[str, Any]:
    """A rollout as a user writes it; `changes` replace whole top-level fields."""
    written: dict[str, Any] = {
        "versions": [
            {
                "name": name,
                "service": {"name": f"fraud-{name}", "port": 8080},
                "workload": {"name": f"fraud-{name}"},
            }
            for name in ("v1", "v2", "v3")
        ],
        "target": "v1",
        "traffic": {"gatewayAPI": {"parentRefs": [{"name": "public"}]}},
        "strategy": {"canary": {"weights": [5, 25, 50], "minDuration": "2m"}},
        "analysis": {
            "interval": "30s",
            "metrics": [
                {
                    "name": "errors",
                    "rate": {"events": 'http_requests_total{code=~"5.."}', "total": "x_total"},
                    "margin": {"relative": "50%", "absolute": 0.01},
                }
            ],
        },
        "bake": {"duration": "5m", "holdback": 5},
    }
    return written | changes


class World:
    """The cluster around one rollout."""

    def __init__(
        self, written: dict[str, Any] | None = None, *, rps: float = 100.0, seed: int = 7
    ) -> None:
        self.written = written or spec()
        self.rps, self.seed = rps, seed
        self.now = START
        self.versions = {name: Version(rates={"errors": 0.005}) for name in ("v1", "v2", "v3")}
        self.route: dict[str, int] | None = None
        self.autoscalers: dict[str, AutoscalerSeen] = {}
        self.may_hold = True
        self.scaled: list[tuple[float, str, int]] = []
        self.preview = ""
        self.preview_obeys = True
        self.jobs: dict[str, JobState] = {}
        self.smoke_test = JobState.SUCCEEDED
        self.smoke_test_problem = ""
        self.route_accepted = True
        self.route_obeys = True
        self.writer = ""
        self.recorded_stable = ""
        self.problem: Reason | None = None
        self.traffic_problem: Reason | None = None
        self.source_up = True
        self.missing: set[tuple[str, str]] = set()
        self.noise: dict[str, Any] = {}
        self.idle_counters = False
        self.skew: dict[str, float] = {}
        self.annotations: dict[str, str] = {}
        self.deleting = False
        self.gone = False
        self.uid = "uid-1"
        self.generation = 1
        self.stored: dict[str, Any] = {}
        self.transcript: list[str] = []
        self.codes: list[str] = []
        self.served: list[tuple[float, dict[str, int]]] = []
        self.plans: list[Plan] = []
        self.last_window: Window | None = None
        self._read: tuple[dict[str, Any], ModelRolloutSpec] | None = None

    @property
    def spec(self) -> ModelRolloutSpec:
        """As the operator reads it."""
        if self._read is None or self._read[0] is not self.written:
            self._read = (self.written, ModelRolloutSpec.model_validate(self.written))
        return self._read[1]

    @property
    def status(self) -> ModelRolloutStatus:
        """As the apiserver stored it."""
        return ModelRolloutStatus.model_validate(self.stored)

    def edit(self, **changes: Any) -> None:
        """Somebody edits the spec."""
        self.written = self.written | changes
        self.generation += 1

    def say(self, kind: str, text: str, *, by: str = "ann") -> None:
        """Somebody gives an intent."""
        self.annotations[f"modelrollout.dev/{kind}"] = text
        self.annotations[intents.BY] = by

    def observed(self, window: Window | None) -> Observed:
        """What the operator sees in a pass."""
        return Observed(
            namespace="ml",
            name="fraud",
            uid=self.uid,
            generation=self.generation,
            deleting=self.deleting,
            intents=intents.from_annotations(self.annotations),
            versions={name: version.seen() for name, version in self.versions.items()},
            traffic=TrafficSeen(
                exists=self.route is not None,
                shares=self.route,
                programmed=self.route is not None and self.route_accepted,
                problem=self.traffic_problem,
                blocking=self.traffic_problem is not None,
                writer=self.writer,
                preview=self.preview,
                recorded_stable=self.recorded_stable,
            ),
            look=None if window is None else self.look(window),
            noise=self.noise,
            check=self._check(),
            autoscalers=self._autoscalers(),
            may_hold=self.may_hold,
            problem=self.problem,
            scrape_interval_s=SCRAPE_S,
        )

    def _autoscalers(self) -> dict[str, AutoscalerSeen] | None:
        return self.autoscalers if holding.concerns(self.spec, self.status) else None

    def _check(self) -> CheckSeen | None:
        rollout = self.status.rollout
        if rollout is None or not self.spec.strategy.checks:
            return None
        name = rollout.check.job if rollout.check else ""
        state = self.jobs.get(name, JobState.ABSENT)
        why = "BackoffLimitExceeded" if state is JobState.FAILED else ""
        return CheckSeen(self.smoke_test_problem, state, why)

    def look(self, window: Window) -> Look:
        """What the metric source answers for a window."""
        if not self.source_up:
            down = Reason(Code.SOURCE_DOWN, "default does not answer: connection refused")
            return Look(window.start, window.end, down=down)
        first, *others = (self._look_of(arm, window) for arm in (window.candidate, *window.others))
        return replace(first, others=dict(zip(window.others, others, strict=True)))

    def _look_of(self, candidate: str, window: Window) -> Look:
        pairs, problems, users = {}, {}, {}
        for metric in self.spec.analysis.metrics:
            arms = {
                arm: self._counts(metric, version, window)
                for arm, version in (("candidate", candidate), ("stable", window.stable))
            }
            pairs[metric.name] = Pair(arms["candidate"], arms["stable"])
            absent = [name for name in (candidate, window.stable) if self._absent(metric, name)]
            if absent:
                sentence = f"no series of {metric.name} for {absent[0]}"
                problems[metric.name] = Reason(Code.NO_SERIES, sentence)
            if metric.buckets is not None and not absent:
                sums = [self._users(metric, name, window) for name in (candidate, window.stable)]
                users[metric.name] = UserPair(*sums)
        return Look(window.start, window.end, pairs, problems, users=users)

    def _users(self, metric: Metric, version: str, window: Window) -> UserSums:
        """Sums by hash bucket of users, who differ: each bucket has a value of its own."""
        counts = self._counts(metric, version, window)
        if not isinstance(counts, MeanCounts):
            return {}
        own = np.random.default_rng([self.seed, 4711]).normal(0.0, USERS_SPREAD, BUCKETS)
        draw = np.random.default_rng([self.seed, sum(version.encode()), int(window.end * 10)])
        each = draw.multinomial(counts.count, [1.0 / BUCKETS] * BUCKETS)
        value = self.versions[version].rates.get(metric.name, 0.0)
        sums = each * (value + own) + draw.normal(0.0, 1.0, BUCKETS) * np.sqrt(each)
        return {
            str(bucket): (float(sums[bucket]), float(each[bucket]))
            for bucket in range(BUCKETS)
            if each[bucket]
        }

    def _absent(self, metric: Metric, version: str) -> bool:
        return (metric.name, version) in self.missing

    def _counts(self, metric: Metric, version: str, window: Window) -> Counts | None:
        trials = self.requests(version, window.end) - self.requests(version, window.start)
        if self._absent(metric, version):
            return None
        if trials <= 0:
            return RateCounts() if self.idle_counters and metric.mean is None else None
        key = (self.seed, sum(version.encode()), sum(metric.name.encode()), int(window.end * 10))
        draw = np.random.default_rng([abs(part) for part in key])
        value = self.versions[version].rates.get(metric.name, 0.0)
        if metric.mean is not None:
            values = draw.normal(value, 1.0, trials)
            return MeanCounts(trials, float(values.sum()), float((values**2).sum()))
        return RateCounts(trials=trials, events=int(draw.binomial(trials, value)))

    def requests(self, version: str, until: float) -> int:
        """Requests that a version got until an instant, as a whole number."""
        total = 0.0
        for index, (since, shares) in enumerate(self.served):
            end = self.served[index + 1][0] if index + 1 < len(self.served) else until
            length_s = max(0.0, min(end, until) - since)
            part = shares.get(version, 0) * self.skew.get(version, 1.0)
            total += length_s * self.rps * part / PARTS
        return int(total + 1e-6)

    def step(self) -> Plan:
        """One pass: read, look, plan, persist, act, tell."""
        before = self.status
        window = looking.due(self.now, self.spec, before, scrape_interval_s=SCRAPE_S)
        if window is not None:
            self.last_window = window
        made = plan(self.now, self.spec, before, self.observed(window))
        self.stored = json.loads(json.dumps(to_object(made.status)))
        self.plans.append(made)
        self._act(made)
        self._tell(made)
        return made

    def _act(self, made: Plan) -> None:
        if made.shares is not None and self.route_obeys and self.traffic_problem is None:
            if self.route != dict(made.shares):
                self.turn_route(dict(made.shares))
            self.recorded_stable = made.stable
        if made.shares is not None and self.preview_obeys:
            self.preview = made.preview
        self._scale(made)
        for job in made.jobs:
            self.jobs.setdefault(job.name, self.smoke_test)  # as the apiserver: never made twice
        if self.deleting and not made.finalizer:
            self.gone = True
        if made.delete_route:
            self.turn_route(None)

    def _scale(self, made: Plan) -> None:
        for one in made.scales:
            version = self.versions[one.version]
            if version.wanted != one.replicas:
                self.scaled.append((self.now, one.version, one.replicas))
            version.wanted = version.ready = one.replicas
        for held in made.minimums:
            seen, is_held = self.autoscalers[held.version], held.original is not None
            self.autoscalers[held.version] = replace(
                seen,
                minimum=held.minimum,
                original=held.original,
                held=held.minimum if is_held else None,
            )

    def turn_route(self, shares: Mapping[str, int] | None) -> None:
        """The route changes, by whoever's hand."""
        self.route = None if shares is None else dict(shares)
        self.served.append((self.now, dict(shares or {})))

    def _tell(self, made: Plan) -> None:
        clock = int(self.now - START)
        stamp = f"{clock // 3600:02}:{clock % 3600 // 60:02}:{clock % 60:02}"
        status = made.status
        where = " ".join(word for word in (status.phase, status.step, status.weight) if word)
        for event in made.events:
            self.codes.append(event.reason.code)
            self.transcript.append(f"{stamp}  {where:<22}  {event.reason}")

    def run(
        self, for_s: float = 3600.0, *, until: Callable[["World"], bool] | None = None
    ) -> "World":
        """Lets time pass until the condition holds, at most `for_s`; at least one pass is made."""
        end = self.now + for_s
        while True:
            made = self.step()
            if self.gone or (until is not None and until(self)):
                return self
            wake = made.wake_at if made.wake_at is not None else self.now + 30.0
            self.now = max(min(wake, end + 0.001), self.now + 0.01)
            if self.now > end:
                self.now = end
                return self

    def settle(self) -> "World":
        """Makes passes until nothing more is told and the routes are confirmed."""
        return self.run(30.0)

    def phase(self, *phases: str) -> "World":
        """Lets time pass until one of these phases is reached."""
        self.run(until=lambda world: world.status.phase in phases)
        assert self.status.phase in phases, "\n".join(self.transcript[-8:])
        return self

    def share(self, version: str) -> float:
        """Percent of the traffic that a version gets by the route."""
        return (self.route or {}).get(version, 0) / 100

    def condition(self, kind: str) -> tuple[str, str]:
        """Truth and reason of a condition; ("", "") when it is absent."""
        found = [c for c in self.status.conditions if c.type == kind]
        return (found[0].status, found[0].reason) if found else ("", "")


def at_rest(written: dict[str, Any] | None = None, **options: Any) -> World:
    """A world in which v1 has served for ten minutes."""
    world = World(written, **options).settle()
    world.run(600.0)
    assert world.condition("Ready")[0] == "True", world.transcript
    return world
