"""Copies of requests on the Gateway API: only where the gateway's class says that it can."""

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code
from modelrollout.routing import gateway_features, generated
from modelrollout.routing.contract import Desired, Reference, Rollout, Tee
from modelrollout.routing.gateway_api import HTTP_ROUTE
from tests.unit.routing import gateway

Json = dict[str, Any]

GATEWAY = Reference(gateway_features.GATEWAY, "gateways", "public")
CLASS = Reference(gateway_features.CLASS, "", "some")
ALL = [gateway_features.MIRROR, gateway_features.SHARE]


def asking() -> Rollout:
    """A rollout whose strategy is a shadow."""
    rollout = gateway.rollout()
    written = rollout.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    shadow = {
        "version": "v1",
        "protocol": {"plain": {"at": "/label"}},
        "task": {"classification": {"labels": ["ham", "spam"]}},
    }
    spec = ModelRolloutSpec.model_validate({**written, "strategy": {"shadow": shadow}})
    return replace(rollout, spec=spec)


def test_without_a_shadow_no_gateway_is_looked_at() -> None:
    assert gateway_features.facts(gateway.rollout(), {}) == ()
    assert gateway_features.refusal(gateway.rollout(), {}) is None


def read(features: list[str] | None) -> dict[Reference, Json]:
    live: dict[Reference, Json] = {GATEWAY: {"spec": {"gatewayClassName": "some"}}}
    if features is not None:
        listed = [{"name": name} for name in features]
        live[CLASS] = {"status": {"supportedFeatures": listed}}
    return live


def test_the_gateway_is_read_first_and_then_its_class() -> None:
    rollout = asking()
    assert gateway_features.facts(rollout, {}) == (GATEWAY,)
    assert gateway_features.facts(rollout, read(None)) == (GATEWAY, CLASS)


def test_a_class_that_lists_both_features_is_taken() -> None:
    assert gateway_features.refusal(asking(), read(ALL)) is None


@pytest.mark.parametrize(
    ("live", "words"),
    [
        ({}, "may not be read"),
        (read(None), "may not be read"),
        (read([]), gateway_features.MIRROR),
        (read([gateway_features.MIRROR]), gateway_features.SHARE),
    ],
    ids=["no gateway", "no class", "nothing listed", "no share"],
)
def test_a_gateway_that_does_not_say_so_is_refused(live: dict[Reference, Json], words: str) -> None:
    reason = gateway_features.refusal(asking(), live)
    assert reason is not None
    assert reason.code is Code.UNSUPPORTED
    assert words in reason.sentence
    assert "gateways/public" in reason.sentence


def test_the_generated_route_copies_parts_of_ten_thousand() -> None:
    target = Reference(HTTP_ROUTE, "ml", "fraud-rollout")
    wanted = Desired({"v1": PARTS}, stable="v1", sequence=1, tee=Tee("v2", 50))
    (change,) = generated.render(gateway.rollout(), wanted, target, None)
    (rule,) = change.body["spec"]["rules"]
    assert rule["filters"] == [
        {
            "type": "RequestMirror",
            "requestMirror": {
                "backendRef": {"name": "fraud-v2", "port": 8080},
                "fraction": {"numerator": 50, "denominator": 10_000},
            },
        }
    ]
    assert generated.render(gateway.rollout(), wanted, target, change.body) == ()
    without = Desired({"v1": PARTS}, stable="v1", sequence=1)
    assert len(generated.render(gateway.rollout(), without, target, change.body)) == 1
