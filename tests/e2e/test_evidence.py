"""Evidence end to end: undecided with its reasons, a wrong split, a slow harm, a noisy service."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.handle import Cluster
from tests.e2e import fleet, past
from tests.e2e.fleet import ERRORS, SELECTOR, Fleet, backend, condition, route, summary, versions
from tests.e2e.load import Load

Json = dict[str, Any]


def errors(**changes: Any) -> Json:
    """The guardrail of these tests; `changes` are of the metric."""
    rate = {"events": SELECTOR, "total": "http_requests_total"}
    metric = {"name": "errors", "rate": rate, "margin": {"relative": "50%", "absolute": 0.05}}
    return {"interval": "4s", "warmUp": "2s", "metrics": [metric | changes]}


def row(found: Json, name: str = "errors") -> Json:
    """The metric's row of a rollout as `kubectl get mr -o json` has it."""
    rows: list[Json] = found["status"].get("metrics", [])
    return next((one for one in rows if one["name"] == name), {})


def test_an_undecided_rollout_says_why_and_how_much_longer(ml: Fleet, cluster: Cluster) -> None:
    """Half a percent of margin on five percent of errors is a question of an hour, not a minute."""
    ml.deploy("v1", "v2")
    ml.rollout(
        analysis=errors(margin={"absolute": 0.005}),
        strategy={"canary": {"weights": [50], "minDuration": "4s"}},
        deadline="40s",
    )
    ml.ready()
    for version in ("v1", "v2"):
        ml.behave(version, errors=0.05)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        found = ml.phase("Undecided")
        later = ml.until(lambda s: s["look"]["number"] > found["status"]["look"]["number"])

    message, said = found["status"]["message"], row(found)
    assert "the deadline has passed undecided" in message, summary(found)
    assert re.search(r"about \d+ (minutes|hours) more at this traffic", message), message
    assert said["verdict"] == "Undecided"
    assert "not yet shown within the margin" in said["message"]
    assert re.search(r"\(so far: worse by less than [\d.]+ %\)", said["message"]), said
    assert "more at this traffic" in said["message"]
    assert re.fullmatch(r"[\d.]+ to [\d.]+", said["interval"]), said
    assert later["status"]["weight"] == found["status"]["weight"] == "50%"
    assert later["status"]["phase"] == "Undecided"
    assert load.failed == {}


def test_a_latency_shows_its_quantiles_and_where_it_is_slower(ml: Fleet, cluster: Cluster) -> None:
    """For people, read every few looks: the decision rests on the share above the threshold."""
    slow = fleet.SLOW | {"role": "watch"}
    ml.deploy("v1", "v2")
    ml.rollout(
        analysis={"interval": "4s", "warmUp": "2s", "metrics": [ERRORS, slow]},
        strategy={"canary": {"weights": [50], "minDuration": "600s"}},
    )
    ml.ready()
    ml.behave("v2", slow=0.4)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        found = ml.until(
            lambda s: "take over" in row({"status": s}, "slow").get("distribution", "")
        )

    told = row(found, "slow")["distribution"]
    shown = (
        r"p(50|99) [\d.]+ s \([\d.]+ to ([\d.]+|inf)\) against [\d.]+ s \([\d.]+ to ([\d.]+|inf)\)"
    )
    assert re.match(
        rf"{shown}, {shown}; [\d.]+ % more of its requests take over [\d.]+ s$", told
    ), told
    assert found["status"]["phase"] == "Stepping", summary(found)
    assert load.failed == {}


@pytest.mark.timeout(400)
def test_a_split_that_is_not_in_force_holds_and_is_put_right(ml: Fleet, cluster: Cluster) -> None:
    """A rule of the user's own route sends some users to the candidate past the split."""
    beta = {
        "matches": [{"queryParams": [{"name": "beta", "value": "yes"}]}],
        "backendRefs": [backend("v2", 1)],
    }
    split = {"backendRefs": [backend("v1", 100), backend("v2", 0)]}
    ml.deploy("v1", "v2")
    ml.apply(route(ml.host, beta, split))
    ml.rollout(
        traffic={"gatewayAPI": {"routes": [{"name": "fraud"}]}},
        analysis=errors(),
        strategy={"canary": {"weights": [20, 50], "minDuration": "30s"}},
    )
    ml.ready()
    with Load(cluster.gateway_url, ml.host, rate=40) as load:
        with Load(cluster.gateway_url, ml.host, rate=20, path="/predict?beta=yes") as past_it:
            ml.release("v2")
            found = ml.until(lambda s: reason(s) == "SplitContradicts")
            held = ml.until(lambda s: s["look"]["number"] >= found["status"]["look"]["number"] + 4)
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2", timeout_s=240)

    assert "the candidate gets too many requests" in found["status"]["message"], summary(found)
    assert "where 20.00% were asked for" in found["status"]["message"]
    assert held["status"]["weight"] == "20%"
    assert reason(held["status"]) == "SplitContradicts"
    assert load.failed == past_it.failed == {}


def reason(status: Json) -> str:
    """Why the rollout waits."""
    return str(condition(status, "Reconciling").get("reason", ""))


@pytest.mark.timeout(400)
def test_a_bake_catches_slow_harm_by_its_holdback(ml: Fleet, cluster: Cluster) -> None:
    """What begins only after the promotion shows against the users who stayed."""
    ml.deploy("v1", "v2")
    ml.rollout(analysis=errors(), bake={"duration": "10m", "holdback": 20})
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        for version in ("v1", "v2"):
            ml.behave(version, errors=0.01)
        ml.release("v2")
        ml.until(lambda s: "stay on v1 as the control" in s.get("message", ""))
        baking = ml.get()
        assert ml.weights("fraud-rollout") == {"fraud-v1": 2000, "fraud-v2": 8000}
        ml.behave("v2", errors=0.06)
        found = ml.phase("RolledBack", timeout_s=240)

    assert "20% of the users stay on v1 as the control" in baking["status"]["message"]
    assert "errors" in found["status"]["message"], summary(found)
    assert "worse than stable" in found["status"]["message"]
    assert row(found)["verdict"] == "Worse"
    assert ml.weights("fraud-rollout") == {"fraud-v1": 10_000}
    assert [e for e in ml.events() if e in {"EvidenceComplete", "Harm", "Promoted"}] == [
        "EvidenceComplete",
        "Harm",
    ]
    assert load.failed == {}
    # Every error that a user met is one that a model server gave.
    assert set(load.codes) <= {200, 500}
    assert load.codes[500] == ml.answered_with("500")


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("replicas", "why"),
    [
        pytest.param(1, "noise shows between two pods or more; stable had 1 at once", id="one pod"),
        # Which of both, depends on whether a whole minute has passed since the pods began.
        pytest.param(2, "(stable has no series in|the noise is known after 12 h)", id="no history"),
    ],
)
def test_a_service_without_a_history_is_said_to_be_uncalibrated(
    ml: Fleet, cluster: Cluster, replicas: int, why: str
) -> None:
    ml.deploy("v1", replicas=replicas)
    assert re.match(f"uncalibrated: {why}", _said_of_noise(ml, cluster))


@pytest.mark.timeout(400)
def test_a_short_history_is_said_to_be_too_short(
    ml: Fleet, cluster: Cluster, tmp_path: Path
) -> None:
    ml.deploy("v1", replicas=2)
    known = past.Past(ml.namespace, "fraud-v1", hours=3.0)
    _remember(cluster, known, folder=tmp_path)
    assert _said_of_noise(ml, cluster) == (
        "uncalibrated: the noise is known after 12 h in which two halves of stable's pods had "
        "requests; there are 3.0 h"
    )


def _said_of_noise(ml: Fleet, cluster: Cluster) -> str:
    ml.deploy("v2")
    ml.rollout(analysis=errors(), strategy={"canary": {"weights": [50], "minDuration": "10m"}})
    ml.ready()
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        found = ml.until(lambda s: bool(row({"status": s}).get("noise")))
    return str(row(found)["noise"])


def _remember(cluster: Cluster, known: past.Past, *, folder: Path) -> None:
    if cluster.logs_dir is None:
        pytest.skip("the data of this cluster's Prometheus cannot be reached from here")
    past.remember(cluster, known, folder=folder)


@pytest.mark.timeout(900)
def test_a_noisy_service_is_calibrated_on_its_own_past(
    ml: Fleet, cluster: Cluster, tmp_path: Path
) -> None:
    """Its noise is read from the source, said, and reckoned with: harm is caught, health passes."""
    ml.deploy("v1", replicas=4)
    ml.deploy("v2", "v3", replicas=2)
    _remember(cluster, past.Past(ml.namespace, "fraud-v1"), folder=tmp_path)
    ml.rollout(versions=versions("v1", "v2", "v3"), analysis=errors())
    ml.ready()
    ml.behave("v1", errors=0.05)
    ml.behave("v2", errors=0.3)
    ml.behave("v3", errors=0.05)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        begun = ml.until(lambda s: bool(row({"status": s}).get("noise")))
        harmful = ml.phase("RolledBack", timeout_s=240)
        ml.release("v3")
        healthy = ml.until(
            lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v3", timeout_s=400
        )

    of_a_look, lasting = json.loads(begun["status"]["evidence"])["noise"]["errors"]
    assert of_a_look > 0.1
    assert lasting > 0.0
    calibrated = r"noise calibrated on 13 h of 4 pods; 4 pods differ by \d+% for good"
    assert re.fullmatch(calibrated, row(harmful)["noise"]), summary(harmful)
    assert row(harmful)["verdict"] == "Worse"
    assert re.fullmatch(calibrated, row(healthy)["noise"]), summary(healthy)
    assert row(healthy)["verdict"] in {"NotWorse", "Better"}, summary(healthy)
    assert load.failed == {}
