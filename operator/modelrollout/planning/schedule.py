"""A plan as the forecasts see it: which share of the traffic the candidate gets, and when.

Steps are cut into pieces, finer where they are short: a forecast asks at the end of each piece
what a look would say there, and need not take each of the thousands of looks of a day.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

PIECES = 8
"""Of one step at most."""
TAIL_PIECES = 16
"""Of the time between the last step's least duration and the deadline, at most."""


@dataclass(frozen=True, slots=True)
class Service:
    """The stable version as it is known before the rollout.

    Attributes:
        requests_per_s: of both versions together; for a mean, values per second.
        rate: share of events, for a rate.
        mean: of the values, for a mean.
        deviation: standard deviation of one value, for a mean.
    """

    requests_per_s: float
    rate: float | None = None
    mean: float | None = None
    deviation: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.requests_per_s < math.inf:
            raise ValueError(
                f"expected requests per second of at least 0, found {self.requests_per_s}"
            )
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError(f"expected a rate between 0 and 1, found {self.rate}")
        if self.mean is not None and not math.isfinite(self.mean):
            raise ValueError(f"expected a finite mean, found {self.mean}")
        if self.deviation is not None and not 0 <= self.deviation < math.inf:
            raise ValueError(f"expected a deviation of at least 0, found {self.deviation}")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one step.

    Attributes:
        step: index of the step.
        share: of the candidate, between 0 and 1.
        end_s: since the first step began.
        served_s: its length.
        counted_s: its length without warm-up.
    """

    step: int
    share: float
    end_s: float
    served_s: float
    counted_s: float


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of growing share, the last of which goes on until the deadline.

    Attributes:
        steps: (candidate's share between 0 and 1, least duration in seconds), in order.
        interval_s: between looks.
        warm_up_s: not counted at the beginning of each step.
        deadline_s: of the whole plan; steps that begin later are never reached.
    """

    steps: tuple[tuple[float, float], ...]
    deadline_s: float
    interval_s: float = 30.0
    warm_up_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.steps:
            raise ValueError("expected at least one step")
        for share, least_s in self.steps:
            if not 0 < share < 1 or not 0 <= least_s < math.inf:
                raise ValueError(
                    f"expected a share between 0 and 1, both excluded, and a duration of at least "
                    f"0 s, found {share} and {least_s} s"
                )
        if not 0 < self.interval_s <= self.deadline_s < math.inf:
            raise ValueError(
                f"expected a deadline of at least one interval, and both above 0, found "
                f"{self.deadline_s} s and {self.interval_s} s"
            )
        if not 0 <= self.warm_up_s < math.inf:
            raise ValueError(f"expected a warm-up of at least 0 s, found {self.warm_up_s}")

    @property
    def looks(self) -> int:
        """Planned until the deadline."""
        return max(1, int(self.deadline_s / self.interval_s))

    @property
    def ends_s(self) -> tuple[float, ...]:
        """When the least duration of each step is over, at the deadline at the latest."""
        ends, total_s = [], 0.0
        for _, least_s in self.steps:
            total_s += least_s
            ends.append(min(total_s, self.deadline_s))
        return tuple(ends)

    def pieces(self) -> list[Piece]:
        """The whole time until the deadline, in order."""
        found: list[Piece] = []
        start_s = 0.0
        for index, ((share, _), end_s) in enumerate(zip(self.steps, self.ends_s, strict=True)):
            cuts = self._cuts(start_s, end_s, most=PIECES)
            found += self._between(index, share, start_s, cuts, warm_up_s=self.warm_up_s)
            start_s = end_s
        cuts = self._cuts(start_s, self.deadline_s, most=TAIL_PIECES, widening=True)
        return found + self._between(len(self.steps) - 1, self.steps[-1][0], start_s, cuts)

    def _cuts(
        self, start_s: float, end_s: float, *, most: int, widening: bool = False
    ) -> list[float]:
        length_s = end_s - start_s
        if length_s <= 0:
            return []
        count = max(1, min(most, int(length_s / self.interval_s)))
        # Most of what is still open after the steps is decided soon after them.
        power = 2.0 if widening else 1.0
        return [start_s + length_s * (at / count) ** power for at in range(1, count + 1)]

    @staticmethod
    def _between(
        index: int, share: float, start_s: float, cuts: Sequence[float], *, warm_up_s: float = 0.0
    ) -> list[Piece]:
        pieces, begun_s = [], start_s
        for end_s in cuts:
            counted_s = max(0.0, end_s - max(begun_s, start_s + warm_up_s))
            pieces.append(Piece(index, share, end_s, end_s - begun_s, counted_s))
            begun_s = end_s
        return pieces
