"""Histories of a service whose noise is known, for tests and for the statistics benchmark.

The families are those of the published simulations, and three that the estimator was not made for:
two levels between which an arm switches, noise that follows the day, and noise of single pods.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from modelrollout.analysis.calibrating import History, Life

Floats = NDArray[np.float64]

BASE: Final = 0.005
"""Events per request."""
DAY: Final = 1440
PODS: Final = 8
OMEGA: Final = 0.1
"""Standard deviation of the log rate of single pods, in the family `pods`."""


def none(_rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """No noise."""
    return np.ones(shape)


def gamma(cv: float) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    """White: each look's rate times a gamma of mean 1 and this coefficient of variation."""

    def drawn(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        return rng.gamma(1.0 / cv**2, cv**2, shape)

    return drawn


def autoregressive(
    rho: float, spread: float
) -> Callable[[np.random.Generator, tuple[int, int]], Floats]:
    """The log rate is AR(1) with this autocorrelation and stationary standard deviation."""

    def drawn(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
        pushes = rng.normal(0.0, spread * math.sqrt(1.0 - rho**2), shape)
        pushes[0] = rng.normal(0.0, spread, shape[1:])
        logs: Floats = signal.lfilter([1.0], [1.0, -rho], pushes, axis=0)
        return np.asarray(np.exp(logs - spread**2 / 2.0))

    return drawn


def regime(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    times: float = 1.5,
    begins: float = 1 / 120,
    ends: float = 1 / 30,
) -> Floats:
    """Two levels: now and then an arm is `times` as bad, for half an hour on average."""
    bad = rng.random(shape[1:]) < begins / (begins + ends)
    levels = np.empty(shape)
    for look, turn in enumerate(rng.random(shape)):
        bad = np.where(bad, turn >= ends, turn < begins)
        levels[look] = np.where(bad, times, 1.0)
    return levels / (1.0 + (times - 1.0) * begins / (begins + ends))


def diurnal(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """White noise whose coefficient of variation goes from 0.1 at night to 0.6 by day."""
    day = 0.5 - 0.5 * np.cos(2.0 * math.pi * np.arange(shape[0]) / DAY)
    return _gammas(rng, np.broadcast_to((0.1 + 0.5 * day)[:, None], shape))


def _gammas(rng: np.random.Generator, cv: Floats) -> Floats:
    return rng.gamma(1.0 / cv**2) * cv**2


FAMILIES: Final[Mapping[str, Callable[[np.random.Generator, tuple[int, int]], Floats]]] = {
    "none": none,
    "cv0.5": gamma(0.5),
    "cv1": gamma(1.0),
    "ar0.9": autoregressive(0.9, 0.3),
    "ar0.95": autoregressive(0.95, 0.2),
    "regime": regime,
    "diurnal": diurnal,
    "pods": gamma(0.5),
}


def factors(kind: str, looks: int, runs: int, rng: np.random.Generator) -> Floats:
    """What multiplies the rate of one arm (of one pod, for `pods`); mean 1, shape (looks, runs)."""
    return FAMILIES[kind](rng, (looks, runs))


def simulated_history(
    kind: str,
    rps: float,
    hours: float,
    rng: np.random.Generator,
    *,
    pods: int = PODS,
    omega: float = OMEGA,
) -> History:
    """Stable against stable: requests Poisson, half to each arm, events of BASE times the noise.

    Args:
        kind: one of FAMILIES. `pods` has noise of each of `pods` pods and a persistent effect of
            each; all others have noise of each arm, and no pods to tell apart.
        rps: requests per second of both arms together.
        hours: of history, in looks of a minute.
        rng: where chance comes from.
        pods: in both halves together.
        omega: standard deviation of the persistent log rate of a pod, for `pods` alone.
    """
    looks = round(hours * 60)
    arms = pods if kind == "pods" else 2
    traffic = np.ones(looks)
    if kind == "diurnal":
        traffic += 0.6 * np.sin(2.0 * math.pi * np.arange(looks) / DAY)
    trials = rng.poisson(np.repeat((60.0 * rps / arms * traffic)[:, None], arms, axis=1))
    rates = BASE * factors(kind, looks, arms, rng)
    if kind == "pods":
        rates *= np.exp(rng.normal(0.0, omega, arms))
    events = rng.binomial(trials, np.minimum(rates, 1.0))
    return _halved(trials, events, pods=pods, told_apart=kind == "pods")


def _halved(
    trials: NDArray[np.int64], events: NDArray[np.int64], *, pods: int, told_apart: bool
) -> History:
    halves = [(part[:, ::2].sum(1), part[:, 1::2].sum(1)) for part in (trials, events)]
    kept = np.flatnonzero((halves[0][0] > 0) & (halves[0][1] > 0))
    return History(
        minutes=kept,
        trials_a=halves[0][0][kept],
        events_a=halves[1][0][kept],
        trials_b=halves[0][1][kept],
        events_b=halves[1][1][kept],
        pods=float(pods),
        lives=_lives(trials, events) if told_apart else (),
    )


def _lives(trials: NDArray[np.int64], events: NDArray[np.int64]) -> list[Life]:
    everything = np.maximum(trials.sum(1), 1)
    rate = events.sum(1) / everything
    return [
        Life(
            looks=len(trials),
            events=int(events[:, pod].sum()),
            expected=float(trials[:, pod] @ rate),
            own=float(trials[:, pod].sum() / everything.sum()),
        )
        for pod in range(trials.shape[1])
    ]
