"""Kendall's tau-b in n log n: a candidate may rank a thousand items. The core is fed by fronts."""

import bisect
import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence


def tau_b(pairs: Sequence[tuple[float, float]]) -> float | None:
    """(C - D) / sqrt((n0 - n1) (n0 - n2)), -1 to 1; None where one side is all ties or n < 2.

    Source: Kendall 1945; counting after Knight 1966.
    """
    n = len(pairs)
    every = n * (n - 1) // 2
    tied_a = _tied(a for a, _ in pairs)
    tied_b = _tied(b for _, b in pairs)
    if every in (tied_a, tied_b):
        return None
    ordered = [b for _, b in sorted(pairs)]
    discordant = _descents(ordered)
    concordant = every - tied_a - tied_b + _tied(pairs) - discordant
    tau = (concordant - discordant) / math.sqrt((every - tied_a) * (every - tied_b))
    return min(1.0, max(-1.0, tau))


def _tied(values: Iterable[Hashable]) -> int:
    return sum(count * (count - 1) // 2 for count in Counter(values).values())


def _descents(values: Sequence[float]) -> int:
    """Pairs in which the earlier value is strictly larger."""
    seen: list[float] = []
    found = 0
    for value in values:
        at = bisect.bisect_right(seen, value)
        found += len(seen) - at
        seen.insert(at, value)
    return found
