"""The preview of the Gateway API: one route of its own, for one version, on the same gateways."""

from typing import Any

import pytest

from modelrollout.domain.observed import TrafficSeen
from modelrollout.routing import gateway_api, providers
from modelrollout.routing.contract import Desired, Reference, Rollout, Verb
from tests.unit.routing import gateway

Json = dict[str, Any]

HOST = "fraud-preview.example.com"
PREVIEW = Reference(gateway_api.HTTP_ROUTE, gateway.NAMESPACE, "fraud-preview")
STRATEGY = {"blueGreen": {"previewHost": HOST}}
MATCHES = {"matches": [{"path": "/score"}], "timeouts": {"request": "60s"}}


def rollout(traffic: Json = gateway.GENERATED, strategy: Json = STRATEGY) -> Rollout:
    plain = gateway.rollout(traffic)
    written = plain.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec = type(plain.spec).model_validate(written | {"strategy": strategy})
    return Rollout(plain.namespace, plain.name, plain.uid, spec)


def desired(preview: str) -> Desired:
    return Desired({"v1": 10_000}, "v1", 4, preview=preview)


def after(whose: Rollout, preview: str, live: dict[Reference, Json]) -> dict[Reference, Json]:
    for change in providers.chosen(whose.spec).render(whose, desired(preview), live):
        live = gateway.performed(live, change)
    return live


def seen(whose: Rollout, live: dict[Reference, Json]) -> TrafficSeen:
    return providers.chosen(whose.spec).read(whose, live, others=())


def accepted(live: dict[Reference, Json]) -> dict[Reference, Json]:
    return {reference: gateway.accepted(route) for reference, route in live.items()}


def test_the_preview_host_leads_to_the_candidate_alone_and_users_do_not_meet_it() -> None:
    whose = rollout({"gatewayAPI": {**gateway.GENERATED["gatewayAPI"], **MATCHES}})
    live = after(whose, "v2", {})

    route = live[PREVIEW]
    assert route["spec"]["hostnames"] == [HOST]
    assert route["spec"]["parentRefs"][0]["name"] == "public"
    (rule,) = route["spec"]["rules"]
    assert [one["name"] for one in rule["backendRefs"]] == ["fraud-v2"]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/score"}}]
    assert rule["timeouts"] == {"request": "1m"}
    assert "ownerReferences" not in route["metadata"]
    assert seen(whose, live).shares == {"v1": 10_000}


def test_a_preview_counts_once_its_gateway_has_accepted_it() -> None:
    whose = rollout()
    live = after(whose, "v2", {})
    main = gateway_api.HTTP_ROUTE, gateway.NAMESPACE, "fraud-rollout"
    half = live | accepted({Reference(*main): live[Reference(*main)]})
    assert not seen(whose, half).programmed
    both = accepted(live)
    assert seen(whose, both).programmed
    assert seen(whose, both).preview == "v2"


def test_what_is_shown_already_is_not_written_again() -> None:
    whose = rollout()
    live = accepted(after(whose, "v2", {}))
    assert list(providers.chosen(whose.spec).render(whose, desired("v2"), live)) == []


@pytest.mark.parametrize("strategy", [STRATEGY, {"canary": {}}], ids=["kept", "edited away"])
def test_a_preview_is_taken_away(strategy: Json) -> None:
    live = accepted(after(rollout(), "v2", {}))
    gone = after(rollout(strategy=strategy), "", live)
    assert PREVIEW not in gone
    assert seen(rollout(), gone).preview == ""


def test_a_route_of_somebody_else_with_that_name_is_left_alone() -> None:
    foreign = gateway.route("[{backendRefs: [{name: other, port: 80}]}]")
    foreign["metadata"]["name"] = "fraud-preview"
    live = after(rollout(), "v2", {PREVIEW: foreign})
    assert live[PREVIEW] == foreign
    assert after(rollout(), "", live)[PREVIEW] == foreign
    assert seen(rollout(), live).preview == ""


def test_beside_a_users_route_the_preview_is_on_the_same_gateway() -> None:
    own = gateway.route(
        "[{backendRefs: [{name: fraud-v1, port: 8080, weight: 100}, "
        "{name: fraud-v2, port: 8080, weight: 0}]}]"
    )
    reference = Reference(gateway_api.HTTP_ROUTE, gateway.NAMESPACE, "fraud")
    live = after(rollout(gateway.OWNED), "v2", {reference: own})
    assert live[PREVIEW]["spec"]["parentRefs"][0]["name"] == "public"
    assert live[reference]["spec"] == own["spec"]


def test_deletion_takes_the_preview_and_leaves_a_users_route() -> None:
    live = after(rollout(), "v2", {})
    removed = providers.chosen(rollout().spec).remove(rollout(), live)
    assert {change.target.name for change in removed} == {"fraud-rollout", "fraud-preview"}
    assert {change.verb for change in removed} == {Verb.DELETE}


@pytest.mark.parametrize(
    ("whose", "asks"),
    [(rollout(), True), (rollout(strategy={"canary": {}}), False)],
    ids=["with a preview", "without"],
)
def test_the_route_of_a_preview_is_read_only_where_there_may_be_one(
    whose: Rollout, *, asks: bool
) -> None:
    assert (PREVIEW in providers.chosen(whose.spec).needs(whose)) is asks
