"""Calibration of the simulated services: each learns its noise from its own simulated history.

Nothing is given to it: the variance is estimated from three days of stable against stable, in two
halves of one pod each, and used as the operator would.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Final

import numpy as np

from modelrollout.analysis import calibrating
from modelrollout.analysis.calibrating import History
from modelrollout.analysis.noise import ArmNoise, Noise
from modelrollout.analysis.questions import Question
from tests.bench.statistics.scenarios import LOOKS, Scenario, Traffic

FIELD: Final = "noise"
"""Of the question, in which the operator puts what it has learnt."""


def is_wired() -> bool:
    """A question can carry calibrated noise."""
    return FIELD in {one.name for one in fields(Question)}


def learnt(
    scenario: Scenario, random: np.random.Generator, *, services: int
) -> list[ArmNoise | None]:
    """What each of so many services has learnt; None where it stays uncalibrated."""
    past = scenario.past(random, runs=services)
    return [_noise(past, run) for run in range(services)]


def _noise(past: Traffic, run: int) -> ArmNoise | None:
    seen = (past.n_c[run] > 0) & (past.n_s[run] > 0)
    history = History(
        minutes=np.flatnonzero(seen),
        trials_a=past.n_c[run][seen],
        events_a=past.x_c[run][seen],
        trials_b=past.n_s[run][seen],
        events_b=past.x_s[run][seen],
        pods=2.0,
    )
    found = calibrating.calibrate(history, horizon_looks=LOOKS)
    return found.during(1, 1) if isinstance(found, Noise) else None


def calibrated(
    asked: Sequence[Question], noises: Sequence[ArmNoise | None]
) -> tuple[Question, ...]:
    """The questions with the noise of the services, each of which has equally many rollouts."""
    each = len(asked) // len(noises)
    return tuple(
        question if noise is None else replace(question, **{FIELD: noise})
        for question, noise in zip(asked, np.repeat(np.array(noises), each), strict=True)
    )
