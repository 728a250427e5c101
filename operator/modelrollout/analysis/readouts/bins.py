"""Histograms of both arms, checked at the door: the same bins, whole numbers, none empty.

A bin stands for all of its values at one point: its middle, or its finite edge where the other is
infinite, as Prometheus reads quantiles beyond the last bound.
"""

import operator
from collections.abc import Sequence

import numpy as np

from modelrollout.analysis.mixtures import Array


def both(candidate: Sequence[int], stable: Sequence[int]) -> tuple[Array, Array]:
    """Counts per bin of both arms as floats.

    Raises:
        ValueError: on differing lengths, no bins, impossible counts, or an arm with nothing in it.
    """
    c, s = _whole("candidate", candidate), _whole("stable", stable)
    if len(c) != len(s):
        raise ValueError(
            f"expected the same bins in both arms, found {len(c)} of the candidate and {len(s)} of "
            f"stable; do both export the same bounds?"
        )
    return c, s


def points(edges: Sequence[float], *, bins: int) -> Array:
    """The value that each bin stands for, increasing, in the unit of the edges.

    Args:
        edges: `bins` + 1 values, strictly increasing; the first may be -inf, the last inf.
        bins: their number.

    Raises:
        ValueError: on a wrong number of edges, NaN, edges that do not increase, or one bin
            without any finite edge.
    """
    if len(edges) != bins + 1:
        raise ValueError(f"expected {bins + 1} edges around {bins} bins, found {len(edges)}")
    values = np.array([float(edge) for edge in edges])
    if not np.all(np.diff(values) > 0):
        raise ValueError(f"expected edges that increase strictly, found {list(edges)}")
    if not np.any(np.isfinite(values)):
        raise ValueError(f"expected at least one finite edge, found {list(edges)}")
    low, high = values[:-1], values[1:]
    middle = np.where(np.isinf(low), high, np.where(np.isinf(high), low, low / 2.0 + high / 2.0))
    return np.asarray(middle, dtype=np.float64)


def _whole(arm: str, counts: Sequence[int]) -> Array:
    found = [_checked(arm, count) for count in counts]
    if sum(found) == 0:
        raise ValueError(f"expected at least one value in the bins of {arm}, found none")
    return np.array(found, dtype=np.float64)


def _checked(arm: str, count: object) -> int:
    try:
        whole = operator.index(count)  # type: ignore[arg-type]
    except TypeError:
        raise ValueError(f"expected whole numbers in the bins of {arm}, found {count!r}") from None
    if isinstance(count, bool) or whole < 0:
        raise ValueError(
            f"expected whole numbers of at least 0 in the bins of {arm}, found {count!r}; was a "
            f"counter reset not handled?"
        )
    return whole
