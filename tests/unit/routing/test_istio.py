"""What VirtualServices have of their own: names of hosts, mirrors, the order of rules."""

import copy

import pytest

from modelrollout.api.scalars import PARTS
from modelrollout.domain.reasons import Code
from modelrollout.routing import istio, observer
from modelrollout.routing.contract import Tee, Verb
from tests.unit.routing.cases import (
    CASES,
    Case,
    Json,
    destination,
    moved,
    observed,
    reference,
    rendered,
    with_preview_host,
)


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("fraud-v1", True),
        ("fraud-v1.ml", True),
        ("fraud-v1.ml.svc.cluster.local", True),
        ("fraud-v1.other.svc.cluster.local", False),
        ("fraud-v1.mlx", False),
        ("fraud-v10", False),
    ],
)
def test_istio_names_a_service_in_several_ways(host: str, *, ours: bool) -> None:
    rollout = CASES["istio"].rollout
    found = istio.SHAPE.version_of(rollout, {"destination": {"host": host}})
    assert (found == "v1") is ours


def test_a_subset_or_another_port_of_a_service_is_no_version() -> None:
    rollout = CASES["istio"].rollout
    for more in ({"subset": "v1"}, {"port": {"number": 9090}}):
        there = {"destination": {"host": "fraud-v1", **more}}
        assert istio.SHAPE.version_of(rollout, there) is None


def test_what_others_add_to_a_virtual_service_of_ours_is_put_back() -> None:
    case = CASES["istio"]
    live = moved(case, {}, shares={"v1": PARTS})
    (one,) = live
    live[one]["spec"]["http"][0]["fault"] = {"abort": {"httpStatus": 500}}
    assert [change.verb for change in rendered(case, live, shares={"v1": PARTS})] == [Verb.APPLY]


@pytest.mark.parametrize(
    ("traffic", "gateways"),
    [
        ({"istio": {"hosts": ["fraud.example.com"], "gateways": ["a/b"]}}, ["a/b"]),
        ({"istio": {"virtualServices": ["fraud"]}}, ["istio-system/public"]),
    ],
    ids=["made", "own"],
)
def test_istio_shows_a_preview_host_on_the_gateways_of_the_rollout(
    traffic: Json, gateways: list[str]
) -> None:
    case = with_preview_host(Case(traffic, CASES["istio, own services"].before))
    live = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS}, preview="v2")
    shown = live[reference(istio.VIRTUAL_SERVICE, "fraud-preview")]["spec"]
    assert shown["hosts"] == ["preview.example.com"]
    assert shown["gateways"] == gateways
    assert shown["http"][0]["route"][0]["destination"]["host"] == "fraud-v2"
    assert rendered(case, live, shares={"v1": PARTS}, preview="v2") == []
    after = moved(case, live, shares={"v1": PARTS})
    assert reference(istio.VIRTUAL_SERVICE, "fraud-preview") not in after


@pytest.mark.parametrize(
    ("tee", "host"),
    [
        (Tee("v2", 100), "fraud-v2"),
        (Tee("v2", 100, observer.name_of("fraud")), observer.name_of("fraud")),
    ],
    ids=["version", "observer"],
)
def test_a_mirror_of_the_users_own_stays_when_ours_comes_and_goes(tee: Tee, host: str) -> None:
    case = CASES["istio, own services"]
    there = {"destination": {"host": "audit"}, "percentage": {"value": 1}}
    live = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS}, tee=tee)
    rule = live[reference(istio.VIRTUAL_SERVICE, "fraud")]["spec"]["http"][1]
    assert rule["mirrors"][0] == there
    assert [one["destination"]["host"] for one in rule["mirrors"]] == ["audit", host]
    assert rendered(case, live, shares={"v1": PARTS}, tee=tee) == []
    live = moved(case, live, shares={"v1": PARTS})
    rule = live[reference(istio.VIRTUAL_SERVICE, "fraud")]["spec"]["http"][1]
    assert rule["mirrors"] == [there]


def test_a_rule_that_others_put_before_ours_is_seen_and_taken_away() -> None:
    case = CASES["istio"]
    live = moved(case, {}, shares={"v1": PARTS})
    (one,) = live
    live[one]["spec"]["http"].insert(0, {"route": [destination("legacy", 1)]})
    assert observed(case, live).problem.code is Code.SPLIT_CONTRADICTS
    assert observed(case, moved(case, live, shares={"v1": PARTS})).shares == {"v1": PARTS}
