"""Blue/green end to end: a real Job decides, the preview is a real host, users meet one switch."""

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
import yaml

from modelrollout.api import crd
from tests.cluster.handle import Cluster
from tests.e2e import fleet, kubectl
from tests.e2e.fleet import ERRORS, Fleet, summary
from tests.e2e.load import Load

Json = dict[str, Any]

EXAMPLE = crd.CHECKOUT / "examples" / "07-blue-green"
GATEWAY = "http://traefik.gateways:8000"
ASKS = """
import json, os, urllib.request

request = urllib.request.Request(
    os.environ["GATEWAY"] + "/predict", headers={"Host": os.environ["MODELROLLOUT_PREVIEW_HOST"]}
)
with urllib.request.urlopen(request, timeout=5) as answer:
    seen = json.load(answer)
with urllib.request.urlopen(os.environ["MODELROLLOUT_SERVICE_URL"] + "/health", timeout=5):
    pass
assert seen["model_version"] == os.environ["MODELROLLOUT_VERSION"], seen
assert os.environ["MODELROLLOUT_PREVIEW_URL"].startswith("http://preview-")
"""
FAILS = "raise SystemExit('secret words that no status may repeat')"
HANGS = "import time; time.sleep(3600)"


def smoke_test(code: str, *, suspend: bool = True, gateway: str = GATEWAY) -> Json:
    """A CronJob that runs a few lines of Python."""
    container = {
        "name": "ask",
        "image": "python:test",
        "command": ["python", "-c", code],
        "env": [{"name": "GATEWAY", "value": gateway}],
    }
    pods = {"restartPolicy": "Never", "containers": [container]}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "fraud-smoke"},
        "spec": {
            "schedule": "0 0 1 1 *",
            "suspend": suspend,
            "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": pods}}},
        },
    }


def strategy(ml: Fleet, **changes: Any) -> Json:
    whole = {
        "previewHost": f"preview-{ml.host}",
        "smokeTest": {"cronJob": "fraud-smoke", "timeout": "60s"},
        "approval": True,
    }
    return {"blueGreen": {k: v for k, v in (whole | changes).items() if v is not None}}


def answer(cluster: Cluster, host: str) -> str:
    """The version that answers under a host; the status code where none does."""
    request = urllib.request.Request(f"{cluster.gateway_url}/predict", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=5) as found:
            return str(json.load(found)["model_version"])
    except urllib.error.HTTPError as refused:
        return str(refused.code)


def awaiting(status: Json) -> bool:
    return bool(fleet.condition(status, "Paused").get("reason") == "AwaitingApproval")


def approve(ml: Fleet) -> None:
    status = ml.status()
    step, revision = status["step"].split("/")[0], status["candidate"]["revision"]
    ml.say("approve", f"yes step={step} revision={revision}")


def jobs(ml: Fleet) -> list[Json]:
    found: list[Json] = json.loads(ml.kubectl("get", "jobs", "-o", "json"))["items"]
    return found


def example(name: str) -> Json:
    """A file of the example that people copy."""
    found: Json = yaml.safe_load((EXAMPLE / name).read_text(encoding="utf-8"))
    return found


def test_the_example_is_executed_with_times_short_enough_for_a_test(
    ml: Fleet, cluster: Cluster
) -> None:
    cron_job, spec = example("smoke-test.yaml"), example("rollout.yaml")["spec"]
    del cron_job["metadata"]["namespace"]
    (container,) = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (theirs,) = smoke_test(ASKS)["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    container |= {"image": theirs["image"], "command": theirs["command"], "env": theirs["env"]}
    spec["traffic"]["gatewayAPI"]["hostnames"] = [ml.host]
    spec["strategy"]["blueGreen"]["previewHost"] = f"preview-{ml.host}"
    spec["analysis"] |= {"interval": "4s", "warmUp": "2s"}
    for name in ("v1", "v2"):
        workload, service = fleet.deployment(name)
        del workload["spec"]["replicas"]
        ml.apply(workload, service)
        ml.kubectl("rollout", "status", f"deployment/fraud-{name}", "--timeout=60s")
    ml.apply(cron_job)
    ml.rollout(**spec | {"target": "v1", "bake": {"duration": "6s"}, "drain": "2s"})
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(awaiting)
        approve(ml)
        ml.until(lambda s: [one["state"] for one in s.get("parked", [])] == ["Parked"])
        ml.ready()
    assert load.failed == {}
    assert set(load.codes) == {200}
    parked = json.loads(ml.kubectl("get", "deployment", "fraud-v1", "-o", "json"))
    assert parked["spec"]["replicas"] == 0


def test_preview_smoke_test_approval_one_switch_and_one_switch_back(
    ml: Fleet, cluster: Cluster
) -> None:
    ml.apply(smoke_test(ASKS))
    ml.serving(strategy=strategy(ml), bake={"duration": "600s"})
    preview = f"preview-{ml.host}"
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        found = ml.until(awaiting)
        assert f"http://{preview}" in found["status"]["message"], summary(found)
        assert found["status"]["preview"] == f"http://{preview}"
        assert answer(cluster, preview) == "v2"
        assert "v2" not in load.answered
        (job,) = jobs(ml)
        assert job["status"]["succeeded"] == 1

        approve(ml)
        found = ml.until(
            lambda s: s["phase"] == "Baking" and s["versions"][1].get("observedWeight") == "100%"
        )
        assert "observational" in found["status"]["message"]
        assert ml.weights("fraud-rollout") == {"fraud-v2": 10_000}
        load.until(lambda: load.answered["v2"] > 0)
        load.until(lambda: answer(cluster, preview) == "404")

        ml.release("v1")
        ml.ready()
        assert ml.weights("fraud-rollout") == {"fraud-v1": 10_000}

    assert load.failed == {}
    assert set(load.codes) == {200}
    told = [e for e in ml.events() if e in {"Approved", "Switched", "Returned"}]
    assert told == ["Approved", "Switched", "Returned"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        pytest.param(FAILS, "BackoffLimitExceeded", id="fails"),
        pytest.param(HANGS, "within 6s", id="hangs"),
    ],
)
def test_a_smoke_test_that_does_not_succeed_rolls_back_and_no_user_met_it(
    ml: Fleet, cluster: Cluster, code: str, reason: str
) -> None:
    ml.apply(smoke_test(code))
    test = {"cronJob": "fraud-smoke", "timeout": "60s" if code == FAILS else "6s"}
    ml.serving(strategy=strategy(ml, smokeTest=test))
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        found = ml.phase("RolledBack")
        load.until(lambda: answer(cluster, f"preview-{ml.host}") == "404")

    assert reason in found["status"]["message"] or "DeadlineExceeded" in found["status"]["message"]
    assert "no user met it" in found["status"]["message"], summary(found)
    assert "secret words" not in json.dumps(found)
    assert set(load.answered) == {"v1"}
    assert len(jobs(ml)) == 1


def test_an_absent_or_running_template_holds_the_rollout_before_it_starts(ml: Fleet) -> None:
    ml.serving(strategy=strategy(ml), analysis={"interval": "4s", "metrics": []})
    ml.release("v2")
    ml.until(lambda s: "does not exist: create it" in s.get("message", ""))
    ml.apply(smoke_test("pass", suspend=False))
    ml.until(lambda s: "runs by itself" in s.get("message", ""))
    assert jobs(ml) == []
    ml.apply(smoke_test("pass"))
    ml.until(awaiting)


def test_an_overlap_shows_harm_before_the_switch(ml: Fleet, cluster: Cluster) -> None:
    given = {"blueGreen": {"overlap": "60s"}}
    ml.serving(strategy=given, analysis={"interval": "4s", "warmUp": "2s", "metrics": [ERRORS]})
    ml.behave("v2", errors=0.4)
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        found = ml.phase("RolledBack")
    assert ml.condition("Stalled")["reason"] == "RolledBack", summary(found)
    assert found["status"]["effective"]["comparison"] == "concurrent"


def test_blue_green_needs_no_gateway(ml: Fleet) -> None:
    ml.deploy("v1", "v2")
    called = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "fraud"},
        "spec": {
            "selector": {"app": "fraud", "version": "v1"},
            "ports": [{"name": "http", "port": 80, "targetPort": 8080}],
        },
    }
    ml.apply(called)
    ml.rollout(
        traffic={"service": {"name": "fraud"}},
        strategy={"blueGreen": {"approval": True}},
        analysis={"interval": "4s", "metrics": []},
    )
    ml.ready()
    ml.release("v2")
    found = ml.until(awaiting)
    assert f"http://fraud-preview.{ml.namespace}:80" in found["status"]["message"]
    approve(ml)
    ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
    service = json.loads(ml.kubectl("get", "service", "fraud", "-o", "json"))
    assert service["spec"]["selector"]["version"] == "v2"


def test_blue_green_on_the_router(ml: Fleet) -> None:
    router = f"http://fraud-router.{ml.namespace}.svc.cluster.local:8080"
    ml.apply(smoke_test(ASKS, gateway=router))
    ml.serving(
        traffic={"router": {"replicas": 1}},
        strategy=strategy(ml),
        analysis={"interval": "4s", "metrics": []},
    )
    with Load(router, "fraud") as load:
        ml.release("v2")
        ml.until(awaiting)
        assert set(load.answered) == {"v1"}
        approve(ml)
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        load.until(lambda: load.answered["v2"] > 0)
    assert load.failed == {}


def test_deletion_at_the_preview_leaves_stable_alone_and_no_preview(
    ml: Fleet, cluster: Cluster
) -> None:
    ml.serving(strategy=strategy(ml, smokeTest=None))
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(awaiting)
        ml.kubectl("delete", "mr", "fraud", "--timeout=60s")
        assert answer(cluster, ml.host) == "v1"
    assert load.failed == {}
    assert "fraud-preview" not in ml.kubectl("get", "httproutes", "-o", "name")


def test_an_operator_killed_during_the_smoke_test_makes_no_second_one(ml: Fleet) -> None:
    ml.apply(smoke_test("import time; time.sleep(10)"))
    ml.serving(strategy=strategy(ml), analysis={"interval": "4s", "metrics": []})
    ml.release("v2")
    ml.until(lambda s: bool(s.get("rollout", {}).get("check", {}).get("seen")))
    pods = ("delete", "pods", "-l", "app.kubernetes.io/name=modelrollout")
    kubectl.must("-n", "modelrollout", *pods, "--grace-period=0", "--force")
    ml.until(awaiting)
    (job,) = jobs(ml)
    assert job["status"]["succeeded"] == 1
