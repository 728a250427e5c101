"""How much two equal versions differ by themselves, and what a rollout makes of it.

Independent requests are an assumption. A noisy neighbour, a bad tenant or a cold cache makes one
arm's minute worse than the other's though the versions are equal, and does so again in the next
minute: an uncorrected test rolls back a third of the healthy models then. `calibrating` learns
the noise from stable's own history; here it is kept, scaled to the pods of the rollout, and put
into the null. Source: notes C.1, C.4.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np

from modelrollout.analysis import mixtures
from modelrollout.analysis.mixtures import Array

LOOK_S: Final = 60.0
"""Seconds of a look of the history."""
HOUR: Final = 60
"""Looks; the horizon unless another is given."""
PRIOR_TRIALS: Final = 2000.0
"""Weight of the usual rate, in requests, among those of the rollout itself."""
LEAST_POINTS: Final = 81
MOST_POINTS: Final = 2001
"""Enough for information of 350,000 where eight pods differ by a tenth."""
REACH: Final = 4.0
"""Standard deviations that the grid of the random null spans, to either side."""


@dataclass(frozen=True, slots=True)
class ArmNoise:
    """Noise of a candidate against stable, as variances of the log ratio of their rates.

    Attributes:
        tau2: of one look, times the inflation by autocorrelation over the rollout.
        omega2: persistent, by the draw of the pods.
    """

    tau2: float
    omega2: float = 0.0


@dataclass(frozen=True, slots=True)
class Noise:
    """What a history says; a few numbers, kept for the rollout.

    Attributes:
        tau2: variance of the log ratio of two halves in one look, as it counts at the horizon.
        omega2: variance of the log rates of single pods, persistent.
        pods: at once, in both halves together.
        hours: of history.
        horizon_looks: up to which autocorrelation was seen.
        lives: of pods, on which `omega2` rests; 0 where no two lived side by side long enough:
            what differs persistently is part of `tau2` then.
    """

    tau2: float
    omega2: float
    pods: float
    hours: float
    horizon_looks: int
    lives: int

    def during(self, pods_c: int, pods_s: int) -> ArmNoise:
        """Noise of a rollout with so many pods of candidate and stable.

        Source: notes C.4. It assumes that noise is each pod's own: what all pods share falls on
        both arms.

        Raises:
            ValueError: for fewer than one pod.
        """
        if pods_c < 1 or pods_s < 1:
            raise ValueError(f"expected a pod of each version, found {pods_c} and {pods_s}")
        uneven = 1.0 / pods_c + 1.0 / pods_s
        return ArmNoise(self.tau2 * uneven * self.pods / 4.0, self.omega2 * uneven)

    @property
    def sentence(self) -> str:
        """For people."""
        spread = f"noise calibrated on {self.hours:.0f} h of {self.pods:.3g} pods"
        if self.lives == 0:
            return (
                f"{spread}; lasting differences between pods are taken as noise, since no two ran "
                f"side by side long enough to tell"
            )
        return f"{spread}; {self.lives} pods differ by {math.sqrt(self.omega2):.0%} for good"

    def to_json(self) -> dict[str, float]:
        """Six numbers of four digits."""
        return {
            "tau2": _short(self.tau2),
            "omega2": _short(self.omega2),
            "pods": _short(self.pods),
            "hours": _short(self.hours),
            "horizonLooks": self.horizon_looks,
            "lives": self.lives,
        }

    @classmethod
    def from_json(cls, stored: Any) -> Self | None:
        """The noise that `to_json` wrote; None for anything else."""
        if not isinstance(stored, Mapping):
            return None
        try:
            tau2, omega2, pods, hours = (
                float(stored[name]) for name in ("tau2", "omega2", "pods", "hours")
            )
            horizon, lives = int(stored["horizonLooks"]), int(stored["lives"])
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        if not all(0.0 <= one < math.inf for one in (tau2, omega2, pods, hours)):
            return None
        return cls(tau2, omega2, pods, hours, horizon, lives)


@dataclass(frozen=True, slots=True)
class Uncalibrated:
    """No noise is known; the reason is a sentence."""

    reason: str


def usual_rate(usual: float, *, events: int, trials: int) -> float:
    """The rate to expect in the next look: before the rollout `usual`, then what was seen.

    Args:
        usual: stable's rate before the rollout, 0 to 1.
        events: of both arms in all looks before.
        trials: of both arms in all looks before.

    Raises:
        ValueError: for a usual rate outside 0 to 1, or counts that cannot be.
    """
    if not 0.0 <= usual <= 1.0:
        raise ValueError(f"expected a usual rate from 0 to 1, found {usual}")
    if not 0 <= events <= trials:
        raise ValueError(f"expected 0 <= events <= trials, found {events} of {trials}")
    return (events + PRIOR_TRIALS * usual) / (trials + PRIOR_TRIALS)


def factor(noise: ArmNoise, *, rate: float, trials: float, share: float) -> float:
    """phi: by how much the noise widens a look; the likelihood of the look is tempered by it.

    It must be known before the events of the look are: `rate` is expected (`usual_rate`), only
    `trials` and `share` are those of the look. Source: notes C.1.

    Args:
        noise: of the rollout.
        rate: expected of both arms, 0 to 1.
        trials: of both arms in the look.
        share: of them, the candidate's, 0 to 1.

    Raises:
        ValueError: outside these bounds.
    """
    if not (0.0 <= rate <= 1.0 and 0.0 <= share <= 1.0):
        raise ValueError(f"expected a rate and a share from 0 to 1, found {rate} and {share}")
    if not 0.0 <= trials < math.inf:
        raise ValueError(f"expected trials of at least 0, found {trials}")
    return 1.0 + noise.tau2 * trials * rate * (1.0 - rate) * share * (1.0 - share)


def random_null(noise: ArmNoise, *, information: float) -> tuple[Array, Array]:
    """Log ratios that the draw of the pods alone may bring about, and their log weights.

    The e-value of a harmful ratio is divided by the mean likelihood over this grid, tempered
    alike: ln E = log_mean_exp(lnL(effects)) - log_mean_exp(lnL(points)). Equally spaced to four
    standard deviations, at most a quarter of a standard error apart: fewer nodes raise false
    alarms (8.8 % where these have 1.2 %). Source: notes C.4.

    Args:
        noise: of the rollout; without persistent differences the grid is the single point 0.
        information: sum of m w (1 - w) / phi over the rollout, so far or planned.

    Returns:
        Points and log weights, both of shape (points,); the weights sum to 1.

    Raises:
        ValueError: for negative or infinite information.
    """
    if not 0.0 <= information < math.inf:
        raise ValueError(f"expected finite information of at least 0, found {information}")
    # By powers of two, so that a rollout has a few grids and not one for each look.
    return _grid(noise.omega2, math.ceil(math.log2(max(information, 1.0))))


@lru_cache(maxsize=256)
def _grid(omega2: float, doublings: int) -> tuple[Array, Array]:
    if omega2 <= 0.0:
        return np.zeros(1), np.zeros(1)
    omega = math.sqrt(omega2)
    reach = min(REACH * omega, mixtures.REACH)
    steps = math.ceil(reach * 4.0 * math.sqrt(2.0**doublings))
    points = np.linspace(-reach, reach, min(MOST_POINTS, max(LEAST_POINTS, 2 * steps + 1)))
    logs = -0.5 * points**2 / omega2
    weights = logs - mixtures.log_mean_exp(logs, np.zeros(len(logs)))
    points.flags.writeable = weights.flags.writeable = False
    return points, weights


def _short(value: float) -> float:
    return float(f"{value:.4g}")
