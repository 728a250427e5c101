"""When to look again at the latest; what the watches tell comes earlier by itself.

An instant named here is always in the future, and the pass made at it gets on: a clock has run
out, or the status is written anew. So no rollout ever keeps the operator busy for nothing.
"""

from modelrollout.api.status import ModelRolloutStatus
from modelrollout.domain import (
    holding,
    looking,
    parking,
    programming,
    refusing,
    shadowing,
    steps,
    ticking,
)
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code
from modelrollout.domain.transitions import Phase

_POLL_S = 2.0
_SLOW_POLL_S = 10.0
_SLOWER_AFTER_S = 60.0
_LEAST_S = 0.05
"""A clock that has run out is met by a pass a little later, never by one at the same instant."""
_TIMED = frozenset({Code.STEP_TIME, Code.PAUSED_BY_PLAN, Code.BAKING})
"""Reasons whose sentence names the time left: alone, they are no news."""


def at(turn: Pass, *, written: ModelRolloutStatus) -> float | None:
    """When something is due, seconds since the epoch; None when only a watch can bring news.

    Args:
        turn: the pass, its clocks at this instant.
        written: the status as it will be stored, its clocks as of the last write.
    """
    if refusing.leaves_traffic(turn):
        return None
    due = _at_rest(turn) if turn.status.rollout is None else _under_way(turn)
    due += shadowing.due(turn)
    if turn.phase is Phase.TESTING:
        due += [*_look(turn), turn.test.clock_at + turn.spec.analysis.interval]
    if written.rollout is not None:
        due.append(beat(written, interval_s=turn.spec.analysis.interval))
    if turn.moves:
        due.append(turn.now)  # what follows a move may be possible at once
    return max(min(due), turn.now + _LEAST_S) if due else None


def beat(status: ModelRolloutStatus, *, interval_s: float) -> float:
    """When the clocks of a rollout under way are written anew, whatever happens."""
    return status.rollout.clock_at + interval_s if status.rollout else 0.0


def is_news(turn: Pass, before: ModelRolloutStatus) -> bool:
    """Whether the status says more than that time has passed: only then it is written."""
    after = turn.status
    if after is before:
        return False
    if after.rollout is None or before.rollout is None or turn.events:
        return after != before
    ticks = after.rollout.clock_at != before.rollout.clock_at
    if ticks and turn.now >= beat(before, interval_s=turn.spec.analysis.interval):
        return True
    if turn.now < before.rollout.clock_at:
        return True  # the clock was set back: until it is written anew, no time would count
    clocks = ("clock_at", "clock_s", "step_clock_s")
    same = {name: getattr(before.rollout, name) for name in clocks}
    changes: dict[str, object] = {"rollout": after.rollout.model_copy(update=same)}
    if turn.waiting is not None and turn.waiting.code in _TIMED and _same_reasons(before, after):
        changes |= {"message": before.message, "conditions": before.conditions}
    return after.model_copy(update=changes) != before


def _same_reasons(before: ModelRolloutStatus, after: ModelRolloutStatus) -> bool:
    said = [
        [(c.type, c.status, c.reason, c.observed_generation) for c in status.conditions]
        for status in (before, after)
    ]
    return said[0] == said[1]


def _at_rest(turn: Pass) -> list[float]:
    decision, due = turn.status.decision, []
    due += _besides(turn)
    if programming.fight(turn) is not None:
        return [*due, turn.now + programming.FIGHT_PAUSE_S]
    if decision.confirmed_at is None and decision.shares:
        due.append(turn.now + _patience(turn))
    candidate = turn.status.candidate
    entry = turn.rejection(candidate) if candidate else None
    is_lifted = entry is not None and entry.lifted
    is_at_the_door = turn.refused is None and refusing.is_at_the_door(turn)
    if is_at_the_door and (turn.phase is Phase.SERVING or is_lifted):
        due.append(turn.now + _POLL_S)
    return due


def _besides(turn: Pass) -> list[float]:
    """What moves on beside traffic: workloads that are parked, autoscalers that are put back."""
    due = [at for at in parking.due(turn, poll_s=_POLL_S) if at > turn.now]
    if holding.minimums(turn):
        due.append(turn.now + _POLL_S)
    return due


def _patience(turn: Pass) -> float:
    """How soon to see whether the routes follow: soon at first, then less and less."""
    waited_s = turn.now - turn.status.decision.at
    return _POLL_S if waited_s < _SLOWER_AFTER_S else _SLOW_POLL_S


def _under_way(turn: Pass) -> list[float]:
    rollout = turn.rollout
    due = _besides(turn)
    if turn.status.decision.confirmed_at is None:
        due.append(turn.now + _patience(turn))
    if rollout.drain_until is not None and rollout.drain_until > turn.now:
        due.append(rollout.drain_until)
    if turn.phase is Phase.STARTING:
        due.append(turn.now + _SLOW_POLL_S)
    if turn.rollout.check is not None:
        due.append(turn.now + _POLL_S)
    return [*due, *_look(turn), *_clock_ends(turn)]


def _look(turn: Pass) -> list[float]:
    """The next look; one that was due by now and did not come waits for the next pass."""
    scrape_s = turn.observed.scrape_interval_s
    at = looking.next_at(turn.spec, turn.status, scrape_interval_s=scrape_s)
    return [at] if at is not None and at > turn.now else []


def _clock_ends(turn: Pass) -> list[float]:
    if not ticking.runs(turn):
        return []
    step, left_s = turn.step(), 0.0
    if turn.phase is Phase.BAKING:
        left_s = turn.spec.bake.duration if turn.spec.bake else 0.0
    elif isinstance(step, steps.CheckStep):
        left_s = step.timeout_s
    elif step is not None:
        left_s = steps.least_s(step)
    left_s -= turn.rollout.step_clock_s
    return [turn.now + left_s + 0.01] if left_s > 0 else []
