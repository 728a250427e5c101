"""The router end to end: real Envoys that the operator deploys, users counted at the client."""

import base64
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e import kubectl
from tests.e2e.fleet import Fleet, condition, summary
from tests.e2e.load import Load

Json = dict[str, Any]

PRESET: Json = {
    "interval": "4s",
    "warmUp": "2s",
    "preset": "router",
    "metrics": [
        {
            "name": "errors",
            "rate": {
                "events": 'envoy_cluster_upstream_rq_xx{envoy_response_code_class="5"}',
                "total": "envoy_cluster_upstream_rq_xx",
            },
            "margin": {"relative": "50%", "absolute": 0.05},
        }
    ],
}
LONG: Json = {"canary": {"weights": [30, 50], "minDuration": "600s"}}
OPERATOR = ("-n", "modelrollout", "-l", "app.kubernetes.io/name=modelrollout")


def url(ml: Fleet, service: str = "fraud-router") -> str:
    return f"http://{service}.{ml.namespace}.svc.cluster.local:8080"


def front(selector: Json) -> Json:
    """A Service that clients call already."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fraud"},
        "spec": {"selector": selector, "ports": [{"name": "http", "port": 8080}]},
    }


def selected(ml: Fleet) -> Json:
    found: Json = kubectl.get("service", "fraud", namespace=ml.namespace)["spec"]["selector"]
    return found


def pods(ml: Fleet) -> list[Json]:
    """The Envoys that do not end yet."""
    label = "app.kubernetes.io/name=modelrollout-router"
    found = json.loads(ml.kubectl("get", "pods", "-l", label, "-o", "json"))["items"]
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def leader() -> str:
    lease = kubectl.get("lease", "modelrollout", namespace="modelrollout")
    return str(lease["spec"]["holderIdentity"])


def until(holds: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "not reached in time"
        time.sleep(0.2)


def confirmed(shares: dict[str, int]) -> Any:
    """The split that was decided is in force."""
    return lambda s: (
        s.get("decision", {}).get("shares") == shares and "confirmedAt" in s["decision"]
    )


@contextmanager
def under_way(ml: Fleet, **changes: Any) -> Iterator[Load]:
    """A canary at its first weight, with users."""
    ml.serving(traffic={"router": {}}, strategy=LONG, **changes)
    with Load(url(ml), ml.host) as load:
        ml.release("v2")
        ml.until(confirmed({"v1": 7_000, "v2": 3_000}))
        yield load


def test_a_healthy_candidate_is_promoted_through_the_router(ml: Fleet) -> None:
    ml.serving(traffic={"router": {}})
    with Load(url(ml), ml.host) as load:
        ml.release("v2")
        found = ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        ml.ready()
        ml.until(confirmed({"v2": 10_000}))
        time.sleep(1)

    assert load.failed == {}, summary(found)
    assert set(load.codes) == {200}
    assert load.answered["v2"] > 0
    assert [version for _, version, _ in load.log[-20:]] == ["v2"] * 20


def test_a_harmful_candidate_is_rolled_back_by_what_the_router_counts(ml: Fleet) -> None:
    ml.serving(traffic={"router": {}}, analysis=PRESET)
    ml.behave("v2", errors=0.4)
    with Load(url(ml), ml.host) as load:
        ml.release("v2")
        found = ml.phase("RolledBack")
        ml.until(confirmed({"v1": 10_000}))

    assert "errors" in found["status"]["message"], summary(found)
    assert load.failed == {}


def test_no_user_is_taken_back_while_a_version_is_released(ml: Fleet) -> None:
    ml.serving(traffic={"router": {"sticky": {"header": "x-user-id"}}})
    with Load(url(ml), ml.host, rate=90, users=150) as load:
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        time.sleep(2)
    assert load.failed == {}
    for user, versions in load.met.items():
        assert versions == sorted(versions), user
    assert any("v1" in versions for versions in load.met.values())


def test_a_rolling_restart_of_the_router_fails_nobody(ml: Fleet) -> None:
    with under_way(ml) as load:
        ml.kubectl("rollout", "restart", "deployment/fraud-router")
        # A restart is no change of ours and is left alone; every new one has to follow.
        ml.kubectl("rollout", "status", "deployment/fraud-router", "--timeout=55s")
        ml.until(confirmed({"v1": 7_000, "v2": 3_000}))
        before = sum(load.answered.values())
        time.sleep(3)
    assert sum(load.answered.values()) > before
    assert load.failed == {}


@pytest.mark.xdist_group("disrupts")
def test_a_leader_killed_in_the_middle_of_a_rollback_undoes_nothing(ml: Fleet) -> None:
    with under_way(ml) as load:
        first = leader()
        gone = ("--grace-period=0", "--force")
        killed = threading.Thread(
            target=kubectl.must, args=("delete", "pod", first, "-n", "modelrollout", *gone)
        )
        killed.start()
        ml.say("abort", "stop it")
        ml.until(confirmed({"v1": 10_000}), timeout_s=120)
        back = time.monotonic()
        killed.join()
        until(lambda: leader() != first)
        time.sleep(4)
    late = [version for at, version, _ in load.log if at > back + 0.5]
    assert late
    assert set(late) == {"v1"}
    assert load.failed == {}
    kubectl.must("rollout", "status", "deployment", *OPERATOR, "--timeout=60s")


@pytest.mark.xdist_group("disrupts")
def test_users_are_served_while_the_operator_restarts(ml: Fleet) -> None:
    with under_way(ml) as load:
        kubectl.must("delete", "pods", *OPERATOR)
        kubectl.must("rollout", "status", "deployment", *OPERATOR, "--timeout=90s")
        ml.say("abort", "after the restart")
        ml.until(confirmed({"v1": 10_000}), timeout_s=120)
    assert load.failed == {}


def test_a_service_is_taken_over_and_given_back_without_a_failed_request(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.apply(front({"app": "fraud", "version": "v1"}))
    # Connections that clients keep open stay with the pods that they lead to, whatever is selected.
    with Load(url(ml, "fraud"), ml.host, reuse=False) as load:
        ml.rollout(traffic={"router": {"service": "fraud"}}, deletionPolicy="Delete")
        ml.until(confirmed({"v1": 10_000}))
        assert selected(ml)["app.kubernetes.io/name"] == "modelrollout-router"
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        ml.kubectl("delete", "mr", "fraud", "--timeout=50s")
        assert selected(ml) == {"app": "fraud", "version": "v2"}
        ml.kubectl("wait", "--for=delete", "deployment/fraud-router", "--timeout=55s")
        time.sleep(25)  # the Envoys drain for as long
    assert load.failed == {}
    assert load.answered["v1"] > 0
    assert load.answered["v2"] > 0


def test_another_provider_gives_the_service_back(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    ml.apply(front({"app": "fraud"}))
    ml.rollout(traffic={"router": {"service": "fraud"}})
    ml.ready()
    parent = {"name": "public", "namespace": "gateways"}
    with Load(url(ml, "fraud"), ml.host) as load:
        gateway = {"parentRefs": [parent], "hostnames": [ml.host]}
        ml.patch({"spec": {"traffic": {"router": None, "gatewayAPI": gateway}}})
        ml.kubectl("wait", "--for=delete", "deployment/fraud-router", "--timeout=55s")
        assert selected(ml) == {"app": "fraud"}
        time.sleep(25)
    assert load.failed == {}


def test_a_deleted_rollout_leaves_a_router_that_goes_on_even_when_it_restarts(ml: Fleet) -> None:
    with under_way(ml) as load:
        ml.kubectl("delete", "mr", "fraud", "--timeout=50s")
        ml.kubectl("rollout", "restart", "deployment/fraud-router")
        ml.kubectl("rollout", "status", "deployment/fraud-router", "--timeout=55s")
        time.sleep(2)
    assert load.failed == {}
    assert {version for _, version, _ in load.log[-30:]} == {"v1"}


def test_a_rollout_that_comes_back_is_followed_by_the_router_it_left(ml: Fleet) -> None:
    ml.serving(traffic={"router": {}})
    ml.kubectl("delete", "mr", "fraud", "--timeout=50s")
    with Load(url(ml), ml.host) as load:
        ml.rollout(traffic={"router": {}})
        ml.ready()
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        ml.until(confirmed({"v2": 10_000}))
    assert load.failed == {}


def test_a_stranger_in_the_cluster_learns_nothing_from_the_operator(ml: Fleet) -> None:
    with under_way(ml) as load:
        ours = ("-l", "modelrollout.dev/rollout=fraud", "-o", "json")
        (secret,) = json.loads(ml.kubectl("get", "secrets", *ours))["items"]
        token = secret["data"]["token"]
        operator = "http://modelrollout.modelrollout.svc.cluster.local:18000"
        wrong, right = "0" * 64, base64.b64decode(token).decode()
        assert asked(operator, ml, token=wrong) == 403
        assert asked(operator, ml, token="") == 403
        assert asked(operator, ml, token=right) == 200
    assert load.failed == {}


def asked(operator: str, ml: Fleet, *, token: str) -> int:
    """What somebody who asks as an Envoy is answered."""
    cluster = f"{ml.namespace}/fraud"
    node = {"id": "stranger", "cluster": cluster, "metadata": {"token": token}}
    request = urllib.request.Request(
        f"{operator}/v3/discovery:routes", json.dumps({"node": node}).encode(), method="POST"
    )
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def test_releases_and_returns_in_turns_fail_nobody(ml: Fleet) -> None:
    """Two hundred weights in a row are in the tests of the data plane; here the whole way is."""
    with under_way(ml) as load:
        for _ in range(5):
            ml.release("v1")
            ml.until(confirmed({"v1": 10_000}))
            ml.until(lambda s: s["phase"] == "Serving")
            ml.release("v2")
            ml.until(confirmed({"v1": 7_000, "v2": 3_000}))
    assert load.failed == {}


def test_a_service_whose_port_leads_elsewhere_is_told_of_and_left_alone(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    wrong = front({"app": "fraud"})
    wrong["spec"]["ports"][0]["targetPort"] = 9000
    ml.apply(wrong)
    ml.rollout(traffic={"router": {"service": "fraud"}})
    found = ml.until(lambda s: condition(s, "TrafficProgrammed").get("status") == "False")
    assert "write `router: {port: 9000}`" in json.dumps(found["status"]["conditions"])
    assert selected(ml) == {"app": "fraud"}


def test_a_preview_is_a_host_of_the_router_and_nobody_else_meets_it(ml: Fleet) -> None:
    green = {"blueGreen": {"previewHost": "preview.example.com", "approval": True}}
    ml.serving(traffic={"router": {}}, strategy=green)
    with Load(url(ml), ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s["decision"].get("preview") == "v2" and "confirmedAt" in s["decision"])
        with Load(url(ml), "preview.example.com", rate=20) as shown:
            time.sleep(2)
    assert set(shown.answered) == {"v2"}
    assert set(load.answered) == {"v1"}
    assert load.failed == {}
    assert shown.failed == {}
