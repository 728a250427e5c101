"""The answer to a look, sorted by part and series, and how much each part grew.

What a process counted before its restart is kept apart from what it counted after.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelrollout.analysis import counters
from modelrollout.analysis.counters import Readings
from modelrollout.metrics import queries
from modelrollout.metrics.queries import LOOKBACK_S, MARK, Question

Labels = tuple[tuple[str, str], ...]
Target = tuple[str, str]
"""The labels `instance` and `job` of a scraped target."""


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
            if self.question.wanted[number].part.selector is not None
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

    @property
    def history(self) -> str | None:
        """The query for the single samples that are needed; None when none are."""
        numbers = self.with_resets
        return queries.history(self.question, numbers, self._restarted()) if numbers else None

    def add_history(self, matrix: Iterable[Mapping[str, Any]]) -> None:
        """Notes single samples; those of series that are not of this look are left out."""
        by_name: dict[str, list[int]] = {}
        for number in self.with_resets:
            selector = self.question.wanted[number].part.selector
            if selector is not None:
                by_name.setdefault(selector.name, []).append(number)
        for found in matrix:
            labels = _labels(found["metric"])
            samples = [(float(at), _number(value)) for at, value in found["values"]]
            for number in by_name.get(str(found["metric"].get("__name__")), ()):
                if labels in self.parts[number]:
                    self.parts[number][labels].samples = samples
            falls = {
                at for (_, before), (at, after) in itertools.pairwise(samples) if after < before
            }
            self.restarts.setdefault(_target(labels), set()).update(falls)

    def _restarted(self) -> set[str]:
        """Instances of which a series was reset."""
        return {
            _target(labels)[0]
            for series in self.parts
            for labels, one in series.items()
            if one.reset
        }

    def _values(self, labels: Labels, one: Series) -> Sequence[float]:
        """Values of a series since its start value, in order, where single ones are needed.

        Client libraries show a labelled counter only after its first event. So one that is missing
        in the first scrape after a restart stood at zero then, and may already be higher than
        before the restart when it is back: alone it would look as if it had only grown.
        """
        if not one.samples:
            return ()
        # As exact as the instant in the query was.
        start = round(self.question.window.start, 3)
        there = {at for at, _ in one.samples}
        since = max((at for at in there if at <= start), default=start - LOOKBACK_S)
        gone = {(at, 0.0) for at in self.restarts.get(_target(labels), set()) - there}
        return [value for at, value in sorted(gone.union(one.samples)) if at > since]

    def grown(self, number: int, began: Mapping[str, float]) -> float | None:
        """How much a part grew; None when no series of it has a value inside the window."""
        return self._grown(number, self.parts[number], began)

    def grown_by(self, label: str, number: int, began: Mapping[str, float]) -> dict[str, float]:
        """How much a part grew, apart for each value of a label; those without a value left out."""
        apart: dict[str, dict[Labels, Series]] = {}
        for labels, one in self.parts[number].items():
            apart.setdefault(dict(labels).get(label, ""), {})[labels] = one
        found = {value: self._grown(number, series, began) for value, series in apart.items()}
        return {value: grown for value, grown in found.items() if grown is not None}

    def _grown(
        self, number: int, series: Mapping[Labels, Series], began: Mapping[str, float]
    ) -> float | None:
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
