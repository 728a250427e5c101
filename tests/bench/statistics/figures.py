"""A figure with its Monte-Carlo error: nothing of the benchmark is printed without it."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from tests.bench.statistics.noise import Floats

NEAR: float = 2.0
"""Errors within which a figure beyond its target may be chance."""


@dataclass(frozen=True, slots=True)
class Share:
    """A share of runs, in percent, with its standard error."""

    percent: float
    error: float
    runs: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_]) -> Self:
        """The share of runs that are hit."""
        part, runs = float(hits.mean()), len(hits)
        return cls(100.0 * part, 100.0 * math.sqrt(part * (1.0 - part) / runs), runs)

    def __str__(self) -> str:
        # None of n, or all of them: the error is not 0. Three in n is the 95 % bound.
        if self.error == 0.0:
            return f"{self.percent:.0f} (± {min(300.0 / self.runs, 100.0):.2g})"
        digits = 2 if self.error < 0.2 else 1
        return f"{self.percent:.{digits}f} ± {self.error:.{digits}f}"


@dataclass(frozen=True, slots=True)
class Median:
    """Median over all runs, infinite where fewer than half have it; error by ranks."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Floats) -> Self:
        """One standard error to either side, as order statistics."""
        ranked, runs = np.sort(values), len(values)
        reach = math.sqrt(runs) / 2.0
        low = max(0, math.floor(runs / 2.0 - reach))
        high = min(runs - 1, math.ceil(runs / 2.0 + reach))
        return cls(float(ranked[(runs - 1) // 2]), float(ranked[low]), float(ranked[high]))

    def __str__(self) -> str:
        if math.isinf(self.value):
            return "never"
        if self.low == self.high:
            return f"{self.value:g}"
        high = "never" if math.isinf(self.high) else f"{self.high:g}"
        return f"{self.value:g} [{self.low:g}, {high}]"
