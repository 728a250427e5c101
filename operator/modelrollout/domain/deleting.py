"""A rollout that is deleted: traffic to stable first, bounded in time; then the object may go."""

from modelrollout.api import scalars
from modelrollout.api.status import Decision, ModelRolloutStatus
from modelrollout.domain import conditions, holding, parking, programming, refusing
from modelrollout.domain.observed import Observed
from modelrollout.domain.passing import Pass
from modelrollout.domain.planned import Plan
from modelrollout.domain.reasons import Code, Reason
from modelrollout.domain.transitions import Phase, Trigger

LONGEST_S = 120.0
"""How long a deletion waits for its traffic to return at most."""
_POLL_S = 2.0


def terminate(turn: Pass) -> Plan:
    """The plan for a rollout whose spec can be read."""
    before, copies = turn.status, bool(turn.status.decision.tee)
    if turn.phase is not Phase.TERMINATING:
        turn.move(Trigger.DELETE)
        turn.put(phase=Phase.TERMINATING.value, message="traffic returns to stable", previous=None)
        turn.tell(Code.DELETING, _told(turn.status))
        turn.put(decision=_returned(turn.now, turn.status))
    # A route that still copies requests is written once more: nobody would do so afterwards.
    gone = not copies and _may_go(turn.now, turn.status, turn.observed) and _let_go(turn)
    turn.put(held=[] if holding.is_at_rest(turn) else turn.status.held)
    conditions.renew(turn)
    decision, stable = turn.status.decision, turn.status.stable
    return Plan(
        status=before if turn.status == before else turn.status,
        shares=decision.shares or None,
        stable=stable.name if stable else "",
        scales=parking.scales(turn),
        minimums=holding.minimums(turn),
        finalizer=not gone,
        delete_route=gone and turn.spec.deletion_policy == "Delete",
        events=tuple(turn.events),
        moves=tuple(turn.moves),
        wake_at=turn.now + _POLL_S,
    )


def _told(status: ModelRolloutStatus) -> str:
    if status.stable is None:
        return "deleted before any version served: nothing is moved"
    return f"deleted: traffic returns to {status.stable}"


def unreadable(now: float, status: ModelRolloutStatus, reason: Reason, observed: Observed) -> Plan:
    """The plan for a rollout whose spec cannot be read: its status is enough to return traffic."""
    refused = refusing.unreadable(now, status, reason, observed)
    after = refused.status
    if after.phase != Phase.TERMINATING:
        changes = {"phase": Phase.TERMINATING.value, "decision": _returned(now, after)}
        after = after.model_copy(update=changes | {"previous": None})
    return Plan(
        status=after,
        shares=after.decision.shares or None,
        stable=after.stable.name if after.stable else "",
        finalizer=not _may_go(now, after, observed),
        events=refused.events,
        wake_at=now + _POLL_S,
    )


def _returned(now: float, status: ModelRolloutStatus) -> Decision:
    """The split at the end; its instant is that from which the wait is bounded."""
    old = status.decision
    if status.stable is None:
        return old.model_copy(update={"at": now})
    shares = {status.stable.name: scalars.PARTS}
    if shares == old.shares and not old.preview and not old.tee:
        return old.model_copy(update={"at": now})
    return Decision(sequence=old.sequence + 1, shares=shares, at=now)


def _let_go(turn: Pass) -> bool:
    """Autoscalers have their own minimum again, or there was time enough to give it back."""
    may_be_held = turn.observed.may_hold and not holding.is_at_rest(turn)
    return not may_be_held or turn.now - turn.status.decision.at > LONGEST_S


def _may_go(now: float, status: ModelRolloutStatus, observed: Observed) -> bool:
    decision, seen = status.decision, observed.traffic
    if not decision.shares or not seen.exists:
        return True
    agrees = programming.agrees(seen.shares, decision.shares) and not seen.preview
    has_returned = agrees and seen.programmed
    return has_returned or now - decision.at > LONGEST_S
