"""The sample-ratio guard: do requests arrive in the shares that were asked for?

A split that is not in force makes every step a claim about traffic that was not sent. The guard
tests the tolerated null, a share within a tenth of the weight: request-level routing is never
exact, and at a million requests a sharp null would always be refuted. Each step is watched anew, so
that a long good past cannot hide a new fault.
"""

import math
from dataclasses import astuple, dataclass, fields
from typing import Any, Self

import numpy as np

from modelrollout.analysis import mixtures
from modelrollout.analysis.mixtures import Array

TOLERANCE = 0.1
"""Tolerated deviation, relative to the smaller of both shares."""
FEWEST_LOOKS = 4
"""Before this many looks nothing is said: how much requests bunch is not known yet. Where they
came in connections of twenty, one look alone raised the alarm in a quarter of the steps."""
ALARM = math.log(1000.0)
"""Evidence against the split from which on it is said to lean."""
FADING = 0.9
"""Part of what was seen that counts on at the next look while the alarm stands. A split that is put
right is believed after some ten or twenty looks, however long it had been wrong; without an alarm
nothing fades, so that no false one is added."""
PRIOR_LOOKS = 1.0
"""Weight, in looks, of the belief that requests are independent."""
_LOG_ODDS: Array = np.geomspace(0.02, 4.0, 12)
_LOG_WEIGHTS: Array = np.full(len(_LOG_ODDS), -math.log(len(_LOG_ODDS)))


@dataclass(frozen=True, slots=True)
class Split:
    """Requests of one step: the candidate's share asked for, looks, and sums of what came.

    Attributes:
        share: of the candidate, between 0 and 1; 0 before the first look.
        looks: with traffic.
        candidate: requests of the candidate.
        total: requests of both arms.
        squares: sum over looks of candidate requests squared, per request.
    """

    share: float = 0.0
    looks: int = 0
    candidate: int = 0
    total: int = 0
    squares: float = 0.0

    def to_json(self) -> list[float]:
        """Five numbers."""
        return list(astuple(self))

    @classmethod
    def from_json(cls, stored: Any) -> Self:
        """The guard that `to_json` wrote; anything else begins anew."""
        if not isinstance(stored, list) or len(stored) != len(fields(cls)):
            return cls()
        share, looks, candidate, total, squares = stored
        return cls(float(share), int(looks), int(candidate), int(total), float(squares))


def fresh() -> Split:
    """At the beginning of a step."""
    return Split()


def advance(split: Split, *, share: float, candidate: int, stable: int) -> Split:
    """The guard after one look; another `share` than before begins it anew.

    Args:
        split: the guard so far.
        share: asked for the candidate, between 0 and 1, both excluded.
        candidate: requests that the candidate got in this look.
        stable: requests that stable got.

    Raises:
        ValueError: on a share outside (0, 1) or negative requests.
    """
    if not 0.0 < share < 1.0:
        raise ValueError(f"expected a share between 0 and 1, both excluded, found {share}")
    if candidate < 0 or stable < 0:
        raise ValueError(f"expected requests of at least 0, found {candidate} and {stable}")
    if split.looks == 0 or split.share != share:
        split = Split(share=share)
    total = candidate + stable
    if total == 0:
        return split
    if log_e(split) >= ALARM:
        split = _faded(split)
    return Split(
        share=share,
        looks=split.looks + 1,
        candidate=split.candidate + candidate,
        total=split.total + total,
        squares=split.squares + candidate * candidate / total,
    )


def _faded(split: Split) -> Split:
    candidate = round(FADING * split.candidate)
    return Split(
        share=split.share,
        # Rounded up, they settle at the ten looks that the sums are worth.
        looks=math.ceil(FADING * split.looks),
        candidate=candidate,
        total=candidate + round(FADING * (split.total - split.candidate)),
        squares=FADING * split.squares,
    )


def log_e(split: Split) -> float:
    """Natural log of the e-value against "the share is within the tolerance".

    The average of two one-sided mixtures of Bernoulli likelihood ratios, each against the nearest
    edge of what is tolerated; exact at any stopping time for independent requests, up to the first
    alarm. Requests of one connection or user arrive together: the likelihoods are tempered by the
    running dispersion between looks.
    """
    if split.looks < FEWEST_LOOKS:
        return 0.0
    low, high = tolerated(split.share)
    noise = _dispersion(split)
    above = _beyond(split.candidate, split.total, high) / noise
    below = _beyond(split.total - split.candidate, split.total, 1.0 - low) / noise
    sides = np.array(
        [
            mixtures.log_mean_exp(above, _LOG_WEIGHTS),
            mixtures.log_mean_exp(below, _LOG_WEIGHTS),
        ]
    )
    return mixtures.log_mean_exp(sides, np.log([0.5, 0.5]))


def tolerated(share: float) -> tuple[float, float]:
    """The shares that pass as `share`."""
    slack = TOLERANCE * min(share, 1.0 - share)
    return share - slack, share + slack


def leaning(split: Split) -> str:
    """Which way the split leans, in one sentence."""
    if split.total == 0:
        return "no requests were counted in this step"
    found = split.candidate / split.total
    side = "too many" if found > split.share else "too few"
    return (
        f"the candidate gets {side} requests: {found:.2%} of {split.total:,} "
        f"where {split.share:.2%} were asked for"
    )


def _beyond(hits: int, total: int, edge: float) -> Array:
    odds = edge / (1.0 - edge) * np.exp(_LOG_ODDS)
    beyond = odds / (1.0 + odds)
    gain = hits * np.log1p((beyond - edge) / edge)
    return np.asarray(gain + (total - hits) * np.log1p((edge - beyond) / (1.0 - edge)))


def _dispersion(split: Split) -> float:
    if not 0 < split.candidate < split.total:
        return 1.0
    found = split.candidate / split.total
    pearson = (split.squares - found * split.candidate) / (found * (1.0 - found))
    return max(1.0, (max(pearson, 0.0) + PRIOR_LOOKS) / (split.looks - 1 + PRIOR_LOOKS))
