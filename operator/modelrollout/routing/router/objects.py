"""The objects of a router: Deployment, Service, configuration, credential, disruption budget.

They are applied whole, have no owner reference, and outlive the rollout: what serves goes on
serving. The present split is noted on the Deployment, for people and for a rollout that comes back
without its status; it is not in the pod template, so that no weight ever restarts an Envoy.
"""

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from modelrollout.routing import generated
from modelrollout.routing.contract import Desired, Reference, Rollout
from modelrollout.routing.router import bootstrap, credentials, naming, routes
from modelrollout.routing.router.naming import reference
from modelrollout.routing.router.wanted import asked, port_of

Json = dict[str, Any]

DRAIN_S: Final = 20
"""How long a router that is told to end goes on serving, closing connections politely."""
GRACE_S: Final = 60
TRAFFIC: Final = "http"
_FOLDER: Final = "/etc/router"
_FILE: Final = "bootstrap.json"
_PRIVILEGED: Final = 1024
# The image needs a shell for it: what changes the state of an Envoy must be posted to it.
_DRAIN: Final = (
    f"exec 3<>/dev/tcp/127.0.0.1/{naming.ADMIN_PORT}; "
    r"printf 'POST /drain_listeners?graceful&skip_exit HTTP/1.1\r\nHost: envoy\r\n"
    r"Content-Length: 0\r\nConnection: close\r\n\r\n' >&3; cat <&3; "
    f"sleep {DRAIN_S}"
)


def wanted(
    rollout: Rollout, desired: Desired, *, port_names: Sequence[str] = ()
) -> Sequence[tuple[Reference, Json]]:
    """Every object that can be read back, in the order in which they are written.

    Args:
        rollout: whose router it is, with the administrator's settings.
        desired: the split that was decided.
        port_names: by which the taken-over Service calls the traffic port.
    """
    made = {
        naming.CONFIG_MAP: {"data": {_FILE: _written(bootstrap.following(rollout.site.xds))}},
        naming.SERVICE: {"spec": _service(rollout)},
        naming.DEPLOYMENT: {"spec": _deployment(rollout, port_names)},
        naming.BUDGET: {"spec": _budget(rollout)},
    }
    return [
        (reference(rollout, kind), _object(rollout, desired, reference(rollout, kind), more))
        for kind, more in made.items()
    ]


def credential(rollout: Rollout) -> tuple[Reference, Json]:
    """The Secret by which the operator knows the Envoys of this rollout; it is never read back."""
    target = reference(rollout, naming.SECRET)
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": naming.labels(rollout),
        },
        "type": "Opaque",
        "stringData": {
            naming.TOKEN: rollout.site.token,
            naming.FEED: credentials.feed(rollout.site.token),
        },
    }
    return target, body


def fingerprint(rollout: Rollout) -> str:
    """What tells one credential from the next without giving it away."""
    shown = credentials.feed(rollout.site.token)
    return sha256(f"fingerprint:{rollout.site.token}:{shown}".encode()).hexdigest()[:16]


def frozen(rollout: Rollout, configuration: Json) -> tuple[Reference, Json]:
    """The ConfigMap of a router whose rollout is gone."""
    target = reference(rollout, naming.CONFIG_MAP)
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": naming.labels(rollout),
        },
        "data": {_FILE: _written(configuration)},
    }
    return target, body


def _started_with(rollout: Rollout) -> str:
    """What restarts the Envoys: another bootstrap, or another rollout than that which they served.

    Those that started after their rollout was deleted follow nobody (`frozen`), and look no
    different from outside.
    """
    text = _written(bootstrap.following(rollout.site.xds))
    return sha256(f"{rollout.created} {text}".encode()).hexdigest()[:16]


def _written(configuration: Json) -> str:
    return json.dumps(configuration, sort_keys=True)


def _object(rollout: Rollout, desired: Desired, target: Reference, more: Json) -> Json:
    group = f"{target.kind.group}/" if target.kind.group else ""
    annotations = {generated.UID: rollout.uid}
    if target.kind == naming.DEPLOYMENT:
        annotations |= {
            generated.STABLE: desired.stable,
            generated.DECISION: str(desired.sequence),
            naming.SHARES: json.dumps(dict(sorted(desired.shares.items()))),
            naming.PREVIEW: desired.preview,
            naming.TAKEN: asked(rollout.spec).service or "",
        }
    if target.kind == naming.SERVICE:
        annotations |= {
            "prometheus.io/scrape": "true",
            "prometheus.io/port": str(naming.STATS_PORT),
            "prometheus.io/path": bootstrap.METRICS,
        }
    return {
        "apiVersion": f"{group}{target.kind.version}",
        "kind": target.kind.kind,
        "metadata": {
            "name": target.name,
            "namespace": target.namespace,
            "labels": naming.labels(rollout),
            "annotations": annotations,
        },
        **more,
    }


def _service(rollout: Rollout) -> Json:
    port = port_of(asked(rollout.spec))
    return {
        "selector": naming.selector(rollout),
        "ports": [
            {"name": TRAFFIC, "port": port, "targetPort": port, "protocol": "TCP"},
            {
                "name": "stats",
                "port": naming.STATS_PORT,
                "targetPort": naming.STATS_PORT,
                "protocol": "TCP",
            },
        ],
    }


def _budget(rollout: Rollout) -> Json:
    return {"maxUnavailable": 1, "selector": {"matchLabels": naming.selector(rollout)}}


def _deployment(rollout: Rollout, port_names: Sequence[str]) -> Json:
    return {
        "replicas": asked(rollout.spec).replicas,
        "selector": {"matchLabels": naming.selector(rollout)},
        # A new one is ready before an old one ends.
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
        },
        "template": {
            "metadata": {
                "labels": naming.labels(rollout),
                "annotations": {
                    naming.CREDENTIAL: fingerprint(rollout),
                    naming.CONFIGURATION: _started_with(rollout),
                    "prometheus.io/scrape": "true",
                    "prometheus.io/port": str(naming.STATS_PORT),
                    "prometheus.io/path": bootstrap.METRICS,
                },
            },
            "spec": _pod(rollout, port_names),
        },
    }


def _pod(rollout: Rollout, port_names: Sequence[str]) -> Json:
    name = naming.name_of(rollout)
    pod: Json = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_S,
        "securityContext": _unprivileged(port_of(asked(rollout.spec))),
        "containers": [_container(rollout, port_names)],
        "volumes": [{"name": "bootstrap", "configMap": {"name": name}}],
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": naming.selector(rollout)},
            }
        ],
    }
    if rollout.site.pull_secrets:
        pod["imagePullSecrets"] = [{"name": secret} for secret in rollout.site.pull_secrets]
    return pod


def _unprivileged(port: int) -> Json:
    context: Json = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if port < _PRIVILEGED:
        low = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
        context["sysctls"] = [low]
    return context


def _container(rollout: Rollout, port_names: Sequence[str]) -> Json:
    router = asked(rollout.spec)
    port = port_of(router)
    token, feed = (
        {"secretKeyRef": {"name": naming.secret_of(rollout), "key": key}}
        for key in (naming.TOKEN, naming.FEED)
    )
    # A token has a fixed alphabet, so it needs no quoting where it is put.
    node = '{"node":{"metadata":{"token":"$(TOKEN)"}}}'
    return {
        "name": "envoy",
        "image": rollout.site.image,
        "args": [
            *("-c", f"{_FOLDER}/{_FILE}"),
            *("--config-yaml", node),
            *("--service-node", "$(POD_NAME)"),
            *("--service-cluster", f"{rollout.namespace}/{rollout.name}"),
            "--reject-unknown-dynamic-fields",
            *("--concurrency", str(_workers(router.resources.limits.cpu))),
            *("--drain-time-s", str(DRAIN_S)),
            *("--drain-strategy", "immediate"),
            *("--log-level", "warn"),
        ],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "TOKEN", "valueFrom": token},
            {"name": naming.FEED_VARIABLE, "valueFrom": feed},
        ],
        "ports": [
            *(
                {"name": name, "containerPort": port, "protocol": "TCP"}
                for name in port_names or (TRAFFIC,)
            ),
            {"name": "stats", "containerPort": naming.STATS_PORT, "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": routes.READY, "port": port},
            "periodSeconds": 1,
            "timeoutSeconds": 1,
            "failureThreshold": 3,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["bash", "-c", _DRAIN]}}},
        "resources": router.resources.model_dump(mode="json", exclude_none=True),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "bootstrap", "mountPath": _FOLDER, "readOnly": True}],
    }


def _workers(cpu: str | None) -> int:
    """Threads of an Envoy: as many as it may use CPUs, two where nothing bounds it."""
    if cpu is None:
        return 2
    return max(1, math.ceil(float(cpu[:-1]) / 1000 if cpu.endswith("m") else float(cpu)))


def written(live: Mapping[str, Any]) -> tuple[dict[str, int] | None, int]:
    """The shares and the sequence noted on a live Deployment; None where nothing can be read."""
    notes = live["metadata"].get("annotations") or {}
    try:
        shares = json.loads(notes.get(naming.SHARES, ""))
        sequence = int(notes.get(generated.DECISION, "0"))
    except ValueError:
        return None, 0
    if not isinstance(shares, dict) or not all(isinstance(one, int) for one in shares.values()):
        return None, sequence
    return shares, sequence
