"""One request settled: what both sides said becomes its outcome and all that is counted of it.

The core is fed by fronts: they read each side once, settle candidate and control against the
primary, and add the increments to their counters under `pair="candidate"` and `pair="control"`.
"""

import functools
import math
from dataclasses import dataclass
from itertools import chain

from modelrollout.shadow import comparison, increments, outcomes, reading, trouble

Row = comparison.Comparison | None
_REQUESTS = {
    outcome: increments.Count(increments.Metric.REQUESTS, (outcome,))
    for outcome in outcomes.Outcome
}
_VERDICTS = {
    verdict: increments.Count(increments.Metric.COMPARISONS, (verdict,))
    for verdict in increments.Verdict
}


@dataclass(frozen=True, slots=True)
class Settled:
    """One pair of answers.

    Attributes:
        outcome: of the request.
        rows: for each instance of the primary its comparison, None where there is none.
        counted: all that is counted.
        problems: in sentences, for a status; they quote nothing of the answers.
    """

    outcome: outcomes.Outcome
    rows: tuple[Row, ...]
    counted: tuple[increments.Increment, ...]
    problems: tuple[trouble.Problem, ...] = ()


def settle(
    task: comparison.Task[comparison.PredictionT],
    *,
    primary: reading.Read[comparison.PredictionT],
    other: reading.Read[comparison.PredictionT],
) -> Settled:
    """Compare row by row; a row in trouble leaves the others as they are.

    The outcome is that of the first row in trouble, `both_ok` where none is.

    Args:
        task: as it was read with.
        primary: what users got.
        other: what the candidate, or the control, said.
    """
    if isinstance(primary, trouble.Problem) or isinstance(other, trouble.Problem):
        return _unreadable(primary, other)
    if len(primary) != len(other):
        return _unreadable(primary, _uneven(len(primary), len(other)))
    rows = [_row(task, a, b) for a, b in zip(primary, other, strict=True)]
    ends = (row.outcome for row in rows if row.outcome is not outcomes.Outcome.BOTH_OK)
    outcome = next(ends, outcomes.Outcome.BOTH_OK)
    return Settled(
        outcome=outcome,
        rows=tuple(chain.from_iterable(row.rows for row in rows)),
        counted=(
            _REQUESTS[outcome],
            *chain.from_iterable(row.counted for row in rows),
        ),
        problems=tuple(chain.from_iterable(row.problems for row in rows)),
    )


def _unreadable(primary: object, other: object) -> Settled:
    """One whole answer is in trouble; no row can be compared."""
    ended = _ended(primary, other)
    rows = len(primary) if isinstance(primary, tuple) else 0
    return Settled(
        ended.outcome, (None,) * rows, (_REQUESTS[ended.outcome], *ended.counted), ended.problems
    )


def _ended(primary: object, other: object) -> Settled:
    sides = ((increments.Side.PRIMARY, primary), (increments.Side.CANDIDATE, other))
    troubled = [(side, said) for side, said in sides if isinstance(said, trouble.Problem)]
    kinds = {side: said.kind for side, said in troubled}
    return Settled(
        outcome=outcomes.of(
            primary=kinds.get(increments.Side.PRIMARY),
            candidate=kinds.get(increments.Side.CANDIDATE),
        ),
        rows=(None,),
        counted=tuple(
            increments.Count(increments.Metric.TROUBLES, (side, kind))
            for side, kind in kinds.items()
        ),
        problems=tuple(said for _, said in troubled),
    )


def _uneven(expected: int, found: int) -> trouble.Problem:
    return trouble.Problem(
        trouble.Trouble.SCHEMA, f"expected {expected} instances as in the primary, found {found}"
    )


def _row(
    task: comparison.Task[comparison.PredictionT],
    a: comparison.PredictionT | trouble.Problem,
    b: comparison.PredictionT | trouble.Problem,
) -> Settled:
    if isinstance(a, trouble.Problem) or isinstance(b, trouble.Problem):
        return _both_nan(_ended(a, b))
    try:
        compared = task.compare(a, b)
    except trouble.UnreadableError as unreadable:
        return _ended(a, unreadable.problem)
    return Settled(outcomes.Outcome.BOTH_OK, (compared,), _counted(compared))


def _both_nan(ended: Settled) -> Settled:
    """NaN equals NaN: a match, and counted as trouble of both sides."""
    if ended.outcome is not outcomes.Outcome.BOTH_NAN:
        return ended
    same = comparison.Comparison(increments.Verdict.MATCH, 0.0)
    return Settled(ended.outcome, (same,), (*ended.counted, *_counted(same)), ended.problems)


def _counted(compared: comparison.Comparison) -> tuple[increments.Increment, ...]:
    return (_VERDICTS[compared.verdict], *compared.counted)


def durations(
    *, primary_s: float | None, candidate_s: float | None, limits_s: tuple[float, ...] = ()
) -> tuple[increments.Increment, ...]:
    """Both durations as the front saw them, in seconds, and their difference within the pair.

    Args:
        primary_s: None where the front did not see it.
        candidate_s: infinity for one that never answered: it belongs into the last bucket, a
            timeout that is left out flatters. None where it was not sent.
        limits_s: edges of their own for configured limits, so that "share under it" is exact.
    """
    edges = _edges(limits_s)
    given = {increments.Side.PRIMARY: primary_s, increments.Side.CANDIDATE: candidate_s}
    seen = {side: value for side, value in given.items() if value is not None and value >= 0.0}
    observed = tuple(
        increments.Observation(increments.Metric.DURATION, (side,), value, edges)
        for side, value in seen.items()
    )
    if len(seen) < len(given) or not all(map(math.isfinite, seen.values())):
        return observed
    primary, candidate = seen.values()
    return (*observed, *increments.shift("seconds", primary=primary, candidate=candidate))


@functools.lru_cache(maxsize=64)
def _edges(limits_s: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sorted({*increments.DURATIONS_S, *limits_s}))
