"""Calibration of the simulated services: each learns its noise from its own simulated history.

Nothing is given to it: the variance is estimated from three days of stable against stable, in two
halves of one pod each, and reaches the question as it does in the operator, with the survey.
"""

import numpy as np

from modelrollout.analysis import calibrating
from modelrollout.analysis.calibrating import History
from modelrollout.analysis.noise import Noise, Uncalibrated
from tests.bench.statistics.noise import Pods
from tests.bench.statistics.scenarios import LOOK_S, LOOKS, Scenario, Traffic
from tests.unit.analysis import histories

PODS = 2.0
"""Of stable in its history; a rollout has one of each version then, and as much noise."""


def learnt(
    scenario: Scenario, random: np.random.Generator, *, services: int
) -> list[Noise | Uncalibrated]:
    """What each of so many services has learnt."""
    if isinstance(scenario.noise, Pods):
        return [_of_pods(scenario, scenario.noise, random) for _ in range(services)]
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


def _of_pods(scenario: Scenario, noise: Pods, random: np.random.Generator) -> Noise | Uncalibrated:
    # The tests of the calibration draw histories with the lives of single pods.
    hours = scenario.history * LOOK_S / 3600.0
    history = histories.simulated_history(
        "pods", scenario.rps, hours, random, pods=noise.stable, omega=noise.omega
    )
    return calibrating.calibrate(history, horizon_looks=LOOKS)
