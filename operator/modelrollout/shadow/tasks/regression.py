"""Regression: how far, in which direction, and beyond the tolerance? The core is fed by fronts.

Counters cannot fall, so the bias is two counters of magnitudes. Six power sums of values scaled to
0..1 give bias, RMSE and Pearson's correlation exactly, over any window.
"""

import math
from dataclasses import dataclass, field

from modelrollout.shadow import comparison, increments, jsontext


@dataclass(frozen=True, slots=True)
class Regression:
    """How numbers are compared.

    An instance is a number or `[number]`.

    Attributes:
        tolerance: what is still the same.
        scale: the unit of the edges of absolute errors, in the unit of the prediction.
        lowest: with `highest`, the range from which power sums are scaled to 0..1.
        highest: see `lowest`; values outside are clamped and counted.

    Raises:
        ValueError: on a scale that is not above 0, half a range, or one that is upside down.
    """

    tolerance: comparison.Tolerance = field(default_factory=comparison.Tolerance)
    scale: float = 1.0
    lowest: float | None = None
    highest: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0.0):
            raise ValueError(f"expected a scale above 0, found {self.scale}")
        if (self.lowest is None) != (self.highest is None):
            raise ValueError("expected both ends of a range or none, found one; add the other")
        if self.lowest is not None and self.highest is not None:
            width = self.highest - self.lowest
            if not (math.isfinite(width) and width > 0.0):
                raise ValueError(
                    f"expected a range from a lower to a higher number, found "
                    f"{self.lowest} to {self.highest}"
                )

    @property
    def edges(self) -> tuple[float, ...]:
        """Of absolute errors, in the unit of the prediction."""
        return tuple(edge * self.scale for edge in increments.DISTANCES)

    def read(self, value: object) -> float:
        """See the class; raises as every task does."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return jsontext.number(value, what="a prediction")

    def compare(self, primary: float, candidate: float) -> comparison.Comparison:
        """The leading distance is the absolute error, in the unit of the prediction."""
        error = candidate - primary
        same = self.tolerance.equal(primary, candidate)
        metric = increments.Metric
        signed = metric.ERROR_ABOVE if error > 0.0 else metric.ERROR_BELOW
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=abs(error),
            counted=(
                increments.Observation(metric.ABSOLUTE_ERROR, (), abs(error), self.edges),
                increments.Observation(
                    metric.RELATIVE_ERROR,
                    (),
                    relative_error(primary, candidate),
                    increments.DISTANCES,
                ),
                *((increments.Count(signed, (), abs(error)),) if error else ()),
                *self._moments(primary, candidate),
            ),
            differences=() if same else (comparison.Difference("value", "value"),),
        )

    def _moments(self, primary: float, candidate: float) -> tuple[increments.Count, ...]:
        if self.lowest is None or self.highest is None:
            return ()
        width = self.highest - self.lowest
        raw = ((primary - self.lowest) / width, (candidate - self.lowest) / width)
        u, v = (min(1.0, max(0.0, value)) for value in raw)
        terms = {"n": 1.0, "u": u, "v": v, "uu": u * u, "vv": v * v, "uv": u * v}
        clamped = (
            increments.mark("clamped", side=side)
            for side, inside, value in zip(increments.Side, (u, v), raw, strict=True)
            if inside != value
        )
        return (
            *(
                increments.Count(increments.Metric.MOMENT, (term,), amount)
                for term, amount in terms.items()
            ),
            *clamped,
        )


def relative_error(a: float, b: float) -> float:
    """Symmetric: 2 abs(a - b) / (abs(a) + abs(b)), 0 to 2; 0 where both are 0."""
    size = abs(a) + abs(b)
    return min(2.0, 2.0 * abs(a - b) / size) if size else 0.0
