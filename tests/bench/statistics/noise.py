"""How the rates of the two arms move when nothing is wrong: the noise families of the benchmark.

Each family multiplies the rate of one arm in one look. Means are 1, so that noise alone is neither
harm nor gain. Two families (regimes, daily) were never used when the engine was designed.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAY: Final = 1440
"""Looks of one minute in a day."""


class Noise(Protocol):
    """A family of noise."""

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        """Factors of the candidate's rate, independent of the other arm's: runs by looks."""
        ...

    def of_stable(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        """Factors of stable's rate: runs by looks."""
        ...

    def shared(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        """Factors of load and rate that both arms have in common: runs by looks."""
        ...


class _Alike:
    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        raise NotImplementedError

    def of_stable(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        return self.factors(random, runs=runs, looks=looks)


class _Unshared(_Alike):
    def shared(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:  # noqa: ARG002 - of the protocol
        return np.ones((runs, looks))


@dataclass(frozen=True, slots=True)
class Quiet(_Unshared):
    """Independent requests, nothing else."""

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:  # noqa: ARG002 - of the protocol
        return np.ones((runs, looks))


@dataclass(frozen=True, slots=True)
class Gamma(_Unshared):
    """Each minute on its own: gamma with coefficient of variation `cv`."""

    cv: float

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        shape = self.cv**-2
        return random.gamma(shape, 1.0 / shape, size=(runs, looks))


@dataclass(frozen=True, slots=True)
class Autoregressive(_Unshared):
    """exp of a stationary AR(1) with correlation `rho` per look and standard deviation `sd`."""

    rho: float
    sd: float

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        moves = random.standard_normal((runs, looks))
        kept = math.sqrt(1.0 - self.rho**2)
        log = np.empty((runs, looks))
        log[:, 0] = moves[:, 0]
        for look in range(1, looks):
            log[:, look] = self.rho * log[:, look - 1] + kept * moves[:, look]
        return np.exp(self.sd * log - self.sd**2 / 2.0)


@dataclass(frozen=True, slots=True)
class Regimes(_Unshared):
    """Two levels, the upper one `high` times the lower, left after `stay` looks in the mean."""

    high: float
    stay: float

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        leaves = random.random((runs, looks)) < 1.0 / self.stay
        begins = random.integers(0, 2, size=(runs, 1))
        level = (begins + np.cumsum(leaves, axis=1)) % 2
        return np.where(level == 1, self.high, 1.0) / ((1.0 + self.high) / 2.0)


@dataclass(frozen=True, slots=True)
class Daily(_Alike):
    """Load and rate swing over the day in both arms; each arm's own noise grows with them."""

    swing: float
    cv: float

    def shared(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        begins = random.random((runs, 1)) * DAY
        return 1.0 + self.swing * np.sin((begins + np.arange(looks)) * 2.0 * math.pi / DAY)

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        day = self.shared(random, runs=runs, looks=looks)
        shape = (self.cv * day) ** -2.0
        return random.gamma(shape, 1.0 / shape)


@dataclass(frozen=True, slots=True)
class Pods(_Unshared):
    """Each pod has gamma noise of its own, and an own rate for good.

    The candidate has one pod and stable `stable`; ln of a pod's rate has the standard deviation
    `omega`, its noise in each minute the coefficient of variation `cv`.
    """

    omega: float
    stable: int = 8
    cv: float = 0.5

    def factors(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        own = np.exp(self.omega * random.standard_normal((runs, 1)) - self.omega**2 / 2.0)
        return own * Gamma(self.cv).factors(random, runs=runs, looks=looks)

    def of_stable(self, random: np.random.Generator, *, runs: int, looks: int) -> Floats:
        pods = [self.factors(random, runs=runs, looks=looks) for _ in range(self.stable)]
        return np.asarray(np.mean(pods, axis=0))
