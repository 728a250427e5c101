"""Replicas end to end: a parked version comes back in time; an autoscaler is held and let go."""

import json
from typing import Any

import pytest

from tests.cluster.handle import Cluster
from tests.e2e import kubectl
from tests.e2e.fleet import Fleet, deployment, summary
from tests.e2e.load import Load

Json = dict[str, Any]

QUICK: Json = {"strategy": {"blueGreen": {}}, "drain": "2s", "bake": {"duration": "2s"}}


def deploy(ml: Fleet, *names: str, replicas: int = 1) -> None:
    """Deploys versions whose manifests leave the number of replicas to others."""
    for name in names:
        workload, service = deployment(name)
        del workload["spec"]["replicas"]
        ml.apply(workload, service)
        if replicas > 1:
            ml.kubectl("scale", f"deployment/fraud-{name}", f"--replicas={replicas}")
    for name in names:
        ml.kubectl("rollout", "status", f"deployment/fraud-{name}", "--timeout=60s")


def replicas(ml: Fleet, name: str) -> int:
    found = kubectl.get("deployment", f"fraud-{name}", namespace=ml.namespace)
    return int(found["spec"]["replicas"])


def autoscaler(name: str, *, minimum: int = 1) -> Json:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": f"fraud-{name}"},
        "spec": {
            "scaleTargetRef": {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "name": f"fraud-{name}",
            },
            "minReplicas": minimum,
            "maxReplicas": 5,
        },
    }


def minimum(ml: Fleet, name: str) -> int:
    found = kubectl.get("hpa", f"fraud-{name}", namespace=ml.namespace)
    return int(found["spec"]["minReplicas"])


def notes(ml: Fleet, name: str) -> Json:
    found = kubectl.get("hpa", f"fraud-{name}", namespace=ml.namespace)
    return {k: v for k, v in found["metadata"].get("annotations", {}).items() if "replicas" in k}


def test_the_old_version_is_parked_and_comes_back_without_a_failed_request(
    ml: Fleet, cluster: Cluster
) -> None:
    deploy(ml, "v1", "v2", replicas=2)
    ml.rollout(capacity="ParkOld", **QUICK)
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: [p["state"] for p in s.get("parked", [])] == ["Parked"])
        assert (replicas(ml, "v1"), replicas(ml, "v2")) == (0, 2)
        ml.kubectl("wait", "pod", "-l", "version=v1", "--for=delete", "--timeout=60s")

        ml.release("v1")
        found = ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v1")
        assert replicas(ml, "v1") == 2
        ml.until(lambda s: [p["name"] for p in s.get("parked", [])] == ["v1", "v2"])
        assert load.failed == {}, summary(found)
        assert set(load.codes) == {200}
    assert {"Parked", "Unparked"} <= set(ml.events())


def test_park_old_is_refused_beside_another_writer_of_replicas(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.rollout(capacity="ParkOld", **QUICK)
    found = ml.until(lambda s: "leave `replicas` to the operator" in s.get("message", ""))
    assert ml.condition("Accepted")["reason"] == "ReplicasOwned", summary(found)
    assert "kubectl" in found["status"]["message"]


def test_park_old_needs_the_workload_of_every_version(ml: Fleet) -> None:
    with pytest.raises(AssertionError, match="name the workload of every version"):
        ml.rollout(
            capacity="ParkOld",
            versions=[{"name": "v1", "service": {"name": "fraud-v1", "port": 8080}}],
        )


def test_row_35_the_minimum_of_a_real_autoscaler_is_held_and_put_back(
    ml: Fleet, cluster: Cluster
) -> None:
    deploy(ml, "v1", replicas=3)
    deploy(ml, "v2", replicas=1)
    ml.apply(autoscaler("v1"))
    ml.rollout(strategy={"canary": {"weights": [50], "minDuration": "600s"}})
    ml.ready()
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.phase("Stepping")
        assert minimum(ml, "v1") == 3
        assert set(notes(ml, "v1").values()) == {"1", "3"}
        ml.release("v1")
        ml.until(lambda s: s["phase"] == "Serving" and not s.get("held"))
    assert minimum(ml, "v1") == 1
    assert notes(ml, "v1") == {}


def test_a_deleted_rollout_puts_the_minimum_back_first(ml: Fleet, cluster: Cluster) -> None:
    deploy(ml, "v1", replicas=2)
    deploy(ml, "v2")
    ml.apply(autoscaler("v1"))
    ml.rollout(strategy={"canary": {"weights": [50], "minDuration": "600s"}})
    ml.ready()
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.phase("Stepping")
        assert minimum(ml, "v1") == 2
        ml.kubectl("delete", "mr", "fraud", "--timeout=60s")
    assert minimum(ml, "v1") == 1
    assert json.dumps(notes(ml, "v1")) == "{}"
