"""Users as units: sums by hash bucket, kept per arm with stable's of the same time.

Requests of one user resemble each other, so that a goal judged by requests claims too much. The
spread between buckets is honest whatever happens inside a user (`analysis.clusters`). The verdict
is read once, at the end, so that returning users and many looks cost nothing; only harm is watched
all along, by an interval that holds at any time, approximately.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from scipy import special

from modelrollout.analysis import clusters
from modelrollout.analysis.clusters import Buckets, Comparison
from modelrollout.api.spec import Better, Margin, Metric, ModelRolloutSpec, Role, RollBackWhen
from modelrollout.domain import describing, questions
from modelrollout.domain.observed import Look, UserSums
from modelrollout.domain.reasons import Code, Reason

MOST_KEPT = 125
"""Clusters per arm that a status has room for, over all metrics judged by user."""
_MOST_CLUSTERS = 100
FEWEST_FOR_HARM = 20
"""Buckets of both arms from which on a spread between them may stop an arm."""
_DIGITS = 9

Side = dict[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Kept:
    """The sums of one metric and arm so far.

    Attributes:
        candidate, stable: by bucket, numerator and denominator.
        planned: the standard error of the difference foreseen for the end, frozen early; 0 before.
    """

    candidate: UserSums
    stable: UserSums
    planned: float = 0.0


Book = Mapping[tuple[str, str], Kept]
"""By arm and metric."""


def opened(text: str) -> Book:
    """The sums as stored."""
    return {
        (arm, metric): Kept(_side(one["c"]), _side(one["s"]), one["p"])
        for arm, metrics in json.loads(text or "{}").items()
        for metric, one in metrics.items()
    }


def _side(stored: Mapping[str, list[float]]) -> Side:
    return {bucket: (pair[0], pair[1]) for bucket, pair in stored.items()}


def closed(book: Book) -> str:
    """The sums as text for the status."""
    made: dict[str, dict[str, object]] = {}
    for (arm, metric), one in book.items():
        stored = {"c": _short(one.candidate), "s": _short(one.stable), "p": one.planned}
        made.setdefault(arm, {})[metric] = stored
    return json.dumps(made, separators=(",", ":"))


def _short(sums: UserSums) -> dict[str, list[float]]:
    # Whole numbers without their ".0": a bucket costs some ten characters.
    return {bucket: [_number(part) for part in pair] for bucket, pair in sums.items()}


def _number(value: float) -> float:
    return int(value) if value == int(value) else float(f"{value:.{_DIGITS}g}")


def clusters_of(spec: ModelRolloutSpec) -> int:
    """How many clusters the buckets are folded into: fewer, the more metrics are judged by user."""
    judged = sum(metric.buckets is not None for metric in spec.analysis.metrics)
    return min(_MOST_CLUSTERS, MOST_KEPT // max(1, judged))


def _cluster(bucket: str, among: int) -> str:
    """Whole buckets stay together, so that clusters are as independent as buckets are."""
    number = int(bucket) if bucket.isdecimal() else zlib.crc32(bucket.encode())
    return str(number % among)


def added(book: Book, arm: str, look: Look, *, part_of_time: float, among: int) -> Book:
    """The sums after one look.

    Args:
        book: as they were.
        arm: whose look it is.
        look: which came through.
        part_of_time: how much of the test's duration has passed, above 0 and at most 1.
        among: how many clusters the buckets are folded into.
    """
    new = dict(book)
    for metric, pair in look.users.items():
        old = book.get((arm, metric), Kept({}, {}))
        now = Kept(
            _plus(old.candidate, pair.candidate, among=among),
            _plus(old.stable, pair.stable, among=among),
        )
        found = comparison(now)
        foreseen = found.standard_error * part_of_time**0.5 if found else 0.0
        new[arm, metric] = Kept(now.candidate, now.stable, old.planned or foreseen)
    return new


def _plus(old: UserSums, new: UserSums, *, among: int) -> Side:
    made = dict(old)
    for bucket, (total, count) in new.items():
        cluster = _cluster(bucket, among)
        before = made.get(cluster, (0.0, 0.0))
        made[cluster] = (before[0] + total, before[1] + count)
    return made


def without(book: Book, arm: str) -> Book:
    """The sums without those of an arm that begins anew."""
    return {key: one for key, one in book.items() if key[0] != arm}


def comparison(kept: Kept) -> Comparison | None:
    """The arm against stable; None while there are too few buckets."""
    sides = _buckets(kept.candidate), _buckets(kept.stable)
    if sides[0] is None or sides[1] is None:
        return None
    return clusters.compare(candidate=sides[0], stable=sides[1])


def against(one: Kept, other: Kept) -> Comparison | None:
    """Two arms, each by its own users."""
    return comparison(Kept(one.candidate, other.candidate))


def _buckets(sums: UserSums) -> Buckets | None:
    filled = [pair for pair in sums.values() if pair[1] > 0]
    if len(filled) < clusters.FEWEST_BUCKETS:
        return None
    return Buckets(tuple(pair[0] for pair in filled), tuple(pair[1] for pair in filled))


def value(sums: UserSums) -> float | None:
    """The ratio of the sums; None without any."""
    count = sum(pair[1] for pair in sums.values())
    return sum(pair[0] for pair in sums.values()) / count if count else None


def p_better(compared: Comparison, *, better: Better) -> float:
    """One-sided p-value against "not better", by Student's law."""
    if compared.standard_error == 0.0:
        improved = compared.difference > 0 if better is Better.HIGHER else compared.difference < 0
        return 0.0 if improved else 1.0
    t = compared.difference / compared.standard_error
    tail = -t if better is Better.HIGHER else t
    return float(special.stdtr(compared.df, tail))


def harm(spec: ModelRolloutSpec, book: Book, arm: str) -> Reason | None:
    """Why a metric judged by user stops an arm, None when none does."""
    judged = [m for m in spec.analysis.metrics if m.buckets and m.role is not Role.WATCH]
    for metric in judged:
        kept = book.get((arm, metric.name))
        alpha = questions.part_of_error(spec, tries=1)
        if kept is not None and (why := _harm(metric, kept, alpha=alpha)) is not None:
            return why
    return None


def _harm(metric: Metric, kept: Kept, *, alpha: float) -> Reason | None:
    compared, stable = comparison(kept), value(kept.stable)
    enough = min(len(kept.candidate), len(kept.stable)) >= FEWEST_FOR_HARM
    if compared is None or stable is None or not enough or kept.planned <= 0.0:
        return None
    low, high = clusters.interval_any_time(
        compared, planned_error=kept.planned, alpha=min(2.0 * alpha, 0.4)
    )
    worst = -high if metric.better is Better.HIGHER else low  # the least worsening that is left
    if worst <= _tolerated(metric, stable=stable):
        return None
    words = describing.number(stable, is_share=metric.mean is None)
    mine = describing.number(value(kept.candidate) or 0.0, is_share=metric.mean is None)
    return Reason(
        Code.HARM,
        f"{metric.name} {mine} against {words}, by user (difference between {low:.4g} and "
        f"{high:.4g}): worse than stable",
    )


def _tolerated(metric: Metric, *, stable: float) -> float:
    if questions.roll_back_when(metric) is RollBackWhen.WORSE:
        return 0.0
    return margin(questions.margin_of(metric), stable=stable)


def margin(given: Margin, *, stable: float) -> float:
    """The larger of both margins, in the metric's own unit."""
    return max((given.relative or 0.0) * abs(stable), given.absolute or 0.0)
