"""A canary end to end: real traffic moves, a decision falls, users are counted at the client."""

import json

import pytest

from tests.cluster.handle import Cluster
from tests.e2e.fleet import ERRORS, RATING, SLOW, Fleet, summary, versions
from tests.e2e.load import Load


def test_a_healthy_candidate_is_promoted(ml: Fleet, cluster: Cluster) -> None:
    ml.serving()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")
        ml.ready()

    assert load.failed == {}
    assert set(load.codes) == {200}
    assert load.answered["v2"] > 0
    assert ml.weights("fraud-rollout") == {"fraud-v2": 10_000}
    events = ml.events()
    assert [e for e in events if e in {"Started", "EvidenceComplete", "Promoted"}] == [
        "Started",
        "EvidenceComplete",
        "Promoted",
    ]


def test_counts_at_the_client_are_the_counts_of_the_evidence(ml: Fleet, cluster: Cluster) -> None:
    """What was counted as evidence is what clients met in those windows, but for the edges."""
    ml.serving(strategy={"canary": {"weights": [50], "minDuration": "600s"}})
    with Load(cluster.gateway_url, ml.host, rate=40) as load:
        ml.release("v2")
        found = ml.until(lambda s: s.get("look", {}).get("number", 0) >= 5)
        counted = found["status"]["look"]["counted"]
        answered = dict(load.answered)

    look_s = 5 * 4
    assert 0.5 * 20 * look_s <= counted["candidate"] <= answered["v2"]
    share = counted["candidate"] / (counted["candidate"] + counted["stable"])
    assert abs(share - 0.5) < 0.02


@pytest.mark.parametrize(
    ("metric", "how"),
    [
        pytest.param(ERRORS, {"errors": 0.3}, id="errors"),
        pytest.param(SLOW, {"slow": 0.4}, id="latency"),
        pytest.param(RATING, {"quality": 2.0}, id="quality"),
    ],
)
def test_a_harmful_candidate_is_rolled_back(
    ml: Fleet, cluster: Cluster, metric: dict[str, object], how: dict[str, float]
) -> None:
    ml.serving(analysis={"interval": "4s", "warmUp": "2s", "metrics": [metric]})
    ml.behave("v2", **how)
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        found = ml.phase("RolledBack")
        stalled = ml.condition("Stalled")

    assert stalled["reason"] == "RolledBack", summary(found)
    assert str(metric["name"]) in found["status"]["message"]
    assert ml.weights("fraud-rollout") == {"fraud-v1": 10_000}
    assert load.failed == {}


def test_missing_data_holds_and_then_goes_on(ml: Fleet, cluster: Cluster) -> None:
    ml.serving()
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.phase("Stepping")
        off = json.dumps({"metadata": {"annotations": {"prometheus.io/scrape": "false"}}})
        ml.kubectl("patch", "service", "fraud-v2", "-p", off)
        found = ml.until(
            lambda s: any(
                c["type"] == "MetricsAvailable" and c["status"] == "False"
                for c in s.get("conditions", [])
            )
        )
        assert found["status"]["phase"] == "Stepping"
        on = json.dumps({"metadata": {"annotations": {"prometheus.io/scrape": "true"}}})
        ml.kubectl("patch", "service", "fraud-v2", "-p", on)
        ml.until(lambda s: s["stable"]["name"] == "v2" and s["phase"] == "Serving")


def test_pause_resume_abort_and_retry(ml: Fleet, cluster: Cluster) -> None:
    ml.serving(strategy={"canary": {"weights": [20, 50], "minDuration": "20s"}})
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        ml.phase("Stepping")
        ml.say("pause", "p1")
        ml.until(lambda s: bool(s.get("paused")))
        ml.say("resume", "r1")
        ml.until(lambda s: not s.get("paused"))
        ml.say("abort", "a1")
        found = ml.phase("RolledBack")
        assert ml.condition("Stalled")["reason"] == "Aborted", summary(found)
        ml.say("retry", "t1")
        ml.phase("Stepping")


def test_a_step_waits_for_its_approval(ml: Fleet, cluster: Cluster) -> None:
    steps = [
        {"weight": 20, "minDuration": "4s"},
        {"pause": {}},
        {"weight": 50, "minDuration": "4s"},
    ]
    ml.serving(strategy={"steps": steps})
    with Load(cluster.gateway_url, ml.host):
        ml.release("v2")
        found = ml.phase("Waiting")
        revision = found["status"]["candidate"]["revision"]
        ml.say("approve", f"early step=3 revision={revision}")
        ml.until(lambda s: any("refused" in i["outcome"] for i in s.get("intents", [])))
        ml.say("approve", f"right step=2 revision={revision}")
        ml.until(lambda s: s["phase"] == "Serving" and s["stable"]["name"] == "v2")


def test_a_new_target_supersedes(ml: Fleet, cluster: Cluster) -> None:
    ml.deploy("v1", "v2", "v3")
    ml.rollout(
        versions=versions("v1", "v2", "v3"),
        strategy={"canary": {"weights": [20, 50], "minDuration": "20s"}},
    )
    ml.ready()
    with Load(cluster.gateway_url, ml.host) as load:
        ml.release("v2")
        ml.phase("Stepping")
        ml.release("v3")
        found = ml.until(lambda s: s["phase"] == "Stepping" and s["candidate"]["name"] == "v3")
    assert found["status"]["history"][-1]["outcome"] == "Superseded"
    assert load.failed == {}
