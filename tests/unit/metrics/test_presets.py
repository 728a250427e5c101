"""Presets fit the names that real series have."""

import re

import pytest

from modelrollout.metrics import arms, presets
from modelrollout.metrics.arms import ArmSeen

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
