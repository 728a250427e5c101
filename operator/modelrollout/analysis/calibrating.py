"""Calibration: how much two halves of the same version differ, from their own history.

Source: notes C.1 to C.5: block moments of the conditional residuals at several horizons, which need
no model of the autocorrelation and are not attenuated by the chance of single requests.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.noise import HOUR, LOOK_S, Noise, Uncalibrated

Whole = NDArray[np.int64]

SCALES: Final = (1, 5, 15)
"""Looks in a block, besides the horizon."""
FEWEST_HOURS: Final = 12.0
FEWEST_PODS: Final = 2.0
FEWEST_EVENTS: Final = 1.0
"""Per look. With fewer the estimate is mostly error; and phi - 1 would be below 0.1 anyway."""
FEWEST_BLOCKS: Final = 12
"""Of the longest scale: a longer horizon than the history has twelve of is cut to that."""
FEWEST_GROUPS: Final = 3
"""Of blocks, mostly hours: from fewer no error is estimated."""
LEAST_FREEDOM: Final = 0.9
"""Of lives beside each other: two alone have 1, if they never lived without each other."""
MANY_LIVES: Final = 8
"""From so many on the variance between pods is taken as estimated, else as too small."""
SHORTEST_LIFE: Final = 60
"""Looks; what passes within the hour is noise, and not a property of the pod."""
FEWEST_EVENTS_OF_LIFE: Final = 10.0
FULL: Final = 0.75
"""Part of its looks that a block must have."""
TOO_NOISY: Final = 0.8
"""Of tau^2 w (1 - w), which no distribution of shares can bring above 1."""
LEAST_UNSHRUNK: Final = 0.2


@dataclass(frozen=True, slots=True)
class Life:
    """One pod from its start to its end, as far as the history reaches.

    Attributes:
        looks: with requests.
        events: of them all.
        expected: events, had the pod had the rate of all pods in each look.
        own: the pod's own part of the requests of all pods while it lived, 0 to 1.
    """

    looks: int
    events: int
    expected: float
    own: float

    def __post_init__(self) -> None:
        if min(self.looks, self.events) < 0 or not 0.0 <= self.expected < math.inf:
            raise ValueError(f"expected a pod's counts to be at least 0, found {self}")
        if not 0.0 <= self.own <= 1.0:
            raise ValueError(f"expected a part of the requests from 0 to 1, found {self.own}")


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """Stable against stable: both halves of its pods, look by look.

    Attributes:
        minutes: number of each look, growing; looks that are missing were cut out. Shape (looks,),
            as of all arrays.
        trials_a: requests of one half, at least 1.
        events_a: of which were events.
        trials_b: requests of the other half, at least 1.
        events_b: of which were events.
        pods: at once, 4 / (1/J_a + 1/J_b) for halves of J_a and J_b pods: their number where both
            halves are equal.
        lives: of pods.
    """

    minutes: Whole
    trials_a: Whole
    events_a: Whole
    trials_b: Whole
    events_b: Whole
    pods: float
    lives: Sequence[Life] = ()

    def __post_init__(self) -> None:
        counts = (self.trials_a, self.events_a, self.trials_b, self.events_b)
        if {one.shape for one in counts} != {(len(self.minutes),)}:
            raise ValueError("expected a history of five arrays of one length")
        if np.any(np.diff(self.minutes) <= 0):
            raise ValueError("expected the looks of a history in order, none twice")
        for trials, events in (counts[:2], counts[2:]):
            if np.any(events < 0) or np.any(events > trials) or np.any(trials < 1):
                raise ValueError(
                    "expected looks with requests of both halves and at most as many events, "
                    "found others; were counter resets handled?"
                )

    @property
    def hours(self) -> float:
        """Of looks."""
        return len(self.minutes) * LOOK_S / 3600.0


@dataclass(frozen=True, slots=True)
class Moment:
    """An estimate of tau^2 from blocks of some looks, and its standard error."""

    value: float
    error: float


def calibrate(history: History, *, horizon_looks: int = HOUR) -> Noise | Uncalibrated:
    """The noise of a service from its history.

    It assumes that the history is like the time of the rollout: at least half a day, deploys cut
    out. Source: notes C.1 (REC2), C.4, C.5.

    Args:
        history: of stable against itself.
        horizon_looks: length of the rollout, in looks of LOOK_S.

    Raises:
        ValueError: for a horizon of less than one look.
    """
    if horizon_looks < 1:
        raise ValueError(f"expected a horizon of at least one look, found {horizon_looks}")
    if history.pods < FEWEST_PODS:
        return too_few_pods(history.pods)
    wanting = _wanting(history)
    if wanting:
        return Uncalibrated(wanting)
    horizon = min(horizon_looks, len(history.minutes) // FEWEST_BLOCKS)
    omega2 = persistent(history.lives)
    residuals = _Residuals.of(history, fitted=omega2 is not None)
    found = {scale: residuals.moment(scale) for scale in _scales(horizon)}
    if any(one is None for one in found.values()):
        return Uncalibrated("the history has too many gaps to tell how noise lasts")
    moments = {scale: one for scale, one in found.items() if one is not None}
    raw = max(0.0, *(_bound(scale, one) for scale, one in moments.items()))
    if raw * residuals.spread > TOO_NOISY:
        return Uncalibrated(
            f"two halves of stable differ by themselves by more than can be told from harm (noise "
            f"{raw * residuals.spread:.2f}, at most {TOO_NOISY}): decide on another metric"
        )
    shrunk = 1.0 - max(moments[1].value, 0.0) * residuals.spread
    return Noise(
        tau2=raw / max(LEAST_UNSHRUNK, shrunk),
        omega2=omega2 or 0.0,
        pods=history.pods,
        hours=history.hours,
        horizon_looks=horizon,
        lives=0 if omega2 is None else len(_telling(history.lives)),
    )


def moments(history: History, *, horizon_looks: int = HOUR) -> Mapping[int, Moment]:
    """t_B of notes C.1 for each block length B that can be estimated, without any correction."""
    residuals = _Residuals.of(history, fitted=False)
    found = {scale: residuals.moment(scale) for scale in _scales(horizon_looks)}
    return {scale: one for scale, one in found.items() if one is not None}


def persistent(lives: Sequence[Life]) -> float | None:
    """omega^2: variance of the log rates of pods beyond the chance of their events.

    Each pod is compared with all that ran beside it, so that neither the hour nor the day matters.
    What it adds to those itself is made up for in the degrees of freedom. None where no two pods
    ran side by side for long.

    Source: notes C.4; and, for fewer than MANY_LIVES, raised by 1 + 1 / freedom, the variance of
    another pod against those that were seen. Simulated with one candidate pod against 2, 3 and 4
    that differ by a fifth: false alarms 3.6, 2.7 and 1.7 % of 5 (6.0, 3.6 and 2.2 % if not raised;
    9.9, 6.4 and 6.9 % if such differences are taken as noise).
    """
    telling = _telling(lives)
    freedom = sum(1.0 - one.own for one in telling)
    if freedom < LEAST_FREEDOM:
        return None
    # Half an event keeps the logarithm of none finite, and nearly unbiased from ten on.
    events = np.array([one.events for one in telling]) + 0.5
    logs = np.log(events / np.array([one.expected for one in telling]))
    variance = float(np.sum((logs - logs.mean()) ** 2)) / freedom
    beyond_chance = max(0.0, variance - float(np.mean(1.0 / events)))
    return beyond_chance if len(telling) >= MANY_LIVES else beyond_chance * (1.0 + 1.0 / freedom)


def too_few_pods(pods: float) -> Uncalibrated:
    """What is said of one pod alone."""
    return Uncalibrated(f"noise shows between two pods or more; stable had {pods:.3g} at once")


def _wanting(history: History) -> str:
    if history.hours < FEWEST_HOURS:
        return (
            f"the noise is known after {FEWEST_HOURS:.0f} h in which two halves of stable's pods "
            f"had requests; there are {history.hours:.1f} h"
        )
    events = float(np.mean(history.events_a + history.events_b))
    if events < FEWEST_EVENTS:
        return (
            f"{events:.2g} events a minute tell nothing of noise, which matters little there; "
            f"it is estimated from {FEWEST_EVENTS:.0f} a minute on"
        )
    return ""


def _scales(horizon: int) -> Sequence[int]:
    return sorted({*(scale for scale in SCALES if scale < horizon), horizon})


def _bound(scale: int, moment: Moment) -> float:
    # White noise is known well and errs upwards; the long run is known badly, and its error
    # would be paid for in power: notes C.1, C.3.
    return moment.value + moment.error if scale == 1 else moment.value - moment.error


def _telling(lives: Sequence[Life]) -> Sequence[Life]:
    # Chosen by what was expected, never by what happened.
    return [
        one for one in lives if one.looks >= SHORTEST_LIFE and one.expected >= FEWEST_EVENTS_OF_LIFE
    ]


@dataclass(frozen=True, slots=True, eq=False)
class _Residuals:
    """Events of one half beyond its share, their variance by chance, and what noise scales."""

    minutes: Whole
    beyond: Array
    chance: Array
    scale: Array
    spread: float
    fitted: bool

    @classmethod
    def of(cls, history: History, *, fitted: bool) -> Self:
        """Around equal rates, or around the ratio that both halves have for good."""
        n_a, n_b = history.trials_a.astype(float), history.trials_b.astype(float)
        trials, events = n_a + n_b, (history.events_a + history.events_b).astype(float)
        ratio = _ratio(history, n_a=n_a, n_b=n_b) if fitted else 1.0
        share = ratio * n_a / (ratio * n_a + n_b)
        # Given the totals the variance is hypergeometric; for rare events it is Binomial.
        spread = share * (1.0 - share) * (trials - events) / (trials - 1.0)
        total = float(events.sum())
        return cls(
            minutes=history.minutes,
            beyond=history.events_a - events * share,
            chance=events * spread,
            scale=spread**2 * events * (events - 1.0),
            spread=float((events * share * (1.0 - share)).sum()) / total if total else 0.25,
            fitted=fitted,
        )

    def moment(self, size: int) -> Moment | None:
        """From blocks of `size` looks; None where gaps leave too few."""
        block = self.minutes // size
        first, index, looks = np.unique(block, return_inverse=True, return_counts=True)
        full = looks >= FULL * size
        sums = np.bincount(index, self.beyond) ** 2
        if self.fitted and full.sum() > 1:
            sums *= full.sum() / (full.sum() - 1.0)
        excess = (sums - np.bincount(index, self.chance))[full]
        scale = np.bincount(index, self.scale)[full]
        per_group = math.ceil(HOUR / size)
        groups, group = np.unique(first[full] // per_group, return_inverse=True)
        whole = float(scale.sum())
        if len(groups) < FEWEST_GROUPS or whole <= 0.0:
            return None
        value = float(excess.sum()) / whole
        strays = np.bincount(group, excess - value * scale)
        correction = len(groups) / (len(groups) - 1.0)
        return Moment(value, math.sqrt(float(np.sum(strays**2)) * correction) / whole)


def _ratio(history: History, *, n_a: Array, n_b: Array) -> float:
    """Of the rates of both halves, Mantel-Haenszel; 1 where one half has no events at all."""
    trials = n_a + n_b
    of_a = float(np.sum(history.events_a * n_b / trials))
    of_b = float(np.sum(history.events_b * n_a / trials))
    return of_a / of_b if of_a > 0.0 and of_b > 0.0 else 1.0
