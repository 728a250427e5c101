"""The same rollouts through the operator's own `plan`: status as JSON between all passes.

Traffic is drawn at the weight that the plan has decided, so that steps which wait for evidence are
part of what is measured. The looks are kept, and the engine alone must say the same of them.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from modelrollout.analysis import evidence
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.noise import Noise, Uncalibrated
from modelrollout.analysis.verdicts import Verdict
from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import book as books
from modelrollout.domain.book import Book
from modelrollout.domain.ending import Ending
from modelrollout.domain.observed import Look, Observed, Pair
from modelrollout.domain.planned import Window
from modelrollout.domain.questions import Known
from modelrollout.domain.transitions import Phase
from tests.bench.statistics import engine
from tests.bench.statistics.engine import METRIC, NEVER, STEP_S, Decided, Looks
from tests.bench.statistics.noise import Pods
from tests.bench.statistics.scenarios import LOOK_S, LOOKS, STEP_LOOKS, Rates, Scenario
from tests.stories import world

CANDIDATE: Final = "v2"


@dataclass(slots=True)
class _Drawn:
    rates: Rates
    random: np.random.Generator
    rps: float
    survey: RateCounts
    noise: Noise | Uncalibrated | None = None
    stable_pods: int = 1
    looks: list[tuple[RateCounts, RateCounts]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)

    def next(self, weight: float) -> Pair:
        """One more look at this weight."""
        at = np.array([weight])
        n_c, x_c, n_s, x_s = self.rates.draw(
            self.random, rps=self.rps, look=len(self.looks), weight=at
        )
        arms = RateCounts(int(n_c[0]), int(x_c[0])), RateCounts(int(n_s[0]), int(x_s[0]))
        self.looks.append(arms)
        self.weights.append(weight)
        return Pair(*arms)


class _World(world.World):
    """The stories' world, with counts from a scenario."""

    def __init__(self, written: dict[str, Any], drawn: _Drawn) -> None:
        super().__init__(written, rps=drawn.rps)
        self.drawn = drawn
        for name, version in self.versions.items():
            version.wanted = version.ready = 1 if name == CANDIDATE else drawn.stable_pods

    def observed(self, window: Window | None) -> Observed:
        """What the operator sees, the noise of stable's history with it."""
        known = {} if self.drawn.noise is None else {METRIC: self.drawn.noise}
        return replace(super().observed(window), noise=known)

    def look(self, window: Window) -> Look:
        """What the metric source answers."""
        rollout = self.status.rollout
        assert rollout is not None
        if rollout.phase == Phase.STARTING:
            pair = Pair(None, self.drawn.survey)
        else:
            assert self.route is not None
            pair = self.drawn.next(self.route.get(window.candidate, 0) / PARTS)
        return Look(window.start, window.end, {METRIC: pair})

    @property
    def rolled_back(self) -> bool:
        """The candidate was taken back for its harm."""
        rollout = self.status.rollout
        return rollout is not None and rollout.ending == Ending.ROLLED_BACK

    @property
    def promoted(self) -> bool:
        """The candidate serves."""
        return self.status.stable is not None and self.status.stable.name == CANDIDATE


@dataclass(frozen=True, slots=True)
class Driven:
    """One rollout by the plan.

    Attributes:
        rolled_back, promoted: the look at which the plan did so; infinite for never.
        said: what its stored evidence said first, look by look.
        looks, weights: what it saw, and at which weight.
        again: what the engine says of the same looks outside the plan.
        status_bytes: size of the stored status after the last look.
    """

    rolled_back: float
    promoted: float
    said: Decided
    looks: Looks
    weights: tuple[float, ...]
    again: Decided
    status_bytes: int

    @property
    def agree(self) -> bool:
        """Plan, stored evidence and bulk engine have come to the same at the same look."""
        return self.said == self.again and self.rolled_back == self.again.rollback


def run(
    scenario: Scenario,
    asking: ModelRolloutSpec,
    random: np.random.Generator,
    *,
    noise: Noise | Uncalibrated | None = None,
) -> Driven:
    """One rollout of the scenario from its survey until it ends, or all looks are made."""
    (survey,) = engine.surveyed(scenario, random, runs=1)
    drawn = _drawn(scenario, random, survey=survey, noise=noise)
    there = _released(asking, drawn)
    question = _book(there).asked[METRIC]
    said, size = Decided(), 0
    while len(drawn.looks) < LOOKS and not _ended(there):
        before = len(drawn.looks)
        there.run(until=lambda _, n=before: _ended(there) or len(drawn.looks) > n)  # type: ignore[misc]
        if len(drawn.looks) > before and there.status.evidence:
            said = _heard(there, said, len(drawn.looks))
            size = max(size, len(json.dumps(there.stored, separators=(",", ":"))))
    there.run(STEP_S - STEP_LOOKS * LOOK_S)
    last = len(drawn.looks)
    return Driven(
        rolled_back=last if there.rolled_back else NEVER,
        promoted=last if there.promoted else NEVER,
        said=said,
        looks=drawn.looks,
        weights=tuple(drawn.weights),
        again=engine.ours(drawn.looks, question),
        status_bytes=size,
    )


def known(
    scenario: Scenario,
    asking: ModelRolloutSpec,
    survey: RateCounts,
    *,
    noise: Noise | Uncalibrated | None = None,
) -> Known:
    """What the operator knows of the service after such a survey, before the first look."""
    drawn = _drawn(scenario, np.random.default_rng(0), survey=survey, noise=noise)
    return _book(_released(asking, drawn)).known


def _drawn(
    scenario: Scenario,
    random: np.random.Generator,
    *,
    survey: RateCounts,
    noise: Noise | Uncalibrated | None,
) -> _Drawn:
    pods = scenario.noise.stable if isinstance(scenario.noise, Pods) else 1
    rates = scenario.rates(random, runs=1)
    return _Drawn(rates, random, scenario.rps, survey, noise, stable_pods=pods)


def _released(asking: ModelRolloutSpec, drawn: _Drawn) -> "_World":
    there = _World(asking.model_dump(mode="json", by_alias=True, exclude_unset=True), drawn)
    there.settle()
    there.edit(target=CANDIDATE)
    there.run(LOOK_S, until=_is_surveyed)
    return there


def _is_surveyed(there: world.World) -> bool:
    rollout = there.status.rollout
    return rollout is not None and rollout.surveyed


def _book(there: world.World) -> Book:
    return books.opened(there.spec, there.status.evidence)


def _ended(there: "_World") -> bool:
    return there.rolled_back or there.promoted


def _heard(there: _World, said: Decided, look: int) -> Decided:
    book = _book(there)
    verdict = evidence.judge(book.entries[METRIC].state, book.asked[METRIC]).verdict
    if verdict is Verdict.WORSE:
        return Decided(look, said.promotion)
    if verdict in (Verdict.NOT_WORSE, Verdict.BETTER) and said.promotion == NEVER:
        return Decided(said.rollback, look)
    return said
