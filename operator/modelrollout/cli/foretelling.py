"""A foreseen rollout as people read it, and as programs do."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from modelrollout.api import scalars
from modelrollout.cli import forecasting
from modelrollout.cli.forecasting import Outlook, Plan, Trial
from modelrollout.domain import describing
from modelrollout.domain.steps import PauseStep
from modelrollout.planning.simulating import Simulated

UNLIKELY = 0.8
"""A healthy candidate that is promoted less often than this by the deadline is worth a warning."""


def text(plan: Plan) -> str:
    """The steps, a table for each metric and what follows from it; ends in a newline."""
    lines = [*_steps(plan), *plan.asks]
    for outlook in plan.outlooks:
        lines += ["", *_outlook(plan, outlook)]
    return "\n".join(lines) + "\n"


def _steps(plan: Plan) -> list[str]:
    bake = f"bake for {scalars.duration(plan.bake_s)}" if plan.bake_s else ""
    people = sum(isinstance(step, PauseStep) and step.approval for step in plan.steps)
    waits = f", and {people} approval{'s' if people > 1 else ''}" if people else ""
    return [
        f"to {plan.target} in {len(plan.steps)} steps:",
        *(f"  {at}. {step}" for at, step in enumerate(plan.steps, start=1)),
        *([f"  {len(plan.steps) + 1}. {bake}"] if bake else []),
        f"at least {scalars.duration(forecasting.least_s(plan.steps))} until the promotion{waits}",
    ]


def _outlook(plan: Plan, outlook: Outlook) -> list[str]:
    stable = describing.number(outlook.stable, is_share=outlook.is_share)
    forecast = outlook.forecast
    return [
        f"{outlook.metric}, {stable} on stable:",
        *_table(plan, outlook),
        f"{outlook.metric}: {forecast.sentence}",
        *_chances(plan, outlook),
        *(_trial(outlook, outlook.trial) if outlook.trial else []),
        *_warnings(plan, outlook),
    ]


def _table(plan: Plan, outlook: Outlook) -> Iterator[str]:
    head = ("weight", "length", f"requests to {plan.target}", "seen with 80 % by its end")
    rows = [head]
    for row, size in zip(plan.rows, outlook.smallest.by_step, strict=True):
        rows.append(
            (
                scalars.percent(row.share),
                scalars.duration(row.least_s),
                f"{row.candidate_requests:,.0f}",
                _size(outlook, size),
            )
        )
    left_s = plan.deadline_s - sum(row.least_s for row in plan.rows)
    if left_s > 0 and plan.rows:
        last = plan.rows[-1]
        more = last.candidate_per_s * left_s
        rows.append(
            (
                scalars.percent(last.share),
                f"+ {scalars.duration(left_s)}",
                f"{more:,.0f}",
                f"{_size(outlook, outlook.smallest.by_deadline)} (if held until the deadline)",
            )
        )
    widths = [max(len(line[at]) for line in rows) for at in range(3)]
    for *cells, seen in rows:
        padded = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
        yield "  " + "  ".join([*padded, seen]).rstrip()


def _size(outlook: Outlook, size: float | None) -> str:
    if size is None:
        return "no regression at all"
    worse = describing.number(size, is_share=outlook.is_share)
    if not outlook.is_share or outlook.stable <= 0:
        return f"worse by {worse}"
    return f"worse by {worse} ({size / outlook.stable + 1:.3g} times)"


def _chances(plan: Plan, outlook: Outlook) -> Iterator[str]:
    within = scalars.duration(plan.deadline_s)
    yield f"  promoted within {within} if healthy: {_percent(outlook.promoted)} of rollouts"
    if outlook.course is not None and outlook.seen is not None:
        met = outlook.course.harmed_requests
        yield f"  {_size(outlook, outlook.seen)}: about {met:,.0f} requests meet it"


def _trial(outlook: Outlook, trial: Trial) -> Iterator[str]:
    healthy = trial.healthy
    half = (
        f", half of them within {scalars.duration(round(healthy.median_s))}"
        if healthy.median_s is not None
        else ""
    )
    yield (
        f"  simulated, {healthy.runs} rollouts, each share to {_percent(2 * healthy.error)}: "
        f"{_percent(healthy.promoted)} of healthy ones promoted{half}, "
        f"{_percent(healthy.caught)} rolled back"
    )
    if trial.harmful is not None:
        yield (
            f"  simulated, {_size(outlook, trial.worse_by)}: {_percent(trial.harmful.caught)} "
            f"rolled back, {_percent(trial.harmful.caught_by_step[-1])} by the end of the steps, "
            f"{_percent(trial.harmful.promoted)} promoted, "
            f"{trial.harmful.candidate_requests:,.0f} requests meet it"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _warnings(plan: Plan, outlook: Outlook) -> Iterator[str]:
    if not outlook.forecast.answerable or outlook.promoted < UNLIKELY:
        within = scalars.duration(plan.deadline_s)
        yield (
            f"  warning: the question cannot be answered in the {within} given, at this traffic: "
            f"tolerate a larger margin, give {plan.target} a larger share, or allow more time"
        )
    if outlook.seen is None:
        yield "  warning: no regression of this metric would be caught by the evidence"


def as_json(plan: Plan) -> str:
    """One object: `target`, `steps`, `leastSeconds`, `deadlineSeconds`, `metrics`, `missing`."""
    found = {
        "target": plan.target,
        "steps": [str(step) for step in plan.steps],
        "leastSeconds": forecasting.least_s(plan.steps),
        "deadlineSeconds": plan.deadline_s,
        "weights": [
            {
                "weight": scalars.percent(row.share),
                "seconds": row.least_s,
                "candidateRequests": row.candidate_requests,
            }
            for row in plan.rows
        ],
        "metrics": {outlook.metric: _as_object(outlook) for outlook in plan.outlooks},
        "missing": list(plan.asks),
    }
    return json.dumps(found, indent=2) + "\n"


def _as_object(outlook: Outlook) -> Mapping[str, Any]:
    course, trial = outlook.course, outlook.trial
    return {
        "stable": outlook.stable,
        "smallestSeenByStep": list(outlook.smallest.by_step),
        "smallestSeenByDeadline": outlook.smallest.by_deadline,
        "requestsThatMeetIt": course.harmed_requests if course else None,
        "healthySeconds": outlook.forecast.seconds,
        "healthyTypicalSeconds": outlook.forecast.typical_s,
        "healthyCandidateRequests": outlook.forecast.candidate_requests,
        "healthyPromotedByDeadline": outlook.promoted,
        "answerable": outlook.forecast.answerable,
        "sentence": outlook.forecast.sentence,
        **({"simulated": _tried(trial)} if trial else {}),
    }


def _tried(trial: Trial) -> Mapping[str, Any]:
    return {
        "healthy": _simulated(trial.healthy),
        "worseBy": trial.worse_by,
        "harmful": _simulated(trial.harmful) if trial.harmful else None,
    }


def _simulated(found: Simulated) -> Mapping[str, Any]:
    return {
        "runs": found.runs,
        "caughtByStep": list(found.caught_by_step),
        "caught": found.caught,
        "promoted": found.promoted,
        "candidateRequests": found.candidate_requests,
        "medianSeconds": found.median_s,
    }
