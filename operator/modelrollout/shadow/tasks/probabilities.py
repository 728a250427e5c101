"""Probabilities over classes: how far are both distributions apart? The core is fed by fronts.

Total variation, Hellinger and Jensen-Shannon (base 2) are all 0 to 1 and finite where a class has
no probability; Kullback-Leibler is not. Lin 1991 for Jensen-Shannon.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.shadow import comparison, increments, jsontext

SUM_WITHIN = 1e-3
"""A sum further from 1 is counted as a violation; all are scaled to 1 before they are compared."""
MOST_CLASSES = 100_000


@dataclass(frozen=True, slots=True)
class Distribution:
    """Probabilities as given, with the names of their classes where the answer has them."""

    values: tuple[float, ...]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probabilities:
    """How distributions are read and compared.

    An instance is a list of numbers, an object of numbers by class, or one number: the probability
    of the second of two classes.

    Attributes:
        tolerance: the largest difference of one class that is still the same.

    Raises:
        ValueError: on a tolerance outside of 0 to 1.
    """

    tolerance: float = 0.001

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance <= 1.0:
            raise ValueError(f"expected a tolerance of 0 to 1, found {self.tolerance}")

    def read(self, value: object) -> Distribution:
        """See the class; raises as every task does."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        match value:
            case dict():
                names = tuple(sorted(value))
                return Distribution(_checked([value[name] for name in names]), names)
            case list():
                return Distribution(_checked(value))
            case _:
                (second,) = _checked([value], single=True)
                return Distribution((1.0 - second, second))

    def compare(self, primary: Distribution, candidate: Distribution) -> comparison.Comparison:
        """The leading distance is total variation."""
        if primary.names != candidate.names or len(primary.values) != len(candidate.values):
            raise comparison.schema(
                f"expected the same classes, found {len(primary.values)} and "
                f"{len(candidate.values)} with names of their own"
            )
        p, q = _scaled(primary), _scaled(candidate)
        largest = float(np.abs(p - q).max())
        variation = total_variation(p, q)
        same = largest <= self.tolerance
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=variation,
            counted=(
                increments.distance("tv", variation),
                increments.distance("hellinger", hellinger(p, q)),
                increments.distance("js", jensen_shannon(p, q)),
                increments.distance("max", largest),
                increments.confidence(increments.Side.PRIMARY, float(p.max())),
                increments.confidence(increments.Side.CANDIDATE, float(q.max())),
                *increments.shift("confidence", primary=float(p.max()), candidate=float(q.max())),
                *increments.shift("entropy", primary=entropy(p), candidate=entropy(q)),
                *_violations(primary, increments.Side.PRIMARY),
                *_violations(candidate, increments.Side.CANDIDATE),
                *(() if p.argmax() == q.argmax() else (increments.mark("best_class_differs"),)),
            ),
            differences=() if same else (comparison.Difference("probabilities", "value"),),
        )


Vector = npt.NDArray[np.float64]


def total_variation(p: Vector, q: Vector) -> float:
    """Half the sum of absolute differences, 0 to 1; both sum to 1."""
    return min(1.0, 0.5 * float(np.abs(p - q).sum()))


def hellinger(p: Vector, q: Vector) -> float:
    """sqrt(1/2 sum (sqrt p - sqrt q)^2), 0 to 1."""
    roots = np.sqrt(p) - np.sqrt(q)
    return min(1.0, math.sqrt(0.5 * float(roots @ roots)))


def jensen_shannon(p: Vector, q: Vector) -> float:
    """The divergence in bits, 0 to 1 (its root is a metric; this is not the root)."""
    if np.array_equal(p, q):
        return 0.0
    middle = entropy(0.5 * (p + q))
    return min(1.0, max(0.0, middle - 0.5 * (entropy(p) + entropy(q))))


def entropy(p: Vector) -> float:
    """In bits; a class without probability adds nothing."""
    positive = p[p > 0.0]
    return max(0.0, -float(positive @ np.log2(positive)))


def _checked(values: list[object], *, single: bool = False) -> tuple[float, ...]:
    if not 1 <= len(values) <= MOST_CLASSES:
        raise comparison.schema(f"expected 1 to {MOST_CLASSES} classes, found {len(values)}")
    numbers = tuple(jsontext.number(value, what="a probability") for value in values)
    most = 1.0 + SUM_WITHIN if single else math.inf
    if min(numbers) < 0.0 or max(numbers) > most or (not single and max(numbers) == 0.0):
        raise comparison.schema(
            "expected probabilities, found a negative one, one above 1, or nothing but zeros; "
            "are these logits?"
        )
    return tuple(min(number, 1.0) for number in numbers) if single else numbers


def _scaled(distribution: Distribution) -> Vector:
    values = np.asarray(distribution.values)
    values = values / values.max()  # first, so that the sum of tiny numbers is not tiny
    scaled: Vector = values / values.sum()
    return scaled


def _violations(distribution: Distribution, side: increments.Side) -> tuple[increments.Count, ...]:
    if abs(math.fsum(distribution.values) - 1.0) <= SUM_WITHIN:
        return ()
    return (increments.mark("does_not_sum_to_one", side=side),)
