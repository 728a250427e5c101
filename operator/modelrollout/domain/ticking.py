"""The clocks of a rollout: what counts as time served, and what does not.

Both clocks only ever gain what passed since the last pass, which is a look ago at most, and never
much more: neither a jump of the clock nor an operator that was away can shorten a soak.
"""

from modelrollout.domain.passing import Pass
from modelrollout.domain.transitions import Phase

_DEADLINE_RUNS = frozenset({Phase.STARTING, Phase.STEPPING})


def tick(turn: Pass) -> None:
    """Advances the clocks to now."""
    rollout = turn.status.rollout
    if rollout is None:
        return
    longest_s = 1.5 * turn.spec.analysis.interval
    passed_s = min(max(turn.now - rollout.clock_at, 0.0), longest_s)
    look = turn.status.look
    frozen = turn.status.paused or (look is not None and look.failures > 0)
    phase = Phase(rollout.phase)
    served = phase is Phase.STARTING or _in_force(turn)
    counts = not frozen and rollout.unready_since is None
    turn.put_rollout(
        clock_at=turn.now,
        clock_s=rollout.clock_s + passed_s * (counts and phase in _DEADLINE_RUNS),
        step_clock_s=rollout.step_clock_s + passed_s * (counts and served),
    )


def _in_force(turn: Pass) -> bool:
    """The routes follow, and the candidate has the share that its step names."""
    decision, candidate = turn.status.decision, turn.status.candidate
    if decision.confirmed_at is None or candidate is None:
        return False
    baking = turn.rollout.phase == Phase.BAKING
    return baking or decision.shares.get(candidate.name, 0) >= turn.rollout.share
