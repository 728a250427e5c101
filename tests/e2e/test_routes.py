"""Routes: the user's own, several at once, absent, refused, changed by hand, claimed twice."""

import json
import time
from typing import Any

from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet, backend, condition, route
from tests.e2e.load import Load

Json = dict[str, Any]


def owned(*names: str) -> Json:
    return {"gatewayAPI": {"routes": [{"name": name} for name in names or ("fraud",)]}}


def rules_of(ml: Fleet, name: str = "fraud") -> list[Json]:
    found: list[Json] = kubectl.get("httproute", name, namespace=ml.namespace)["spec"]["rules"]
    return found


def test_weights_move_in_the_users_route_and_nothing_else_does(ml: Fleet, cluster: Cluster) -> None:
    header = {"name": "x-by", "value": "gateway"}
    filters = [{"type": "ResponseHeaderModifier", "responseHeaderModifier": {"add": [header]}}]
    main = {"backendRefs": [backend("v1", 1), backend("v2", 0)], "filters": filters}
    beside = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/old"}}],
        "backendRefs": [backend("v1", 1)],
    }
    ml.deploy("v1", "v2")
    ml.apply(route(ml.host, beside, main))
    before = rules_of(ml)
    ml.rollout(traffic=owned())
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")

    after = rules_of(ml)
    assert after[0] == before[0]
    weights = {b["name"]: b["weight"] for b in after[1]["backendRefs"]}
    assert weights["fraud-v1"] == 0
    assert weights["fraud-v2"] > 0
    assert {k: v for k, v in after[1].items() if k != "backendRefs"} == {
        k: v for k, v in before[1].items() if k != "backendRefs"
    }
    assert load.failed == {}
    assert set(load.codes) == {200}
    assert load.answered["v2"] > 0


def test_row_2_what_the_users_route_serves_is_stable(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.apply(route(ml.host, {"backendRefs": [backend("v1", 0), backend("v2", 100)]}))
    ml.rollout(traffic=owned(), target="v2")
    ml.ready()
    assert ml.status()["stable"]["name"] == "v2"
    assert ml.weights() == {"fraud-v1": 0, "fraud-v2": 100}


def test_several_routes_move_together(ml: Fleet, cluster: Cluster) -> None:
    ml.deploy("v1", "v2")
    rule = {"backendRefs": [backend("v1", 100), backend("v2", 0)]}
    ml.apply(route(ml.host, rule), route(f"b-{ml.host}", rule, name="second"))
    ml.rollout(traffic=owned("fraud", "second"))
    ml.ready()
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.until(lambda s: s.get("weight") == "20%" and bool(s["decision"].get("confirmedAt")))
        assert ml.weights("second") == ml.weights() == {"fraud-v1": 80, "fraud-v2": 20}


def test_a_route_that_is_absent_is_named(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.rollout(traffic=owned())
    ml.until(lambda s: reason(s, "TrafficProgrammed") == "RouteMissing")
    told = ml.condition("TrafficProgrammed")
    assert told["status"] == "False"
    assert "fraud" in told["message"]
    ml.apply(route(ml.host, {"backendRefs": [backend("v1", 100), backend("v2", 0)]}))
    ml.ready()


def test_a_route_without_two_of_our_versions_says_what_was_found(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.apply(route(ml.host, {"backendRefs": [backend("v1", 100)]}))
    ml.rollout(traffic=owned())
    ml.until(lambda s: reason(s, "TrafficProgrammed") == "NoMatchingRule")
    assert "fraud-v1" in ml.condition("TrafficProgrammed")["message"]


def test_the_gateways_own_reason_is_shown(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    parent = {"name": "public", "namespace": "gateways", "sectionName": "nowhere"}
    ml.rollout(traffic={"gatewayAPI": {"parentRefs": [parent], "hostnames": [ml.host]}})
    ml.until(
        lambda s: any(
            c["type"] == "TrafficProgrammed"
            and c["status"] == "False"
            and "NoMatchingParent" in c["message"]
            for c in s.get("conditions", [])
        )
    )


def test_row_39_weights_changed_by_hand_are_put_back_and_the_writer_is_named(ml: Fleet) -> None:
    ml.serving()
    hand = [{"op": "add", "path": "/spec/rules/0/backendRefs", "value": [backend("v2", 1)]}]
    began = time.monotonic()
    ml.kubectl("patch", "httproute", "fraud-rollout", "--type=json", "-p", json.dumps(hand))
    ml.kubectl(
        "wait",
        "httproute/fraud-rollout",
        "--for=jsonpath={.spec.rules[0].backendRefs[0].name}=fraud-v1",
        "--timeout=10s",
    )
    took_s = time.monotonic() - began
    assert took_s < 5, f"put back after {took_s:.1f} s"
    found = ml.until(lambda s: (s.get("writer") or {}).get("times", 0) >= 1)
    assert "kubectl" in found["status"]["writer"]["name"]
    assert "WeightsPutBack" in ml.events()


def test_row_6_an_older_route_on_the_same_host_is_named(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.apply(route(ml.host, {"backendRefs": [backend("v1", 1)]}, name="elder"))
    ml.rollout()
    ml.until(lambda s: reason(s, "TrafficProgrammed") == "ShadowedByRoute", timeout_s=30)
    assert "elder" in ml.condition("TrafficProgrammed")["message"]
    ml.kubectl("delete", "httproute", "elder")
    ml.ready()


def test_row_7_the_first_claimant_keeps_a_service(ml: Fleet) -> None:
    ml.serving()
    second = fleet.rollout(f"b-{ml.host}")
    second["metadata"]["name"] = "second"
    ml.apply(second)
    ml.kubectl(
        "wait",
        "mr/second",
        "--for=jsonpath={.status.conditions[?(@.type=='Accepted')].reason}=Claimed",
    )
    told = kubectl.get("mr", "second", namespace=ml.namespace)["status"]["message"]
    assert f"{ml.namespace}/fraud" in told
    ml.kubectl("delete", "mr", "fraud")
    ml.kubectl("wait", "mr/second", "--for=condition=Accepted", "--timeout=30s")


def reason(status: Json, kind: str) -> str:
    return str(condition(status, kind).get("reason", ""))
