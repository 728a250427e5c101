"""Deletion, in mid-rollout and at rest, under load: not one request fails."""

import time

from tests.cluster.handle import Cluster
from tests.e2e import kubectl
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load


def test_row_44_deleted_in_mid_rollout_traffic_returns_first(ml: Fleet, cluster: Cluster) -> None:
    ml.serving(strategy={"canary": {"weights": [50], "minDuration": "10m"}})
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.phase("Stepping")
        ml.kubectl("delete", "mr", "fraud", "--timeout=60s")
        gone = time.monotonic()
        while time.monotonic() < gone + 3:
            load.log and load.log[-1]
            time.sleep(0.2)

    assert load.failed == {}
    assert set(load.codes) == {200}
    late = [version for at, version, _ in load.log if at > gone + 1]
    assert set(late) == {"v1"}
    assert ml.weights("fraud-rollout") == {"fraud-v1": 10_000}


def test_row_45_deleted_at_rest_the_route_stays(ml: Fleet, cluster: Cluster) -> None:
    ml.serving()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.kubectl("delete", "mr", "fraud", "--timeout=30s")
        ml.kubectl("wait", "httproute/fraud-rollout", "--for=jsonpath={.kind}=HTTPRoute")

    assert load.failed == {}
    assert set(load.codes) == {200}
    assert ml.weights("fraud-rollout") == {"fraud-v1": 10_000}
    route = kubectl.get("httproute", "fraud-rollout", namespace=ml.namespace)
    assert "ownerReferences" not in route["metadata"]
