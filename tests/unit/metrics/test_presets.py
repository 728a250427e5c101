"""Presets: data that reads, gives way to what a rollout says itself, and fits real names."""

import re

import pytest

from modelrollout import metrics
from modelrollout.api.spec import Arm, ModelRolloutSpec
from modelrollout.metrics import arms, presets
from modelrollout.metrics.arms import ArmSeen
from modelrollout.metrics.facts import SourceFacts

SOURCES = {"default": SourceFacts("default")}


def spec(**analysis: object) -> ModelRolloutSpec:
    return ModelRolloutSpec.model_validate(
        {
            "versions": [{"name": "v1", "service": {"name": "fraud-v1", "port": 8080}}],
            "target": "v1",
            "traffic": {"gatewayAPI": {"parentRefs": [{"name": "g"}]}},
            "analysis": analysis,
        }
    )


@pytest.mark.parametrize("name", presets.known())
def test_every_preset_can_be_read(name: str) -> None:
    resolved = metrics.resolve(spec(preset=name))
    assert resolved.analysis.metrics
    assert metrics.check(resolved, SOURCES) is None


def test_without_a_preset_nothing_changes() -> None:
    assert metrics.resolve(spec()) == spec()


def test_a_metric_of_the_same_name_wins() -> None:
    own = {"name": "errors", "rate": {"events": "bad_total", "total": "all_total"}}
    resolved = metrics.resolve(spec(preset="prometheus-client", metrics=[own]))
    assert [metric.name for metric in resolved.analysis.metrics] == ["errors", "slow"]
    rate = resolved.analysis.metrics[0].rate
    assert rate is not None
    assert rate.events == "bad_total"


def test_an_arm_that_the_rollout_names_wins() -> None:
    assert metrics.resolve(spec(preset="traefik")).analysis.arm.label == "exported_service"
    assert metrics.resolve(spec(preset="traefik", arm={"kind": "Pods"})).analysis.arm == Arm(
        kind="Pods"
    )


def test_an_unknown_preset_is_told_with_those_there_are() -> None:
    with pytest.raises(metrics.MetricError, match=r"none of: kserve, mlserver, prometheus-client"):
        metrics.resolve(spec(preset="triton"))


GATEWAY = "httproute-ml-fraud-gw-gateways-public-ep-web-0-4c0f3a9d633f7f7d7d8f-svc-"


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        (f"{GATEWAY}ml-fraud-v1-0@kubernetesgateway", True),
        (f"{GATEWAY}ml-fraud-v1-1@kubernetesgateway", True),
        (f"{GATEWAY}ml-fraud-v1-1-0@kubernetesgateway", False),
        (f"{GATEWAY}ml-fraud-v10-0@kubernetesgateway", False),
        (f"{GATEWAY}ml-fraud-v2-1@kubernetesgateway", False),
        (f"{GATEWAY}other-fraud-v1-0@kubernetesgateway", False),
        ("ml-fraud-v1-8080@kubernetes", True),
        ("ml-fraud-v1-8080@kubernetescrd", True),
        ("ml-fraud-v1-http-8080@kubernetesgateway", True),
        ("ml-fraud-v1-9090@kubernetes", False),
        ("other-ml-fraud-v1-8080@kubernetes", False),
    ],
)
def test_traefik_names_its_services_by_their_provider(name: str, *, is_ours: bool) -> None:
    arm = presets.known()["traefik"].arm
    assert arm is not None
    seen = ArmSeen("fraud-v1", 8080)
    (matcher,) = arms.matchers(arm, namespace="ml", version="v1", seen=seen)
    assert bool(re.fullmatch(matcher.value, name)) is is_ours
