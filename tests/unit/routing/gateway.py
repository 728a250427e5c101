"""A small apiserver and gateway for routing: performs changes, fills in defaults, answers."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import yaml

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.routing.contract import MANAGER, Change, Reference, Rollout, Verb

Json = dict[str, Any]

NAMESPACE = "ml"
PARENT = {"name": "public", "namespace": "gateways"}
GENERATED: Json = {"gatewayAPI": {"parentRefs": [PARENT], "hostnames": ["fraud.example.com"]}}
OWNED: Json = {"gatewayAPI": {"routes": [{"name": "fraud"}]}}


def rollout(traffic: Json = GENERATED, *, target: str = "v2", versions: int = 3) -> Rollout:
    """The rollout `fraud` with versions v1, v2, ... behind Services fraud-v1, fraud-v2, ..."""
    names = [f"v{number}" for number in range(1, versions + 1)]
    spec = ModelRolloutSpec.model_validate(
        {
            "versions": [
                {"name": name, "service": {"name": f"fraud-{name}", "port": 8080}} for name in names
            ],
            "target": target,
            "traffic": traffic,
        }
    )
    return Rollout(NAMESPACE, "fraud", "uid-1", spec)


def backend(name: str, weight: int | None = None, *, port: int = 8080, **more: Any) -> Json:
    """A backendRef as the apiserver returns it."""
    return {
        "group": "",
        "kind": "Service",
        "name": name,
        "port": port,
        "weight": 1 if weight is None else weight,
        **more,
    }


def route(text: str, *, kind: str = "HTTPRoute") -> Json:
    """A user's route: `text` is the YAML of its spec's rules."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": kind,
        "metadata": _metadata("fraud", "2026-01-01T00:00:00Z"),
        "spec": {"parentRefs": [dict(PARENT)], "rules": yaml.safe_load(text)},
    }


def _metadata(name: str, created: str) -> Json:
    return {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-of-{name}",
        "generation": 1,
        "resourceVersion": "1",
        "creationTimestamp": created,
    }


def accepted(live: Json, **conditions: Any) -> Json:
    """The route with the answer of its gateway; `conditions` replace fields of `Accepted`."""
    answered = copy.deepcopy(live)
    generation = answered["metadata"]["generation"]
    fine = {"status": "True", "reason": "Fine", "message": "", "observedGeneration": generation}
    answered["status"] = {
        "parents": [
            {
                "parentRef": {"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent},
                "controllerName": "traefik.io/gateway-controller",
                "conditions": [
                    {"type": "Accepted", **fine, **conditions},
                    {"type": "ResolvedRefs", **fine},
                ],
            }
            for parent in answered["spec"]["parentRefs"]
        ]
    }
    return answered


def performed(live: Mapping[Reference, Json], change: Change) -> dict[Reference, Json]:
    """The objects after a change, as the apiserver has them.

    Raises:
        AssertionError: where a `test` operation fails.
    """
    after = copy.deepcopy(dict(live))
    body: Any = change.body
    match change.verb:
        case Verb.APPLY:
            after[change.target] = _applied(copy.deepcopy(body), live.get(change.target))
        case Verb.JSON_PATCH:
            for operation in body:
                _patch(after[change.target], operation)
            _count(after[change.target]["metadata"])
        case Verb.DELETE:
            uid = after[change.target]["metadata"]["uid"]
            assert body.get("preconditions", {"uid": uid})["uid"] == uid
            del after[change.target]
    return after


def _applied(body: Json, old: Json | None) -> Json:
    known = old or {"metadata": _metadata(body["metadata"]["name"], "2026-02-02T00:00:00Z")}
    body["metadata"] = {**known["metadata"], **body["metadata"]}
    _count(body["metadata"])
    spec = body.get("spec", {})
    for parent in spec.get("parentRefs", ()):
        parent.update({"group": "gateway.networking.k8s.io", "kind": "Gateway"})
    for container in spec.get("template", {}).get("spec", {}).get("containers", ()):
        container["terminationMessagePath"] = "/dev/termination-log"
        container["resources"] = {"requests": {"cpu": "spelt in another way"}}
    for rule in spec.get("rules", ()):
        rule.setdefault("matches", [{"path": {"type": "PathPrefix", "value": "/"}}])
        for one in rule["backendRefs"]:
            one.update({"group": "", "kind": "Service"})
    return body


def _count(metadata: Json) -> None:
    metadata["generation"] += 1
    metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)


def _patch(document: Json, operation: Json) -> None:
    *path, last = operation["path"].strip("/").split("/")
    place: Any = document
    for step in path:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if operation["op"] == "test":
        assert place[int(last) if isinstance(place, list) else last] == operation["value"]
        return
    if operation["op"] == "remove":
        del place[last]
        return
    assert operation["op"] in {"add", "replace"}
    place[last] = operation["value"]


def managed(manager: str, at: datetime, **more: Any) -> Json:
    """An entry of `metadata.managedFields` over the spec."""
    return {
        "manager": manager,
        "operation": "Apply" if manager == MANAGER else "Update",
        "time": at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fieldsV1": {"f:spec": {"f:rules": {}}},
        **more,
    }
