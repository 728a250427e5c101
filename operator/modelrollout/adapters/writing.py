"""The writes to one rollout and to its routes, each guarded by what was read."""

from collections.abc import Sequence
from typing import Any, Final

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import Apiserver, path_of, path_to
from modelrollout.routing.contract import Change, Verb

Json = dict[str, Any]

FINALIZER: Final = "modelrollout.dev/traffic"


async def put_finalizer(apiserver: Apiserver, rollout: Json, *, wanted: bool) -> Json:
    """The rollout with or without our finalizer; unchanged where it already is as wanted.

    Raises:
        ApiError: a conflict when the object changed since it was read.
    """
    metadata = rollout["metadata"]
    present = list(metadata.get("finalizers") or [])
    if (FINALIZER in present) == wanted:
        return rollout
    changed = [*present, FINALIZER] if wanted else [one for one in present if one != FINALIZER]
    operations = [
        _unchanged(rollout),
        {"op": "add", "path": "/metadata/finalizers", "value": changed},
    ]
    return await apiserver.patch(_path(rollout), operations)


async def put_status(apiserver: Apiserver, rollout: Json, status: Json) -> Json:
    """Stores a whole status, if nothing changed since `rollout` was read.

    Raises:
        ApiError: a conflict when it did.
    """
    operations = [_unchanged(rollout), {"op": "add", "path": "/status", "value": status}]
    return await apiserver.patch(f"{_path(rollout)}/status", operations)


async def make(apiserver: Apiserver, changes: Sequence[Change]) -> None:
    """Performs the changes of a provider, in order.

    Raises:
        ApiError: a conflict when an object is not what it was when it was read.
    """
    for change in changes:
        await _make(apiserver, change)


async def _make(apiserver: Apiserver, change: Change) -> None:
    path = path_to(change.target)
    match change.verb:
        case Verb.APPLY:
            await apiserver.apply(path, dict(change.body))
        case Verb.JSON_PATCH:
            await apiserver.patch(path, list(change.body))
        case Verb.DELETE:
            await apiserver.delete(path, dict(change.body))


def _unchanged(rollout: Json) -> Json:
    version = rollout["metadata"]["resourceVersion"]
    return {"op": "test", "path": "/metadata/resourceVersion", "value": version}


def _path(rollout: Json) -> str:
    metadata = rollout["metadata"]
    return path_of(kinds.ROLLOUT, metadata["namespace"], metadata["name"])
