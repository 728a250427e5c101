"""What comparing one pair of predictions gives, whatever the task. The core is fed by fronts."""

import math
from dataclasses import dataclass
from typing import Protocol, TypeVar

from modelrollout.shadow import increments, trouble

PredictionT = TypeVar("PredictionT")


@dataclass(frozen=True, slots=True)
class Difference:
    """One declared place (or `other`) and how it differs: safe to show."""

    field: str
    kind: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """One compared pair.

    Attributes:
        verdict: the same within the declared tolerance, not, or only where it is ignored.
        distance: the task's leading distance, at least 0, 0 for identical.
        counted: all that is counted about the pair, but not the verdict itself.
        differences: for examples; at most a few.
    """

    verdict: increments.Verdict
    distance: float
    counted: tuple[increments.Increment, ...] = ()
    differences: tuple[Difference, ...] = ()

    @property
    def disagrees(self) -> bool:
        """For the noise floor: ignored differences are none."""
        return self.verdict is increments.Verdict.MISMATCH


class Task(Protocol[PredictionT]):
    """What a task must do. Both are pure, and raise nothing else."""

    def read(self, value: object) -> PredictionT:
        """One instance as a typed prediction.

        Raises:
            UnreadableError: `SCHEMA`, `NAN`, `TOO_LARGE` or `UNPARSEABLE`.
        """

    def compare(self, primary: PredictionT, candidate: PredictionT) -> Comparison:
        """Both sides of one pair.

        Raises:
            UnreadableError: `SCHEMA` where both are fine alone but cannot be compared.
        """


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Numbers are equal when abs(a - b) <= absolute + relative * abs(primary).

    NaN equals NaN, -0 equals 0, an integer equals a float of its value.

    Raises:
        ValueError: on a bound that is negative or not finite.
    """

    absolute: float = 0.0
    relative: float = 0.0

    def __post_init__(self) -> None:
        for name, bound in (("absolute", self.absolute), ("relative", self.relative)):
            if not (math.isfinite(bound) and bound >= 0.0):
                raise ValueError(
                    f"expected an {name} tolerance of at least 0, found {bound}; "
                    "leave it out for exact comparison"
                )

    def equal(self, primary: float, candidate: float) -> bool:
        """Whether both are the same number within the tolerance."""
        if primary == candidate or (primary != primary and candidate != candidate):  # noqa: PLR0124
            return True
        try:
            allowed = self.absolute + self.relative * abs(primary)
            return abs(primary - candidate) <= allowed < math.inf
        except OverflowError:  # integers of JSON can be beyond the floats
            return False


def verdict_of(*, same: bool) -> increments.Verdict:
    """A match or a mismatch."""
    return increments.Verdict.MATCH if same else increments.Verdict.MISMATCH


def schema(detail: str) -> trouble.UnreadableError:
    """The error that tasks raise most."""
    return trouble.UnreadableError(trouble.Trouble.SCHEMA, detail)
