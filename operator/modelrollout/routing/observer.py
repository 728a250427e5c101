"""The observer of a shadow: a Deployment of one pod, its Service and its configuration.

It stands beside traffic, never in it: unlike a route it belongs to its rollout and goes with it.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.domain.planned import Observing
from modelrollout.routing import ownership
from modelrollout.routing.contract import Kind, Reference, Rollout
from modelrollout.routing.router import naming

Json = dict[str, Any]

DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
SERVICE: Final = Kind("", "v1", "services", "Service")
CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
RUN: Final = "modelrollout.dev/shadow"
"""Which shadow an observer was made for, and with which configuration."""
MIRROR_PORT: Final = 8080
EXT_PROC_PORT: Final = 9000
OPERATIONS_PORT: Final = 9090
_CONFIG: Final = "/etc/observer"
_TOKEN: Final = "/etc/observer-token"  # noqa: S105 - a path
_FEED: Final = "/etc/observer-feed"


def name_of(rollout: str) -> str:
    """The name of all objects of an observer: they differ in kind."""
    return f"{rollout}-observer"


def address(*, namespace: str, rollout: str) -> str:
    """Where a router hands over both sides of a request, as host:port."""
    return f"{name_of(rollout)}.{namespace}.svc:{EXT_PROC_PORT}"


def references(*, namespace: str, rollout: str) -> Sequence[Reference]:
    """All of them, in the order in which they go."""
    kinds = (DEPLOYMENT, SERVICE, CONFIG_MAP)
    return [Reference(kind, namespace, name_of(rollout)) for kind in kinds]


def mark(rollout: Rollout, observing: Observing) -> str:
    """What changes when an observer must be made anew."""
    text = json.dumps(configuration(rollout, observing), sort_keys=True)
    return f"{observing.run}-{sha256(text.encode()).hexdigest()[:8]}"


def objects(
    rollout: Rollout, observing: Observing, *, image: str, pull_secrets: Sequence[str] = ()
) -> Sequence[tuple[Reference, Json]]:
    """Every object, in the order in which they are written."""
    deployment, service, config_map = references(namespace=rollout.namespace, rollout=rollout.name)
    written = json.dumps(configuration(rollout, observing), sort_keys=True)
    return [
        (config_map, _object(rollout, observing, config_map, {"data": {"observer.yaml": written}})),
        (service, _object(rollout, observing, service, {"spec": _service(rollout)})),
        (
            deployment,
            _object(
                rollout,
                observing,
                deployment,
                {"spec": _deployment(rollout, observing, image=image, pull_secrets=pull_secrets)},
            ),
        ),
    ]


def configuration(rollout: Rollout, observing: Observing) -> Json:
    """What the observer reads; its schema is `shadow.serving.config`'s.

    Raises:
        ValueError: when one of both versions has no Service.
    """
    asked = observing.asked
    written: Json = {
        "labels": {"rollout": rollout.name, "version": observing.version, "run": observing.run},
        "models": {
            "candidate": _url(rollout, observing.version),
            "stable": _url(rollout, observing.stable),
        },
        "fronts": _fronts(rollout),
        "protocol": _given(asked.protocol),
        "task": _given(asked.task),
        "sampling": _sampling(observing),
        "eligible": {"credentials": list(asked.credentials)},
        "timeouts": {"total": scalars.duration(asked.timeout)},
        "noise": {
            "mode": str(asked.noise.mode),
            "share": asked.noise.share,
            "pairs": asked.noise.pairs,
        },
    }
    if asked.paths:
        written["eligible"]["paths"] = list(asked.paths)
    if asked.slices is not None:
        written["slices"] = _given(asked.slices)
    if asked.examples is not None:
        written["examples"] = {
            "tokenFile": f"{_TOKEN}/token",
            "fields": list(asked.examples.fields),
            "keepText": asked.examples.keep_text,
        }
    return written


def _is_fed_by_router(rollout: Rollout) -> bool:
    return rollout.spec.traffic.router is not None


def _fronts(rollout: Rollout) -> Json:
    """One way in: the router's Envoys show who they are, and a gateway's mirror cannot."""
    made: Json = {"operations": OPERATIONS_PORT}
    if _is_fed_by_router(rollout):
        return made | {"extProc": EXT_PROC_PORT, "tokenFile": f"{_FEED}/{naming.FEED}"}
    return made | {"mirror": MIRROR_PORT}


def _open(rollout: Rollout) -> dict[str, int]:
    """Ports by name."""
    if _is_fed_by_router(rollout):
        return {"extproc": EXT_PROC_PORT, "metrics": OPERATIONS_PORT}
    return {"mirror": MIRROR_PORT, "metrics": OPERATIONS_PORT}


def _given(part: Any) -> Json:
    made: Json = part.model_dump(by_alias=True, exclude_unset=True, mode="json")
    return made


def _sampling(observing: Observing) -> Json:
    """Whoever copies has drawn already, but for sessions: a gateway draws by request."""
    session = observing.asked.session
    share = observing.asked.sample / scalars.PARTS if session else 1.0
    made: Json = {"share": share, "salt": observing.run, "withoutId": True}
    return made | ({"session": session} if session else {})


def _url(rollout: Rollout, name: str) -> str:
    version = next((one for one in rollout.spec.versions if one.name == name), None)
    front = version.front if version is not None else None
    if front is None:
        raise ValueError(f"expected version {name} to have a Service, found none")
    return f"http://{front.name}.{rollout.namespace}.svc:{front.port}"


def _object(rollout: Rollout, observing: Observing, target: Reference, more: Json) -> Json:
    group = f"{target.kind.group}/" if target.kind.group else ""
    annotations = {RUN: mark(rollout, observing)}
    if target.kind == SERVICE:
        annotations |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(OPERATIONS_PORT),
        }
    return {
        "apiVersion": f"{group}{target.kind.version}",
        "kind": target.kind.kind,
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": labels(rollout),
            "annotations": annotations,
            "ownerReferences": [
                {
                    "apiVersion": "modelrollout.dev/v1alpha1",
                    "kind": "ModelRollout",
                    "name": rollout.name,
                    "uid": rollout.uid,
                }
            ],
        },
        **more,
    }


def selector(rollout: Rollout) -> dict[str, str]:
    """What selects the observer of a rollout and nothing else."""
    return {
        "app.kubernetes.io/name": "modelrollout-observer",
        "app.kubernetes.io/instance": rollout.name,
    }


def labels(rollout: Rollout) -> dict[str, str]:
    """What every object of an observer carries."""
    return {
        **selector(rollout),
        ownership.MANAGED_BY: ownership.OURS,
        ownership.ROLLOUT: rollout.name,
    }


def _service(rollout: Rollout) -> Json:
    return {
        "selector": selector(rollout),
        "ports": [{"name": name, "port": port} for name, port in _open(rollout).items()],
    }


def _mounted(rollout: Rollout, observing: Observing) -> Sequence[tuple[str, str, Json]]:
    """Name, path and volume of everything that the observer reads."""
    found: list[tuple[str, str, Json]] = [
        ("config", _CONFIG, {"configMap": {"name": name_of(rollout.name)}})
    ]
    if _is_fed_by_router(rollout):
        # Of the router's Secret this one key: the other opens the operator's door.
        items = [{"key": naming.FEED, "path": naming.FEED}]
        secret = {"secretName": naming.secret_of(rollout), "items": items}
        found.append(("feed", _FEED, {"secret": secret}))
    if (examples := observing.asked.examples) is not None:
        found.append(("token", _TOKEN, {"secret": {"secretName": examples.token_secret}}))
    return found


def _deployment(
    rollout: Rollout, observing: Observing, *, image: str, pull_secrets: Sequence[str]
) -> Json:
    mounted = _mounted(rollout, observing)
    container = {
        "name": "observer",
        "image": image,
        "command": ["python", "-m", "modelrollout.shadow.serving"],
        "args": ["--config", f"{_CONFIG}/observer.yaml"],
        "ports": [{"name": name, "containerPort": port} for name, port in _open(rollout).items()],
        "readinessProbe": {
            "httpGet": {"path": "/readyz", "port": OPERATIONS_PORT},
            "periodSeconds": 2,
        },
        "livenessProbe": {
            "httpGet": {"path": "/livez", "port": OPERATIONS_PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
        },
        "resources": {
            "requests": {"cpu": "100m", "memory": "128Mi"},
            "limits": {"memory": "512Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": name, "mountPath": path, "readOnly": True} for name, path, _ in mounted
        ],
    }
    pod: Json = {
        "containers": [container],
        "volumes": [{"name": name, **volume} for name, _, volume in mounted],
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    return {
        "replicas": 1,
        # One at a time: two would be asked for counters of one shadow.
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": selector(rollout)},
        "template": {
            "metadata": {
                "labels": labels(rollout),
                "annotations": {RUN: mark(rollout, observing)},
            },
            "spec": pod,
        },
    }
