"""What the answer to a look means: series become counts, and what is missing becomes a reason.

Three outcomes of a part are kept apart: it has values; its series exist but have no value inside
the window; it has no series at all. Only the first counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from modelrollout.analysis import moments
from modelrollout.analysis.counts import Counts, MeanCounts, RateCounts
from modelrollout.analysis.histograms import Histogram
from modelrollout.api.spec import Metric
from modelrollout.domain.reasons import Code, Reason
from modelrollout.metrics.answers import AnswerError, Table
from modelrollout.metrics.parts import Quantity
from modelrollout.metrics.queries import Wanted

_WHOLE: Final = 1e-6


@dataclass(frozen=True, slots=True)
class Read:
    """What a look says of one metric and one version.

    Attributes:
        counts: None where there are none.
        problem: why, if so.
        silent: the first part without any series, None when all have some.
    """

    counts: Counts | None = None
    problem: Reason | None = None
    silent: Wanted | None = None


def read(found: Table, metric: Metric, version: str, *, began: Mapping[str, float]) -> Read:
    """The counts of one metric and version.

    Args:
        found: the look.
        metric: as written.
        version: its name.
        began: instants at which the version's pods started, by name.
    """
    numbers = {
        wanted.part.quantity: number
        for number, wanted in enumerate(found.question.wanted)
        if wanted.part.metric == metric.name and wanted.version == version
    }
    silent = _silent(found, numbers)
    if not numbers or silent is not None:
        wanted = found.question.wanted[silent] if silent is not None else None
        return Read(silent=wanted, problem=_no_series(metric, version, wanted))
    try:
        grown = {quantity: found.grown(number, began) for quantity, number in numbers.items()}
        if _is_stale(grown):
            sentence = f"{metric.name}: {version} has no fresh value in this look; is it scraped?"
            return Read(problem=Reason(Code.NO_DATA, sentence))
        if Quantity.BUCKETS in numbers:
            buckets = histogram(found, numbers[Quantity.BUCKETS], began=began)
            grown[Quantity.SQUARES] = _squares(buckets, grown[Quantity.SUM] or 0.0)
        return Read(counts=_counts(metric, grown))
    except ValueError as problem:
        return Read(problem=Reason(Code.BAD_SELECTOR, f"{metric.name}, {version}: {problem}"))


def histogram(found: Table, number: int, *, began: Mapping[str, float]) -> Histogram | None:
    """What all buckets of a part grew by together; None without any.

    Raises:
        ValueError: on buckets that cannot be those of one histogram.
    """
    grown = found.grown_by("le", number, began)
    if not grown:
        return None
    bounds = sorted((_bound(le), _whole(count)) for le, count in grown.items())
    # The buckets of one scrape belong together, those of several pods need not: a bound that only
    # some pods export makes the sum fall, and is refused by the histogram itself.
    return Histogram(tuple(bound for bound, _ in bounds), tuple(count for _, count in bounds))


def _bound(le: str) -> float:
    try:
        return float(le)
    except ValueError:
        raise AnswerError(f"expected bounds of buckets as numbers, found le={le!r}") from None


def _squares(buckets: Histogram | None, total: float) -> float | None:
    """The sum of squares that the buckets speak for, around the exact mean."""
    if buckets is None or not buckets.total:
        return None
    return moments.squares(buckets, total=total)


def _silent(found: Table, numbers: Mapping[Quantity, int]) -> int | None:
    """The first part without series that must have some.

    Events need none, since none may have happened yet; of events and others one is enough.
    """
    counted = [number for quantity, number in numbers.items() if quantity is not Quantity.EVENTS]
    if Quantity.OTHERS in numbers and found.parts[numbers[Quantity.EVENTS]]:
        return None
    return next((number for number in counted if not found.parts[number]), None)


def _is_stale(grown: Mapping[Quantity, float | None]) -> bool:
    """Whether what must have a value inside the window has none."""
    if Quantity.OTHERS in grown:
        return all(value is None for value in grown.values())
    return any(
        value is None for quantity, value in grown.items() if quantity is not Quantity.EVENTS
    )


def _no_series(metric: Metric, version: str, wanted: Wanted | None) -> Reason:
    example = f": {wanted.example} selects nothing" if wanted is not None else ""
    return Reason(Code.NO_SERIES, f"{metric.name}: no series of {version}{example}")


def _counts(metric: Metric, grown: Mapping[Quantity, float | None]) -> Counts:
    if metric.mean is not None:
        squares = grown.get(Quantity.SQUARES)
        count = _whole(grown[Quantity.COUNT])
        total = grown[Quantity.SUM] or 0.0
        return MeanCounts(count, total if count else 0.0, squares if count else None)
    if metric.latency is not None:
        trials = _whole(grown[Quantity.COUNT])
        return RateCounts(trials, max(0, trials - _whole(grown[Quantity.FAST])))
    events = _whole(grown[Quantity.EVENTS])
    if Quantity.OTHERS in grown:
        return RateCounts(events + _whole(grown[Quantity.OTHERS]), events)
    # A server may count a request when it comes and its error when it goes: in one scrape there
    # can be one event more than trials, never in the long run.
    return RateCounts(max(events, _whole(grown[Quantity.TOTAL])), events)


def _whole(value: float | None) -> int:
    if value is None:
        return 0
    nearest = round(value)
    if abs(value - nearest) > _WHOLE:
        raise AnswerError(f"expected whole counts, found {value:g}; is it a counter of requests?")
    return nearest
