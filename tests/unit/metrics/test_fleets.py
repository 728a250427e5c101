"""Looks in a row at a simulated fleet: pods come and go and restart, scrapes fail, nothing is lost.

`Fleet` answers as Prometheus does what a look asks: last values, resets, samples, `up`. It counts
what was ever scraped, process by process, so that the sum of all looks can be compared with it.
"""

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from modelrollout.analysis.counts import RateCounts
from modelrollout.domain.planned import Window
from modelrollout.metrics import answers, queries, reading
from modelrollout.metrics.answers import Table
from modelrollout.metrics.queries import LOOKBACK_S
from tests.unit.metrics import test_reading

SCRAPE_S = 2.0
Sample = tuple[float, float]


@dataclass(frozen=True)
class Tick:
    """What happens to a pod until its next scrape."""

    trials: int
    errors: int
    restarts: bool
    missed: bool


@dataclass
class Pod:
    """One pod: its series as they were scraped, and what its processes counted until then.

    Attributes:
        scraped: trials and errors of all processes, as far as any scrape saw them.
        hidden: a restart that no scrape shows, as the next one finds more than the last.
    """

    name: str
    began: float
    ticks: list[Tick]
    total: list[Sample] = field(default_factory=list)
    errors: list[Sample] = field(default_factory=list)
    scraped: RateCounts = field(default_factory=RateCounts)
    hidden: bool = False

    def __post_init__(self) -> None:
        ended = alive = now = RateCounts()
        is_fresh = False
        for number, tick in enumerate(self.ticks):
            if tick.restarts:
                ended, alive, now, is_fresh = ended + alive, RateCounts(), RateCounts(), True
            now = now + RateCounts(tick.trials + tick.errors, tick.errors)
            if tick.missed and number:
                continue
            self._scrape(self.began + (number + 1) * SCRAPE_S, now, is_fresh=is_fresh)
            alive, is_fresh = now, False
        self.scraped = ended + alive

    def _scrape(self, at: float, now: RateCounts, *, is_fresh: bool) -> None:
        if is_fresh:
            self.hidden |= bool(self.total) and now.trials >= self.total[-1][1]
            self.hidden |= bool(self.errors) and now.events >= self.errors[-1][1]
        self.total.append((at, float(now.trials)))
        # As client libraries do: no series before the first event.
        if now.events:
            self.errors.append((at, float(now.events)))

    def series(self, part: int) -> list[Sample]:
        """What was scraped of a part."""
        return self.errors if part == 0 else self.total

    def labels(self) -> dict[str, str]:
        """Of its series."""
        return {"instance": f"{self.name}:80", "job": "fraud", "pod": self.name}


def inside(samples: list[Sample], start: float, end: float) -> list[Sample]:
    return [(at, value) for at, value in samples if start < at <= end]


def answered(question: queries.Question, pods: list[Pod]) -> Table:
    """The look's answer, with the further queries that it asks for."""
    window = question.window
    vector: list[dict[str, Any]] = []
    for part in (0, 1):
        for pod in pods:
            before = inside(pod.series(part), window.start - LOOKBACK_S, window.start)
            within = inside(pod.series(part), window.start, window.end)
            around = inside(pod.series(part), window.start - LOOKBACK_S, window.end)
            marks = {"s": before[-1:], "e": within[-1:]}
            if any(b[1] < a[1] for a, b in itertools.pairwise(around)):
                marks["r"] = [(window.end, 1.0)]
            vector += [
                {"metric": {"__part__": f"{part}{mark}", **pod.labels()}, "value": [at, str(value)]}
                for mark, found in marks.items()
                for at, value in found
            ]
    table = answers.table(question, vector)
    if table.history is not None:
        matrix = []
        for part, name in enumerate("et"):
            for pod in pods:
                samples = inside(pod.series(part), window.start - LOOKBACK_S, window.end)
                values = [[at, str(value)] for at, value in samples]
                labels = {"__name__": name, **pod.labels()}
                matrix += [{"metric": labels, "values": values}] if values else []
        table.add_history(matrix)
    began = {pod.name: pod.began for pod in pods}
    for instance, job in table.doubtful(began):
        (pod,) = (pod for pod in pods if pod.labels()["instance"] == instance)
        if inside(pod.total, window.start - LOOKBACK_S, window.start):
            table.scraped.add((instance, job))
    return table


def looked(pods: list[Pod], cuts: list[float]) -> RateCounts:
    """The sum of the looks between these instants."""
    found = RateCounts()
    for start, end in itertools.pairwise(cuts):
        question, metric = test_reading.asked(test_reading.RATE)
        window = Window(start, end, "v2", "v1")
        question = queries.Question(question.wanted, window, question.margin_s)
        began = {pod.name: pod.began for pod in pods}
        read = reading.read(answered(question, pods), metric, "v2", began=began)
        if read.counts is not None:
            assert isinstance(read.counts, RateCounts)
            found = found + read.counts
    return found


ticks = st.builds(
    Tick,
    trials=st.integers(0, 20),
    errors=st.sampled_from([0, 0, 0, 1, 5]),
    restarts=st.sampled_from([False, False, False, False, True]),
    missed=st.sampled_from([False, False, False, True]),
)
life = st.tuples(st.floats(0.0, 40.0), st.lists(ticks, min_size=1, max_size=20))
fleets = st.lists(life, min_size=1, max_size=4).map(
    lambda lives: [Pod(f"p{n}", began, ticks) for n, (began, ticks) in enumerate(lives)]
)
cuts = st.lists(st.floats(1.0, 85.0), max_size=6).map(lambda found: sorted([-1.0, *found, 90.0]))


@given(fleets, cuts)
def test_all_looks_together_count_what_was_ever_scraped(pods: list[Pod], cuts: list[float]) -> None:
    found = looked(pods, cuts)
    real = sum((pod.scraped for pod in pods), RateCounts())
    assert found.trials <= real.trials
    assert found.events <= real.events
    if not any(pod.hidden for pod in pods):
        assert found == real


@given(fleets, cuts, cuts)
def test_it_does_not_matter_when_is_looked(
    pods: list[Pod], some: list[float], other: list[float]
) -> None:
    if not any(pod.hidden for pod in pods):
        assert looked(pods, some) == looked(pods, other)


@given(fleets, cuts)
def test_a_look_that_is_repeated_says_the_same(pods: list[Pod], cuts: list[float]) -> None:
    assert looked(pods, cuts) == looked(list(reversed(pods)), cuts)
