"""Why no step may advance now: everything that holds a rollout, in order of importance."""

from dataclasses import replace
from typing import assert_never

from modelrollout.api import scalars
from modelrollout.domain import (
    answering,
    checking,
    describing,
    guarding,
    previewing,
    programming,
    ramping,
    shadowing,
    splitting,
    steps,
)
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.steps import (
    CheckStep,
    PauseStep,
    PreviewStep,
    ShadowStep,
    WeightStep,
)
from modelrollout.domain.transitions import Phase
from modelrollout.domain.weighing import Weighed


def blocked(turn: Pass, weighed: Weighed) -> tuple[Reason, ...]:
    """Every reason why no step may advance now, in order of importance."""
    reasons = [
        turn.refused,
        paused(turn),
        guarding.stable_trouble(turn),
        _unready(turn),
        programming.trouble(turn),
        _capacity(turn),
        source(turn),
        _missing(turn, weighed),
        Reason(Code.SPLIT_CONTRADICTS, weighed.split_leans) if weighed.split_leans else None,
        describing.loud(weighed),
        _time(turn),
        ramping.held(turn),
    ]
    return tuple(reason for reason in reasons if reason is not None)


def paused(turn: Pass) -> Reason | None:
    """The pause by a person, if one is in force."""
    if not turn.status.paused:
        return None
    return Reason(Code.PAUSED_BY_USER, "paused by a person; resume to go on")


def _missing(turn: Pass, weighed: Weighed) -> Reason | None:
    alone = turn.phase is Phase.BAKING and not splitting.is_compared(turn)
    if alone or turn.rollout.share == 0:
        return None  # only one version has users, so no metric can have data of both
    if (missing := describing.missing(turn.book(), weighed)) is not None:
        return missing
    is_seen = turn.book().looked > 0 or not turn.spec.analysis.metrics
    return None if is_seen else Reason(Code.NO_DATA, "no look has been taken at this weight yet")


def _unready(turn: Pass) -> Reason | None:
    if turn.rollout.unready_since is None:
        return None
    return Reason(Code.NO_ENDPOINTS, "the candidate has no ready endpoint; its weight is 0")


def _capacity(turn: Pass) -> Reason | None:
    allowed, wanted = splitting.ceiling(turn), splitting.intended(turn)
    if turn.phase is not Phase.BAKING and not steps.compares(turn.steps()):
        wanted = scalars.PARTS  # the next share is all of them
    if turn.phase is Phase.BAKING and not splitting.can_hold_back(turn):
        return None
    if allowed >= wanted:
        return None
    candidate, _ = guarding.arms(turn)
    return Reason(
        Code.CAPACITY,
        f"the candidate has {candidate.ready} of {candidate.wanted} pods ready, which allows "
        f"{scalars.percent(allowed)} of {scalars.percent(wanted)}",
    )


def source(turn: Pass) -> Reason | None:
    """Why the metric source keeps time from counting, None while it answers."""
    seen, status = turn.observed.look, turn.status.look
    if seen is not None and seen.down is not None:
        return seen.down
    if status is not None and status.failures > 0:
        return Reason(
            Code.SOURCE_DOWN,
            f"the metric source has not answered for {status.failures} looks; "
            "the next look covers the gap",
        )
    return None


def _time(turn: Pass) -> Reason | None:
    if turn.refused is not None:
        return None
    if turn.phase is Phase.BAKING:
        return _bake(turn)
    return _of_step(turn, turn.step() or _between(turn))


def _of_step(turn: Pass, step: steps.Step) -> Reason | None:
    match step:
        case PauseStep():
            if step.approval and not turn.rollout.approved:
                return _approval(turn)
            return _left(turn, step.duration_s, Code.PAUSED_BY_PLAN, "the pause")
        case WeightStep():
            return _left(turn, step.min_duration_s, Code.STEP_TIME, "the step")
        case PreviewStep():
            return None  # served once the routes follow, which is a reason of its own
        case CheckStep():
            return checking.held(turn, step)
        case ShadowStep():
            return shadowing.held(turn, step)
        case _:
            assert_never(step)


def _left(turn: Pass, length_s: float, code: Code, what: str) -> Reason | None:
    left_s = length_s - turn.rollout.step_clock_s
    if turn.phase is Phase.UNDECIDED or left_s <= 0:
        return None
    return Reason(code, f"{what} needs another {scalars.duration(max(left_s, 1.0))}")


def _approval(turn: Pass) -> Reason:
    words, shown = answering.expected_approval(turn), previewing.address(turn)
    where = f"; the new version is at {shown}" if shown else ""
    return Reason(Code.AWAITING_APPROVAL, f"waits for an approval with '{words}'{where}")


def _between(turn: Pass) -> steps.Step:
    """The step that an edit left behind: the present share, as long as its neighbour."""
    known = [step for step in turn.steps() if isinstance(step, WeightStep)]
    if not known:
        return PauseStep(turn.rollout.share, 0.0, approval=False)
    return replace(known[0], share=turn.rollout.share)


def _bake(turn: Pass) -> Reason:
    length_s = turn.spec.bake.duration if turn.spec.bake else 0.0
    left_s = max(length_s - turn.rollout.step_clock_s, 1.0)
    control = turn.status.previous.name if turn.status.previous else ""
    held = scalars.percent(scalars.PARTS - splitting.intended(turn))
    how = (
        f"{held} of the users stay on {control} as the control"
        if splitting.is_compared(turn)
        else "no users stay on the old version: observational, only absolute limits and readiness "
        "are watched"
    )
    return Reason(
        Code.BAKING,
        f"{turn.status.stable} is watched for another {scalars.duration(left_s)}; {how}",
    )
