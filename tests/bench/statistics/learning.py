"""Calibration of the simulated services: each learns its noise from its own simulated history.

Nothing is given to it: the variance is estimated from three days of stable against stable, in two
halves of one pod each, and used as the operator would.
"""

from dataclasses import fields, replace
from typing import Any, Final

import numpy as np

from modelrollout.analysis import calibrating
from modelrollout.analysis.calibrating import History
from modelrollout.analysis.noise import ArmNoise, Noise
from modelrollout.domain.questions import Known
from tests.bench.statistics.engine import METRIC
from tests.bench.statistics.scenarios import LOOKS, Scenario, Traffic

FIELD: Final = "noise"
"""Of `Known`, in which the operator puts what it has learnt, by metric."""


def is_wired() -> bool:
    """The operator's questions take calibrated noise."""
    return FIELD in {one.name for one in fields(Known)}


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


def calibrated(known: Known, noise: ArmNoise | None) -> Known:
    """What is known, and the noise with it."""
    changes: dict[str, Any] = {} if noise is None else {FIELD: {METRIC: noise}}
    return replace(known, **changes)
