"""Who owns the replicas of a workload, by the fields that the apiserver notes for each writer."""

from typing import Any

import pytest

from modelrollout.adapters import scaling

REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
TEMPLATE: dict[str, Any] = {"f:spec": {"f:template": {}}}


def entry(manager: str, fields: dict[str, Any], subresource: str = "") -> dict[str, Any]:
    more = {"subresource": subresource} if subresource else {}
    return {"manager": manager, "operation": "Update", "fieldsV1": fields, **more}


@pytest.mark.parametrize(
    ("entries", "owner"),
    [
        pytest.param([], "", id="a default"),
        pytest.param([entry("argocd-controller", TEMPLATE)], "", id="another field"),
        pytest.param([entry("argocd-controller", REPLICAS)], "argocd-controller", id="gitops"),
        pytest.param([entry("kubectl", REPLICAS)], "kubectl", id="a manifest with replicas"),
        pytest.param([entry("kubectl", REPLICAS, "scale")], "", id="kubectl scale"),
        pytest.param([entry("modelrollout", REPLICAS, "scale")], "", id="us"),
        pytest.param(
            [entry("kube-controller-manager", REPLICAS, "scale")],
            "kube-controller-manager",
            id="an autoscaler",
        ),
    ],
)
def test_the_owner_of_replicas(entries: list[dict[str, Any]], owner: str) -> None:
    assert scaling.owner({"metadata": {"managedFields": entries}}) == owner


def test_a_workload_that_does_not_exist_has_no_owner() -> None:
    assert scaling.owner(None) == ""
