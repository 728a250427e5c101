"""The states of a rollout and every legal move between them: one table.

`docs/transitions.md` is generated from it, and the property tests check that each legal pair is
reached and each other pair refused.
"""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a rollout stands."""

    PENDING = "Pending"
    """Nothing serves yet."""
    SERVING = "Serving"
    """At rest: the target serves."""
    STARTING = "Starting"
    """The candidate gets ready; it has no traffic."""
    STEPPING = "Stepping"
    """At a weight step."""
    WAITING = "Waiting"
    """At a pause of the plan."""
    UNDECIDED = "Undecided"
    """The deadline has passed; the weight is held and looks go on."""
    BAKING = "Baking"
    """Promoted; the old version is kept warm."""
    DRAINING = "Draining"
    """The candidate has lost its traffic; requests in flight may end."""
    ROLLED_BACK = "RolledBack"
    """At rest: stable serves, the target is rejected."""
    TERMINATING = "Terminating"
    """The rollout is being deleted; traffic returns to stable."""


class Trigger(StrEnum):
    """What makes a rollout move."""

    ADOPT = "adopt"
    START = "start"
    READY = "candidate ready"
    ADVANCE = "advance"
    PAUSE_STEP = "pause step"
    DEADLINE = "deadline"
    PROMOTE = "promote"
    FINISH = "finish"
    END = "end"
    DRAINED = "drained"
    REJECTED = "rejected"
    RESTART = "restart"
    TARGET_IS_STABLE = "target is stable"
    DELETE = "delete"


_UNDER_WAY: Final = (Phase.STARTING, Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED)

TABLE: Final[dict[tuple[Phase, Trigger], Phase]] = {
    (Phase.PENDING, Trigger.ADOPT): Phase.SERVING,
    (Phase.SERVING, Trigger.START): Phase.STARTING,
    (Phase.SERVING, Trigger.REJECTED): Phase.ROLLED_BACK,  # its tries are used up
    (Phase.STARTING, Trigger.READY): Phase.STEPPING,
    (Phase.STARTING, Trigger.PAUSE_STEP): Phase.WAITING,
    (Phase.STEPPING, Trigger.ADVANCE): Phase.STEPPING,
    (Phase.STEPPING, Trigger.PAUSE_STEP): Phase.WAITING,
    (Phase.STEPPING, Trigger.DEADLINE): Phase.UNDECIDED,
    (Phase.WAITING, Trigger.ADVANCE): Phase.STEPPING,
    (Phase.WAITING, Trigger.PAUSE_STEP): Phase.WAITING,
    # Promotion: by evidence from a step or after the deadline, by a person from anywhere.
    **{(phase, Trigger.PROMOTE): Phase.BAKING for phase in _UNDER_WAY},
    (Phase.BAKING, Trigger.FINISH): Phase.SERVING,
    # The candidate loses its traffic, for whatever reason; what follows stands in `ending`.
    **{(phase, Trigger.END): Phase.DRAINING for phase in (*_UNDER_WAY, Phase.BAKING)},
    (Phase.DRAINING, Trigger.DRAINED): Phase.SERVING,
    (Phase.DRAINING, Trigger.REJECTED): Phase.ROLLED_BACK,
    (Phase.ROLLED_BACK, Trigger.RESTART): Phase.STARTING,
    (Phase.ROLLED_BACK, Trigger.REJECTED): Phase.ROLLED_BACK,  # another target without tries left
    (Phase.ROLLED_BACK, Trigger.TARGET_IS_STABLE): Phase.SERVING,
    **{(phase, Trigger.DELETE): Phase.TERMINATING for phase in Phase if phase != "Terminating"},
}


class IllegalMoveError(RuntimeError):
    """A move that the table does not have: a bug of ours, never of a user."""


def moved(phase: Phase, trigger: Trigger) -> Phase:
    """The phase that follows.

    Raises:
        IllegalMoveError: when the table has no such move.
    """
    try:
        return TABLE[phase, trigger]
    except KeyError:
        raise IllegalMoveError(f"no move by '{trigger}' from {phase}") from None
