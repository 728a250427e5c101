"""The generated route: its words, its idempotence, what it reads back, what stands before it."""

import copy
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api.scalars import PARTS
from modelrollout.domain import programming
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code
from modelrollout.routing import providers
from modelrollout.routing.contract import Desired, Reference, Rollout, Verb
from modelrollout.routing.gateway_api import HTTP_ROUTE
from tests.unit.routing import gateway
from tests.unit.routing.gateway import Json, backend

TARGET = Reference(HTTP_ROUTE, "ml", "fraud-rollout")
CANARY = Desired({"v1": 9_900, "v2": 100, "v3": 0}, stable="v1", sequence=7)


def written(owner: Rollout, desired: Desired = CANARY) -> Json:
    """The route after the first write, as the apiserver returns it."""
    (change,) = providers.chosen(owner.spec).render(owner, desired, {})
    return gateway.performed({}, change)[TARGET]


def read(owner: Rollout, live: Json, *others: Json) -> TrafficSeen:
    return providers.chosen(owner.spec).read(owner, {TARGET: live}, others=[live, *others])


def rendered(owner: Rollout, live: Json, desired: Desired = CANARY) -> list[Any]:
    return list(providers.chosen(owner.spec).render(owner, desired, {TARGET: live}))


def test_the_whole_route_is_applied() -> None:
    traffic = copy.deepcopy(gateway.GENERATED)
    traffic["gatewayAPI"]["matches"] = [
        {"path": "/fraud"},
        {"path": "/score", "headers": {"x-b": "2", "x-a": "1"}},
    ]
    traffic["gatewayAPI"]["timeouts"] = {"request": "60s", "backendRequest": "20s"}
    (change,) = providers.chosen(gateway.rollout().spec).render(
        gateway.rollout(traffic), CANARY, {}
    )
    assert change.verb is Verb.APPLY
    assert change.target == TARGET
    assert change.body == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "name": "fraud-rollout",
            "namespace": "ml",
            "labels": {
                "app.kubernetes.io/managed-by": "modelrollout",
                "modelrollout.dev/rollout": "fraud",
            },
            "annotations": {
                "modelrollout.dev/stable": "v1",
                "modelrollout.dev/uid": "uid-1",
                "modelrollout.dev/decision": "7",
            },
        },
        "spec": {
            "parentRefs": [{"name": "public", "namespace": "gateways"}],
            "hostnames": ["fraud.example.com"],
            "rules": [
                {
                    "matches": [
                        {"path": {"type": "PathPrefix", "value": "/fraud"}},
                        {
                            "path": {"type": "PathPrefix", "value": "/score"},
                            "headers": [
                                {"type": "Exact", "name": "x-a", "value": "1"},
                                {"type": "Exact", "name": "x-b", "value": "2"},
                            ],
                        },
                    ],
                    "timeouts": {"request": "1m", "backendRequest": "20s"},
                    "backendRefs": [
                        {"name": "fraud-v1", "port": 8080, "weight": 9_900},
                        {"name": "fraud-v2", "port": 8080, "weight": 100},
                    ],
                }
            ],
        },
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [("1d", "24h"), ("1500ms", "1s500ms"), ("90s", "1m30s"), ("250ms", "250ms"), ("26h", "26h")],
)
def test_timeouts_are_durations_of_the_gateway_api(asked: str, said: str) -> None:
    traffic = copy.deepcopy(gateway.GENERATED)
    traffic["gatewayAPI"]["timeouts"] = {"request": asked}
    live = written(gateway.rollout(traffic))
    assert live["spec"]["rules"][0]["timeouts"] == {"request": said}
    assert re.fullmatch("([0-9]{1,5}(h|m|s|ms)){1,4}", said)


@given(
    st.lists(st.integers(0, PARTS), min_size=2, max_size=9).map(
        lambda cuts: [
            high - low for low, high in zip([0, *sorted(cuts)], [*sorted(cuts), PARTS], strict=True)
        ]
    )
)
def test_what_is_rendered_is_read_back_and_rendered_once(shares: list[int]) -> None:
    owner = gateway.rollout(versions=len(shares))
    wanted = {f"v{place}": share for place, share in enumerate(shares, start=1)}
    desired = Desired(wanted, stable="v1", sequence=1)
    live = written(owner, desired)
    seen = read(owner, gateway.accepted(live))
    assert seen.shares == {name: share for name, share in wanted.items() if share}
    assert programming.agrees(seen.shares, wanted)
    assert seen.programmed
    assert seen.problem is None
    assert all(one["weight"] > 0 for one in live["spec"]["rules"][0]["backendRefs"])
    assert rendered(owner, live, desired) == []


def test_a_split_that_sums_to_nothing_writes_no_empty_route() -> None:
    owner = gateway.rollout()
    with pytest.raises(ValueError, match="at least one version with a share"):
        providers.chosen(owner.spec).render(owner, Desired({"v1": 0}, stable="v1", sequence=1), {})


def _filter(rule: Json) -> None:
    rule["filters"] = [{"type": "RequestRedirect", "requestRedirect": {"port": 1}}]


def _session(rule: Json) -> None:
    rule["sessionPersistence"] = {"sessionName": "x"}


def _timeout(rule: Json) -> None:
    rule["timeouts"] = {"request": "1s"}


def _narrow(rule: Json) -> None:
    rule["matches"][0]["method"] = "GET"


def _foreign(rule: Json) -> None:
    rule["backendRefs"].append(backend("other", 1))


def _elsewhere(rule: Json) -> None:
    rule["backendRefs"][0]["namespace"] = "other"


def _weight(rule: Json) -> None:
    rule["backendRefs"][0]["weight"] += 1


@pytest.mark.parametrize(
    "edit", [_filter, _session, _timeout, _narrow, _foreign, _elsewhere, _weight]
)
def test_what_somebody_puts_into_the_generated_route_is_put_back(
    edit: Callable[[Json], None],
) -> None:
    owner = gateway.rollout()
    live = written(owner)
    edit(live["spec"]["rules"][0])
    assert [change.verb for change in rendered(owner, live)] == [Verb.APPLY]


@pytest.mark.parametrize("field", ["hostnames", "matches", "timeouts"])
def test_what_is_taken_out_of_the_rollout_is_taken_out_of_the_route(field: str) -> None:
    traffic = copy.deepcopy(gateway.GENERATED)
    traffic["gatewayAPI"] |= {"matches": [{"path": "/a"}], "timeouts": {"request": "9s"}}
    live = written(gateway.rollout(traffic))
    del traffic["gatewayAPI"][field]
    owner = gateway.rollout(traffic)
    (change,) = rendered(owner, live)
    after = gateway.performed({TARGET: live}, change)[TARGET]
    assert rendered(owner, after) == []


def test_hosts_of_another_writer_are_overwritten_also_where_none_are_asked() -> None:
    owner = gateway.rollout({"gatewayAPI": {"parentRefs": [gateway.PARENT]}})
    live = written(owner)
    assert live["spec"]["hostnames"] == []
    del live["spec"]["hostnames"]
    assert rendered(owner, live) == []
    live["spec"]["hostnames"] = ["elsewhere.example.com"]
    (change,) = rendered(owner, live)
    assert change.body["spec"]["hostnames"] == []


def test_labels_and_annotations_of_others_stay() -> None:
    owner = gateway.rollout()
    live = written(owner)
    live["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "x"
    live["metadata"]["labels"]["filters"] = "x"
    assert rendered(owner, live) == []


def test_the_route_says_who_is_stable_and_whose_it_is() -> None:
    seen = read(gateway.rollout(), written(gateway.rollout()))
    assert (seen.recorded_stable, seen.recorded_uid) == ("v1", "uid-1")


def test_a_route_that_is_not_there_is_not_there_yet() -> None:
    owner = gateway.rollout()
    seen = providers.chosen(owner.spec).read(owner, {}, others=[])
    assert seen == TrafficSeen()


@pytest.mark.parametrize(
    "labels",
    [
        {"app": "fraud"},
        {"app.kubernetes.io/managed-by": "modelrollout", "modelrollout.dev/rollout": "other"},
    ],
)
def test_a_route_of_somebody_else_is_neither_believed_nor_written_nor_deleted(
    labels: dict[str, str],
) -> None:
    owner = gateway.rollout()
    live = written(owner)
    live["metadata"]["labels"] = labels
    seen = read(owner, gateway.accepted(live))
    assert seen.problem is not None
    assert seen.problem.code is Code.ROUTE_MISSING
    assert seen.blocking
    assert (seen.shares, seen.recorded_stable) == (None, "")
    assert rendered(owner, live) == []
    assert providers.chosen(owner.spec).remove(owner, {TARGET: live}) == ()


def test_deleting_names_the_object_that_was_read() -> None:
    owner = gateway.rollout()
    live = {TARGET: written(owner)}
    (change,) = providers.chosen(owner.spec).remove(owner, live)
    assert gateway.performed(live, change) == {}
    assert providers.chosen(owner.spec).remove(owner, {}) == ()


def test_a_foreign_backend_with_weight_is_no_split_but_stops_nobody() -> None:
    live = written(gateway.rollout())
    live["spec"]["rules"][0]["backendRefs"].append(backend("other", 1))
    seen = read(gateway.rollout(), live)
    assert seen.shares is None
    assert seen.problem is not None
    assert seen.problem.code is Code.SPLIT_CONTRADICTS
    assert "other:8080" in seen.problem.sentence
    assert not seen.blocking
