"""The istio provider: weights, mirrors and previews as Istio itself understands them."""

import json
import time
from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.routing import gateway_features, providers
from modelrollout.routing.contract import Desired, Reference, Rollout, Tee
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load
from tests.istio import mesh

Json = dict[str, Any]

CANARY: Json = {"canary": {"weights": [20, 50], "minDuration": "4s"}}

SHADOW: Json = {
    "version": "v2",
    "protocol": {"plain": {"at": "/label"}},
    "task": {"classification": {"labels": ["ham", "spam"]}},
}


def made(ml: Fleet) -> Json:
    return {"istio": {"hosts": [ml.host], "gateways": ["istio-system/public"]}}


def destination(name: str, weight: int) -> Json:
    return {"destination": {"host": name, "port": {"number": 8080}}, "weight": weight}


def virtual_service(ml: Fleet, *rules: Json) -> Json:
    """One of the user's."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": "mine"},
        "spec": {"hosts": [ml.host], "gateways": ["istio-system/public"], "http": list(rules)},
    }


def rules(ml: Fleet, name: str) -> list[Json]:
    found = kubectl.get("virtualservice", name, namespace=ml.namespace)
    listed: list[Json] = found["spec"]["http"]
    return listed


def serves(name: str) -> Any:
    return lambda s: s.get("phase") == "Serving" and s["stable"]["name"] == name


def test_a_canary_is_promoted_by_a_virtual_service_that_the_operator_makes(
    ml: Fleet, gateway: str
) -> None:
    ml.serving(traffic=made(ml), strategy=CANARY)
    with Load(gateway, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s.get("weight") == "20%" and bool(s["decision"].get("confirmedAt")))
        (rule,) = rules(ml, "fraud-rollout")
        assert rule["route"] == [destination("fraud-v1", 8_000), destination("fraud-v2", 2_000)]
        ml.until(serves("v2"))

    assert load.failed == {}
    assert set(load.codes) == {200}
    assert load.answered["v2"] > 0


def test_harm_is_rolled_back_in_a_virtual_service_of_the_users(ml: Fleet, gateway: str) -> None:
    beside = {
        "match": [{"uri": {"exact": "/old"}}],
        "route": [destination("fraud-v1", 100)],
        "timeout": "3s",
    }
    main = {
        "route": [destination("fraud-v1", 100), destination("fraud-v2", 0)],
        "retries": {"attempts": 0},
        "headers": {"response": {"set": {"x-by": "istio"}}},
    }
    ml.deploy("v1", "v2")
    ml.apply(virtual_service(ml, beside, main))
    before = rules(ml, "mine")
    ml.behave("v2", errors=0.4)
    ml.rollout(traffic={"istio": {"virtualServices": ["mine"]}}, strategy=CANARY)
    ml.ready()
    with Load(gateway, ml.host) as load:
        ml.release("v2")
        ml.phase("RolledBack")

    assert load.failed == {}
    assert load.codes[500] > 0
    assert rules(ml, "mine") == before


def test_weights_changed_by_hand_are_put_back(ml: Fleet, gateway: str) -> None:
    del gateway
    ml.serving(traffic=made(ml), strategy=CANARY)
    hand = [{"op": "replace", "path": "/spec/http/0/route", "value": [destination("fraud-v2", 1)]}]
    ml.kubectl("patch", "virtualservice", "fraud-rollout", "--type=json", "-p", json.dumps(hand))
    ml.kubectl(
        "wait",
        "virtualservice/fraud-rollout",
        "--for=jsonpath={.spec.http[0].route[0].destination.host}=fraud-v1",
        "--timeout=5s",
    )


def rendered(ml: Fleet, *, traffic: Json | None = None, **wanted: Any) -> list[Json]:
    """What the provider makes of a decision, put to Istio without an operator in between."""
    written = fleet.rollout(ml.host, traffic=traffic or made(ml), strategy=CANARY)["spec"]
    spec = ModelRolloutSpec.model_validate(written)
    rollout = Rollout(ml.namespace, "fraud", "uid", spec)
    desired = Desired({"v1": 10_000}, stable="v1", sequence=1, **wanted)
    return [change.body for change in providers.chosen(spec).render(rollout, desired, {})]


def test_a_tee_copies_its_share_of_the_requests_and_no_answer(ml: Fleet, gateway: str) -> None:
    ml.deploy("v1", "v2")
    ml.apply(*rendered(ml, tee=Tee("v2", 2_500)))
    with Load(gateway, ml.host, rate=200.0) as load:
        while sum(load.answered.values()) < 1_000:
            time.sleep(0.05)
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    asked = sum(load.answered.values())
    # Four standard errors of a quarter.
    assert ml.answered_by("v2") == pytest.approx(asked / 4, abs=4 * (asked * 3 / 16) ** 0.5)


def test_a_preview_is_reached_by_its_host_and_nobody_else_meets_it(ml: Fleet, gateway: str) -> None:
    shown = f"preview-{ml.host}"
    strategy = {"blueGreen": {"previewHost": shown, "approval": True}}
    ml.serving(traffic=made(ml), strategy=strategy)
    with Load(gateway, ml.host) as load:
        ml.release("v2")
        ml.phase("Waiting")
        with Load(gateway, shown) as tester:
            while not tester.answered:
                time.sleep(0.05)
        ml.release("v1")
        ml.until(serves("v1"))
    assert set(tester.answered) == {"v2"}
    assert set(load.answered) == {"v1"}
    assert load.failed == {}
    ml.kubectl("wait", "virtualservice/fraud-preview", "--for=delete", "--timeout=20s")


def routed() -> Json:
    """The Gateway API, on Istio's own gateway."""
    parent = {"name": "routes", "namespace": mesh.NAMESPACE}
    return {"gatewayAPI": {"parentRefs": [parent]}}


def read(kind: str, name: str, namespace: str = "") -> Json:
    """A live object, of a namespace or of none."""
    where = ["-n", namespace] if namespace else []
    found: Json = json.loads(kubectl.must("get", kind, name, *where, "-o", "json"))
    return found


def said(ml: Fleet, gateway: str, namespace: str) -> str:
    """Why a real gateway cannot copy requests, by its own class; "" when it can."""
    traffic = {"gatewayAPI": {"parentRefs": [{"name": gateway, "namespace": namespace}]}}
    written = fleet.rollout(ml.host, traffic=traffic, strategy={"shadow": SHADOW})["spec"]
    spec = ModelRolloutSpec.model_validate(written)
    rollout = Rollout(ml.namespace, "fraud", "uid", spec)
    live: dict[Reference, Json] = {}
    for _ in range(2):
        for one in gateway_features.facts(rollout, live):
            live[one] = read(one.kind.plural, one.name, one.namespace)
    reason = gateway_features.refusal(rollout, live)
    return reason.sentence if reason else ""


def test_classes_that_do_not_say_that_they_copy_requests_are_refused(
    ml: Fleet, gateway: str
) -> None:
    """Traefik's and Istio's own: Istio can, as the next test shows, but its class does not say so.

    For an Istio there is the provider `istio`, which needs no such word.
    """
    del gateway
    for name, namespace in (("routes", mesh.NAMESPACE), ("public", "gateways")):
        told = said(ml, name, namespace)
        assert "HTTPRouteRequestMirror" in told
        assert "istio" in told


def test_the_mirror_of_a_generated_route_is_obeyed_by_a_gateway_that_can(
    ml: Fleet, gateway: str
) -> None:
    del gateway
    ml.deploy("v1", "v2")
    traffic = {"gatewayAPI": {**routed()["gatewayAPI"], "hostnames": [ml.host]}}
    ml.apply(*rendered(ml, traffic=traffic, tee=Tee("v2", 2_500)))
    with Load(mesh.ROUTES_URL, ml.host, rate=200.0) as load:
        while sum(load.answered.values()) < 1_000:
            time.sleep(0.05)
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    asked = sum(load.answered.values())
    assert ml.answered_by("v2") == pytest.approx(asked / 4, abs=4 * (asked * 3 / 16) ** 0.5)


def test_a_canary_on_istios_gateway_api_is_promoted(ml: Fleet, gateway: str) -> None:
    del gateway
    traffic = {"gatewayAPI": {**routed()["gatewayAPI"], "hostnames": [ml.host]}}
    ml.serving(traffic=traffic, strategy=CANARY)
    with Load(mesh.ROUTES_URL, ml.host) as load:
        ml.release("v2")
        ml.until(serves("v2"))

    assert load.failed == {}
    assert load.answered["v2"] > 0


def test_an_observer_compares_what_a_mirror_of_istio_copies(ml: Fleet, gateway: str) -> None:
    ml.serving(traffic=made(ml))
    with Load(gateway, ml.host, body={"x": 1}) as load:
        shadow = {**SHADOW, "sample": "12.5%", "duration": "8s", "paths": ["/predict"]}
        ml.patch({"spec": {"strategy": {"canary": None, "shadow": shadow}}})
        found = ml.until(lambda s: fleet.condition(s, "Ready").get("reason") == "ShadowReported")
        ml.until(lambda _: "mirrors" not in rules(ml, "fraud-rollout")[0])
    assert load.failed == {}
    assert set(load.answered) == {"v1"}
    assert found["status"]["shadow"]["counted"]["match"] > 20
