"""Shadows end to end: an observer that the operator runs compares what users got, and decides."""

import json
from typing import Any

import yaml

from modelrollout.api import crd
from tests.cluster.handle import Cluster
from tests.e2e.fleet import Fleet, condition, summary
from tests.e2e.load import Load

Json = dict[str, Any]

EXAMPLES = crd.CHECKOUT / "examples"
COMPARED: Json = {
    "sample": 50,
    "duration": "8s",
    "protocol": {"plain": {"at": "/label"}},
    "task": {"classification": {"labels": ["ham", "spam"]}},
    "paths": ["/predict"],
}
AGREEING: Json = {"agreement": {"atLeast": "90%"}}
THEN_CANARY: Json = {
    "steps": [{"shadow": COMPARED | AGREEING}, {"weight": 50, "minDuration": "4s"}]
}


def url(ml: Fleet) -> str:
    return f"http://fraud-router.{ml.namespace}.svc.cluster.local:8080"


def gone(ml: Fleet) -> bool:
    """Nothing of the observer is left."""
    label = "app.kubernetes.io/name=modelrollout-observer"
    found = json.loads(ml.kubectl("get", "deployments,services", "-l", label, "-o", "json"))
    return not found["items"]


def test_a_shadow_alone_reports_and_moves_nobody(ml: Fleet) -> None:
    ml.serving(traffic={"router": {}})
    with Load(url(ml), ml.host, body={"x": 1}) as load:
        ml.patch({"spec": {"strategy": {"canary": None, "shadow": COMPARED | {"version": "v2"}}}})
        found = ml.until(lambda s: condition(s, "Ready").get("reason") == "ShadowReported")
        ml.until(lambda _: gone(ml))
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    status = found["status"]
    assert condition(status, "Ready")["status"] == "True", summary(found)
    assert status["stable"]["name"] == "v1"
    assert status["shadow"]["counted"]["match"] > 30
    assert "100.00% of" in status["shadow"]["message"]
    assert "noise floor unknown" in status["shadow"]["message"]


def test_a_candidate_that_disagrees_meets_no_user(ml: Fleet) -> None:
    ml.serving(traffic={"router": {}}, strategy=THEN_CANARY)
    ml.behave("v2", label="spam")
    with Load(url(ml), ml.host, body={"x": 1}) as load:
        ml.release("v2")
        found = ml.phase("RolledBack")
        ml.until(lambda _: gone(ml))
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    assert "disagreement is at least" in found["status"]["message"], summary(found)


def test_a_candidate_that_agrees_goes_on_to_its_canary(ml: Fleet) -> None:
    ml.serving(traffic={"router": {}}, strategy=THEN_CANARY)
    with Load(url(ml), ml.host, body={"x": 1}) as load:
        ml.release("v2")
        found = ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
    assert load.failed == {}, summary(found)
    assert found["status"]["shadow"]["counted"]["match"] > 30
    assert load.answered["v2"] > 0


def ingress(ml: Fleet) -> Json:
    """The user's: it refers to the TraefikService that the operator makes."""
    service = {"name": "fraud", "kind": "TraefikService"}
    rule = {"kind": "Rule", "match": f"Host(`{ml.host}`)", "services": [service]}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "users"},
        "spec": {"routes": [rule]},
    }


def test_a_gateways_mirror_feeds_the_observer_too(cluster: Cluster, ml: Fleet) -> None:
    noise = {"noise": {"mode": "Paired", "share": "50%"}}
    ml.serving(traffic={"traefik": {}})
    ml.apply(ingress(ml))
    with Load(cluster.gateway_url, ml.host, body={"x": 1}) as load:
        shadow = COMPARED | noise | {"version": "v2"}
        ml.patch({"spec": {"strategy": {"canary": None, "shadow": shadow}}})
        found = ml.until(lambda s: condition(s, "Ready").get("reason") == "ShadowReported")
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    counted = found["status"]["shadow"]["counted"]
    assert counted["match"] > 30
    assert counted["neither"] > 10
    assert counted["control_match"] == counted["neither"]
    assert "stable disagrees with itself on 0.00%" in found["status"]["shadow"]["message"]


def test_a_gateway_that_cannot_copy_requests_is_named(ml: Fleet) -> None:
    ml.serving()
    shadow = COMPARED | {"version": "v2"}
    ml.patch({"spec": {"strategy": {"canary": None, "shadow": shadow}}})
    found = ml.until(lambda s: condition(s, "Ready").get("reason") == "Unsupported")
    assert "cannot copy requests" in condition(found["status"], "Ready")["message"]
    assert "spec.traffic.router" in condition(found["status"], "Ready")["message"]


def example(name: str) -> Json:
    """The spec of an example, in short, and for models that speak another protocol."""
    text = (EXAMPLES / name / "rollout.yaml").read_text(encoding="utf-8")
    spec: Json = yaml.safe_load(text)["spec"]
    strategy = spec["strategy"]
    for asked in [
        strategy.get("shadow"),
        *(one.get("shadow") for one in strategy.get("steps", ())),
    ]:
        if asked is not None:
            own = ("duration", "protocol", "task", "paths")
            asked.update({name: COMPARED[name] for name in own}, sample=50)
    for step in strategy.get("steps", ()):
        if "weight" in step:
            step["minDuration"] = "4s"
    spec["analysis"] |= {"interval": "4s", "warmUp": "2s"}
    return spec


def test_the_example_of_a_shadow_is_executed(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.rollout(**example("08-shadow"))
    with Load(url(ml), ml.host, body={"x": 1}) as load:
        found = ml.until(lambda s: condition(s, "Ready").get("reason") == "ShadowReported")
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    assert "100.00% of" in found["status"]["shadow"]["message"]


def test_the_example_of_a_shadow_before_a_canary_is_executed(ml: Fleet) -> None:
    spec = example("10-shadow-then-canary")
    spec["strategy"]["steps"][0]["shadow"] |= {"noise": {"mode": "Paired", "share": "100%"}}
    spec["analysis"] = {"interval": "4s", "warmUp": "2s"}
    ml.deploy("v1", "v2")
    ml.rollout(**spec | {"target": "v1"})
    ml.ready()
    with Load(url(ml), ml.host, body={"x": 1}) as load:
        ml.release("v2")
        found = ml.until(lambda s: s.get("weight") == "5%", timeout_s=60)
        assert found["status"]["shadow"]["counted"]["neither"] > 100
    assert load.failed == {}
