"""What goes wrong around a rollout: the operator killed, the metric source in every bad mood."""

import os
import signal
import subprocess
import urllib.request

import pytest
import yaml

from tests.cluster.handle import Cluster
from tests.e2e import faulty, fleet, kubectl
from tests.e2e.fleet import Fleet
from tests.e2e.load import Load


def operators() -> list[int]:
    """Process ids of the operator's replicas."""
    found = subprocess.run(
        ["pgrep", "-f", "python -m modelrollout.controller"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]


def test_row_41_killed_in_mid_step_it_goes_on_and_counts_nothing_twice(
    ml: Fleet, cluster: Cluster
) -> None:
    ml.serving(strategy={"canary": {"weights": [50], "minDuration": "20s"}})
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s.get("look", {}).get("number", 0) >= 2)
        for process in operators():
            os.kill(process, signal.SIGKILL)
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        answered = load.answered["v2"]
        counted = max(
            int(m["samples"].split("/")[0].replace(",", "")) for m in ml.status()["metrics"]
        )

    assert counted <= answered
    assert load.failed == {}
    assert set(load.codes) == {200}


@pytest.mark.parametrize("mode", faulty.MODES)
def test_row_38_a_metric_source_in_trouble_holds_and_the_next_look_spans_the_gap(
    ml: Fleet, cluster: Cluster, mode: str
) -> None:
    deploy_source(mode)
    url = faulty.url(mode)
    ml.serving(
        analysis={
            "interval": "4s",
            "warmUp": "2s",
            "source": faulty.source(mode),
            "metrics": [fleet.ERRORS],
        },
        strategy={"canary": {"weights": [50], "minDuration": "25s"}},
    )
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s.get("look", {}).get("number", 0) >= 1)
        behave(url, mode)
        found = ml.until(lambda s: (s.get("look") or {}).get("failures", 0) >= 2)
        told = ml.condition("MetricsAvailable")
        assert (told["status"], told["reason"]) == ("False", "SourceDown"), told
        assert found["status"]["weight"] == "50%"
        number = found["status"]["look"]["number"]
        behave(url, "honest")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")

    assert number >= 1
    assert load.failed == {}


def deploy_source(mode: str) -> None:
    """The test's own faulty proxy."""
    text = yaml.safe_dump_all(faulty.manifests(mode))
    kubectl.must("-n", faulty.NAMESPACE, "apply", "-f", "-", stdin=text)
    name = faulty.source(mode)
    where = ("-n", faulty.NAMESPACE)
    kubectl.must(*where, "rollout", "status", f"deployment/{name}", "--timeout=60s")


def behave(url: str, mode: str) -> None:
    request = urllib.request.Request(f"{url}/mode", mode.encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
