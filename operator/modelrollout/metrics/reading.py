"""What the answer to a look means: series become counts, and what is missing becomes a reason.

Three outcomes of a part are kept apart: it has values; its series exist but have no value inside
the window; it has no series at all. Only the first counts.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from modelrollout.analysis import counters
from modelrollout.analysis.counters import Readings
from modelrollout.analysis.counts import Counts, MeanCounts, RateCounts
from modelrollout.api.spec import Metric
from modelrollout.domain.reasons import Code, Reason
from modelrollout.metrics import queries
from modelrollout.metrics.parts import Quantity
from modelrollout.metrics.queries import MARK, Question, Wanted

Labels = tuple[tuple[str, str], ...]
Target = tuple[str, str]
"""The labels `instance` and `job` of a scraped target."""

_WHOLE: Final = 1e-6


class AnswerError(ValueError):
    """An answer that cannot be counted; the message says what was expected."""


@dataclass(slots=True)
class Series:
    """One series of one part, as far as it was read; samples are (instant, value)."""

    start: float | None = None
    end: float | None = None
    reset: bool = False
    samples: Sequence[tuple[float, float]] = ()


@dataclass(slots=True)
class Table:
    """All series of a look, by part.

    Attributes:
        question: what was asked.
        parts: per part, its series by their labels.
        scraped: targets that are known to have been scraped at the start of the window.
        restarts: per target, the instants of the first scrapes after a reset of any of its series.
    """

    question: Question
    parts: list[dict[Labels, Series]]
    scraped: set[Target] = field(default_factory=set)
    restarts: dict[Target, set[float]] = field(default_factory=dict)

    @property
    def with_resets(self) -> list[int]:
        """Parts of which single samples are needed: all that the targets with a reset count."""
        fresh = [
            {labels: one for labels, one in series.items() if one.end is not None}
            for series in self.parts
        ]
        again = {_target(to) for series in fresh for to, one in series.items() if one.reset}
        return [
            number
            for number, series in enumerate(fresh)
            if any(_target(labels) in again for labels in series)
        ]

    def doubtful(self, began: Mapping[str, float]) -> list[Target]:
        """Targets of series that are new, when it is not known yet whether these count from zero.

        Args:
            began: instants at which pods started, by name (seconds since the epoch).
        """
        found = {
            _target(labels)
            for series in self.parts
            for labels, one in series.items()
            if one.start is None and one.end is not None
            if not self.is_whole(labels, began)
        }
        return sorted(found)

    def _expect_no_fall(self, number: int) -> None:
        """Refuses a raw query of several processes whose counter fell.

        It cannot be told how much of what is left is new.
        """
        if self.question.wanted[number].part.selector is not None:
            return
        for labels, one in self.parts[number].items():
            is_one_process = bool({"instance", "pod"} & dict(labels).keys())
            if is_one_process or one.start is None or one.end is None:
                continue
            if one.end < one.start:
                raise AnswerError(
                    f"the query fell from {one.start:g} to {one.end:g}; keep the label `instance` "
                    "or `pod` in its result, so that restarts are told from it"
                )

    def is_whole(self, labels: Labels, began: Mapping[str, float]) -> bool:
        """Whether a new series began inside the window: its target or pod says so."""
        if _target(labels) in self.scraped:
            return True
        pod = dict(labels).get("pod", "")
        margin_s = self.question.margin_s
        return pod in began and began[pod] >= self.question.window.start - margin_s

    def add_samples(self, number: int, matrix: Iterable[Mapping[str, Any]]) -> None:
        """Notes the single samples of a part."""
        for found in matrix:
            labels = _labels(found["metric"])
            series = self.parts[number].get(labels)
            if series is None:
                continue
            series.samples = [(float(at), _number(value)) for at, value in found["values"]]
            last = series.start
            for at, value in series.samples:
                if last is not None and value < last:
                    self.restarts.setdefault(_target(labels), set()).add(at)
                last = value

    def _values(self, labels: Labels, one: Series) -> Sequence[float]:
        """Values of a series where they are needed, in order.

        Client libraries show a labelled counter only after its first event. So one that is missing
        in the first scrape after a restart stood at zero then, and may already be higher than
        before the restart when it is back: alone it would look as if it had only grown.
        """
        there = {at for at, _ in one.samples}
        restarts = self.restarts.get(_target(labels), set()) if there else set()
        gone = [(at, 0.0) for at in restarts - there]
        return [value for _, value in sorted([*one.samples, *gone])]

    def grown(self, number: int, began: Mapping[str, float]) -> float | None:
        """How much a part grew; None when no series of it has a value inside the window."""
        series = self.parts[number]
        if all(one.end is None for one in series.values()):
            return None
        self._expect_no_fall(number)
        return math.fsum(
            counters.increase(
                Readings(
                    start=one.start,
                    end=one.end,
                    samples=self._values(labels, one),
                    whole=one.start is None and self.is_whole(labels, began),
                )
            )
            for labels, one in series.items()
        )


def table(question: Question, vector: Iterable[Mapping[str, Any]]) -> Table:
    """Sorts the answer to a look by part and series.

    Raises:
        AnswerError: on a value that is no number, or a mark that was not asked for.
    """
    made = Table(question, [{} for _ in question.wanted])
    for found in vector:
        mark = str(found["metric"].get(MARK, ""))
        if not (mark.isascii() and mark[:-1].isdigit()) or int(mark[:-1]) >= len(made.parts):
            raise AnswerError("expected the parts that were asked for, found others")
        labels = _labels(found["metric"])
        series = made.parts[int(mark[:-1])].setdefault(labels, Series())
        match mark[-1]:
            case queries.START:
                series.start = _number(found["value"][1])
                made.scraped.add(_target(labels))
            case queries.END:
                series.end = _number(found["value"][1])
            case _:
                series.reset = True
    return made


def _labels(metric: Mapping[str, str]) -> Labels:
    return tuple(
        sorted((key, value) for key, value in metric.items() if key not in {MARK, "__name__"})
    )


def _target(labels: Labels) -> Target:
    known = dict(labels)
    return known.get("instance", ""), known.get("job", "")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise AnswerError(f"expected numbers, found {text}")
    return value


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
        return Read(counts=_counts(metric, grown))
    except ValueError as problem:
        return Read(problem=Reason(Code.BAD_SELECTOR, f"{metric.name}, {version}: {problem}"))


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
