"""The contract that every provider keeps, each with its own objects and those of a user.

What obeys a provider, and where its split is found, is behind `planes`.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code
from modelrollout.routing import (
    capabilities,
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
from tests.unit.routing import gateway, planes

Json = dict[str, Any]
Store = dict[Reference, Json]


def reference(kind: Kind, name: str) -> Reference:
    return Reference(kind, gateway.NAMESPACE, name)


def lying(kind: Kind, name: str, spec: Json) -> Store:
    """An object of the user's, as the apiserver has it."""
    group = f"{kind.group}/" if kind.group else ""
    metadata = {"name": name, "namespace": "ml", "uid": f"uid-of-{name}", "generation": 1}
    theirs = {"annotations": {"example.com/team": "fraud"}, "resourceVersion": "7"}
    found = {
        "apiVersion": f"{group}{kind.version}",
        "kind": kind.kind,
        "metadata": {**metadata, **theirs, "creationTimestamp": "2026-01-01T00:00:00Z"},
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
    """A provider with the objects that it starts from.

    `passes` are those until all is written: a Service is led to Envoys that are ready.
    """

    traffic: Json
    before: Store = field(default_factory=dict)
    given: Rollout | None = None
    passes: int = 1

    @property
    def rollout(self) -> Rollout:
        made = replace(gateway.rollout(self.traffic), site=planes.SITE, created=planes.CREATED)
        return self.given or made

    @property
    def plane(self) -> planes.Plane:
        return planes.behind(self.rollout)

    def claims(self, capability: str) -> bool:
        return capability in capabilities.offered(providers.chosen(self.rollout.spec))


SERVICES = (
    selected("fraud", labelled("v1"))
    | selected("fraud-v1", labelled("v1"))
    | selected("fraud-v2", labelled("v2"))
    | selected("fraud-v3", labelled("v3"))
)


CASES = {
    "gatewayAPI": Case(gateway.GENERATED),
    "gatewayAPI, own route": Case(
        gateway.OWNED, lying(gateway_api.HTTP_ROUTE, "fraud", httproute(100, 0, 0))
    ),
    "router": Case({"router": {}}),
    "router, own service": Case({"router": {"service": "fraud"}}, SERVICES, passes=2),
    "service": Case({"service": {"name": "fraud"}}, SERVICES),
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
    return [*whole, *(shared if case.claims("weights") else []), whole[0]]


def desired(**wanted: Any) -> Desired:
    return Desired(**{"stable": "v1", "sequence": 3, **wanted})


def rendered(case: Case, live: Store, **wanted: Any) -> list[Change]:
    rollout = case.rollout
    provider = providers.chosen(rollout.spec)
    return list(provider.render(rollout, desired(**wanted), seen(case, live)))


def seen(case: Case, live: Mapping[Reference, Json], *, behind: int = 0) -> Store:
    """What the edge reads: the objects that the provider needs, where they exist, and answers."""
    rollout = case.rollout
    wanted = providers.chosen(rollout.spec).needs(rollout)
    found = {one: live[one] for one in wanted if one in live}
    return case.plane.answered(rollout, found, behind=behind)


def moved(case: Case, live: Store, **wanted: Any) -> Store:
    for _ in range(case.passes):
        for change in rendered(case, live, **wanted):
            live = gateway.performed(live, change)
    return live


def observed(case: Case, live: Store, *, behind: int = 0) -> Any:
    rollout = case.rollout
    provider = providers.chosen(rollout.spec)
    return provider.read(rollout, seen(case, live, behind=behind), others=[])


def obeyed(case: Case, live: Store, **wanted: Any) -> Any:
    """What requests are sent by."""
    return case.plane.obeyed(case.rollout, desired(**wanted), live)


def test_every_provider_has_a_case() -> None:
    named = {providers.chosen(case.rollout.spec).name for case in CASES.values()}
    assert named == {one.name for one in providers.PROVIDERS.values()}


@every
def test_what_was_rendered_is_read_back_and_rendered_once(case: Case) -> None:
    live = copy.deepcopy(case.before)
    for number, shares in enumerate(splits(case), 1):
        wanted = {"shares": shares, "sequence": number}
        live = moved(case, live, **wanted)
        found = observed(case, live)
        assert found.problem is None
        assert found.programmed
        assert found.shares == pytest.approx(shares, abs=50)
        in_force = case.plane.split(case.rollout, desired(**wanted), live)
        assert in_force == pytest.approx(shares, abs=50)
        assert rendered(case, live, **wanted) == []


ACKNOWLEDGED = {
    name: one for name, one in CASES.items() if "gatewayAPI" in name or "router" in name
}


@pytest.mark.parametrize("case", ACKNOWLEDGED.values(), ids=ACKNOWLEDGED)
def test_a_split_that_was_not_taken_over_is_written_and_not_programmed(case: Case) -> None:
    live = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS}, sequence=3)
    live = moved(case, live, shares={"v2": PARTS}, sequence=4)
    late = observed(case, live, behind=1)
    assert (late.shares, late.programmed) == ({"v2": PARTS}, False)
    assert not late.blocking
    assert observed(case, live).programmed


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
        assert (change.verb is Verb.DELETE) == (change.target not in case.before)
        live = gateway.performed(live, change)
    assert live.keys() == case.before.keys()
    for one, body in case.before.items():
        assert bare(live[one], one.kind) == bare(body, one.kind)
        assert live[one]["metadata"]["annotations"] == body["metadata"]["annotations"]
        assert live[one]["spec"].get("selector") == body["spec"].get("selector")


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


HOST = "preview.example.com"
SHADOW: Json = {
    "version": "v2",
    "protocol": {"plain": {"at": "/label"}},
    "task": {"classification": {"labels": ["ham", "spam"]}},
}


def following(case: Case, strategy: Json) -> Case:
    """The case with another strategy."""
    written = case.rollout.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    spec = ModelRolloutSpec.model_validate({**written, "strategy": strategy})
    return replace(case, given=replace(case.rollout, spec=spec))


def with_preview_host(case: Case) -> Case:
    """The case with a host for its preview."""
    return following(case, {"blueGreen": {"previewHost": HOST}})


HOSTLESS = ("service", "traefik", "traefik, own service")
PREVIEWS = {
    name: case if name in HOSTLESS else with_preview_host(case)
    for name, case in CASES.items()
    if case.claims("preview")
}


@pytest.mark.parametrize("case", PREVIEWS.values(), ids=PREVIEWS)
def test_a_preview_leads_to_the_candidate_and_goes_again(case: Case) -> None:
    before = moved(case, copy.deepcopy(case.before), shares={"v1": PARTS})
    wanted = {"shares": {"v1": PARTS}, "preview": "v2", "sequence": 4}
    shown = moved(case, before, **wanted)
    assert (observed(case, shown).shares, observed(case, shown).preview) == ({"v1": PARTS}, "v2")
    there = str(added(obeyed(case, before, shares={"v1": PARTS}), obeyed(case, shown, **wanted)))
    assert "v2" in there
    assert HOST in there or case.given is None
    assert rendered(case, shown, **wanted) == []
    after = moved(case, shown, shares={"v1": PARTS}, sequence=5)
    assert after.keys() == before.keys()
    assert (observed(case, after).shares, observed(case, after).preview) == ({"v1": PARTS}, "")


def added(before: Json, after: Json) -> list[Any]:
    """Of what requests are sent by: whatever was not there before."""
    return [part for name, part in after.items() if part != before.get(name)]


TEES = {
    name: case
    for name, case in CASES.items()
    if capabilities.refusal(following(case, {"shadow": SHADOW}).rollout.spec) is None
}


@pytest.mark.parametrize("case", TEES.values(), ids=TEES)
def test_a_tee_copies_requests_and_moves_no_weight(case: Case) -> None:
    shares = {"v1": 7_000, "v3": 3_000}
    before = moved(case, copy.deepcopy(case.before), shares=shares)
    wanted = {"shares": shares, "tee": Tee("v2", 1_000), "sequence": 4}
    teed = moved(case, before, **wanted)
    assert observed(case, teed).shares == pytest.approx(shares, abs=50)
    assert copied(obeyed(case, teed, **wanted)) - copied(case.before) == {0.1}
    assert rendered(case, teed, **wanted) == []
    after = moved(case, teed, shares=shares, sequence=5)
    assert copied(obeyed(case, after, shares=shares, sequence=5)) == copied(case.before)
    assert {one: body.get("spec") for one, body in after.items()} == {
        one: body.get("spec") for one, body in before.items()
    }


def copied(node: Any) -> set[float]:
    """Every share of requests that is copied somewhere, in any provider's words."""
    if isinstance(node, list | tuple):
        return set().union(*(copied(one) for one in node))
    match node:
        case {"percentage": {"value": int() | float() as percent}} | {"percent": int() as percent}:
            return {percent / 100}
        case {"numerator": int() as parts, "denominator": 10_000 | "TEN_THOUSAND"}:
            return {parts / 10_000}
        case Mapping():
            return set().union(*(copied(one) for one in node.values()))
    return set()


def test_who_claims_to_copy_copies_and_nobody_else() -> None:
    able = {providers.chosen(case.rollout.spec).name for case in TEES.values()}
    assert able == {
        one.name for one in providers.PROVIDERS.values() if "mirror" in one.capabilities
    }


STICKY = {name: case for name, case in CASES.items() if case.claims("sticky")}


@pytest.mark.parametrize("case", STICKY.values(), ids=STICKY)
def test_who_claims_to_keep_users_moves_nobody_back_on_a_ramp(case: Case) -> None:
    plane, live, known = case.plane, copy.deepcopy(case.before), set[int]()
    assert isinstance(plane, planes.Envoys)
    for number, parts in enumerate((100, 2_500, 5_000, PARTS), 1):
        shares = {name: share for name, share in (("v1", PARTS - parts), ("v2", parts)) if share}
        wanted = {"shares": shares, "sequence": number}
        live = moved(case, live, **wanted)
        order = plane.intervals(case.rollout, desired(**wanted), live)
        hashes = [version for version, size in order for _ in range(size)]
        users = {one for one, version in enumerate(hashes) if version == "v2"}
        assert len(users) == parts
        assert users >= known
        known = users


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
    """A user's object without what counts its changes, our weights, selector and notes."""
    del kind
    copied = copy.deepcopy(body)
    for counter in ("generation", "resourceVersion"):
        del copied["metadata"][counter]
    notes = copied["metadata"].get("annotations") or {}
    copied["metadata"]["annotations"] = {
        key: note for key, note in notes.items() if not key.startswith("modelrollout.dev/")
    }
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


@pytest.mark.parametrize("case", MAKERS.values(), ids=MAKERS)
def test_the_marks_of_what_is_made_name_rollout_and_decision(case: Case) -> None:
    live = moved(case, {}, shares={"v1": PARTS})
    made = [body["metadata"] for body in live.values()]
    assert {one["labels"][ownership.ROLLOUT] for one in made} == {"fraud"}
    noted = [one.get("annotations", {}).get(generated.DECISION) for one in made]
    assert [one for one in noted if one is not None] == ["3"]
    assert observed(case, live).recorded_stable == "v1"


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
