"""Calibration of the simulated services: each learns its noise from its own simulated history.

Nothing is given to it: the variance is estimated from three days of stable against stable, in two
halves of one pod each, and reaches the question as it does in the operator, with the survey.
"""

import numpy as np

from modelrollout.analysis import calibrating
from modelrollout.analysis.calibrating import History
from modelrollout.analysis.noise import Noise, Uncalibrated
from tests.bench.statistics.scenarios import LOOKS, Scenario, Traffic

PODS = 2.0
"""Of stable in its history; a rollout has one of each version, so that noise is the same."""


def learnt(
    scenario: Scenario, random: np.random.Generator, *, services: int
) -> list[Noise | Uncalibrated]:
    """What each of so many services has learnt."""
    past = scenario.past(random, runs=services)
    return [_noise(past, run) for run in range(services)]


def _noise(past: Traffic, run: int) -> Noise | Uncalibrated:
    seen = (past.n_c[run] > 0) & (past.n_s[run] > 0)
    history = History(
        minutes=np.flatnonzero(seen),
        trials_a=past.n_c[run][seen],
        events_a=past.x_c[run][seen],
        trials_b=past.n_s[run][seen],
        events_b=past.x_s[run][seen],
        pods=PODS,
    )
    return calibrating.calibrate(history, horizon_looks=LOOKS)
