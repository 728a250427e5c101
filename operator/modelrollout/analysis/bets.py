"""The predictable bets of the projected-null e-process: which rates each component believes in.

Only earlier looks and the question are used, never the look that is being bet on; that is all
validity asks. Which bets are held only decides how fast evidence grows. Rates here are those of
the bad outcome: events where lower is better, the others where higher is better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from modelrollout.analysis import projected
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.questions import Better, Question

FADE = 0.5 ** (1 / 10)
"""Forgetting per look of the fading totals: half-life ten looks."""
NEVER = 1e-5
"""The bet of a service without errors."""
RARE_GRID = (0.002, 0.01, 0.05, 0.15)
WIDE_GRID = (0.01, 0.05, 0.15, 0.5, 0.85, 0.95, 0.99)
HISTORY_TRIALS = 2000.0
"""Weight, in requests, of the rate known from before the rollout."""
HARM_LOG_ODDS = (0.1, 0.3, 0.7, 1.5, 3.0)
"""How far beyond the margin the harm bets stand, in log odds."""


@dataclass(frozen=True, slots=True)
class Past:
    """Bad outcomes and trials of both arms in earlier looks; as counted, or fading."""

    trials_c: float = 0.0
    bad_c: float = 0.0
    trials_s: float = 0.0
    bad_s: float = 0.0

    def then(self, *, n_c: float, x_c: float, n_s: float, x_s: float, keep: float = 1.0) -> Self:
        """The past of the next look: what was kept, and this look."""
        return type(self)(
            trials_c=keep * self.trials_c + n_c,
            bad_c=keep * self.bad_c + x_c,
            trials_s=keep * self.trials_s + n_s,
            bad_s=keep * self.bad_s + x_s,
        )


def lines(question: Question) -> tuple[projected.Line, ...]:
    """The margins as boundaries of the bad outcome's rate: c = offset + slope s.

    A relative margin m refers to the rate the user wrote. Where higher is better, c >= (1-m) s in
    successes reads c' = m + (1 - m) s' in failures.
    """
    relative, absolute = question.margin.relative, question.margin.absolute
    found = []
    if absolute is not None:
        found.append(projected.Line(offset=absolute, slope=1.0))
    if relative is not None and question.better is Better.LOWER:
        found.append(projected.Line(offset=0.0, slope=1.0 + relative))
    if relative is not None and question.better is Better.HIGHER:
        found.append(projected.Line(offset=relative, slope=1.0 - relative))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed before the first look.

    Attributes:
        bad: pseudo-count of bad outcomes that the plug-in rates start from.
        trials: pseudo-count of trials.
        grid: rates that some bets hold fixed.
        weights: of the bets on equality, in the order of `equal_rates`; they sum to 1.
    """

    bad: float
    trials: float
    grid: tuple[float, ...]
    weights: tuple[float, ...]


def beliefs(better: Better, *, usual: float | None) -> Beliefs:
    """Warm where the usual rate is known; else spread over what rates of this kind can be."""
    lower = better is Better.LOWER
    if usual is not None:
        bad = 0.5 + HISTORY_TRIALS * (usual if lower else 1.0 - usual)
        return Beliefs(bad, 50.0 + HISTORY_TRIALS, (NEVER,), (0.6, 0.2, 0.2))
    grid = RARE_GRID if lower else WIDE_GRID
    weights = (0.4, 0.2, 0.2) + (0.2 / len(grid),) * len(grid)
    # Chosen by simulation: a firmer belief in rarity gains nothing without events and costs up to
    # half of the speed where events are common.
    bad, trials = (0.2, 10.0) if lower else (0.5, 1.0)
    return Beliefs(bad, trials, (NEVER, *grid), weights)


def equal_rates(held: Beliefs, *, past: Past, fading: Past) -> Array:
    """The rate that each bet on equality believes both arms have in the coming look."""
    plugged = [
        (seen.bad_c + seen.bad_s + held.bad) / (seen.trials_c + seen.trials_s + held.trials)
        for seen in (past, fading)
    ]
    return np.array([*plugged, *held.grid])


HARM_WEIGHTS: Array = np.array([0.15] * len(HARM_LOG_ODDS) + [0.25])


def harmful_rates(
    held: Beliefs, lines: Sequence[projected.Line], *, past: Past, fading: Past
) -> tuple[Array, Array]:
    """Pairs (candidate, stable) beyond all `lines`, for evidence of "worse than the margin".

    Stable at its fading rate, the candidate at fixed log odds beyond the larger margin, and last
    at its own rate so far; that one stands on the line, and bets nothing, while it is not beyond.
    """
    stable = (fading.bad_s + held.bad) / (fading.trials_s + held.trials)
    edge = min(max(float(line.offset + line.slope * stable) for line in lines), 1.0 - 1e-6)
    odds = edge / (1.0 - edge) * np.exp(HARM_LOG_ODDS)
    own = (past.bad_c + held.bad) / (past.trials_c + held.trials)
    candidate = np.append(odds / (1.0 + odds), max(own, edge))
    return candidate, np.full(len(candidate), stable)


def oriented(question: Question, *, trials: int, events: int) -> int:
    """How many of the trials ended badly."""
    return events if question.better is Better.LOWER else trials - events
