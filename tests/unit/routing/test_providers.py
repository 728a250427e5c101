"""The contract that every provider keeps, each with its own objects and those of a user."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code
from modelrollout.routing import (
    gateway_api,
    generated,
    istio,
    observer,
    ownership,
    providers,
    service_switch,
    traefik,
)
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout, Tee, Verb
from tests.unit.routing import gateway

Json = dict[str, Any]
Store = dict[Reference, Json]


def reference(kind: Kind, name: str) -> Reference:
    return Reference(kind, gateway.NAMESPACE, name)


def lying(kind: Kind, name: str, spec: Json) -> Store:
    """An object of the user's, as the apiserver has it."""
    group = f"{kind.group}/" if kind.group else ""
    metadata = {"name": name, "namespace": "ml", "uid": f"uid-of-{name}", "generation": 1}
    found = {
        "apiVersion": f"{group}{kind.version}",
        "kind": kind.kind,
        "metadata": {**metadata, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec,
    }
    return {reference(kind, name): found}


def selected(name: str, labels: Json) -> Store:
    spec = {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
    return lying(service_switch.SERVICE, name, {**spec, "clusterIP": "10.0.0.1"})


def labelled(version: str) -> Json:
    return {"app": "fraud", "version": version}


def httproute(*weights: int) -> Json:
    backends = [gateway.backend(f"fraud-v{n}", w) for n, w in enumerate(weights, 1)]
    other = [gateway.backend("fraud-v1", 7), gateway.backend("legacy", 3)]
    rules = [{"backendRefs": other}, {"backendRefs": [*backends, gateway.backend("legacy", 5)]}]
    return {"parentRefs": [dict(gateway.PARENT)], "rules": rules}


def destination(name: str, weight: int) -> Json:
    return {"destination": {"host": name, "port": {"number": 8080}}, "weight": weight}


def virtual_service(*weights: int) -> Json:
    routed = [destination(f"fraud-v{n}", w) for n, w in enumerate(weights, 1)]
    copied = {"destination": {"host": "audit"}, "percentage": {"value": 1}}
    return {
        "hosts": ["fraud.example.com"],
        "gateways": ["istio-system/public"],
        "http": [
            {"match": [{"uri": {"exact": "/old"}}], "route": [destination("fraud-v1", 100)]},
            {"route": [*routed, destination("legacy", 5)], "mirrors": [copied], "timeout": "3s"},
        ],
    }


def traefik_service(*weights: int) -> Json:
    services = [
        {"kind": "Service", "name": f"fraud-v{n}", "port": 8080, "weight": w, "scheme": "h2c"}
        for n, w in enumerate(weights, 1)
    ]
    foreign = {"kind": "Service", "name": "legacy", "port": 80, "weight": 5}
    return {"weighted": {"services": [*services, foreign]}}


@dataclass(frozen=True)
class Case:
    """A provider with the objects that it starts from."""

    traffic: Json
    before: Store = field(default_factory=dict)
    switch_only: bool = False
    given: Rollout | None = None

    @property
    def rollout(self) -> Rollout:
        return self.given or gateway.rollout(self.traffic)


CASES = {
    "gatewayAPI": Case(gateway.GENERATED),
    "gatewayAPI, own route": Case(
        gateway.OWNED, lying(gateway_api.HTTP_ROUTE, "fraud", httproute(100, 0, 0))
    ),
    "service": Case(
        {"service": {"name": "fraud"}},
        selected("fraud", labelled("v1"))
        | selected("fraud-v1", labelled("v1"))
        | selected("fraud-v2", labelled("v2"))
        | selected("fraud-v3", labelled("v3")),
        switch_only=True,
    ),
    "traefik": Case({"traefik": {}}),
    "traefik, own service": Case(
        {"traefik": {"service": "fraud"}},
        lying(traefik.SERVICE, "fraud", traefik_service(100, 0, 0)),
    ),
    "istio": Case({"istio": {"hosts": ["fraud.example.com"], "gateways": ["istio-system/public"]}}),
    "istio, own services": Case(
        {"istio": {"virtualServices": ["fraud", "second"]}},
        lying(istio.VIRTUAL_SERVICE, "fraud", virtual_service(100, 0, 0))
        | lying(istio.VIRTUAL_SERVICE, "second", virtual_service(50, 50, 0)),
    ),
}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


def splits(case: Case) -> list[Json]:
    whole = [{"v1": PARTS}, {"v2": PARTS}, {"v3": PARTS}]
    shared = [{"v1": 9_900, "v2": 100}, {"v1": 5_000, "v2": 3_000, "v3": 2_000}]
    return [*whole, *([] if case.switch_only else shared), whole[0]]


def rendered(case: Case, live: Store, **wanted: Any) -> list[Change]:
    desired = Desired(stable="v1", sequence=3, **wanted)
    rollout = case.rollout
    return list(providers.chosen(rollout.spec).render(rollout, desired, seen(case, live)))


def seen(case: Case, live: Mapping[Reference, Json]) -> Store:
    """What the edge reads: the objects that the provider needs, where they exist."""
    rollout = case.rollout
    wanted = providers.chosen(rollout.spec).needs(rollout)
    return {one: live[one] for one in wanted if one in live}


def moved(case: Case, live: Store, **wanted: Any) -> Store:
    for change in rendered(case, live, **wanted):
        live = gateway.performed(live, change)
    return live


def observed(case: Case, live: Store) -> Any:
    rollout = case.rollout
    answered = {
        one: gateway.accepted(body) if "parentRefs" in body["spec"] else body
        for one, body in seen(case, live).items()
    }
    return providers.chosen(rollout.spec).read(rollout, answered, others=[])


def test_every_provider_has_a_case() -> None:
    named = {providers.chosen(case.rollout.spec).name for case in CASES.values()}
    assert named >= {one.name for one in providers.PROVIDERS.values()} - {"router"}


@every
def test_what_was_rendered_is_read_back_and_rendered_once(case: Case) -> None:
    live = copy.deepcopy(case.before)
    for shares in splits(case):
        live = moved(case, live, shares=shares)
        found = observed(case, live)
        assert found.problem is None
        assert found.programmed
        assert found.shares == pytest.approx(shares, abs=50)
        assert rendered(case, live, shares=shares) == []


@every
def test_nothing_that_serves_is_owned_by_the_rollout(case: Case) -> None:
    live = moved(case, copy.deepcopy(case.before), shares={"v2": PARTS}, preview="v3")
    assert all("ownerReferences" not in body["metadata"] for body in live.values())


@every
def test_what_the_user_owns_keeps_everything_but_our_weights(case: Case) -> None:
    live = copy.deepcopy(case.before)
    for shares in splits(case):
        live = moved(case, live, shares=shares)
    live = moved(case, live, shares=splits(case)[0])
    for one, body in case.before.items():
        assert bare(live[one], one.kind) == bare(body, one.kind)


@every
def test_the_sum_of_our_weights_stays_in_what_the_user_owns(case: Case) -> None:
    live = moved(case, copy.deepcopy(case.before), shares=splits(case)[1])
    for one, body in case.before.items():
        assert sums(live[one]) == sums(body)


@every
def test_removing_takes_what_was_made_and_leaves_what_is_the_users(case: Case) -> None:
    live = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS}, preview="v2")
    provider = providers.chosen(case.rollout.spec)
    for change in provider.remove(case.rollout, seen(case, live)):
        assert change.verb is Verb.DELETE
        live = gateway.performed(live, change)
    assert live.keys() == case.before.keys()


MAKERS = {name: case for name, case in CASES.items() if not case.before}


@pytest.mark.parametrize("case", MAKERS.values(), ids=MAKERS)
def test_a_namesake_of_somebody_else_is_neither_written_nor_deleted(case: Case) -> None:
    made = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS})
    theirs = copy.deepcopy(made)
    for one in made.keys() - case.before.keys():
        theirs[one]["metadata"]["labels"] = {}
    assert rendered(case, theirs, shares={"v2": PARTS}) == []
    provider = providers.chosen(case.rollout.spec)
    assert provider.remove(case.rollout, seen(case, theirs)) == ()
    assert observed(case, theirs).problem.code is Code.ROUTE_MISSING


HOSTLESS = ("service", "traefik", "traefik, own service")


@pytest.mark.parametrize("case", [CASES[name] for name in HOSTLESS], ids=HOSTLESS)
def test_a_preview_leads_to_the_candidate_and_goes_again(case: Case) -> None:
    before = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS})
    shown = moved(case, before, shares={"v1": PARTS}, preview="v2")
    assert observed(case, shown).shares == {"v1": PARTS}
    assert "v2" in str({one: shown[one] for one in shown if shown[one] != before.get(one)})
    assert rendered(case, shown, shares={"v1": PARTS}, preview="v2") == []
    after = moved(case, shown, shares={"v1": PARTS})
    assert after.keys() == before.keys()
    assert observed(case, after).shares == {"v1": PARTS}


TEES = {name: case for name, case in CASES.items() if "istio" in name or name == "traefik"}


@pytest.mark.parametrize("case", TEES.values(), ids=TEES)
def test_a_tee_copies_requests_and_moves_no_weight(case: Case) -> None:
    before = moved(case, copy.deepcopy(case.before), shares={"v1": 7_000, "v3": 3_000})
    wanted = {"shares": {"v1": 7_000, "v3": 3_000}, "tee": Tee("v2", 1_000)}
    copied = moved(case, before, **wanted)
    assert observed(case, copied).shares == pytest.approx({"v1": 7_000, "v3": 3_000}, abs=50)
    assert "'percent': 10" in str(copied) or "'value': 10" in str(copied)
    assert rendered(case, copied, **wanted) == []
    after = moved(case, copied, shares=wanted["shares"])
    assert {one: body["spec"] for one, body in after.items()} == {
        one: body["spec"] for one, body in before.items()
    }


def test_in_traefik_the_split_stands_before_the_mirror_refers_to_it() -> None:
    case = CASES["traefik"]
    live = moved(case, {}, shares={"v1": PARTS})
    there = rendered(case, live, shares={"v1": PARTS}, tee=Tee("v2", 100))
    assert [one.target.name for one in there] == ["fraud-split", "fraud"]
    for change in there:
        live = gateway.performed(live, change)
    back = rendered(case, live, shares={"v1": PARTS})
    assert [(one.verb, one.target.name) for one in back] == [
        (Verb.APPLY, "fraud"),
        (Verb.DELETE, "fraud-split"),
    ]


def test_a_service_stays_where_it_is_while_nobody_is_to_have_everything() -> None:
    case = CASES["service"]
    assert rendered(case, case.before, shares={"v2": 5_000, "v1": 5_000}) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda live: live.pop(reference(service_switch.SERVICE, "fraud")), Code.ROUTE_MISSING),
        (lambda live: select(live, "fraud", {"app": "fraud"}), Code.SPLIT_CONTRADICTS),
        (lambda live: select(live, "fraud-v2", labelled("v1")), Code.NO_MATCHING_RULE),
    ],
    ids=["absent", "both versions at once", "two versions alike"],
)
def test_a_service_that_cannot_be_switched_says_why(change: Any, code: Code) -> None:
    live = copy.deepcopy(CASES["service"].before)
    change(live)
    found = observed(CASES["service"], live)
    assert found.problem.code is code
    assert found.shares is None


def select(live: Store, name: str, labels: Json) -> None:
    live[reference(service_switch.SERVICE, name)]["spec"]["selector"] = labels


@pytest.mark.parametrize("name", ["traefik", "traefik, own service"])
def test_a_sticky_traefik_service_is_refused_since_the_cookie_outranks_weights(name: str) -> None:
    case = CASES[name]
    live = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS})
    live[reference(traefik.SERVICE, "fraud")]["spec"]["weighted"]["sticky"] = {"cookie": {}}
    found = observed(case, live)
    assert found.problem.code is Code.SESSION_PERSISTENCE
    assert found.blocking


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


def bare(body: Json, kind: Kind) -> Json:
    """A user's object without its weights, generation and selector."""
    del kind
    copied = copy.deepcopy(body)
    del copied["metadata"]["generation"]
    copied["spec"].pop("selector", None)
    _strip(copied["spec"])
    return copied


def _strip(node: Any) -> None:
    if isinstance(node, dict):
        node.pop("weight", None)
    for child in node.values() if isinstance(node, dict) else node:
        if isinstance(child, dict | list):
            _strip(child)


def sums(body: Json) -> list[int]:
    spec = body["spec"]
    rules = [rule.get("backendRefs") or rule.get("route") for rule in spec.get("rules", [])]
    rules += [rule["route"] for rule in spec.get("http", [])]
    rules += [spec["weighted"]["services"]] if "weighted" in spec else []
    return [sum(one["weight"] for one in rule) for rule in rules]


def test_the_marks_of_what_is_made_name_rollout_and_decision() -> None:
    for name in ("gatewayAPI", "traefik", "istio"):
        (made,) = moved(CASES[name], {}, shares={"v1": PARTS}).values()
        assert made["metadata"]["labels"][ownership.ROLLOUT] == "fraud"
        assert made["metadata"]["annotations"][generated.DECISION] == "3"
        assert observed(CASES[name], moved(CASES[name], {}, shares={"v1": PARTS})).recorded_stable


def with_preview_host(traffic: Json) -> Case:
    """A case whose strategy names the host of its preview."""
    case = Case(traffic, dict(CASES["istio, own services"].before))
    strategy = {"blueGreen": {"previewHost": "preview.example.com"}}
    written = {**case.rollout.spec.model_dump(mode="json", by_alias=True, exclude_none=True)}
    spec = ModelRolloutSpec.model_validate({**written, "strategy": strategy})
    return replace(case, given=replace(case.rollout, spec=spec))


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
    case = with_preview_host(traffic)
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
