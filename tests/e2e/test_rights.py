"""The operator's rights are enough, by the apiserver's own audit log, and used as promised."""

from typing import Any

from tests.cluster.handle import Cluster
from tests.e2e.audit import requests
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load

READS = {"get", "list", "watch"}
WRITTEN = {
    ("patch", "modelrollouts"),
    ("patch", "modelrollouts/status"),
    ("patch", "httproutes"),
    ("patch", "grpcroutes"),
    ("delete", "httproutes"),
    *((verb, kind) for verb in ("patch", "delete") for kind in ("services", "traefikservices")),
    *((verb, "virtualservices") for verb in ("patch", "delete")),
    *((verb, kind) for verb in ("patch", "delete") for kind in ("deployments", "configmaps")),
    *((verb, kind) for verb in ("patch", "delete") for kind in ("secrets", "poddisruptionbudgets")),
    ("create", "secrets"),
    ("create", "jobs"),
    ("patch", "deployments/scale"),
    ("patch", "horizontalpodautoscalers"),
    ("create", "events"),
    ("patch", "events"),
    ("create", "leases"),
    ("update", "leases"),
}


def resource(request: dict[str, Any]) -> str:
    there = request.get("objectRef", {})
    return "/".join(part for part in (there.get("resource"), there.get("subresource")) if part)


def test_nothing_is_forbidden_and_nothing_else_is_written(ml: Fleet, cluster: Cluster) -> None:
    ml.serving()
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")

    asked = requests(cluster)
    mine = [one for one in asked if one.get("objectRef", {}).get("namespace") == ml.namespace]
    assert {"get", "patch", "create"} <= {one["verb"] for one in mine}
    # In a namespace that is being deleted nothing can be made: those are refusals of another kind.
    here = [
        one for one in asked if one.get("objectRef", {}).get("namespace") in {None, ml.namespace}
    ]
    forbidden = [one for one in here if one.get("responseStatus", {}).get("code") == 403]
    assert [(one["verb"], resource(one)) for one in forbidden] == []
    writes = {(one["verb"], resource(one)) for one in asked if one["verb"] not in READS}
    assert writes <= WRITTEN
