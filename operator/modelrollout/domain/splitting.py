"""The split that the present state means, and how far the candidate's ready pods carry it."""

from modelrollout.api import scalars
from modelrollout.domain.passing import Pass, phase_of
from modelrollout.domain.transitions import Phase

_UNDER_WAY = frozenset({Phase.STARTING, Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED})


def shares(turn: Pass) -> dict[str, int]:
    """The split that the present state means, in parts of ten thousand per version."""
    stable, candidate, rollout = turn.status.stable, turn.status.candidate, turn.status.rollout
    if stable is None:
        return {}
    phase = phase_of(turn.status)
    if phase is Phase.BAKING and turn.status.previous is not None:
        previous, usable = turn.status.previous.name, can_hold_back(turn)
        if rollout is not None and rollout.unready_since is not None:
            return {previous: scalars.PARTS}
        share = min(intended(turn), ceiling(turn)) if usable else scalars.PARTS
        return {stable.name: share, previous: scalars.PARTS - share}
    if phase not in _UNDER_WAY or candidate is None or rollout is None:
        return {stable.name: scalars.PARTS}
    share = 0 if rollout.unready_since is not None else min(rollout.share, ceiling(turn))
    return {stable.name: scalars.PARTS - share, candidate.name: share}


def intended(turn: Pass) -> int:
    """The candidate's share as the step, or the bake, means it, in parts of ten thousand."""
    if turn.phase is not Phase.BAKING:
        return turn.rollout.share
    held = turn.spec.bake.holdback if turn.spec.bake and can_hold_back(turn) else 0
    return scalars.PARTS - held


def can_hold_back(turn: Pass) -> bool:
    """In a bake: the old version is still listed and ready, so that users may stay on it."""
    previous = turn.status.previous
    if previous is None or turn.written(previous.name) is None:
        return False
    return turn.seen(previous.name).ready > 0


def is_compared(turn: Pass) -> bool:
    """In a bake: users stay on the old version, as the control that metrics need."""
    return intended(turn) < scalars.PARTS


def ceiling(turn: Pass) -> int:
    """The highest share the candidate's ready pods allow: its weight never rises above it."""
    if turn.status.candidate is None:
        return 0
    seen = turn.seen(turn.status.candidate.name)
    present = turn.status.decision.shares.get(turn.status.candidate.name, 0)
    wanted = max(seen.wanted or 0, seen.ready)
    ready = scalars.PARTS * seen.ready // wanted if wanted else 0
    return max(present, ready) if seen.ready else 0
