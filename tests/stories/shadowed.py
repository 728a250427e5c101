"""A world with an observer: copies are compared while a tee feeds it, and counted as it would.

What it has counted is gone when it is made anew. Shares are exact, so that a story can say which
candidate agrees and which does not.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from modelrollout.api.scalars import PARTS
from modelrollout.domain.observed import Observed, ShadowSeen
from modelrollout.domain.planned import Plan, Window
from tests.stories.world import World, spec

COMPARED: dict[str, Any] = {
    "sample": 10,
    "duration": "30m",
    "protocol": {"openInference": {"outputs": ["label"]}},
    "task": {"classification": {}},
}
ASKED = COMPARED | {
    "agreement": {"atLeast": "98%", "aboveNoise": True},
    "noise": {"mode": "Paired", "share": "50%"},
}
WEIGHTS = [{"weight": 25, "minDuration": "2m"}, {"weight": 50, "minDuration": "2m"}]


@dataclass
class Observer:
    """One that was made for one shadow.

    Attributes:
        run: of the shadow.
        ready_at: from when it takes copies.
        totals: what it counted, with fractions.
    """

    run: str
    ready_at: float
    totals: dict[str, float] = field(default_factory=dict)


class Shadowed(World):
    """A world whose candidate differs from stable in a share of its answers.

    Attributes:
        differs: the candidate, from what users got.
        noisy: stable, from itself.
        lost: copies that are not compared.
        schedulable: observers become ready, 5 s after they were made.
        problem_of_counters: why they cannot be read; "" for nothing.
    """

    def __init__(self, written: dict[str, Any] | None = None, **options: Any) -> None:
        super().__init__(written, **options)
        self.differs = self.noisy = self.lost = 0.0
        self.schedulable = True
        self.problem_of_counters = ""
        self.observer: Observer | None = None
        self.runs: list[str] = []
        self.tee: tuple[str, int] | None = None
        self._until = self.now

    @property
    def clock_s(self) -> float:
        """How long was compared."""
        return self.status.shadow.clock_s if self.status.shadow else 0.0

    @property
    def counted(self) -> dict[str, int]:
        """What the status holds of it."""
        return dict(self.status.shadow.counted) if self.status.shadow else {}

    @property
    def is_ready(self) -> bool:
        """Whether there is an observer that takes copies."""
        made = self.observer
        return made is not None and self.schedulable and self.now >= made.ready_at

    def restart_observer(self) -> None:
        """Its pod is lost, and with it what it counted."""
        assert self.observer is not None
        self.observer = Observer(self.observer.run, self.now + 5.0)

    def observed(self, window: Window | None) -> Observed:
        """What the operator sees, an observer among it."""
        self._compare()
        return replace(super().observed(window), shadow=self._sight())

    def _sight(self) -> ShadowSeen | None:
        """As the cluster and the metric source would say it."""
        shadow = self.status.shadow
        if shadow is None or not (shadow.running or shadow.standing):
            return None
        if self.observer is None:
            return ShadowSeen()
        ready = self.is_ready and self.observer.run == shadow.key
        due = self.now - shadow.clock_at >= self.spec.analysis.interval
        if not (shadow.running and ready and due):
            return ShadowSeen(exists=True, ready=ready)
        if self.problem_of_counters:
            return ShadowSeen(exists=True, ready=True, problem=self.problem_of_counters)
        totals = {name: int(total + 1e-6) for name, total in self.observer.totals.items()}
        return ShadowSeen(exists=True, ready=True, totals=totals)

    def _compare(self) -> None:
        passed_s, self._until = self.now - self._until, self.now
        if self.observer is None or self.tee is None or not self.is_ready:
            return
        copies = passed_s * self.rps * self.tee[1] / PARTS
        compared = copies * (1.0 - self.lost)
        d, p, with_control = self.differs, self.noisy, compared / 2
        counted = {
            "eligible": copies,
            "compared": compared,
            "match": compared * (1 - d),
            "mismatch": compared * d,
            "control_match": with_control * (1 - p),
            "control_mismatch": with_control * p,
            "candidate_only": with_control * d * (1 - p),
            "control_only": with_control * (1 - d) * p,
            "both": with_control * d * p,
            "neither": with_control * (1 - d) * (1 - p),
        }
        totals = self.observer.totals
        self.observer.totals = {name: totals.get(name, 0.0) + n for name, n in counted.items()}

    def _act(self, made: Plan) -> None:
        super()._act(made)
        if made.shares is not None and self.route_obeys:
            self.tee = made.tee
        if made.observer_gone:
            assert self.tee is None, "an observer goes after the copies"
            self.observer = None
        asked = made.observing
        if asked is not None and (self.observer is None or self.observer.run != asked.run):
            self.observer = Observer(asked.run, self.now + 5.0)
            self.runs.append(asked.run)


def shadow_then_canary(**changes: Any) -> dict[str, Any]:
    """A rollout whose first step is a shadow; `changes` replace fields of what is asked."""
    steps = [{"shadow": ASKED | changes}, *WEIGHTS]
    return spec(traffic={"router": {}}, strategy={"steps": steps})


def in_shadow(**changes: Any) -> Shadowed:
    """A world in which v2 has been in shadow for a minute."""
    world = Shadowed(shadow_then_canary(**changes))
    world.run(600.0)
    world.edit(target="v2")
    world.run(until=lambda w: w.status.shadow is not None and w.status.shadow.clock_s >= 60.0)
    assert world.tee == ("v2", 1_000), world.transcript
    return world
