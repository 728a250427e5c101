"""What the operator makes carries its marks: whose it is, and so what it may write and take away.

Nothing that serves has an owner reference: deleting the rollout, or the CRD, never deletes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import acceptance, generated, ownership
from modelrollout.routing.contract import Change, Desired, Reference, Rollout, Verb

Json = Mapping[str, Any]


def preview(rollout: Rollout) -> str:
    """The name of the object that leads to the candidate alone."""
    return f"{rollout.name}-preview"


def previewed(rollout: Rollout, live: Mapping[Reference, Json]) -> str:
    """The version that the preview leads to, as noted on its object; "" while there is none."""
    for reference, found in live.items():
        if reference.name == preview(rollout) and generated.is_of(rollout, found):
            notes = found["metadata"].get("annotations") or {}
            return str(notes.get(generated.PREVIEW, ""))
    return ""


def applied(
    rollout: Rollout, desired: Desired, target: Reference, *, spec: Json, live: Json | None
) -> Sequence[Change]:
    """The whole object, unless it is there as wanted already, or belongs to somebody else."""
    group = f"{target.kind.group}/" if target.kind.group else ""
    body = {
        "apiVersion": f"{group}{target.kind.version}",
        "kind": target.kind.kind,
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": {ownership.MANAGED_BY: ownership.OURS, ownership.ROLLOUT: rollout.name},
            "annotations": {
                generated.STABLE: desired.stable,
                generated.UID: rollout.uid,
                generated.DECISION: str(desired.sequence),
                **({generated.PREVIEW: desired.preview} if desired.preview else {}),
            },
        },
        "spec": dict(spec),
    }
    if live is not None and (not generated.is_of(rollout, live) or generated.holds(live, body)):
        return ()
    return (Change(Verb.APPLY, target, body),)


def are_on(rollout: Rollout, live: Json) -> bool:
    """Whether an object was made for this rollout."""
    return generated.is_of(rollout, live)


class Recorded(TypedDict, total=False):
    """Fields of `TrafficSeen` that are notes on an object."""

    recorded_stable: str
    recorded_uid: str


def recorded(live: Json) -> Recorded:
    """What is noted on an object of ours, as fields of `TrafficSeen`."""
    notes = live["metadata"].get("annotations") or {}
    return {
        "recorded_stable": str(notes.get(generated.STABLE, "")),
        "recorded_uid": str(notes.get(generated.UID, "")),
    }


def seen(
    rollout: Rollout,
    live: Mapping[Reference, Json],
    read: Sequence[Json],
    *,
    split: Mapping[str, int] | None,
    problem: Reason | None,
    made: bool,
) -> TrafficSeen:
    """What objects of a kind without a status say: written as decided, they are in force.

    Args:
        rollout: whose traffic it is.
        live: all objects that were read.
        read: those that carry the split; the first has the notes, if the operator made it.
        split: that they carry, None where they cannot be read as one.
        problem: why not, or what contradicts.
        made: the operator made them; else they are the user's.
    """
    writer, written_at = acceptance.last_writer(read)
    return TrafficSeen(
        exists=True,
        preview=previewed(rollout, live),
        shares=split,
        programmed=problem is None,
        problem=problem,
        blocking=problem is not None and problem.code is not Code.SPLIT_CONTRADICTS,
        writer=writer,
        written_at=written_at,
        **(recorded(read[0]) if made else {}),
    )


def foreign(live: Json) -> Reason:
    """Why an object with the name of ours is left alone."""
    return Reason(
        Code.ROUTE_MISSING,
        f"the {live.get('kind', 'object')} {live['metadata']['name']} exists and was not made for "
        "this rollout: delete or rename it, or name it in the rollout as one of yours",
    )


def contradicts(live: Json, what: str) -> Reason:
    """Why an object of ours cannot be read as a split."""
    return Reason(
        Code.SPLIT_CONTRADICTS,
        f"somebody changed the {live.get('kind', 'object')} {live['metadata']['name']}: it {what}; "
        "it is put back",
    )


def removed(rollout: Rollout, target: Reference, live: Json | None) -> Sequence[Change]:
    """Deletes what was read, if it is ours, and nothing else of that name."""
    return generated.remove(rollout, target, live)
