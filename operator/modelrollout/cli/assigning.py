"""Which version a user gets, from a file alone: the published assignment, without a cluster."""

from pathlib import Path
from typing import Any

import pydantic

from modelrollout.api import scalars
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.assignment import ALGORITHM, assigning, hashing
from modelrollout.assignment.assigning import Assignment
from modelrollout.cli import reading
from modelrollout.cli.failing import Failure

Json = dict[str, Any]


def text(users: list[str], path: Path, *, namespace: str | None) -> str:
    """One line per user, and where they come from.

    Args:
        users: their ids, as the header or cookie says them.
        path: of a file with one ModelRollout; one from the cluster carries what was decided.
        namespace: of the rollout, for a file that names none.

    Raises:
        Failure: when the file cannot be understood.
    """
    manifest = reading.rollout(path)
    assigned = _assignment(manifest, path=path, namespace=namespace)
    lines = [f"{user}\t{_version(assigned, user)}" for user in users]
    has_decision = bool((manifest.get("status") or {}).get("decision"))
    lines.append(f"# {_source(assigned, has_decision=has_decision)}")
    return "\n".join([*lines, ""])


def _version(assigned: Assignment, user: str) -> str:
    bucket = hashing.bucket(user, salt=assigned.salt)
    return f"{assigned.version_of(user)}\tbucket {bucket}\tlabel {hashing.label(user)}"


def _assignment(manifest: Json, *, path: Path, namespace: str | None) -> Assignment:
    spec = reading.spec(manifest, of=str(path))
    metadata = manifest.get("metadata") or {}
    where = namespace or metadata.get("namespace")
    if not where or not metadata.get("name"):
        raise Failure(
            f"{path}: the salt has the rollout's namespace and name in it; expected both under "
            "metadata: name the namespace there, or with --namespace"
        )
    try:
        status = ModelRolloutStatus.model_validate(manifest.get("status") or {})
        return assigning.of(
            spec,
            status.decision if status.decision.shares else None,
            stable=status.stable.name if status.stable else "",
            namespace=str(where),
            name=str(metadata["name"]),
        )
    except (pydantic.ValidationError, ValueError) as problem:
        raise Failure(f"{path}: its status cannot be understood: {problem}") from None


def _source(assigned: Assignment, *, has_decision: bool) -> str:
    shares: dict[str, int] = {}
    for one in assigned.intervals:
        shares[one.version] = shares.get(one.version, 0) + one.parts
    split = ", ".join(f"{name} {scalars.percent(parts)}" for name, parts in shares.items())
    origin = (
        "as decided, by the status in the file"
        if has_decision
        else "as a first apply decides; weights that were changed since may place some otherwise: "
        "take the file from the cluster to know"
    )
    return f"{ALGORITHM}, salt {assigned.salt}; {split}, {origin}"
