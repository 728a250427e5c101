"""A rollout between versions that a third-party model server serves, judged by its own metrics."""

import pytest

from tests.cluster.handle import Cluster
from tests.e2e import fleet, mlserver
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load


def rollout(ml: Fleet) -> fleet.Json:
    return fleet.rollout(
        ml.host,
        versions=fleet.versions("v1", "v2", app="cancer"),
        analysis={
            "interval": "4s",
            "warmUp": "2s",
            "preset": "mlserver",
            # As the preset's, with margins that a test of a minute can show.
            "metrics": [
                {
                    "name": "errors",
                    "rate": {
                        "events": "model_infer_request_failure_total",
                        "others": "model_infer_request_success_total",
                    },
                    "margin": {"absolute": 0.05},
                },
                {
                    "name": "slow",
                    "latency": {
                        "histogram": 'rest_server_request_duration_seconds{path=~".*/infer"}',
                        "threshold": "500ms",
                    },
                    "margin": {"absolute": 0.05},
                },
            ],
        },
    )


@pytest.mark.parametrize(
    ("features", "phase"), [(mlserver.FEATURES, "Serving"), (20, "RolledBack")]
)
def test_mlserver_is_judged_by_its_own_metrics(
    ml: Fleet, cluster: Cluster, features: int, phase: str
) -> None:
    ml.apply(*mlserver.manifests("v1"), *mlserver.manifests("v2", features=features))
    for name in ("v1", "v2"):
        ml.kubectl("rollout", "status", f"deployment/cancer-{name}", "--timeout=90s")
    ml.apply(rollout(ml))
    ml.ready()
    users = Load(
        cluster.gateway_url, ml.host, rate=30, path=mlserver.PATH, body=mlserver.question()
    )
    with users as load:
        ml.release("v2")
        stable = "v2" if phase == "Serving" else "v1"
        found = ml.until(
            lambda s: s["phase"] == phase and s["stable"]["name"] == stable, timeout_s=120
        )

    assert load.answered["v1"] > 0
    if phase == "Serving":
        assert load.answered["v2"] > 0
        assert set(load.codes) == {200}
    else:
        assert "errors" in found["status"]["message"]
        assert load.log[-1][1:] == ("v1", 200)
