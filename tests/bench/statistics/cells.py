"""What is simulated, how often: every cell of every table, and the run of one cell.

A cell is a scenario with a margin and a number of runs. Its random numbers depend on the seed and
its name alone, so cells can be run in any order and in any process, and the rivals see the very
counts that the engine sees.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from modelrollout.analysis.questions import Question
from modelrollout.analysis.spending import Plan
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import questions
from modelrollout.domain.questions import Known
from tests.bench.statistics import driven, engine, learning, rivals, scenarios
from tests.bench.statistics.noise import Floats
from tests.bench.statistics.scenarios import LOOKS, Scenario, Steer, Traffic

DESIGN_SEED: Final = 11
"""For trying things out; what is published was never chosen on `REPORT_SEED`."""
REPORT_SEED: Final = 20261124
SERVICES: Final = 16
"""Services in a cell, each with its own survey (and its own history), which share its runs."""
SLOW: Final = 300
"""Runs of which the rules that sort are tried."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One simulated situation.

    Attributes:
        name: unique.
        scenario: of the traffic.
        runs: of our engine through its public face, equally many of each service.
        services: whose runs they are.
        more: runs of exact conditional spending alone, on top of that.
        plan: of those; None for the plan of the first service.
        margin: as a user writes it.
        roll_back_when: as a user writes it.
        warm_up: first looks that the operator does not make.
        steer: chooses weights from outcomes; None for the fixed ramp.
        has_rivals: the rules of others are tried on the same counts.
        calibrated: the services have learnt their noise from a history.
        knows_usual: stable was surveyed before the rollout.
    """

    name: str
    scenario: Scenario
    runs: int
    services: int = SERVICES
    more: int = 0
    plan: Plan | None = None
    margin: Mapping[str, Any] = field(default_factory=lambda: engine.RELATIVE)
    roll_back_when: str = "Worse"
    warm_up: int = 0
    steer: Steer | None = None
    has_rivals: bool = False
    calibrated: bool = False
    knows_usual: bool = True

    def scaled(self, part: float) -> "Cell":
        """The same with fewer runs and services."""
        services = max(2, round(self.services * part))
        runs = services * max(1, round(self.runs * part / services))
        return replace(self, runs=runs, services=services, more=round(self.more * part))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the runs of a cell; all arrays have one number per run.

    Attributes:
        rollback: the look that showed harm; infinite for never.
        promotion: the look that first allowed a promotion.
        promoted_after: candidate requests until then.
        failed_until: failed candidate requests until the rollback, or of the whole hour.
        spent: of exact conditional spending alone, on more runs; None where not asked.
        rivals: looks of rollback by rule.
        services: of the cell.
        learnt: of them, those whose noise was calibrated.
        e_process: of them, those of which the e-process decides about harm.
        seconds: of CPU of one look of one run of the engine.
    """

    rollback: Floats
    promotion: Floats
    promoted_after: Floats
    failed_until: Floats
    spent: engine.Spent | None
    rivals: Mapping[str, Floats]
    services: int
    learnt: int
    e_process: int
    seconds: float


def run(cell: Cell, seed: int) -> Outcome:
    """Simulates a cell and lets everybody decide. Raises nothing but bugs."""
    random = scenarios.seeded(seed, cell.scenario.name)
    seen = _counts(cell, random, runs=cell.runs)
    known = _known(cell, random)
    asked = [engine.question(_asking(cell), one) for one in known]
    judged = seen.without_first(cell.warm_up)
    timed = engine.timed(judged, np.repeat(np.array(asked), cell.runs // cell.services).tolist())
    rollback, promotion = timed.rollback + cell.warm_up, timed.promotion + cell.warm_up
    return Outcome(
        rollback=rollback,
        promotion=promotion,
        promoted_after=_until(seen.n_c, promotion),
        failed_until=_until(seen.x_c, np.minimum(rollback, LOOKS)),
        spent=_spent(cell, asked[0], seed),
        rivals=_of_rivals(cell, seen),
        services=cell.services,
        learnt=sum(bool(one.noise) for one in known),
        e_process=sum(one.spending is None for one in asked),
        seconds=timed.seconds,
    )


def _asking(cell: Cell) -> ModelRolloutSpec:
    return engine.spec(cell.margin, roll_back_when=cell.roll_back_when)


def _known(cell: Cell, random: np.random.Generator) -> list[Known]:
    if not cell.knows_usual:
        return [questions.NOTHING_KNOWN] * cell.services
    surveys = engine.surveyed(cell.scenario, random, runs=cell.services)
    noises = (
        learning.learnt(cell.scenario, random, services=cell.services)
        if cell.calibrated
        else [None] * cell.services
    )
    return [
        driven.known(cell.scenario, _asking(cell), survey, noise=noise)
        for survey, noise in zip(surveys, noises, strict=True)
    ]


def _counts(cell: Cell, random: np.random.Generator, *, runs: int) -> Traffic:
    if cell.steer is not None:
        return cell.scenario.steered(random, cell.steer, runs=runs)
    return cell.scenario.simulate(random, runs=runs)


def _until(counts: scenarios.Counted, look: Floats) -> Floats:
    total, known = np.cumsum(counts, axis=1), np.isfinite(look)
    at = np.where(known, look, 1).astype(np.int64) - 1
    return np.where(known, total[np.arange(len(look)), at], np.inf)


def _spent(cell: Cell, asked: Question, seed: int) -> engine.Spent | None:
    plan = cell.plan or asked.spending
    if not cell.more or plan is None:
        return None
    random = scenarios.seeded(seed, cell.scenario.name, "more")
    traffic = _counts(cell, random, runs=cell.more).without_first(cell.warm_up)
    return engine.spent(traffic, plan)


def _of_rivals(cell: Cell, seen: Traffic) -> dict[str, Floats]:
    if not cell.has_rivals:
        return {}
    few = seen.only(slice(0, SLOW))
    return {
        name: rule(few if name in rivals.SLOW_RULES else seen)
        for name, rule in rivals.RULES.items()
    }
