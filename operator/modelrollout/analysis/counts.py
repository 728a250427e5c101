"""The counts of one arm in one look, checked at the door.

One look inside one step is one stratum: the traffic weight is constant in it. Counts are exact
integers, so that conditioning on totals is exact.
"""

import math
from dataclasses import dataclass
from typing import Self


class CountsError(ValueError):
    """Counts that cannot have been observed; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class RateCounts:
    """`events` of `trials` requests of one arm, both whole numbers, 0 <= events <= trials."""

    trials: int = 0
    events: int = 0

    def __post_init__(self) -> None:
        _expect_whole("trials", self.trials)
        _expect_whole("events", self.events)
        if self.events > self.trials:
            raise CountsError(
                f"expected at most as many events as trials, found {self.events} events of "
                f"{self.trials} trials; do both come from the same pods and the same instant?"
            )

    def __add__(self, other: Self) -> Self:
        return type(self)(trials=self.trials + other.trials, events=self.events + other.events)


@dataclass(frozen=True, slots=True)
class MeanCounts:
    """`count` values of one arm with their `total` and, where exported, the sum of `squares`."""

    count: int = 0
    total: float = 0.0
    squares: float | None = None

    def __post_init__(self) -> None:
        _expect_whole("count", self.count)
        if not math.isfinite(self.total):
            raise CountsError(f"expected a finite total, found {self.total}")
        if self.count == 0 and self.total != 0:
            raise CountsError(f"expected a total of 0 for no values, found {self.total}")
        if self.squares is not None:
            self._check_squares(self.squares)

    def _check_squares(self, squares: float) -> None:
        if not math.isfinite(squares) or squares < 0:
            raise CountsError(f"expected a finite sum of squares of at least 0, found {squares}")
        least = self.total * self.total / self.count if self.count else 0.0
        if squares < least * (1 - 1e-6):
            raise CountsError(
                f"{self.count} values with total {self.total:g} have a sum of squares of at least "
                f"{least:g}, found {squares:g}; is it the sum of squares of the same values?"
            )


Counts = RateCounts | MeanCounts


def _expect_whole(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise CountsError(f"expected {name} to be a whole number, found {value!r}")
    if value < 0:
        raise CountsError(
            f"expected {name} of at least 0, found {value}; was a counter reset not handled?"
        )
