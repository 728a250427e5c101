"""Our own evidence on simulated counts, through its public face, one look after the other.

`ours` is the only place where the benchmark calls the engine; what the operator itself makes of the
same looks, with its status written and read back, is in `driven` and must be the same.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from modelrollout.analysis import evidence, spending
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.questions import Question
from modelrollout.analysis.verdicts import Verdict
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain import questions
from modelrollout.domain.questions import Known
from tests.bench.statistics.noise import Floats
from tests.bench.statistics.scenarios import LOOK_S, STEP_LOOKS, WEIGHTS, Scenario, Traffic
from tests.stories import world

METRIC: Final = "errors"
SURVEY_S: Final = 300.0
RELATIVE: Final = {"relative": "50%"}
NEVER: Final = math.inf
STEP_S: Final = STEP_LOOKS * LOOK_S + 2.0 * world.SCRAPE_S
"""Long enough for the last look of a step, which waits for a scrape."""

Looks = Sequence[tuple[RateCounts, RateCounts]]
"""Counts of candidate and stable in each look."""


def spec(margin: Mapping[str, Any], *, roll_back_when: str = "Worse") -> ModelRolloutSpec:
    """The rollout that all simulated users have: ten steps of six looks, and no time beyond."""
    written = world.spec(
        strategy={
            "canary": {
                "weights": [f"{100 * weight:g}%" for weight in WEIGHTS],
                "minDuration": f"{STEP_S:g}s",
            }
        },
        analysis={
            "interval": f"{LOOK_S:g}s",
            "warmUp": "0s",
            "metrics": [
                {
                    "name": METRIC,
                    "rate": {"events": "failed_total", "total": "requests_total"},
                    "margin": dict(margin),
                    "rollBackWhen": roll_back_when,
                }
            ],
        },
        deadline=f"{len(WEIGHTS) * STEP_S + LOOK_S:g}s",
        onInconclusive="RollBack",
    )
    del written["bake"]
    return ModelRolloutSpec.model_validate(written)


def question(asking: ModelRolloutSpec, known: Known) -> Question:
    """What the operator asks when it knows so much of the service."""
    return questions.asked(asking, known)[METRIC]


def surveyed(scenario: Scenario, random: np.random.Generator, *, runs: int) -> list[RateCounts]:
    """Stable alone in the five minutes before each rollout."""
    trials = random.poisson(scenario.rps * SURVEY_S, size=runs)
    events = random.binomial(trials, scenario.stable)
    return [RateCounts(int(n), int(x)) for n, x in zip(trials, events, strict=True)]


@dataclass(frozen=True, slots=True)
class Decided:
    """The look (from 1) that first showed harm, and that first allowed a promotion."""

    rollback: float = NEVER
    promotion: float = NEVER


def ours(looks: Looks, question: Question) -> Decided:
    """What the engine says of one rollout. After harm nothing more is looked at."""
    state, promotion = evidence.fresh(question), NEVER
    for look, (candidate, stable) in enumerate(looks, start=1):
        state = evidence.advance(state, question, candidate=candidate, stable=stable)
        match evidence.judge(state, question).verdict:
            case Verdict.WORSE:
                return Decided(look, promotion)
            case Verdict.NOT_WORSE | Verdict.BETTER:
                promotion = min(promotion, look)
            case _:
                pass
    return Decided(promotion=promotion)


def rows(traffic: Traffic) -> Iterator[Looks]:
    """The looks of each run as the engine takes them."""
    columns = [counts.tolist() for counts in (traffic.n_c, traffic.x_c, traffic.n_s, traffic.x_s)]
    for run in zip(*columns, strict=True):
        yield [
            (RateCounts(n_c, x_c), RateCounts(n_s, x_s))
            for n_c, x_c, n_s, x_s in zip(*run, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Timed:
    """Looks of rollback and of promotion of every run, and CPU seconds per look."""

    rollback: Floats
    promotion: Floats
    seconds: float


def timed(traffic: Traffic, asked: Sequence[Question]) -> Timed:
    """What the engine says of every run, each with its question."""
    began = time.process_time()
    found = [ours(looks, one) for looks, one in zip(rows(traffic), asked, strict=True)]
    took_s = time.process_time() - began
    rollback = np.array([one.rollback for one in found])
    made = float(np.minimum(rollback, traffic.looks).sum())
    return Timed(rollback, np.array([one.promotion for one in found]), took_s / made)


@dataclass(frozen=True, slots=True)
class Spent:
    """Exact conditional spending alone: looks of alarm, and the error that each run has spent."""

    rollback: Floats
    error: Floats
    by_look: Floats


def spent(traffic: Traffic, plan: spending.Plan) -> Spent:
    """The rule that decides on harm, without the rest of the engine, for many runs.

    `error` is computed, not counted: the exact probability of an alarm given the totals.
    """
    found, errors = [], np.zeros((traffic.runs, traffic.looks))
    for run, looks in enumerate(rows(traffic)):
        state, alarm = spending.Spent(), NEVER
        for look, (candidate, stable) in enumerate(looks, start=1):
            state = spending.advance(state, plan, candidate=candidate, stable=stable)
            errors[run, look - 1] = state.error
            if state.alarm and alarm == NEVER:
                alarm = look
        found.append(alarm)
    return Spent(np.array(found), errors[:, -1], errors.mean(axis=0))
