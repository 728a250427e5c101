"""Replicas of workloads and minima of autoscalers: what is seen of them, and what is written."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import AutoscalerSeen
from modelrollout.domain.planned import Minimum, Scale
from modelrollout.routing.contract import MANAGER

Json = Mapping[str, Any]

ORIGINAL: Final = "modelrollout.dev/original-min-replicas"
HELD: Final = "modelrollout.dev/held-min-replicas"
_BY_HAND: Final = ("kubectl", "scale")
"""Manager and subresource of `kubectl scale`: it sets a number once and never again."""
_REFUSED: Final = frozenset({401, 403})


def owner(workload: Json | None) -> str:
    """Who sets the replicas of a workload besides us and a person's `kubectl scale`; "" if nobody.

    The apiserver notes it in the managed fields. A number that nobody wrote is a default.
    """
    entries = ((workload or {}).get("metadata") or {}).get("managedFields") or ()
    for entry in entries:
        fields = (entry.get("fieldsV1") or {}).get("f:spec") or {}
        who = (entry.get("manager", ""), entry.get("subresource", ""))
        if "f:replicas" in fields and who[0] != MANAGER and who != _BY_HAND:
            return str(entry.get("manager", "somebody"))
    return ""


async def autoscalers(
    apiserver: Apiserver, spec: ModelRolloutSpec, *, namespace: str
) -> dict[str, AutoscalerSeen] | None:
    """The autoscalers of a rollout's workloads, by version name; None where they may not be read.

    Raises:
        ApiError: when the apiserver does not answer.
    """
    try:
        found = await apiserver.cached(path_of(kinds.AUTOSCALER, namespace))
    except ApiError as problem:
        if problem.status not in _REFUSED:
            raise
        return None
    of_workload = {_target(one): one for one in found}
    return {
        version.name: _seen(of_workload[version.workload.kind, version.workload.name])
        for version in spec.versions
        if version.workload is not None
        and (version.workload.kind, version.workload.name) in of_workload
    }


def _target(autoscaler: Json) -> tuple[str, str]:
    target = autoscaler["spec"]["scaleTargetRef"]
    return target["kind"], target["name"]


def _seen(autoscaler: Json) -> AutoscalerSeen:
    metadata, spec = autoscaler["metadata"], autoscaler["spec"]
    notes = metadata.get("annotations") or {}
    return AutoscalerSeen(
        name=metadata["name"],
        minimum=int(spec.get("minReplicas", 1)),
        maximum=int(spec["maxReplicas"]),
        original=_number(notes.get(ORIGINAL)),
        held=_number(notes.get(HELD)),
        edition=metadata["resourceVersion"],
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


async def scale(
    apiserver: Apiserver, wanted: Sequence[Scale], *, spec: ModelRolloutSpec, namespace: str
) -> None:
    """Gives workloads their replicas, by the subresource that can do nothing else.

    Raises:
        ApiError: when the apiserver refuses.
    """
    workloads = {version.name: version.workload for version in spec.versions}
    for one in wanted:
        workload = workloads.get(one.version)
        if workload is None:
            continue
        path = path_of(kinds.WORKLOADS[workload.kind], namespace, workload.name)
        # `add` replaces what is there; zero replicas are left out of the object.
        change = {"op": "add", "path": "/spec/replicas", "value": one.replicas}
        await apiserver.patch(f"{path}/scale", [change])


async def hold(apiserver: Apiserver, wanted: Sequence[Minimum], *, namespace: str) -> None:
    """Gives autoscalers their minimum, and notes or forgets the original in the same write.

    Raises:
        ApiError: a conflict when an autoscaler changed since it was seen.
    """
    for one in wanted:
        is_held = one.original is not None
        notes = {
            ORIGINAL: str(one.original) if is_held else None,
            HELD: str(one.minimum) if is_held else None,
        }
        body = {
            "metadata": {"annotations": notes, "resourceVersion": one.edition},
            "spec": {"minReplicas": one.minimum},
        }
        await apiserver.merge(path_of(kinds.AUTOSCALER, namespace, one.autoscaler), body)
