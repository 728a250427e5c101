"""What a rollout has come to, read from its object alone: the exit status of `wait`.

Pure. A status counts only when it answers the spec and the intents that are there now: the
generation was observed, and every intent given was acknowledged. Otherwise a pipeline that waits
right after its `apply` or `retry` would read the outcome of the rollout before.
"""

from dataclasses import dataclass
from typing import Any

import pydantic

from modelrollout.api import intents, misfits
from modelrollout.api.status import Condition, ModelRolloutStatus
from modelrollout.cli.failing import Exit, Failure
from modelrollout.domain.reasons import Code
from modelrollout.domain.transitions import Phase

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """A rollout as the apiserver gave it.

    Attributes:
        name: of the rollout.
        target: the version that should serve.
        status: what the operator answered, empty before its first pass.
        fresh: whether that answers the present spec and intents.
    """

    name: str
    target: str
    status: ModelRolloutStatus
    fresh: bool

    def condition(self, kind: str) -> Condition | None:
        """The condition of that type, None when there is none."""
        return next((one for one in self.status.conditions if one.type == kind), None)

    def holds(self, kind: str) -> Condition | None:
        """The condition of that type when it is true."""
        found = self.condition(kind)
        return found if found is not None and found.status == "True" else None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended: the exit status and a sentence."""

    code: Exit
    sentence: str


def seen(rollout: Json) -> Seen:
    """The parts of the object that matter here.

    Raises:
        Failure: when a newer operator writes a status that this command cannot read.
    """
    metadata = rollout.get("metadata") or {}
    name = str(metadata.get("name", ""))
    try:
        status = ModelRolloutStatus.model_validate(rollout.get("status") or {})
    except pydantic.ValidationError as problem:
        raise Failure(
            f"the status of {name} is not readable ({misfits.told(problem)[0]}): "
            f"use the modelrollout command of the operator's own release"
        ) from None
    observed = status.observed_generation == metadata.get("generation")
    return Seen(
        name,
        str((rollout.get("spec") or {}).get("target", "")),
        status,
        observed and not _unanswered(metadata, status),
    )


def _unanswered(metadata: Json, status: ModelRolloutStatus) -> bool:
    given = intents.from_annotations(metadata.get("annotations") or {})
    known = {(entry.intent, entry.id) for entry in status.intents}
    return any((intent.kind, intent.id) not in known for intent in given)


def of(rollout: Seen, *, awaited: str) -> Outcome | None:
    """What has become of the version that is waited for, None while it is under way.

    Args:
        rollout: as seen now; its target is `awaited`.
        awaited: the version that is to be promoted.
    """
    if not rollout.fresh:
        return None
    ready, stable = rollout.holds("Ready"), rollout.status.stable
    if ready is not None and stable is not None and stable.name == awaited:
        return Outcome(Exit.PROMOTED, f"{rollout.name}: promoted: {ready.message}")
    stalled = rollout.holds("Stalled")
    if stalled is None:
        return None
    return _stalled(rollout, stalled)


def _stalled(rollout: Seen, stalled: Condition) -> Outcome | None:
    """Only what does not mend itself is an end: a missing backend or gateway may yet come."""
    inconclusive = stalled.reason == Code.INCONCLUSIVE
    if rollout.status.phase == Phase.UNDECIDED or inconclusive:
        return Outcome(Exit.INCONCLUSIVE, f"{rollout.name}: inconclusive: {stalled.message}")
    if rollout.status.phase == Phase.ROLLED_BACK and stalled.reason in {
        Code.ROLLED_BACK,
        Code.ABORTED,
    }:
        return Outcome(Exit.ROLLED_BACK, f"{rollout.name}: rolled back: {stalled.message}")
    if stalled.reason == Code.INVALID_SPEC:
        raise Failure(f"{rollout.name} is not accepted: {stalled.message}")
    return None


def withdrawn(rollout: Seen, *, awaited: str) -> Outcome:
    """The target was `awaited` and is another version now: nobody will promote it."""
    stable = rollout.status.stable
    back = stable is not None and stable.name == rollout.target
    what = f"was set back to {rollout.target}" if back else f"is {rollout.target} now"
    return Outcome(
        Exit.ROLLED_BACK,
        f"{rollout.name}: withdrawn: the target {what}, {awaited} is not on its way any more",
    )


def line(rollout: Seen) -> str:
    """Where it stands, in one line: the same text as long as nothing changed."""
    status = rollout.status
    if not rollout.fresh:
        return f"{rollout.name}: waiting for the operator to see the change"
    step = f" step {status.step}" if status.step else ""
    weight = f" at {status.weight}" if status.weight else ""
    return f"{rollout.name}: {status.phase or 'new'}{step}{weight}: {_why(rollout)}"


def _why(rollout: Seen) -> str:
    if rollout.status.message:
        return rollout.status.message
    ready = rollout.condition("Ready")
    return f"{ready.reason}: {ready.message}" if ready else "no condition yet"
