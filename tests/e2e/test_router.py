"""The router end to end: real Envoys that the operator deploys, users counted at the client."""

from typing import Any


from tests.e2e.fleet import Fleet, summary
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


def routed(ml: Fleet, **router: Any) -> Json:
    """The traffic of a rollout with a router of its own."""
    del ml
    return {"router": router}


def url(ml: Fleet, service: str = "fraud-router") -> str:
    return f"http://{service}.{ml.namespace}.svc.cluster.local:8080"


def test_a_healthy_candidate_is_promoted_through_the_router(ml: Fleet) -> None:
    ml.serving(traffic=routed(ml))
    with Load(url(ml), ml.host) as load:
        ml.release("v2")
        found = ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        ml.ready()

    assert load.failed == {}, summary(found)
    assert set(load.codes) == {200}
    assert load.answered["v2"] > 0
    assert [version for _, version, _ in load.log[-20:]] == ["v2"] * 20


def test_a_harmful_candidate_is_rolled_back_by_what_the_router_counts(ml: Fleet) -> None:
    ml.serving(traffic=routed(ml), analysis=PRESET)
    ml.behave("v2", errors=0.4)
    with Load(url(ml), ml.host) as load:
        ml.release("v2")
        found = ml.phase("RolledBack")
        ml.until(lambda s: s["decision"]["shares"] == {"v1": 10_000})

    assert "errors" in found["status"]["message"], summary(found)
    assert load.failed == {}
