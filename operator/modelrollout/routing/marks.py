"""What the operator makes carries its marks: whose it is, and so what it may write and take away.

Nothing that serves has an owner reference: deleting the rollout, or the CRD, never deletes it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelrollout.routing import generated
from modelrollout.routing.contract import Change, Desired, Reference, Rollout, Verb

Json = Mapping[str, Any]


def preview(rollout: Rollout) -> str:
    """The name of the object that leads to the candidate alone."""
    return f"{rollout.name}-preview"


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
            "labels": {generated.MANAGED_BY: generated.OURS, generated.ROLLOUT: rollout.name},
            "annotations": {
                generated.STABLE: desired.stable,
                generated.UID: rollout.uid,
                generated.DECISION: str(desired.sequence),
            },
        },
        "spec": dict(spec),
    }
    if live is not None and (not generated.is_of(rollout, live) or generated.holds(live, body)):
        return ()
    return (Change(Verb.APPLY, target, body),)


def removed(rollout: Rollout, target: Reference, live: Json | None) -> Sequence[Change]:
    """Deletes what was read, if it is ours, and nothing else of that name."""
    return generated.remove(rollout, target, live)
