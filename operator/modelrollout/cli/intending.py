"""`approve`, `pause`, `resume`, `abort`, `promote`, `retry`: a person's intent, as annotations.

An approval names the step and the revision that its giver sees; a rollout that has moved on
meanwhile is read again, so that nobody approves what they have not seen.
"""

import secrets

from modelrollout.api import intents
from modelrollout.api.intents import Intent, Kind
from modelrollout.cli import outcome
from modelrollout.cli.cluster import Cluster, ConflictError
from modelrollout.cli.failing import Failure
from modelrollout.cli.outcome import Seen
from modelrollout.domain.transitions import Phase

_TRIES = 5


def give(
    cluster: Cluster, name: str, kind: Kind, *, reason: str = "", step: int | None = None
) -> str:
    """Gives an intent in the own name; what was written, in a sentence.

    Args:
        cluster: with the namespace of the rollout.
        name: of the rollout.
        kind: what is asked.
        reason: why; a promotion against evidence of harm needs it.
        step: the step that is meant by an approval, counted from 1; None for the one seen.

    Raises:
        Failure: when nothing waits for the approval, or the apiserver refuses.
    """
    by, given = cluster.user(), secrets.token_hex(4)
    bound: dict[str, str] | None = None
    for _ in range(_TRIES):
        rollout = cluster.read(name)
        words = _words(outcome.seen(rollout), kind, reason=reason, step=step)
        if bound is not None and words != bound:
            raise Failure(f"{name} has moved on meanwhile: nothing was written; look again")
        bound = words
        key, value = intents.annotation(Intent(kind, given, by, words))
        version = str(rollout["metadata"]["resourceVersion"])
        try:
            cluster.annotate(name, {key: value, intents.BY: by}, version=version)
        except ConflictError:
            continue  # its status was written in between: the same once more
        return f"{name}: {' '.join([str(kind), 'given by', by, f'({value})'])}"
    raise Failure(f"{name} changed {_TRIES} times while it was written to: try again")


def _words(seen: Seen, kind: Kind, *, reason: str, step: int | None) -> dict[str, str]:
    match kind:
        case Kind.APPROVE:
            return _approval(seen, step=step) | _because(reason)
        case Kind.PROMOTE:
            return {"despite": reason} if reason else {}
        case _:
            return _because(reason)


def _because(reason: str) -> dict[str, str]:
    return {"reason": reason} if reason else {}


def _approval(seen: Seen, *, step: int | None) -> dict[str, str]:
    rollout, candidate = seen.status.rollout, seen.status.candidate
    waits = seen.status.phase == Phase.WAITING and rollout is not None and not rollout.approved
    if rollout is None or candidate is None or not waits:
        raise Failure(f"{seen.name}: no step waits for an approval; {outcome.line(seen)}")
    present = rollout.step_index + 1
    if step is not None and step != present:
        raise Failure(f"{seen.name} waits at step {present}, not at step {step}: nothing written")
    return {"step": str(present), "revision": candidate.revision}
