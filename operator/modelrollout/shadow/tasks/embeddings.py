"""Embeddings: do both models see the same neighbours? The core is fed by fronts.

Models that were trained apart may differ by a rotation, which makes the cosine meaningless: then
both embed one fixed set of probes, and what is compared is which probes are nearest.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.shadow import comparison, increments, jsontext

MOST_DIMENSIONS = 65_536
Matrix = npt.NDArray[np.float64]
_TWO = 2


@dataclass(frozen=True, slots=True)
class Vector:
    """One embedding, scaled to length 1, and the length that it had."""

    unit: Matrix
    length: float


@dataclass(frozen=True, slots=True, eq=False)
class Probes:
    """The same inputs, embedded by both versions; row i is input i on both sides.

    Raises:
        ValueError: on arrays that are no tables, differ in rows, or hold what is not finite.
    """

    primary: Matrix
    candidate: Matrix

    def __post_init__(self) -> None:
        shapes = self.primary.shape, self.candidate.shape
        if any(len(shape) != _TWO for shape in shapes) or shapes[0][0] != shapes[1][0]:
            raise ValueError(
                f"expected two tables with one row per probe, found shapes {shapes[0]} and "
                f"{shapes[1]}; embed the same probes with both versions"
            )
        if not (np.isfinite(self.primary).all() and np.isfinite(self.candidate).all()):
            raise ValueError("expected finite probes, found NaN or infinities")


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """How vectors are compared.

    An instance is a list of numbers.

    Attributes:
        tolerance: cosine distance that is still the same; with probes: share of other neighbours.
        probes: None compares by cosine, for models that share a space.
        neighbours: how many probes are nearest.

    Raises:
        ValueError: on a tolerance outside of 0 to 1, or more neighbours than probes.
    """

    tolerance: float = 0.001
    probes: Probes | None = None
    neighbours: int = 10

    def __post_init__(self) -> None:
        if not 0.0 <= self.tolerance <= 1.0:
            raise ValueError(f"expected a tolerance of 0 to 1, found {self.tolerance}")
        most = self.neighbours if self.probes is None else self.probes.primary.shape[0]
        if not 1 <= self.neighbours <= most:
            raise ValueError(f"expected 1 to {most} neighbours, found {self.neighbours}")

    def read(self, value: object) -> Vector:
        """See the class; raises as every task does."""
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_DIMENSIONS:
            raise comparison.schema(
                f"expected a list of 1 to {MOST_DIMENSIONS} numbers, found another "
                f"{jsontext.kind(value)}"
            )
        numbers = np.array([jsontext.number(entry, what="an entry") for entry in value])
        return Vector(*_normalised(numbers))

    def compare(self, primary: Vector, candidate: Vector) -> comparison.Comparison:
        """The leading distance is the one that the tolerance is for."""
        measures = {"norm": _ratio_distance(primary.length, candidate.length)}
        alike = primary.unit.shape == candidate.unit.shape
        if alike:
            measures["cosine"] = cosine_distance(primary, candidate)
        if self.probes is not None:
            apart = self._other_neighbours(primary, candidate, self.probes)
            measures["neighbours"] = apart
        elif alike:
            apart = measures["cosine"]
        else:
            raise comparison.schema(
                f"expected as many dimensions, found {primary.unit.size} and "
                f"{candidate.unit.size}; give probes to compare by neighbours"
            )
        same = apart <= self.tolerance
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=apart,
            counted=tuple(increments.distance(*measure) for measure in measures.items()),
            differences=() if same else (comparison.Difference("embedding", "value"),),
        )

    def _other_neighbours(self, primary: Vector, candidate: Vector, probes: Probes) -> float:
        ours = nearest(primary.unit, probes.primary, count=self.neighbours)
        theirs = nearest(candidate.unit, probes.candidate, count=self.neighbours)
        return 1.0 - len(ours & theirs) / self.neighbours


def _normalised(numbers: Matrix) -> tuple[Matrix, float]:
    """Scaled by the largest entry first: squares of very small ones vanish."""
    largest = float(np.abs(numbers).max())
    if largest == 0.0:
        return numbers, 0.0
    scaled = numbers / largest
    length = float(np.linalg.norm(scaled))
    return scaled / length, length * largest


def cosine_distance(a: Vector, b: Vector) -> float:
    """1 - cosine, 0 to 2; exactly 0 for equal directions; 1 where one of both is all zeros."""
    if np.array_equal(a.unit, b.unit):
        return 0.0
    return min(2.0, max(0.0, 1.0 - float(a.unit @ b.unit)))


def _ratio_distance(a: float, b: float) -> float:
    return 0.0 if a == b else 1.0 - min(a, b) / max(a, b)


def nearest(unit: Matrix, probes: Matrix, *, count: int) -> frozenset[int]:
    """Rows of the `count` probes with the largest cosine; ties go to the earlier row.

    Raises:
        UnreadableError: `SCHEMA` where the vector has other dimensions than the probes.
    """
    if unit.size != probes.shape[1]:
        raise comparison.schema(
            f"expected {probes.shape[1]} dimensions as the probes have, found {unit.size}"
        )
    lengths = np.linalg.norm(probes, axis=1)
    cosines = np.divide(probes @ unit, lengths, out=np.zeros_like(lengths), where=lengths > 0.0)
    return frozenset(np.argsort(-cosines, kind="stable")[:count].tolist())
