"""What the cluster has of one version: Service, workload, endpoints, and its pods when asked."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from modelrollout.adapters import kinds, scaling
from modelrollout.adapters.apiserver import path_of
from modelrollout.adapters.informed import SERVICE_OF_SLICE, Reads
from modelrollout.api.spec import Version
from modelrollout.domain.observed import VersionSeen

Json = Mapping[str, Any]

RESTARTED_AT: Final = "kubectl.kubernetes.io/restartedAt"
_MOST_TOLD = 2


@dataclass(frozen=True, slots=True)
class Sighting:
    """A version as seen.

    Attributes:
        seen: for the decision.
        pods: names of its pods with the instants at which they started, seconds since the epoch;
            empty unless pods were asked for.
    """

    seen: VersionSeen
    pods: Mapping[str, float]


async def sight(apiserver: Reads, version: Version, *, namespace: str, with_pods: bool) -> Sighting:
    """Reads the live objects of one version.

    Args:
        apiserver: to read from.
        version: as written.
        namespace: of the rollout.
        with_pods: read its pods too: restarts, kills, what keeps them from being ready.

    Raises:
        ApiError: when the apiserver refuses or does not answer.
    """
    workload, front = version.workload, version.front
    kind, name = version.backend
    backend, slices, template = await asyncio.gather(
        apiserver.get(path_of(kinds.BACKENDS[kind], namespace, name)),
        _slices(apiserver, front.name if front else "", namespace=namespace),
        _workload(apiserver, version, namespace=namespace),
    )
    selector = _selector(backend, template)
    pods: Sequence[Json] = ()
    if selector and (with_pods or front is None):
        pods = await apiserver.cached(path_of(kinds.POD, namespace), _choosing(selector))
    seen = VersionSeen(
        backend_exists=backend is not None,
        workload_exists=None if workload is None else template is not None,
        revision=revision(template) if workload is not None else _hashed(selector),
        ready=_ready(slices) if front is not None else _ready_pods(backend, pods),
        wanted=_wanted(template),
        replicas_owner=scaling.owner(template),
        **_health(pods),
    )
    return Sighting(seen, {pod["metadata"]["name"]: _started(pod) for pod in pods})


async def _slices(apiserver: Reads, service: str, *, namespace: str) -> Sequence[Json]:
    if not service:
        return ()
    query = {"labelSelector": f"{SERVICE_OF_SLICE}={service}"}
    return await apiserver.cached(path_of(kinds.SLICE, namespace), query)


def _choosing(labels: Mapping[str, str]) -> dict[str, str]:
    return {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}


async def _workload(apiserver: Reads, version: Version, *, namespace: str) -> Json | None:
    workload = version.workload
    if workload is None:
        return None
    return await apiserver.get(path_of(kinds.WORKLOADS[workload.kind], namespace, workload.name))


def revision(workload: Json | None) -> str:
    """What identifies the pods that a workload makes: a hash of its pod template.

    `kubectl rollout restart` writes an annotation into the template and changes nothing that
    serves; it does not make a new revision.
    """
    if workload is None:
        return ""
    template = dict(workload["spec"]["template"])
    metadata = dict(template.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(RESTARTED_AT, None)
    metadata["annotations"] = annotations
    template["metadata"] = metadata
    return _hashed(template)


def _hashed(value: Json | None) -> str:
    if not value:
        return ""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()[:10]


def _selector(backend: Json | None, workload: Json | None) -> Mapping[str, str]:
    of_backend = _labels((((backend or {}).get("spec")) or {}).get("selector") or {})
    if workload is None:
        return of_backend
    return _labels(workload["spec"]["selector"]) or of_backend


def _labels(selector: Json) -> Mapping[str, str]:
    """The labels of a selector: that of a Service is plain, others have `matchLabels`."""
    if set(selector) & {"matchLabels", "matchExpressions"}:
        found: Mapping[str, str] = selector.get("matchLabels") or {}
        return found
    return selector


def _wanted(workload: Json | None) -> int | None:
    return None if workload is None else int(workload["spec"].get("replicas", 1))


def _ready(slices: Sequence[Json]) -> int:
    """Endpoints that serve; one pod may stand in several slices (IPv4, IPv6)."""
    ready: set[str] = set()
    for piece in slices:
        for endpoint in piece.get("endpoints") or []:
            if (endpoint.get("conditions") or {}).get("ready", True):
                target = endpoint.get("targetRef") or {}
                ready.add(target.get("uid") or ",".join(endpoint.get("addresses") or []))
    return len(ready)


def _ready_pods(pool: Json | None, pods: Sequence[Json]) -> int:
    """Pods that an InferencePool picks and that are ready: it has no EndpointSlices."""
    wanted = _labels((((pool or {}).get("spec")) or {}).get("selector") or {})
    return sum(
        1
        for pod in pods
        if wanted
        and wanted.items() <= (pod["metadata"].get("labels") or {}).items()
        and "deletionTimestamp" not in pod["metadata"]
        and any(
            one["type"] == "Ready" and one["status"] == "True"
            for one in (pod.get("status") or {}).get("conditions") or ()
        )
    )


def _started(pod: Json) -> float:
    text = (pod.get("status") or {}).get("startTime") or pod["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(text).timestamp()


def _health(pods: Sequence[Json]) -> dict[str, Any]:
    restarts: dict[str, int] = {}
    killed, looping, troubles = set(), set(), []
    for pod in pods:
        name, containers = pod["metadata"]["name"], _containers(pod)
        restarts[name] = sum(int(container.get("restartCount", 0)) for container in containers)
        if any(_oom(container) for container in containers):
            killed.add(name)
        if any(_waits(container).get("reason") == "CrashLoopBackOff" for container in containers):
            looping.add(name)
        if trouble := _trouble(pod, containers):
            troubles.append(f"{name}: {trouble}")
    return {
        "restarts": restarts,
        "oom_killed": frozenset(killed),
        "crash_looping": frozenset(looping),
        "trouble": "; ".join(sorted(troubles)[:_MOST_TOLD]),
    }


def _containers(pod: Json) -> Sequence[Json]:
    status: Json = pod.get("status") or {}
    found: Sequence[Json] = status.get("containerStatuses") or ()
    return found


def _waits(container: Json) -> Json:
    waiting: Json = (container.get("state") or {}).get("waiting") or {}
    return waiting


def _oom(container: Json) -> bool:
    ends = (
        ((container.get(state) or {}).get("terminated") or {}) for state in ("state", "lastState")
    )
    return any(end.get("reason") == "OOMKilled" for end in ends)


def _trouble(pod: Json, containers: Sequence[Json]) -> str:
    """Why a pod is not ready: what a container waits for, else the pod's own condition."""
    for container in containers:
        waiting = _waits(container)
        if waiting.get("reason"):
            return str(waiting["reason"])
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition["type"] in {"PodScheduled", "Ready"} and condition["status"] == "False":
            return str(condition.get("reason") or "not ready")
    return ""
