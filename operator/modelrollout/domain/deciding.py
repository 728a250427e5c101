"""The decision: what to do about all the evidence, and why.

`decide` is the one place where a rollback, a step forward or a promotion is decided. It weighs a
`Case` in a fixed order: harm before anything, promotion before the deadline, and a hold with its
reason where nothing else applies. Missing data never counts for or against a candidate: it only
holds.
"""

from dataclasses import dataclass
from enum import StrEnum

from modelrollout.api.spec import OnInconclusive
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase


class Verb(StrEnum):
    """What the operator does."""

    HOLD = "Hold"
    ADVANCE = "Advance"
    PROMOTE = "Promote"
    ROLL_BACK = "RollBack"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and the reason that is told everywhere."""

    verb: Verb
    reason: Reason


COMPLETE = Reason(Code.EVIDENCE_COMPLETE, "every guardrail holds its margin and every goal is met")


@dataclass(frozen=True, slots=True)
class Case:
    """All that a decision weighs.

    Attributes:
        phase: where the rollout stands.
        crash: a hard guard that fired (crash loop, OOM kills, endpoints lost for too long).
        harm: statistical harm that reached its threshold.
        stable_trouble: why stable could not take the traffic back, None when it can.
        blocked: why no step may advance now (data, split, capacity, evidence of harm, time), in
            order of importance; empty when one may.
        last_step: no step is left but the promotion.
        unproven: what is missing for a promotion; None when every guardrail is shown to be not
            worse and every goal better.
        proven: why the promotion is due where nothing is missing.
        deadline_passed: the time given is used up.
        on_inconclusive: what the user wants then.
        near_enough: every bound is under twice its margin.
    """

    phase: Phase
    crash: Reason | None = None
    harm: Reason | None = None
    stable_trouble: Reason | None = None
    blocked: tuple[Reason, ...] = ()
    last_step: bool = False
    unproven: Reason | None = None
    proven: Reason = COMPLETE
    deadline_passed: bool = False
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    near_enough: bool = False


def decide(case: Case) -> Decision:
    """What to do in this case, and why."""
    if (danger := case.crash or case.harm) is not None:
        return _back(case, danger)
    if case.phase is Phase.BAKING:
        return _hold(case)
    if not case.blocked and case.last_step and case.unproven is None:
        return Decision(Verb.PROMOTE, case.proven)
    if case.deadline_passed and case.phase is Phase.STEPPING:
        return _at_deadline(case)
    if not case.blocked and not case.last_step and case.phase is not Phase.UNDECIDED:
        return Decision(Verb.ADVANCE, Reason(Code.STEP_ADVANCED, "the step has been served"))
    return _hold(case)


def _back(case: Case, reason: Reason) -> Decision:
    """Back to stable, unless stable cannot take the traffic: no blind return."""
    if case.stable_trouble is not None:
        return Decision(Verb.HOLD, case.stable_trouble)
    return Decision(Verb.ROLL_BACK, reason)


def _at_deadline(case: Case) -> Decision:
    missing = (*case.blocked, *((case.unproven,) if case.unproven else ()))
    why = missing[0].sentence if missing else "no step is left in the time given"
    reason = Reason(Code.INCONCLUSIVE, f"the deadline has passed undecided: {why}")
    match case.on_inconclusive:
        case OnInconclusive.ROLL_BACK:
            return _back(case, reason)
        case OnInconclusive.PROMOTE:
            is_near = case.near_enough and not case.blocked
            return Decision(Verb.PROMOTE if is_near else Verb.HOLD, reason)
        case OnInconclusive.HOLD:
            return Decision(Verb.HOLD, reason)


def _hold(case: Case) -> Decision:
    if case.blocked:
        return Decision(Verb.HOLD, case.blocked[0])
    if case.phase is Phase.BAKING:
        return Decision(Verb.HOLD, Reason(Code.BAKING, "nothing speaks against the new version"))
    return Decision(
        Verb.HOLD, case.unproven or Reason(Code.UNDECIDED, "the evidence is not complete yet")
    )
