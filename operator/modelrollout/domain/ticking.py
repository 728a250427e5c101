"""The clocks of a rollout: what counts as time served, and what does not.

All clocks only ever gain what passed since the status was written last, which is a look ago at
most, and never much more: neither a jump of the clock nor an operator that was away can shorten a
soak, a drain or the time a candidate has to come back.
"""

from modelrollout.domain import splitting
from modelrollout.domain.passing import Pass
from modelrollout.domain.transitions import Phase

_DEADLINE_RUNS = frozenset({Phase.STEPPING})


def tick(turn: Pass) -> None:
    """Advances the clocks to now."""
    rollout = turn.status.rollout
    if rollout is None:
        return
    gap_s = turn.now - rollout.clock_at
    passed_s = min(max(gap_s, 0.0), 1.5 * turn.spec.analysis.interval)
    counts = not _is_frozen(turn) and turn.phase in _DEADLINE_RUNS
    turn.put_rollout(
        clock_at=turn.now,
        clock_s=rollout.clock_s + passed_s * counts,
        step_clock_s=rollout.step_clock_s + passed_s * runs(turn),
    )
    if gap_s != passed_s:
        _shift(turn, by_s=gap_s - passed_s)


def _shift(turn: Pass, *, by_s: float) -> None:
    """What waits for an instant waits as long as before, whatever the clock did."""
    rollout = turn.rollout
    if rollout.drain_until is not None:
        turn.put_rollout(drain_until=rollout.drain_until + by_s)
    if rollout.unready_since is not None:
        turn.put_rollout(unready_since=rollout.unready_since + by_s)


def runs(turn: Pass) -> bool:
    """Whether time counts as served at this step now."""
    return not _is_frozen(turn) and (turn.phase is Phase.STARTING or in_force(turn))


def _is_frozen(turn: Pass) -> bool:
    look = turn.status.look
    is_down = look is not None and look.failures > 0
    is_held = turn.status.paused or turn.refused is not None
    return is_held or is_down or turn.rollout.unready_since is not None


def in_force(turn: Pass) -> bool:
    """The routes follow, and the candidate has the share that its step, or the bake, names."""
    decision, candidate = turn.status.decision, turn.status.candidate
    if decision.confirmed_at is None or candidate is None:
        return False
    return decision.shares.get(candidate.name, 0) >= splitting.intended(turn)
