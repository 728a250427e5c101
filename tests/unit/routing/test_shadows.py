"""Routes that take the requests of the generated route away from it."""

import copy
from typing import Any

import pytest

from modelrollout.domain.reasons import Code
from tests.unit.routing import gateway, test_generated
from tests.unit.routing.gateway import Json, backend

OLDER, NEWER = "2025-01-01T00:00:00Z", "2026-12-12T00:00:00Z"


def elder(rule: Json | None = None, *, name: str = "elder", **spec: Any) -> Json:
    """An older route on the same gateway, host and path as the generated one."""
    return {
        "metadata": {"name": name, "namespace": "shop", "creationTimestamp": OLDER},
        "spec": {
            "parentRefs": [{**gateway.PARENT, "group": "gateway.networking.k8s.io"}],
            "hostnames": ["fraud.example.com"],
            "rules": [rule or {"backendRefs": [backend("shop", 1)]}],
            **spec,
        },
    }


def shadowed_by(other: Json, *, path: str = "/") -> str:
    """The sentence about the shadow, "" when the route is not shadowed."""
    traffic = copy.deepcopy(gateway.GENERATED)
    traffic["gatewayAPI"]["matches"] = [{"path": path}]
    owner = gateway.rollout(traffic)
    live = gateway.accepted(test_generated.written(owner))
    seen = test_generated.read(owner, live, other)
    if seen.problem is None:
        assert seen.programmed
        return ""
    assert seen.problem.code is Code.SHADOWED_BY_ROUTE
    assert seen.blocking
    assert not seen.programmed
    return seen.problem.sentence


def match(**fields: Any) -> Json:
    return {"matches": [fields], "backendRefs": [backend("fraud-v1", 1)]}


def test_an_older_route_on_the_same_host_and_path_is_named() -> None:
    sentence = shadowed_by(elder())
    assert "shop/elder" in sentence
    assert "fraud.example.com" in sentence
    assert "routes" in sentence


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(elder(parentRefs=[{**gateway.PARENT, "sectionName": "web"}]), id="a listener"),
        pytest.param(
            elder(hostnames=["a.example.com", "FRAUD.example.com"]), id="one of its hosts"
        ),
        pytest.param(
            elder({"matches": [{"path": {"value": "/x"}}, {"path": {"value": "/"}}]}),
            id="one of its matches",
        ),
    ],
)
def test_it_is_found_in_every_guise(other: Json) -> None:
    assert shadowed_by(other)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(elder(hostnames=["b.example.com"]), id="another host"),
        pytest.param(elder(hostnames=[]), id="all hosts, which a named host outranks"),
        pytest.param(elder(parentRefs=[{"name": "public", "namespace": "b"}]), id="a gateway"),
        pytest.param(elder(parentRefs=[{**gateway.PARENT, "kind": "Service"}]), id="a mesh"),
        pytest.param(elder(match(path={"type": "PathPrefix", "value": "/a"})), id="a longer path"),
        pytest.param(elder(match(path={"type": "Exact", "value": "/"})), id="one page"),
        pytest.param(elder(match(headers=[{"name": "x-preview", "value": "1"}])), id="a preview"),
        pytest.param(elder(match(queryParams=[{"name": "debug", "value": "1"}])), id="a query"),
    ],
)
def test_a_route_beside_it_is_no_shadow(other: Json) -> None:
    assert shadowed_by(other) == ""


def test_a_newer_route_stands_behind() -> None:
    other = elder()
    other["metadata"]["creationTimestamp"] = NEWER
    assert shadowed_by(other) == ""


@pytest.mark.parametrize(("namespace", "stands_before"), [("aa", True), ("zz", False)])
def test_of_the_same_age_the_first_by_name_stands_before(
    namespace: str, *, stands_before: bool
) -> None:
    other = elder()
    other["metadata"] |= {"creationTimestamp": "2026-02-02T00:00:00Z", "namespace": namespace}
    assert bool(shadowed_by(other)) is stands_before


def test_a_trailing_slash_of_a_prefix_means_nothing() -> None:
    assert shadowed_by(elder(match(path={"type": "PathPrefix", "value": "/fraud/"})), path="/fraud")


def test_a_route_for_one_method_that_leads_past_the_split_is_named_whatever_its_age() -> None:
    other = elder(match(method="POST"))
    other["metadata"] |= {"creationTimestamp": NEWER, "namespace": gateway.NAMESPACE}
    assert "POST" in shadowed_by(other)


def test_a_route_for_one_method_that_leads_elsewhere_is_no_shadow() -> None:
    rule = {"matches": [{"method": "GET"}], "backendRefs": [backend("docs", 1)]}
    assert shadowed_by(elder(rule)) == ""


def test_a_route_that_its_gateway_refuses_takes_nothing() -> None:
    other = elder()
    other["metadata"]["generation"] = 1
    assert shadowed_by(gateway.accepted(other, status="False")) == ""
    assert shadowed_by(gateway.accepted(other))


def test_a_route_does_not_stand_before_itself() -> None:
    owner = gateway.rollout()
    live = test_generated.written(owner)
    live["spec"]["rules"][0]["matches"][0]["method"] = "POST"
    assert test_generated.read(owner, gateway.accepted(live)).problem is None
