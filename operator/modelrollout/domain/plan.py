"""`plan`: everything that follows from what is wanted, remembered and seen, at one instant.

The order of a pass: believe the status or not, follow deletion, check what the resource refers to,
find out who serves, follow target and revisions, advance the clocks, confirm the routes, then let
the phase act. The outcome is one value; the edge persists its status first and acts afterwards.
"""

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain import (
    answering,
    checking,
    conditions,
    deleting,
    ending,
    guarding,
    holding,
    parking,
    previewing,
    programming,
    refusing,
    shadowing,
    splitting,
    stepping,
    summarising,
    targeting,
    ticking,
    waking,
)
from modelrollout.domain.ab_testing import following
from modelrollout.domain.ab_testing import running as ab_testing
from modelrollout.domain.observed import Observed
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.planned import Plan
from modelrollout.domain.reasons import Reason
from modelrollout.domain.transitions import Phase


def plan(
    now: float, spec: ModelRolloutSpec, status: ModelRolloutStatus, observed: Observed
) -> Plan:
    """Decides everything for one rollout at one instant. Pure: no clock, no randomness, no I/O.

    Args:
        now: seconds since the epoch.
        spec: what is wanted, its preset already merged into its metrics.
        status: what is remembered, as stored.
        observed: what is seen.

    Returns:
        The new status, the desired split, what to tell and when to look again.
    """
    if (plan_of_newer := refusing.newer(status)) is not None:
        return plan_of_newer
    turn = Pass(now, spec, observed, status)
    targeting.restore(turn)
    if observed.deleting:
        return deleting.terminate(turn)
    turn.refused = refusing.unacceptable(turn)
    if not refusing.leaves_traffic(turn):
        _pursue(turn)
    parking.follow(turn)
    holding.follow(turn)
    return _planned(turn, status)


def refuse(now: float, status: ModelRolloutStatus, reason: Reason, observed: Observed) -> Plan:
    """The plan for a resource that cannot be understood: it says so, and traffic stays.

    Args:
        now: seconds since the epoch.
        status: what is remembered.
        reason: what is wrong and what to change.
        observed: what is seen.
    """
    if (plan_of_newer := refusing.newer(status)) is not None:
        return plan_of_newer
    if observed.deleting:
        return deleting.unreadable(now, status, reason, observed)
    return refusing.unreadable(now, status, reason, observed)


def _pursue(turn: Pass) -> None:
    targeting.adopt(turn)
    ticking.tick(turn)
    following.follow(turn)
    targeting.follow(turn)
    programming.follow(turn)
    shadowing.follow(turn)
    guarding.alert_stable(turn)
    match phase_of(turn.status):
        case Phase.TESTING:
            answering.answer(turn)
            if phase_of(turn.status) is Phase.TESTING:
                ab_testing.under_way(turn)
        case Phase.STARTING:
            answering.answer(turn)
            if phase_of(turn.status) is Phase.STARTING:
                stepping.start(turn)
        case Phase.STEPPING | Phase.WAITING | Phase.UNDECIDED | Phase.BAKING:
            stepping.under_way(turn)
        case Phase.DRAINING:
            answering.answer(turn)
            _drain(turn)
        case Phase.SERVING | Phase.ROLLED_BACK | Phase.PENDING | Phase.TERMINATING:
            answering.answer(turn)
    if turn.phase is Phase.BAKING and stepping.bake_is_over(turn):
        summarising.rows(turn)
        ending.finish(turn)
    is_test = turn.phase is Phase.TESTING
    shares = ab_testing.shares(turn) if is_test else splitting.shares(turn)
    turn.put_shares(shares, preview=previewing.wanted(turn), tee=shadowing.tee(turn))


def _drain(turn: Pass) -> None:
    until = turn.rollout.drain_until or 0.0
    if turn.now >= until and turn.status.decision.confirmed_at is not None:
        ending.drained(turn)


def _planned(turn: Pass, before: ModelRolloutStatus) -> Plan:
    leave = refusing.leaves_traffic(turn) or _between_fights(turn)
    turn.close_book()
    summarising.renew(turn)
    conditions.renew(turn)
    if turn.refused is not None:
        refusing.tell(turn, turn.refused)
    decision = turn.status.decision
    status = turn.status if waking.is_news(turn, before) else before
    return Plan(
        status=status,
        shares=None if leave or not decision.shares else decision.shares,
        stable=turn.status.stable.name if turn.status.stable else "",
        preview=decision.preview,
        tee=(decision.tee, decision.tee_parts) if decision.tee else None,
        observing=shadowing.observing(turn),
        observer_gone=shadowing.is_left_over(turn),
        jobs=checking.jobs(turn),
        scales=parking.scales(turn),
        minimums=holding.minimums(turn),
        finalizer=_finalizer(turn),
        events=tuple(turn.events),
        moves=tuple(turn.moves),
        wake_at=waking.at(turn, written=status),
    )


def _finalizer(turn: Pass) -> bool:
    """While traffic differs from rest, or may still do so, a deletion must wait for us."""
    decision = turn.status.decision
    returning = decision.confirmed_at is None and decision.sequence > 1
    under_way = turn.status.rollout is not None or turn.phase is Phase.TESTING
    is_busy = under_way or returning or bool(turn.status.held or decision.tee)
    return is_busy or turn.spec.deletion_policy == "Delete"


def _between_fights(turn: Pass) -> bool:
    writer = turn.status.writer
    if writer is None or programming.fight(turn) is None:
        return False
    return turn.now - writer.last_at < programming.FIGHT_PAUSE_S
