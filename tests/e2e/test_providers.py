"""Providers beside the generated route, on a real Traefik and real Services; users are counted."""

import json
import time
from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.routing import providers
from modelrollout.routing.contract import Desired, Rollout, Tee
from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet, route
from tests.e2e.load import Load

Json = dict[str, Any]

BLUE_GREEN: Json = {"blueGreen": {}}
SWITCHED: Json = {
    "traffic": {"service": {"name": "fraud"}},
    "strategy": BLUE_GREEN,
    "bake": {"duration": "8s"},
}
CANARY: Json = {"canary": {"weights": [20, 50], "minDuration": "4s"}}


def called(selector: Json) -> Json:
    """The Service that clients call."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fraud", "labels": {"team": "risk"}},
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": 8080}],
            "sessionAffinity": "None",
        },
    }


def pods(version: str) -> Json:
    return {"app": "fraud", "version": version}


def selector(ml: Fleet, name: str = "fraud") -> Json:
    found: Json = kubectl.get("service", name, namespace=ml.namespace)["spec"]["selector"]
    return found


def switched(ml: Fleet, **changes: Any) -> None:
    """Clients call `fraud`, through a plain route that nobody moves; v1 serves."""
    ml.deploy("v1", "v2")
    plain = {"backendRefs": [{"name": "fraud", "port": 8080}]}
    ml.apply(called(pods("v1")), route(ml.host, plain, name="plain"))
    ml.rollout(**{**SWITCHED, **changes})
    ml.ready()


def serves(name: str) -> Any:
    return lambda s: s.get("phase") == "Serving" and s["stable"]["name"] == name


def test_a_service_is_switched_to_the_new_version_and_back(ml: Fleet, cluster: Cluster) -> None:
    switched(ml)
    before = kubectl.get("service", "fraud", namespace=ml.namespace)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        # A decision is stored before it is carried out, and confirmed when it has been seen.
        ml.until(lambda s: s.get("phase") == "Baking" and bool(s["decision"].get("confirmedAt")))
        assert selector(ml) == pods("v2")
        ml.until(serves("v2"))
        ml.release("v1")
        ml.until(serves("v1"))
        assert selector(ml) == pods("v1")

    assert load.failed == {}
    assert set(load.codes) == {200}
    assert load.answered["v2"] > 0
    after = kubectl.get("service", "fraud", namespace=ml.namespace)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert "ownerReferences" not in after["metadata"]


def test_before_the_switch_the_candidate_has_a_preview_service(ml: Fleet) -> None:
    switched(ml, strategy={"blueGreen": {"approval": True}})
    ml.release("v2")
    ml.phase("Waiting")
    assert selector(ml, "fraud-preview") == pods("v2")
    assert selector(ml) == pods("v1")
    ml.release("v1")
    ml.until(serves("v1"))
    ml.kubectl("wait", "service/fraud-preview", "--for=delete", "--timeout=20s")


def test_a_canary_on_a_service_is_refused_with_those_who_can(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.apply(called(pods("v1")))
    ml.rollout(traffic=SWITCHED["traffic"], strategy=CANARY)
    ml.until(lambda s: fleet.condition(s, "Accepted").get("status") == "False", timeout_s=15)
    told = ml.condition("Accepted")
    assert told["reason"] == "Unsupported"
    for word in ("spec.strategy.canary", "gatewayAPI", "traefik", "istio", "blueGreen"):
        assert word in told["message"]
    assert selector(ml) == pods("v1")


def test_a_selector_changed_by_hand_is_put_back_within_seconds(ml: Fleet) -> None:
    switched(ml)
    began = time.monotonic()
    hand = [{"op": "replace", "path": "/spec/selector", "value": pods("v2")}]
    ml.kubectl("patch", "service", "fraud", "--type=json", "-p", json.dumps(hand))
    ml.kubectl(
        "wait", "service/fraud", "--for=jsonpath={.spec.selector.version}=v1", "--timeout=10s"
    )
    assert time.monotonic() - began < 5
    ml.until(lambda s: (s.get("writer") or {}).get("times", 0) >= 1)


def ingress_route(host: str, name: str = "fraud") -> Json:
    """The user's: it refers to a TraefikService."""
    services = [{"kind": "TraefikService", "name": name}]
    rule = {"kind": "Rule", "match": f"Host(`{host}`)", "services": services}
    return {
        "apiVersion": "traefik.io/v1alpha1",
        "kind": "IngressRoute",
        "metadata": {"name": "fraud"},
        "spec": {"entryPoints": ["web"], "routes": [rule]},
    }


def traefik_service(ml: Fleet, name: str = "fraud") -> Json:
    found: Json = kubectl.get("traefikservice.traefik.io", name, namespace=ml.namespace)["spec"]
    return found


def test_a_canary_is_promoted_by_a_traefik_service_that_the_operator_makes(
    ml: Fleet, cluster: Cluster
) -> None:
    ml.apply(ingress_route(ml.host))
    ml.serving(traffic={"traefik": {}}, strategy=CANARY)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s.get("weight") == "20%" and bool(s["decision"].get("confirmedAt")))
        weights = {
            one["name"]: one["weight"] for one in traefik_service(ml)["weighted"]["services"]
        }
        assert weights == {"fraud-v1": 8_000, "fraud-v2": 2_000}
        ml.until(serves("v2"))

    assert load.failed == {}
    assert set(load.codes) == {200}
    assert load.answered["v1"] > load.answered["v2"] / 20 > 0
    assert len(traefik_service(ml)["weighted"]["services"]) == 1


def of_the_users(ml: Fleet) -> list[Json]:
    """The user's TraefikService `mine`, of which all goes to v1; its backends."""
    services = [
        {"kind": "Service", "name": "fraud-v1", "port": 8080, "weight": 100, "scheme": "http"},
        {"kind": "Service", "name": "fraud-v2", "port": 8080, "weight": 0, "scheme": "http"},
    ]
    ml.deploy("v1", "v2")
    ml.apply(
        {
            "apiVersion": "traefik.io/v1alpha1",
            "kind": "TraefikService",
            "metadata": {"name": "mine"},
            "spec": {"weighted": {"services": services}},
        },
        ingress_route(ml.host, "mine"),
    )
    return services


def test_harm_is_rolled_back_in_a_traefik_service_of_the_users(ml: Fleet, cluster: Cluster) -> None:
    services = of_the_users(ml)
    ml.behave("v2", errors=0.4)
    ml.rollout(traffic={"traefik": {"service": "mine"}}, strategy=CANARY)
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.phase("RolledBack")

    assert load.failed == {}
    assert load.codes[500] > 0
    assert traefik_service(ml, "mine") == {"weighted": {"services": services}}


def test_a_preview_beside_a_traefik_service_of_the_users_is_shown_then_all_is_switched(
    ml: Fleet,
) -> None:
    of_the_users(ml)
    shown = {"blueGreen": {"previewHost": f"preview.{ml.host}", "approval": True}}
    ml.rollout(traffic={"traefik": {"service": "mine"}}, strategy=shown)
    ml.ready()
    ml.release("v2")
    ml.until(
        lambda s: (
            fleet.condition(s, "Paused").get("reason") == "AwaitingApproval"
            and fleet.condition(s, "TrafficProgrammed").get("status") == "True"
        )
    )
    (preview,) = traefik_service(ml, "fraud-preview")["weighted"]["services"]
    assert preview["name"] == "fraud-v2"
    status = ml.status()
    step, revision = status["step"].split("/")[0], status["candidate"]["revision"]
    ml.say("approve", f"yes step={step} revision={revision}")
    ml.until(serves("v2"))
    weights = [one["weight"] for one in traefik_service(ml, "mine")["weighted"]["services"]]
    assert weights == [0, 100]


def test_weights_of_a_traefik_service_changed_by_hand_are_put_back(ml: Fleet) -> None:
    ml.apply(ingress_route(ml.host))
    ml.serving(traffic={"traefik": {}}, strategy=CANARY)
    service = {"kind": "Service", "name": "fraud-v2", "port": 8080, "weight": 1}
    hand = [{"op": "replace", "path": "/spec/weighted/services", "value": [service]}]
    ml.kubectl("patch", "traefikservice", "fraud", "--type=json", "-p", json.dumps(hand))
    ml.kubectl(
        "wait",
        "traefikservice/fraud",
        "--for=jsonpath={.spec.weighted.services[0].name}=fraud-v1",
        "--timeout=5s",
    )


def test_what_traefik_makes_of_a_mirror_is_what_was_asked(ml: Fleet, cluster: Cluster) -> None:
    """The objects that a tee renders, put to a real Traefik: all answers by v1, a tenth copied."""
    ml.deploy("v1", "v2")
    ml.apply(ingress_route(ml.host))
    spec = ModelRolloutSpec.model_validate(
        fleet.rollout(ml.host, traffic={"traefik": {}}, strategy=CANARY)["spec"]
    )
    rollout = Rollout(ml.namespace, "fraud", "uid", spec)
    desired = Desired({"v1": 10_000}, stable="v1", sequence=1, tee=Tee("v2", 1_000))
    made = providers.chosen(spec).render(rollout, desired, {})
    ml.apply(*(change.body for change in made))
    with Load(cluster.gateway_url, ml.host) as load:
        while sum(load.answered.values()) < 300:
            time.sleep(0.05)
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    asked = sum(load.answered.values())
    copied = ml.answered_by("v2")
    assert copied == pytest.approx(asked / 10, abs=5)


def pool(version: str) -> Json:
    return {
        "apiVersion": "inference.networking.k8s.io/v1",
        "kind": "InferencePool",
        "metadata": {"name": f"pool-{version}"},
        "spec": {
            "selector": {"matchLabels": pods(version)},
            "targetPorts": [{"number": 8080}],
            "endpointPickerRef": {"name": "picker", "port": {"number": 9002}},
        },
    }


def pooled(*names: str) -> list[Json]:
    return [
        {
            "name": name,
            "inferencePool": {"name": f"pool-{name}"},
            "workload": {"name": f"fraud-{name}"},
        }
        for name in names
    ]


def test_versions_behind_inference_pools_are_routed_by_their_real_kind(ml: Fleet) -> None:
    """Traefik does not route to pools, and says so; what is written is what the API takes."""
    ml.deploy("v1", "v2")
    ml.apply(pool("v1"), pool("v2"))
    by_pods = {**fleet.rollout(ml.host)["spec"]["analysis"], "arm": {"kind": "Pods"}}
    ml.rollout(versions=pooled("v1", "v2"), analysis=by_pods)
    found = ml.until(
        lambda s: "InferencePool" in fleet.condition(s, "TrafficProgrammed").get("message", "")
    )
    ready = {one["name"]: one.get("ready") for one in found["status"]["versions"]}
    assert ready == {"v1": "1/1", "v2": "1/1"}
    rules = kubectl.get("httproute", "fraud-rollout", namespace=ml.namespace)["spec"]["rules"]
    (ref,) = rules[0]["backendRefs"]
    assert (ref["group"], ref["kind"], ref["name"]) == (
        "inference.networking.k8s.io",
        "InferencePool",
        "pool-v1",
    )


def test_series_by_service_of_a_pool_are_refused_with_what_to_write(ml: Fleet) -> None:
    ml.rollout(versions=pooled("v1", "v2"))
    ml.until(lambda s: fleet.condition(s, "Accepted").get("status") == "False", timeout_s=15)
    assert "arm: {kind: Pods}" in ml.condition("Accepted")["message"]


def test_a_provider_whose_kinds_are_not_installed_is_named(ml: Fleet) -> None:
    """Istio's are not, in this cluster."""
    ml.deploy("v1", "v2")
    ml.rollout(traffic={"istio": {"hosts": [ml.host]}}, strategy=CANARY)
    ml.until(
        lambda s: fleet.condition(s, "TrafficProgrammed").get("reason") == "Unsupported",
        timeout_s=15,
    )
    told = ml.condition("TrafficProgrammed")["message"]
    assert "VirtualService (networking.istio.io/v1)" in told
    assert "not installed" in told
    assert "stable" not in ml.status()
