"""How a rollout ends: the promotion, and every way back to stable.

All ways back go through the same door (`end`): the candidate loses its traffic in this very pass,
requests in flight get the drain, and what follows the drain is remembered in `ending`.
"""

from enum import StrEnum

from modelrollout.api.status import Identity
from modelrollout.domain import guarding, parking
from modelrollout.domain.passing import Pass
from modelrollout.domain.reasons import Code
from modelrollout.domain.transitions import Phase, Trigger


class Ending(StrEnum):
    """What became of a rollout."""

    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"
    ABORTED = "Aborted"
    INCONCLUSIVE = "Inconclusive"
    RETURNED = "Returned"
    SUPERSEDED = "Superseded"
    NEW_REVISION = "NewRevision"


REJECTING = frozenset({Ending.ROLLED_BACK, Ending.ABORTED, Ending.INCONCLUSIVE})
"""Endings after which the candidate gets no traffic until somebody lifts the rejection."""


def end(turn: Pass, ending: Ending, *, code: Code, sentence: str) -> None:
    """Takes all traffic from the candidate now and drains it; then `ending` follows."""
    if turn.phase is Phase.BAKING:
        _unpromote(turn)
    had_traffic = _had_traffic(turn)
    turn.move(Trigger.END)
    turn.put_rollout(
        ending=ending.value,
        ending_reason=code.value,
        ending_message=sentence[:1024],
        drain_until=turn.now + (turn.spec.drain if had_traffic else 0.0),
    )
    if ending in REJECTING and turn.status.candidate is not None:
        turn.reject(turn.status.candidate, reason=code.value, message=sentence)
    turn.tell(code, sentence, warning=ending in REJECTING)


def _unpromote(turn: Pass) -> None:
    previous = turn.status.previous
    if previous is not None:
        turn.put(stable=previous, previous=None)


def _had_traffic(turn: Pass) -> bool:
    candidate = turn.status.candidate
    return candidate is not None and turn.status.decision.shares.get(candidate.name, 0) > 0


def promote(turn: Pass, *, code: Code, sentence: str) -> None:
    """The candidate becomes stable; the old stable is kept warm as the control of the bake."""
    candidate, old = turn.status.candidate, turn.status.stable
    if candidate is None:
        return
    promoted = Identity(name=candidate.name, revision=candidate.revision)
    if turn.phase is Phase.STARTING:
        guarding.remember_restarts(turn)  # it skips the step that would have done so
    turn.move(Trigger.PROMOTE)
    turn.put(stable=promoted, previous=old)
    turn.put_rollout(
        promoted_at=turn.now, step_clock_s=0.0, ending_reason=code.value, ending_message=sentence
    )
    turn.tell(code, f"{candidate} serves instead of {old}: {sentence}")


def finish(turn: Pass) -> None:
    """The bake is over: the promoted version serves all traffic, the old one none."""
    turn.record(
        Ending.PROMOTED, reason=turn.rollout.ending_reason, message=turn.rollout.ending_message
    )
    turn.move(Trigger.FINISH)
    turn.tell(Code.PROMOTED, f"{turn.status.stable} serves all traffic")
    parking.remember(turn, turn.status.previous)
    _close(turn)
    turn.put(candidate=None, previous=None)


def drained(turn: Pass) -> None:
    """The drain is over: back at rest, the outcome in the history."""
    rollout = turn.rollout
    turn.record(rollout.ending or "", reason=rollout.ending_reason, message=rollout.ending_message)
    rejected = rollout.ending in REJECTING
    turn.move(Trigger.REJECTED if rejected else Trigger.DRAINED)
    _close(turn)
    if not rejected:
        turn.put(candidate=None)


def _close(turn: Pass) -> None:
    turn.put(rollout=None, look=None)
    turn.drop_book()
