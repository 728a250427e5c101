"""What a rollout asks of its provider, and how it is told when the provider cannot do it."""

import re
from typing import Any

import pytest

from modelrollout.api import crd
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code
from modelrollout.routing import capabilities, providers

Json = dict[str, Any]

SERVICE: Json = {"service": {"name": "fraud"}}
GATEWAY: Json = {"gatewayAPI": {"parentRefs": [{"name": "public"}]}}
ISTIO: Json = {"istio": {"hosts": ["fraud.example.com"]}}
POOL: Json = {"name": "v2", "inferencePool": {"name": "pool-v2"}}


def spec(traffic: Json, *, second: Json | None = None, **more: Any) -> ModelRolloutSpec:
    versions = [{"name": "v1", "service": {"name": "fraud-v1", "port": 8080}}]
    other = {"name": "v2", "service": {"name": "fraud-v2", "port": 8080}}
    written = {"versions": [*versions, second or other], "target": "v2", "traffic": traffic}
    return ModelRolloutSpec.model_validate({**written, **more})


SHADOW: Json = {
    "version": "v1",
    "protocol": {"plain": {"at": "/label"}},
    "task": {"classification": {"labels": ["ham", "spam"]}},
}


def shadow(**changes: Any) -> Json:
    return {"strategy": {"shadow": SHADOW | changes}}


def steps(*listed: Json) -> Json:
    return {"strategy": {"steps": list(listed)}}


@pytest.mark.parametrize(
    ("traffic", "more", "words"),
    [
        (SERVICE, {}, ["strategy.canary", "gatewayAPI", "istio", "traefik", "blueGreen"]),
        (SERVICE, {"strategy": {"canary": {"weights": [5]}}}, ["strategy.canary"]),
        (SERVICE, steps({"pause": {}}, {"weight": 50}), ["strategy.steps[1].weight"]),
        (SERVICE, {"strategy": {"blueGreen": {"overlap": "10m"}}}, ["blueGreen.overlap"]),
        (
            SERVICE,
            {"strategy": {"blueGreen": {}}, "bake": {"duration": "5m", "holdback": 5}},
            ["bake.holdback"],
        ),
        (SERVICE, {"second": POOL, **steps({"pause": {}})}, ["versions[1].inferencePool"]),
        (ISTIO, {"second": POOL}, ["versions[1].inferencePool", "gatewayAPI can"]),
        (SERVICE, shadow(), ["strategy.shadow", "gatewayAPI", "router", "traefik", "istio"]),
    ],
    ids=str,
)
def test_what_a_provider_cannot_do_is_refused_by_field_with_those_that_can(
    traffic: Json, more: Json, words: list[str]
) -> None:
    reason = capabilities.refusal(spec(traffic, **more))
    assert reason is not None
    assert reason.code is Code.UNSUPPORTED
    (name,) = traffic
    for word in [*words, f"spec.traffic.{name} cannot"]:
        assert word in reason.sentence


@pytest.mark.parametrize(
    ("traffic", "more"),
    [
        (SERVICE, {"strategy": {"blueGreen": {}}}),
        (SERVICE, {"strategy": {"blueGreen": {}}, "bake": {"duration": "5m"}}),
        (SERVICE, steps({"pause": {}}, {"weight": 100})),
        (GATEWAY, {}),
        (GATEWAY, {"second": POOL}),
        (GATEWAY, {"strategy": {"blueGreen": {"previewHost": "preview.example.com"}}}),
        (ISTIO, {"bake": {"duration": "5m", "holdback": 5}}),
        ({"traefik": {}}, {}),
        ({"traefik": {}}, shadow(sample=5)),
        ({"istio": {"virtualServices": ["fraud"]}}, shadow(sample="0.5%")),
        (ISTIO, {"second": {"name": "v2", "inferenceService": {"name": "fraud"}}}),
    ],
    ids=str,
)
def test_what_a_provider_can_do_is_not_refused(traffic: Json, more: Json) -> None:
    assert capabilities.refusal(spec(traffic, **more)) is None


@pytest.mark.parametrize(
    ("traffic", "more", "words"),
    [
        ({"traefik": {"service": "mine"}}, shadow(), "leave out spec.traffic.traefik.service"),
        (
            {"gatewayAPI": {"routes": [{"name": "r"}]}},
            shadow(),
            "leave out spec.traffic.gatewayAPI.routes",
        ),
        ({"traefik": {}}, shadow(sample="0.5%"), "spec.strategy.shadow.sample is 0.5%"),
    ],
    ids=["user's TraefikService", "user's route", "half a percent"],
)
def test_copies_that_cannot_be_made_here_are_refused_with_what_to_change(
    traffic: Json, more: Json, words: str
) -> None:
    reason = capabilities.refusal(spec(traffic, **more))
    assert reason is not None
    assert words in reason.sentence


def test_every_capability_that_a_provider_claims_has_words() -> None:
    for provider in providers.PROVIDERS.values():
        assert provider.capabilities <= capabilities.WORDS.keys(), provider.name


def test_the_documentation_has_the_table_that_the_providers_claim() -> None:
    text = (crd.CHECKOUT / "docs" / "traffic.md").read_text()
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in text.splitlines() if "|" in line]
    head = next(row for row in rows if row[0] == "provider")
    found = {
        row[0].strip("`"): {name for name, cell in zip(head, row, strict=False) if cell == "yes"}
        for row in rows
        if row[0].startswith("`") and len(row) == len(head)
    }
    wanted = {one.name: set(capabilities.offered(one)) for one in providers.PROVIDERS.values()}
    assert found == wanted
