"""Counter arithmetic: how much a counter grew between two instants, exactly.

No extrapolation: an increase is a difference of values that were read. Assumes what Prometheus
promises of counters: they only grow, and fall only when their process starts anew, from zero.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read of one series for the window (t0, t1].

    Attributes:
        start: last value at or before t0; None when there is none (the series is new, or its
            target was not scraped for a while).
        end: last value inside the window; None when there is none (no scrape, or the series
            ended).
        samples: every value after `start`, in order, with a zero where it is known that the process
            began anew; only needed where the counter was reset.
        whole: a series without `start` began inside the window, so that it counts from zero.
    """

    start: float | None
    end: float | None
    samples: Sequence[float] = ()
    whole: bool = False


def increase(readings: Readings) -> float:
    """How much a counter grew inside the window.

    A series without a value inside the window grew by nothing that is known: what it grew since is
    counted by the next window, which starts from the same last value. One that is not known to
    have begun inside the window counts from its first value in it.

    Args:
        readings: of one series.

    Returns:
        The increase, at least 0, in the counter's own unit.

    Raises:
        ValueError: on a negative value, which no counter has.
    """
    if readings.end is None:
        return 0.0
    values = list(readings.samples) or [readings.end]
    if min(values) < 0 or (readings.start or 0.0) < 0:
        raise ValueError(f"expected a counter of at least 0, found {min(values)}")
    first = readings.start
    if first is None:
        first = 0.0 if readings.whole else values[0]
    return _grown(first, values)


def _grown(first: float, values: Iterable[float]) -> float:
    grown, last = 0.0, first
    for value in values:
        grown += value - last if value >= last else value
        last = value
    return grown
