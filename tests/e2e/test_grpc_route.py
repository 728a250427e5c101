"""A canary of users who speak gRPC: a GRPCRoute of the user's, a third-party model server."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.cluster.build import environments
from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl, mlserver
from tests.e2e.fleet import Fleet, Json

ERRORS: Json = {
    "name": "errors",
    "rate": {
        "events": "model_infer_request_failure_total",
        "others": "model_infer_request_success_total",
    },
    "margin": {"absolute": 0.05},
}


@dataclass
class Told:
    """What the users counted, once they have gone."""

    answered: Json = field(default_factory=dict)
    failed: Json = field(default_factory=dict)


@contextlib.contextmanager
def users(cluster: Cluster, host: str) -> Iterator[Told]:
    """Users through the gateway until the end of the block."""
    script = Path(__file__).with_name("grpc_users.py")
    python = environments.folder("mlserver") / "bin" / "python"
    address = urlsplit(cluster.gateway_url).netloc
    told = Told()
    with subprocess.Popen(
        # Without -P a module beside the script would hide the server's own package.
        [str(python), "-P", str(script), address, host, "cancer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "begun\n"
            yield told
        finally:
            process.stdin.close()
            last = process.stdout.read()
    found = json.loads(last)
    told.answered, told.failed = found["answered"], found["failed"]


def route(ml: Fleet) -> Json:
    """A GRPCRoute with a rule for inference, which is ours, and one for the rest, which is not."""
    inference = {"method": {"service": "inference.GRPCInferenceService", "method": "ModelInfer"}}
    backends = [
        {"name": f"cancer-{name}", "port": mlserver.GRPC_PORT, "weight": weight}
        for name, weight in (("v1", 100), ("v2", 0))
    ]
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GRPCRoute",
        "metadata": {"name": "cancer"},
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": [ml.host],
            "rules": [
                {"matches": [inference], "backendRefs": backends},
                {"backendRefs": [{"name": "cancer-v1", "port": mlserver.GRPC_PORT}]},
            ],
        },
    }


def test_a_canary_moves_in_a_grpc_route_of_the_users(ml: Fleet, cluster: Cluster) -> None:
    ml.apply(*mlserver.manifests("v1"), *mlserver.manifests("v2"), route(ml))
    for name in ("v1", "v2"):
        ml.kubectl("rollout", "status", f"deployment/cancer-{name}", "--timeout=90s")
    versions = [
        {**one, "service": {**one["service"], "port": mlserver.GRPC_PORT}}
        for one in fleet.versions("v1", "v2", app="cancer")
    ]
    ml.rollout(
        versions=versions,
        traffic={"gatewayAPI": {"routes": [{"kind": "GRPCRoute", "name": "cancer"}]}},
        analysis={"interval": "4s", "warmUp": "2s", "metrics": [ERRORS]},
    )
    ml.ready()
    with users(cluster, ml.host) as told:
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2", timeout_s=120)

    assert told.failed == {}
    assert told.answered["v1"] > 0
    assert told.answered["v2"] > 0
    rules = kubectl.get("grpcroute", "cancer", namespace=ml.namespace)["spec"]["rules"]
    assert rules[0]["backendRefs"][0]["weight"] == 0
    assert rules[1]["backendRefs"][0]["weight"] == 1
