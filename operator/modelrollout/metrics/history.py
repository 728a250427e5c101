"""Stable's own past, pod by pod and minute by minute: from it the noise is learnt.

One query a day and metric. What a look must not miss, a history may leave out: where it is not
sure how much a process counted, the minute is cut, and nothing is guessed.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from modelrollout.analysis import calibrating, noise
from modelrollout.analysis.calibrating import History, Life
from modelrollout.analysis.mixtures import Array
from modelrollout.analysis.noise import Uncalibrated
from modelrollout.api.spec import Metric, ModelRolloutSpec
from modelrollout.metrics import arms, parts, selectors
from modelrollout.metrics.answers import AnswerError
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts
from modelrollout.metrics.parts import Quantity
from modelrollout.metrics.queries import MARK
from modelrollout.metrics.selectors import Matcher

Flags = NDArray[np.bool_]
Target = tuple[str, str, str]
"""The pod, instance and job of what was scraped: one process."""

STEP_S: Final = round(noise.LOOK_S)
DAY: Final = 24 * 3600 // STEP_S
"""Minutes of one query; its answer has a value more."""
DAYS: Final = 3
MOST_PODS: Final = 48
"""In one answer: 1441 values of 24 bytes of two parts make 3.3 MB. Of more pods those are taken
whose names end in some letters, which a Deployment draws by chance and a StatefulSet counts."""
MOST_TARGETS: Final = 500
"""In one day; a service that starts more has no pod that lives long enough to tell anything."""
SETTLING: Final = 5
"""First minutes of a pod, or after its restart, that are left out: it warms up."""


@dataclass(frozen=True, slots=True)
class Day:
    """What is asked of one day.

    Attributes:
        text: the query, an instant one at `end`.
        start: minute it begins with, since the epoch.
        quantities: of the parts, in the order of their marks.
        pods: none but these are of the version; None where the selector sees to that.
        margin_s: a pod that began so long before a minute may not have been scraped then.
    """

    text: str
    start: int
    quantities: tuple[Quantity, ...]
    pods: frozenset[str] | None
    margin_s: float

    @property
    def end(self) -> float:
        """The instant at which it ends, seconds since the epoch."""
        return float((self.start + DAY) * STEP_S)


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """What one pod counted in each minute of a day; NaN where that is not known.

    Attributes:
        trials: shape (DAY,), as all.
        events: of the trials.
        fresh: the pod or one of its processes began in this minute.
    """

    trials: Array
    events: Array
    fresh: Flags


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """One day, by pod.

    Attributes:
        start: minute it begins with, since the epoch.
        pods: by name; by instance where series have no label `pod`.
    """

    start: int
    pods: Mapping[str, Minutes]


def asked(
    spec: ModelRolloutSpec,
    metric: Metric,
    *,
    namespace: str,
    version: str,
    seen: ArmSeen,
    facts: SourceFacts,
    until: float,
    days: int = DAYS,
) -> Sequence[Day] | Uncalibrated:
    """The queries for the last days of a version, the latest first.

    Args:
        spec: of the rollout.
        metric: a rate or a latency.
        namespace: of the rollout.
        version: its name, stable's.
        seen: what is known of it.
        facts: of the source.
        until: the history ends here, before anything is moved; seconds since the epoch.
        days: how many, at least 1.
    """
    if metric.mean is not None:
        return Uncalibrated("noise is calibrated for rates and latencies, not for means")
    if facts.scrape_interval_s > STEP_S:
        return Uncalibrated(
            f"series get a value every {facts.scrape_interval_s:g} s; noise between pods is read "
            f"minute by minute, so scrape them every {STEP_S} s or more often"
        )
    if len(seen.pods) < calibrating.FEWEST_PODS:
        return calibrating.too_few_pods(len(seen.pods))
    arm = metric.arm or spec.analysis.arm
    own = arms.matchers(arm, namespace=namespace, version=version, seen=seen)
    chosen = (*own, *selectors.equal(facts.matchers), *_some(seen.pods))
    read = parts.of(metric)
    joined = " or ".join(
        f"label_replace(sum by (pod, instance, job) ({part.expression(chosen)}),"
        f'"{MARK}","{number}","","")'
        for number, part in enumerate(read)
    )
    last = int(until // STEP_S)
    # A millisecond more, since a range may be open on its left.
    reach = parts.milliseconds(DAY * STEP_S + 0.001)
    return tuple(
        Day(
            text=f"({joined})[{reach}:{STEP_S}s] @ {(last - day * DAY) * STEP_S}.000",
            start=last - (day + 1) * DAY,
            quantities=tuple(part.quantity for part in read),
            # Series that another process writes, such as a gateway, have that one's pods.
            pods=frozenset(seen.pods) if arm.label is not None else None,
            margin_s=1.5 * facts.scrape_interval_s,
        )
        for day in range(days)
    )


def _some(pods: Collection[str]) -> Sequence[Matcher]:
    if len(pods) <= MOST_PODS:
        return ()
    letters, room = [], MOST_PODS
    for letter, count in sorted(Counter(pod[-1:] for pod in pods).items()):
        if count <= room:
            letters.append(re.escape(letter))
            room -= count
    return (Matcher("pod", "=~", f".*(?:{'|'.join(letters)})"),)


def parsed(day: Day, matrix: Iterable[Mapping[str, Any]], *, began: Mapping[str, float]) -> Grown:
    """What each pod counted in each minute of a day.

    Args:
        day: what was asked.
        matrix: what was answered.
        began: instants at which pods started, by name; the first value of one that started
            inside the day counts from zero.

    Raises:
        AnswerError: on a mark that was not asked for, or a counter below 0.
    """
    targets = _targets(day, matrix)
    scraped = _any(~np.isnan(part) for read in targets.values() for part in read)
    begins = np.arange(day.start, day.start + DAY) * float(STEP_S)
    pods: dict[str, Minutes] = {}
    for (pod, _, _), read in targets.items():
        born = begins <= began.get(pod, -math.inf) + day.margin_s
        found = _process(dict(zip(day.quantities, read, strict=True)), born=born, scraped=scraped)
        pods[pod] = _together(pods[pod], found) if pod in pods else found
    return Grown(day.start, pods)


def _targets(day: Day, matrix: Iterable[Mapping[str, Any]]) -> Mapping[Target, Sequence[Array]]:
    targets: dict[Target, list[Array]] = {}
    for series in matrix:
        labels = series["metric"]
        pod, instance = labels.get("pod", ""), labels.get("instance", "")
        if day.pods is not None and pod not in day.pods:
            continue
        number = str(labels.get(MARK, ""))
        if not (number.isascii() and number.isdigit()) or int(number) >= len(day.quantities):
            raise AnswerError("expected the parts that were asked for, found others")
        target = (pod or instance, instance, labels.get("job", ""))
        if target not in targets:
            targets[target] = [np.full(DAY + 1, np.nan) for _ in day.quantities]
        if len(targets) > MOST_TARGETS:
            raise AnswerError(f"expected at most {MOST_TARGETS} pods in a day, found more")
        _fill(targets[target][int(number)], series["values"], start=day.start)
    return targets


def _fill(values: Array, samples: Iterable[tuple[float, str]], *, start: int) -> None:
    for at, text in samples:
        minute, value = round(float(at) / STEP_S) - start, float(text)
        if value < 0.0:
            raise AnswerError(f"expected a counter of at least 0, found {text}")
        if 0 <= minute <= DAY and math.isfinite(value):
            values[minute] = value


def _any(flags: Iterable[Flags]) -> Flags:
    return np.asarray(np.any([np.zeros(DAY + 1, dtype=bool), *flags], axis=0))


def _process(read: Mapping[Quantity, Array], *, born: Flags, scraped: Flags) -> Minutes:
    """One target: all that it counts begins anew together."""
    needed = [part for quantity, part in read.items() if quantity is not Quantity.EVENTS]
    # Of events and others one is enough.
    is_apart = Quantity.OTHERS in read
    there = [~np.isnan(part) for part in (read.values() if is_apart else needed)]
    present: Flags = (np.any if is_apart else np.all)(there, axis=0)
    # A labelled counter is shown only after its first event: until then it stands at zero.
    counts = np.array([np.where(present, np.nan_to_num(part), np.nan) for part in read.values()])
    before, after = counts[:, :-1], counts[:, 1:]
    grown = after - before
    fell = (grown < 0.0).any(axis=0)
    restarted = fell & (after.sum(axis=0) <= before.sum(axis=0) / 2.0)
    # A sum that falls by less has lost a series; how much the others grew cannot be told.
    grown[:, fell] = np.nan
    first = present[1:] & ~present[:-1]
    whole = restarted | (first & born)
    grown[:, whole] = after[:, whole]
    by_quantity = dict(zip(read, grown, strict=True))
    trials, events = _trials(by_quantity)
    return Minutes(np.maximum(trials, events), events, fell | (first & scraped[:-1]))


def _trials(grown: Mapping[Quantity, Array]) -> tuple[Array, Array]:
    if Quantity.FAST in grown:
        trials = grown[Quantity.COUNT]
        return trials, np.maximum(trials - grown[Quantity.FAST], 0.0)
    events = grown[Quantity.EVENTS]
    if Quantity.OTHERS in grown:
        return events + grown[Quantity.OTHERS], events
    return grown[Quantity.TOTAL], events


def _together(one: Minutes, other: Minutes) -> Minutes:
    def added(first: Array, second: Array) -> Array:
        both = np.nan_to_num(first) + np.nan_to_num(second)
        return np.where(np.isnan(first) & np.isnan(second), np.nan, both)

    return Minutes(
        added(one.trials, other.trials), added(one.events, other.events), one.fresh | other.fresh
    )


def halved(days: Iterable[Grown]) -> History | Uncalibrated:
    """All days as one history of two halves of the pods; of both outcomes, the rarer is counted.

    A minute counts when both halves have settled pods with requests in it: a deploy, where one
    has none, is cut out.
    """
    found = [day for day in days if day.pods]
    if not found:
        return Uncalibrated("stable has no series in the time before the rollout")
    start = min(day.start for day in found)
    trials, events = _settled(found, start=start, end=max(day.start for day in found) + DAY)
    alive = ~np.isnan(trials)
    trials, events = np.nan_to_num(trials), np.nan_to_num(events)
    if events.sum() > trials.sum() / 2.0:
        events = trials - events
    sides = _sides(alive)
    halves = np.array([1.0 - sides, sides])
    at_once = halves @ alive
    kept = np.flatnonzero((halves @ trials > 0.0).all(axis=0))
    (trials_a, trials_b), (events_a, events_b) = (
        (halves @ part[:, kept]).astype(np.int64) for part in (trials, events)
    )
    return History(
        minutes=start + kept,
        trials_a=trials_a,
        events_a=events_a,
        trials_b=trials_b,
        events_b=events_b,
        pods=_pods(at_once, kept),
        lives=_lives(trials[:, kept], events[:, kept]),
    )


def _settled(days: Sequence[Grown], *, start: int, end: int) -> tuple[Array, Array]:
    """Trials and events, NaN where unknown or a pod warms up; shape (pods, minutes) each."""
    rows = {pod: row for row, pod in enumerate(sorted({pod for day in days for pod in day.pods}))}
    counts = np.full((2, len(rows), end - start), np.nan)
    fresh = np.zeros(counts.shape[1:], dtype=bool)
    for day in days:
        at = slice(day.start - start, day.start - start + DAY)
        for pod, minutes in day.pods.items():
            counts[:, rows[pod], at] = np.round([minutes.trials, minutes.events])
            fresh[rows[pod], at] = minutes.fresh
    for later in range(SETTLING):
        counts[:, :, later:][:, fresh[:, : fresh.shape[1] - later]] = np.nan
    return counts[0], counts[1]


def _sides(alive: Flags) -> Array:
    """0 or 1 for each pod: in the order of their first minutes, each to the half with fewer pods.

    Of pods that live side by side every other one.
    """
    first = np.where(alive.any(axis=1), alive.argmax(axis=1), alive.shape[1] - 1)
    sides, sizes = np.full(len(alive), -1.0), [0, 0]
    for row in np.argsort(first, kind="stable"):
        beside = [int(alive[sides == side, first[row]].sum()) for side in (0, 1)]
        side = min((0, 1), key=lambda one: (beside[one], sizes[one]))
        sides[row] = side
        sizes[side] += 1
    return sides


def _pods(at_once: Array, kept: NDArray[np.intp]) -> float:
    if len(kept) == 0:
        return float(at_once.sum(axis=0).max(initial=0.0))
    return 4.0 / float(np.mean((1.0 / at_once[:, kept]).sum(axis=0)))


def _lives(trials: Array, events: Array) -> Sequence[Life]:
    everything = trials.sum(axis=0)
    rates = events.sum(axis=0) / everything
    return tuple(
        Life(
            looks=int((own > 0.0).sum()),
            events=int(of_own.sum()),
            expected=float(own @ rates),
            own=float(own.sum() / everything[own > 0.0].sum()),
        )
        for own, of_own in zip(trials, events, strict=True)
        if own.any()
    )
