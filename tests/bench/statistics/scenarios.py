"""Seeded traffic of thousands of rollouts at once: what the rules are judged on.

One design for all, that of the targets: sixty looks of a minute, the candidate's weight from 5 to
50 % by 5 points every six looks, requests Poisson, errors binomial, stable at 0.5 %.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tests.bench.statistics.noise import Floats, Noise, Quiet

Counted = NDArray[np.int64]

LOOKS: Final = 60
LOOK_S: Final = 60.0
STEP_LOOKS: Final = 6
WEIGHTS: Final = tuple(round(0.05 * step, 2) for step in range(1, 11))
RAMP: Final[Floats] = np.repeat(WEIGHTS, STEP_LOOKS)
STABLE: Final = 0.005


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counts of both arms, whole numbers; each array is runs by looks."""

    n_c: Counted
    x_c: Counted
    n_s: Counted
    x_s: Counted

    @property
    def runs(self) -> int:
        """How many rollouts."""
        return int(self.n_c.shape[0])

    @property
    def looks(self) -> int:
        """How many looks each has."""
        return int(self.n_c.shape[1])

    def only(self, runs: slice | NDArray[np.bool_]) -> Self:
        """Some of the rollouts."""
        return type(self)(self.n_c[runs], self.x_c[runs], self.n_s[runs], self.x_s[runs])

    def without_first(self, looks: int) -> Self:
        """As an operator sees it whose warm-up leaves out the first looks: they are not made."""
        return type(self)(
            *(counts[:, looks:].copy() for counts in (self.n_c, self.x_c, self.n_s, self.x_s))
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """What the world will do, whatever the weights: runs by looks."""

    load: Floats
    candidate: Floats
    stable: Floats

    def draw(
        self, random: np.random.Generator, *, rps: float, look: int, weight: Floats
    ) -> tuple[Counted, Counted, Counted, Counted]:
        """n_c, x_c, n_s, x_s of one look at each run's own weight."""
        expected = rps * LOOK_S * self.load[:, look]
        n_c = random.poisson(expected * weight)
        n_s = random.poisson(expected * (1.0 - weight))
        x_c = random.binomial(n_c, self.candidate[:, look])
        x_s = random.binomial(n_s, self.stable[:, look])
        return n_c, x_c, n_s, x_s


@dataclass(frozen=True, slots=True)
class Scenario:
    """One cell of the benchmark.

    Attributes:
        name: as the tables call it.
        rps: requests per second of the whole service.
        candidate: its rate of errors.
        stable: the rate of errors of stable.
        incident: first and last look (from 1) in which both arms fail `worse` times as often.
        cold: looks in which a new candidate fails at `cold_rate`, whatever it is like later.
        gap: the candidate fails by this much more often in every look, instead of at its own rate.
        noise: of each arm.
        history: looks of stable against stable that a calibration can learn from; 0: none.
    """

    name: str
    rps: float
    candidate: float = STABLE
    stable: float = STABLE
    incident: tuple[int, int] | None = None
    worse: float = 3.0
    cold: int = 0
    cold_rate: float = 0.03
    gap: float | None = None
    noise: Noise = field(default_factory=Quiet)
    history: int = 0

    def rates(self, random: np.random.Generator, *, runs: int, looks: int = LOOKS) -> Rates:
        """The rates of each arm before anything is drawn from them."""
        shared = self.noise.shared(random, runs=runs, looks=looks)
        happens = np.ones(looks)
        if self.incident is not None:
            first, last = self.incident
            happens[first - 1 : last] = self.worse
        base_c = np.full(looks, self.candidate)
        base_c[: self.cold] = self.cold_rate
        own_c = self.noise.factors(random, runs=runs, looks=looks)
        own_s = self.noise.of_stable(random, runs=runs, looks=looks)
        stable = np.minimum(shared * happens * self.stable * own_s, 1.0)
        candidate = shared * happens * base_c * own_c if self.gap is None else stable + self.gap
        return Rates(load=shared, candidate=np.minimum(candidate, 1.0), stable=stable)

    def simulate(
        self, random: np.random.Generator, *, runs: int, looks: int = LOOKS, ramp: Floats = RAMP
    ) -> Traffic:
        """Counts on the common ramp; its last weight is kept when there are more looks."""
        rates = self.rates(random, runs=runs, looks=looks)
        weights = np.concatenate([ramp, np.full(max(0, looks - len(ramp)), ramp[-1])])
        drawn = [
            rates.draw(random, rps=self.rps, look=look, weight=np.full(runs, weights[look]))
            for look in range(looks)
        ]
        n_c, x_c, n_s, x_s = (np.stack(counts, axis=1) for counts in zip(*drawn, strict=True))
        return Traffic(n_c, x_c, n_s, x_s)

    def steered(self, random: np.random.Generator, steer: "Steer", *, runs: int) -> Traffic:
        """Counts at weights that `steer` chooses from the outcome so far."""
        rates, weight = self.rates(random, runs=runs), np.full(runs, WEIGHTS[0])
        excess, variance = np.zeros(runs), np.full(runs, 1e-9)
        drawn, served = [], np.zeros(runs, dtype=np.int64)
        for look in range(LOOKS):
            weight, served = steer(excess / np.sqrt(variance), weight, served)
            counts = rates.draw(random, rps=self.rps, look=look, weight=weight)
            n_c, x_c, n_s, x_s = counts
            share, events = n_c / np.maximum(n_c + n_s, 1), x_c + x_s
            excess = excess + x_c - events * share
            variance = variance + events * share * (1.0 - share)
            drawn.append(counts)
        stacked = (np.stack(counts, axis=1) for counts in zip(*drawn, strict=True))
        return Traffic(*stacked)

    def past(self, random: np.random.Generator, *, runs: int) -> Traffic:
        """Stable against stable, half and half, in the hours before each rollout."""
        before = Scenario(self.name, self.rps, self.stable, self.stable, noise=self.noise)
        return before.simulate(random, runs=runs, looks=self.history, ramp=np.array([0.5]))


Steer = Callable[[Floats, Floats, Counted], tuple[Floats, Counted]]
"""From z so far, weights and looks served at them: the weights of the next look, and that again."""


def holds(z: Floats, weight: Floats, served: Counted) -> tuple[Floats, Counted]:
    """A step is left after six looks, but not while the candidate looks worse (z above 1)."""
    goes = (served >= STEP_LOOKS) & (z <= 1.0)
    after = np.where(goes, np.minimum(weight + WEIGHTS[0], WEIGHTS[-1]), weight)
    return after, np.where(goes, 1, served + 1)


def provokes(z: Floats, weight: Floats, served: Counted) -> tuple[Floats, Counted]:
    """The worst found: the least weight while the candidate looks worse, else the most."""
    return np.where(z > 1.0, WEIGHTS[0], WEIGHTS[-1]) + 0.0 * weight, served


def seeded(seed: int, *names: object) -> np.random.Generator:
    """Random numbers of one cell: the same whichever other cells are run, and in which order."""
    words = [sum(ord(letter) << 8 * (at % 7) for at, letter in enumerate(str(n))) for n in names]
    return np.random.default_rng([seed, *words])
