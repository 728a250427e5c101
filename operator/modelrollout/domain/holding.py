"""The autoscaler of the version that serves: its minimum is held while a rollout takes its load.

An autoscaler sees load move to the candidate and would take away what a rollback needs. Its minimum
is held at the pods that were ready at the start. What it was is noted on the autoscaler by the very
write that changes it, so that no crash and no lost status ever loses it.
"""

from typing import Final

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain.observed import AutoscalerSeen
from modelrollout.domain.passing import Pass
from modelrollout.domain.planned import Minimum
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase

SHRINKS: Final = "StableMayShrink"
"""The condition that is there while stable may lose pods during a rollout."""


def concerns(spec: ModelRolloutSpec, status: ModelRolloutStatus) -> bool:
    """Whether autoscalers must be looked at in this pass.

    Where none was found to matter by the start, none is asked for in every look.
    """
    moves = status.stable is None or status.stable.name != spec.target
    starts = moves if status.rollout is None else status.rollout.phase == Phase.STARTING
    shrinks = any(condition.type == SHRINKS for condition in status.conditions)
    test = status.ab_test
    starts = starts or (test is not None and test.running and test.clock_s == 0.0)
    return starts or bool(status.held) or shrinks or spec.capacity == "ParkOld"


def follow(turn: Pass) -> None:
    """Notes which autoscalers are held, and tells once where none can be."""
    if turn.observed.autoscalers is None:
        return
    changed = {one.version for one in minimums(turn) if one.original is not None}
    noted = {n for n, seen in turn.observed.autoscalers.items() if seen.original is not None}
    held = sorted(changed | noted)
    if held != turn.status.held:
        turn.put(held=held)
    if (reason := may_shrink(turn)) is not None and not _is_known(turn):
        turn.tell(reason.code, reason.sentence, warning=True)


def _is_known(turn: Pass) -> bool:
    return any(condition.type == SHRINKS for condition in turn.status.conditions)


def _version(turn: Pass) -> str:
    """The version that would take all traffic back; "" while no rollout is under way."""
    back = turn.status.previous or turn.status.stable
    if turn.phase is Phase.TERMINATING or back is None or not _needed(turn):
        return ""
    return back.name


def _needed(turn: Pass) -> int:
    """The pods that were ready at the start of the rollout or A/B test; 0 at rest."""
    if turn.status.rollout is not None:
        return turn.rollout.minimum
    if turn.phase is not Phase.TESTING:
        return 0
    return max((arm.rollout.minimum for arm in turn.test.arms), default=0)


def minimums(turn: Pass) -> tuple[Minimum, ...]:
    """The autoscalers that are not as they should be, held or put back."""
    if not turn.observed.may_hold:
        return ()
    found = (_wanted(turn, *pair) for pair in (turn.observed.autoscalers or {}).items())
    return tuple(one for one in found if one is not None)


def _wanted(turn: Pass, version: str, seen: AutoscalerSeen) -> Minimum | None:
    own, count = _own(seen), _count(turn, version, seen)
    if count > own:
        is_so = seen.minimum == count and seen.original == own
        return None if is_so else Minimum(seen.name, version, count, own, seen.edition)
    if seen.original is None:
        return None
    return Minimum(seen.name, version, own, None, seen.edition)


def _own(seen: AutoscalerSeen) -> int:
    """The minimum as its owner wants it: what somebody wrote meanwhile counts."""
    if seen.original is None:
        return seen.minimum
    return seen.original if seen.minimum in {seen.original, seen.held} else seen.minimum


def _count(turn: Pass, version: str, seen: AutoscalerSeen) -> int:
    """The minimum that the rollout needs, 0 where it needs none."""
    return min(_needed(turn), seen.maximum) if version == _version(turn) else 0


def may_shrink(turn: Pass) -> Reason | None:
    """Why the version that serves may lose pods during the rollout, None when it cannot."""
    version = _version(turn)
    seen = (turn.observed.autoscalers or {}).get(version)
    if seen is None or turn.observed.may_hold or _count(turn, version, seen) <= seen.minimum:
        return None
    return Reason(
        Code.STABLE_MAY_SHRINK,
        f"the HorizontalPodAutoscaler {seen.name} may take {version} from "
        f"{_needed(turn)} pods down to {seen.minimum} while its load moves away, and the "
        "operator has no right to hold it: set `capacity.holdAutoscalers` in its chart, or "
        "raise minReplicas for the rollout",
    )


def is_at_rest(turn: Pass) -> bool:
    """Whether no autoscaler is held any more, as far as is seen."""
    return not any(seen.original is not None for seen in (turn.observed.autoscalers or {}).values())
