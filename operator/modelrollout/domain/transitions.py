"""The states of a rollout and every legal move between them: one table.

`docs/transitions.md` is generated from it (`python -m modelrollout.domain.transitions --write`),
and the property tests check that each legal pair is reached and each other pair refused.
"""

import argparse
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).parents[3] / "docs" / "transitions.md"


class Phase(StrEnum):
    """Where a rollout stands; in words in `PHASES`."""

    PENDING = "Pending"
    SERVING = "Serving"
    TESTING = "Testing"
    STARTING = "Starting"
    STEPPING = "Stepping"
    WAITING = "Waiting"
    UNDECIDED = "Undecided"
    BAKING = "Baking"
    DRAINING = "Draining"
    ROLLED_BACK = "RolledBack"
    TERMINATING = "Terminating"


PHASES: Final[dict[Phase, str]] = {
    Phase.PENDING: "nothing serves yet",
    Phase.SERVING: "at rest: the target serves",
    Phase.TESTING: "an A/B test is under way; the target serves beside its arms",
    Phase.STARTING: "the candidate gets ready; it has no traffic",
    Phase.STEPPING: "at a weight step",
    Phase.WAITING: "at a step without a weight of its own: a preview, a smoke test, a pause",
    Phase.UNDECIDED: "the deadline has passed; the weight is held and looks go on",
    Phase.BAKING: "promoted; the old version is kept warm",
    Phase.DRAINING: "the candidate has lost its traffic; requests in flight may end",
    Phase.ROLLED_BACK: "at rest: stable serves, the target is rejected",
    Phase.TERMINATING: "the rollout is being deleted; traffic returns to stable",
}


class Trigger(StrEnum):
    """What makes a rollout move; in words in `TRIGGERS`."""

    ADOPT = "adopt"
    TEST = "test"
    TEST_OVER = "test over"
    START = "start"
    READY = "candidate ready"
    ADVANCE = "advance"
    PAUSE_STEP = "pause step"
    DEADLINE = "deadline"
    MORE_TIME = "more time"
    PROMOTE = "promote"
    FINISH = "finish"
    END = "end"
    DRAINED = "drained"
    REJECTED = "rejected"
    RESTART = "restart"
    TARGET_IS_STABLE = "target is stable"
    DELETE = "delete"


TRIGGERS: Final[dict[Trigger, str]] = {
    Trigger.ADOPT: "it is found out who serves: the route says so, else the target itself",
    Trigger.TEST: "an A/B test is written that has not run yet, and the target serves",
    Trigger.TEST_OVER: "its time is up, it is aborted, or another target or test takes its place",
    Trigger.START: "the target is another version than stable",
    Trigger.READY: "candidate, routes and metrics are ready, and the first step is a weight",
    Trigger.ADVANCE: "the step has been served, every metric has data, and no harm shows",
    Trigger.PAUSE_STEP: "likewise, and the next step has no weight of its own",
    Trigger.DEADLINE: "the time is up, undecided, and the weight is to be held",
    Trigger.MORE_TIME: "the deadline is set later",
    Trigger.PROMOTE: "the evidence is complete, or a person says so",
    Trigger.FINISH: "the bake is over, or a new target ends it",
    Trigger.END: "harm, a crash, an abort, another target or revision: all traffic to stable",
    Trigger.DRAINED: "the drain is over, and nothing speaks against another try",
    Trigger.REJECTED: "the drain is over, and the candidate is rejected; or its tries are used up",
    Trigger.RESTART: "`retry`, a new revision, or another target",
    Trigger.TARGET_IS_STABLE: "the target is set back to the version that serves",
    Trigger.DELETE: "somebody deletes the rollout",
}

_UNDER_WAY: Final = (Phase.STARTING, Phase.STEPPING, Phase.WAITING, Phase.UNDECIDED)

TABLE: Final[dict[tuple[Phase, Trigger], Phase]] = {
    (Phase.PENDING, Trigger.ADOPT): Phase.SERVING,
    (Phase.SERVING, Trigger.START): Phase.STARTING,
    (Phase.SERVING, Trigger.TEST): Phase.TESTING,
    (Phase.TESTING, Trigger.TEST_OVER): Phase.SERVING,
    (Phase.SERVING, Trigger.REJECTED): Phase.ROLLED_BACK,  # its tries are used up
    (Phase.STARTING, Trigger.READY): Phase.STEPPING,
    (Phase.STARTING, Trigger.PAUSE_STEP): Phase.WAITING,
    (Phase.STEPPING, Trigger.ADVANCE): Phase.STEPPING,
    (Phase.STEPPING, Trigger.PAUSE_STEP): Phase.WAITING,
    (Phase.STEPPING, Trigger.DEADLINE): Phase.UNDECIDED,
    (Phase.UNDECIDED, Trigger.MORE_TIME): Phase.STEPPING,
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


_TITLE: Final = """# The states of a rollout

Generated from the table in `operator/modelrollout/domain/transitions.py` by `make generate`.
A move that is not listed here is refused by the code: a bug, never a choice.
"""


def document() -> str:
    """The table in words, as `docs/transitions.md`."""
    phases = [f"| `{phase}` | {words} |" for phase, words in PHASES.items()]
    triggers = [f"| {trigger} | {words} |" for trigger, words in TRIGGERS.items()]
    moves = [f"| `{phase}` | {trigger} | `{after}` |" for (phase, trigger), after in TABLE.items()]
    tables = (
        ["| phase | meaning |", "|---|---|", *phases],
        ["| trigger | meaning |", "|---|---|", *triggers],
        ["| from | by | to |", "|---|---|---|", *moves],
    )
    return "\n".join([_TITLE, *("\n".join([*table, ""]) for table in tables)])


def main() -> int:
    """Write the document, or check it (exit 1 when it is out of date)."""
    parser = argparse.ArgumentParser(prog="python -m modelrollout.domain.transitions")
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--write", action="store_true", help="write docs/transitions.md")
    choice.add_argument("--check", action="store_true", help="fail when it is out of date")
    if parser.parse_args().write:
        FILE.write_text(document(), encoding="utf-8")
        return 0
    if FILE.exists() and FILE.read_text(encoding="utf-8") == document():
        return 0
    print(f"{FILE} is out of date: run `make generate`")  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.exit(main())
