"""Routes of the user's own: which rules are ours, which weights move, and what never does."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api.scalars import PARTS
from modelrollout.domain import programming
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code
from modelrollout.routing import owned, providers
from modelrollout.routing.contract import Desired, Reference, Rollout, Verb
from modelrollout.routing.gateway_api import GRPC_ROUTE, HTTP_ROUTE
from tests.unit.routing import gateway
from tests.unit.routing.gateway import Json, backend

FRAUD = Reference(HTTP_ROUTE, "ml", "fraud")
GRPC = Reference(GRPC_ROUTE, "ml", "fraud-grpc")
BOTH = {"gatewayAPI": {"routes": [{"name": "fraud"}, {"kind": "GRPCRoute", "name": "fraud-grpc"}]}}
OWNER = gateway.rollout(gateway.OWNED)

RULES = """
- name: health
  matches: [{path: {type: Exact, value: /healthz}, method: GET}]
  backendRefs: [{group: "", kind: Service, name: fraud-v1, port: 8080, weight: 1}]
- matches:
  - path: {type: PathPrefix, value: /fraud}
  - path: {type: PathPrefix, value: /score}
    headers: [{type: Exact, name: x-tenant, value: shop}]
  filters:
  - type: ResponseHeaderModifier
    responseHeaderModifier: {add: [{name: x-by, value: gateway}]}
  timeouts: {request: 30s}
  backendRefs:
  - {group: "", kind: Service, name: fraud-v1, port: 8080, weight: 100}
  - group: ""
    kind: Service
    name: fraud-v2
    port: 8080
    weight: 0
    filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [cookie]}}]
- matches: [{path: {type: PathPrefix, value: /batch}}]
  backendRefs:
  - {group: "", kind: Service, name: legacy, port: 80, weight: 50}
  - {group: "", kind: Service, name: fraud-v2, port: 8080, weight: 0}
  - {group: "", kind: Service, name: fraud-v1, port: 8080, weight: 150}
"""


def desired(**shares: int) -> Desired:
    return Desired(shares, stable="v1", sequence=3)


def read(live: dict[Reference, Json], *, owner: Rollout = OWNER) -> TrafficSeen:
    return providers.chosen(owner.spec).read(owner, live, others=[])


def moved(
    live: dict[Reference, Json], wanted: Desired, *, owner: Rollout = OWNER
) -> dict[Reference, Json]:
    """The routes after everything that is rendered was performed."""
    for change in providers.chosen(owner.spec).render(owner, wanted, live):
        assert change.verb is Verb.JSON_PATCH
        live = gateway.performed(live, change)
    return live


def weights(live: Json, rule: int = 0) -> list[int]:
    return [one["weight"] for one in live["spec"]["rules"][rule]["backendRefs"]]


def without_weights(live: Json) -> Json:
    bare = copy.deepcopy(live)
    for counter in ("generation", "resourceVersion"):
        del bare["metadata"][counter]
    for rule in bare["spec"]["rules"]:
        for one in rule["backendRefs"]:
            del one["weight"]
    return bare


def problem(seen: TrafficSeen) -> tuple[Code, str]:
    assert seen.problem is not None
    assert not seen.programmed
    return seen.problem.code, seen.problem.sentence


def test_weights_move_in_our_rules_and_nothing_else_does() -> None:
    before = {FRAUD: gateway.route(RULES)}
    after = moved(before, desired(v1=7_500, v2=2_500))[FRAUD]
    assert [weights(after, rule) for rule in range(3)] == [[1], [75, 25], [50, 37, 113]]
    assert without_weights(after) == without_weights(before[FRAUD])


def test_what_is_already_so_is_not_written() -> None:
    live = moved({FRAUD: gateway.route(RULES)}, desired(v1=7_500, v2=2_500))
    render = providers.chosen(OWNER.spec).render
    assert render(OWNER, desired(v1=7_500, v2=2_500), live) == []


def test_every_backend_of_ours_is_tested_before_a_weight_is_written() -> None:
    live = {FRAUD: gateway.route(RULES)}
    (change,) = providers.chosen(OWNER.spec).render(OWNER, desired(v1=9_000, v2=1_000), live)
    for edit in (_reordered, _renamed, _reported, _reweighed):
        changed = copy.deepcopy(live)
        edit(changed[FRAUD]["spec"]["rules"])
        with pytest.raises((AssertionError, IndexError)):
            gateway.performed(changed, change)


def _reordered(rules: list[Json]) -> None:
    rules.reverse()


def _renamed(rules: list[Json]) -> None:
    rules[1]["backendRefs"][0]["name"] = "another"


def _reported(rules: list[Json]) -> None:
    rules[1]["backendRefs"][1]["port"] = 9090


def _reweighed(rules: list[Json]) -> None:
    rules[2]["backendRefs"][2]["weight"] = 149


def test_several_routes_move_together() -> None:
    owner = gateway.rollout(BOTH)
    grpc = gateway.route(RULES, kind="GRPCRoute")
    grpc["metadata"]["name"] = "fraud-grpc"
    live = moved(
        {FRAUD: gateway.route(RULES), GRPC: grpc}, desired(v1=8_000, v2=2_000), owner=owner
    )
    assert weights(live[FRAUD], 1) == weights(live[GRPC], 1) == [80, 20]
    accepted = {reference: gateway.accepted(route) for reference, route in live.items()}
    seen = read(accepted, owner=owner)
    assert seen.shares == {"v1": 8_000, "v2": 2_000}
    assert seen.programmed
    del accepted[GRPC]["status"]
    assert not read(accepted, owner=owner).programmed


def test_a_route_that_is_absent_is_named() -> None:
    seen = read({FRAUD: gateway.route(RULES)}, owner=gateway.rollout(BOTH))
    code, sentence = problem(seen)
    assert code is Code.ROUTE_MISSING
    assert "GRPCRoute ml/fraud-grpc" in sentence
    assert seen.blocking
    assert not seen.exists


def rules(*backends: Json, **more: Any) -> dict[Reference, Json]:
    """One route with one rule."""
    live = gateway.route("[]")
    live["spec"]["rules"] = [{"backendRefs": list(backends), **more}]
    return {FRAUD: live}


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(backend("other", 1), id="another Service"),
        pytest.param(backend("fraud-v2", 1, port=9090), id="another port"),
        pytest.param(backend("fraud-v2", 1, namespace="other"), id="another namespace"),
        pytest.param(backend("fraud-v2", 1) | {"kind": "InferencePool"}, id="another kind"),
        pytest.param(backend("fraud-v2", 1) | {"group": "x.dev"}, id="another group"),
        pytest.param(backend("fraud-v1", 1), id="the same version again"),
    ],
)
def test_a_rule_without_two_of_our_versions_says_what_was_found(second: Json) -> None:
    live = rules(backend("fraud-v1", 1), second)
    seen = read(live)
    code, sentence = problem(seen)
    assert code is Code.NO_MATCHING_RULE
    assert seen.blocking
    assert "fraud-v1:8080" in sentence
    assert f"{second['name']}:{second['port']}" in sentence
    assert moved(live, desired(v1=5_000, v2=5_000)) == live


def test_our_namespace_may_be_spelt_out() -> None:
    live = rules(backend("fraud-v1", 60, namespace="ml"), backend("fraud-v2", 40))
    assert read(live).shares == {"v1": 6_000, "v2": 4_000}


def test_a_rule_that_lacks_the_target_is_named() -> None:
    owner = gateway.rollout(gateway.OWNED, target="v3")
    seen = read(rules(backend("fraud-v1", 1), backend("fraud-v2", 0)), owner=owner)
    code, sentence = problem(seen)
    assert code is Code.NO_MATCHING_RULE
    assert "v3" in sentence
    assert "v1, v2" in sentence
    assert seen.blocking


def test_the_way_back_is_open_where_the_new_target_is_missing() -> None:
    owner = gateway.rollout(gateway.OWNED, target="v3")
    live = rules(backend("fraud-v1", 90), backend("fraud-v2", 10))
    assert weights(moved(live, desired(v1=PARTS), owner=owner)[FRAUD]) == [100, 0]


def test_a_rule_without_a_version_that_is_to_serve_is_left_alone() -> None:
    owner = gateway.rollout(gateway.OWNED, target="v3")
    live = rules(backend("fraud-v1", 90), backend("fraud-v2", 10))
    assert moved(live, desired(v1=9_000, v3=1_000), owner=owner) == live


def test_sessions_outrank_weights_and_are_refused_but_the_way_back_is_open() -> None:
    live = rules(
        backend("fraud-v1", 90),
        backend("fraud-v2", 10),
        sessionPersistence={"sessionName": "s", "type": "Cookie"},
    )
    seen = read(live)
    code, sentence = problem(seen)
    assert code is Code.SESSION_PERSISTENCE
    assert "sessionPersistence" in sentence
    assert seen.blocking
    assert weights(moved(live, desired(v1=PARTS))[FRAUD]) == [100, 0]


def test_sessions_of_a_rule_that_is_not_ours_do_not_matter() -> None:
    live = gateway.route(RULES)
    live["spec"]["rules"][0]["sessionPersistence"] = {"sessionName": "s"}
    assert read({FRAUD: gateway.accepted(live)}).programmed


def test_rules_that_disagree_are_no_split_and_are_brought_together() -> None:
    live = {FRAUD: gateway.route(RULES)}
    live[FRAUD]["spec"]["rules"][1]["backendRefs"][1]["weight"] = 50
    seen = read(live)
    code, sentence = problem(seen)
    assert code is Code.SPLIT_CONTRADICTS
    assert seen.shares is None
    assert not seen.blocking
    assert "rule 2" in sentence
    assert "rule 3" in sentence
    assert read(moved(live, desired(v1=9_000, v2=1_000))).shares == {"v1": 9_000, "v2": 1_000}


def test_a_rule_whose_versions_are_all_switched_off_stays_switched_off() -> None:
    live = gateway.route(RULES)
    live["spec"]["rules"][2]["backendRefs"][2]["weight"] = 0
    after = moved({FRAUD: live}, desired(v1=5_000, v2=5_000))[FRAUD]
    assert [weights(after, rule) for rule in (1, 2)] == [[50, 50], [50, 0, 0]]
    assert read({FRAUD: gateway.accepted(after)}).programmed


def test_a_rule_that_serves_nobody_at_all_gets_the_split() -> None:
    live = rules(backend("fraud-v1", 0), backend("fraud-v2", 0))
    assert read(live).shares == {}
    assert read(moved(live, desired(v1=9_900, v2=100))).shares == {"v1": 9_900, "v2": 100}


def test_a_version_that_stands_twice_in_a_rule_is_counted_once() -> None:
    live = rules(backend("fraud-v1", 60), backend("fraud-v2", 0), backend("fraud-v1", 40))
    assert weights(moved(live, desired(v1=7_000, v2=3_000))[FRAUD]) == [70, 30, 0]


def test_annotations_of_a_users_route_are_not_ours() -> None:
    live = gateway.route(RULES)
    live["metadata"]["annotations"] = {"modelrollout.dev/stable": "v2"}
    assert read({FRAUD: live}).recorded_stable == ""


def test_a_users_route_is_never_deleted() -> None:
    assert providers.chosen(OWNER.spec).remove(OWNER, {FRAUD: gateway.route(RULES)}) == ()


@pytest.mark.parametrize(
    ("found", "share", "after"),
    [
        pytest.param([1, 0], 100, [9_900, 100], id="a sum of one cannot say one percent"),
        pytest.param([100, 0], 100, [99, 1], id="a sum of a hundred can"),
        pytest.param([100, 0], 10, [9_990, 10], id="but not a tenth of a percent"),
        pytest.param([100, 0], 150, [9_850, 150], id="nor one and a half"),
        pytest.param([200, 0], 1, [9_999, 1], id="a step is not exceeded fifty times"),
        pytest.param([100, 0], 3_333, [67, 33], id="thirds are near enough"),
        pytest.param([1_000, 0], 150, [985, 15], id="a thousand says it"),
        pytest.param([1, 0, 3], 100, [9_900, 100, 30_000], id="foreign weights grow alike"),
        pytest.param([6_000, 0], 1, [11_999, 1], id="the least part of all"),
        pytest.param([1, 0, 999], 100, [991, 10, 999_999], id="up to the limit of the API"),
    ],
)
def test_the_sum_stays_unless_it_cannot_say_the_split(
    found: list[int], share: int, after: list[int]
) -> None:
    names = ["fraud-v1", "fraud-v2", "other"]
    live = rules(*(backend(name, one) for name, one in zip(names, found, strict=False)))
    assert weights(moved(live, desired(v1=PARTS - share, v2=share))[FRAUD]) == after


def test_a_small_step_never_becomes_a_large_one_for_want_of_room() -> None:
    live = rules(backend("fraud-v1", 2), backend("fraud-v2", 0), backend("other", owned.MOST))
    assert moved(live, desired(v1=9_900, v2=100)) == live
    seen = read(live)
    code, sentence = problem(seen)
    assert code is Code.NO_MATCHING_RULE
    assert "1000000" in sentence
    assert seen.blocking
    live[FRAUD]["spec"]["rules"][0]["backendRefs"][1]["weight"] = 2
    assert weights(moved(live, desired(v1=PARTS))[FRAUD]) == [4, 0, owned.MOST]


def test_a_weight_that_we_do_not_change_is_tested_too() -> None:
    live = rules(backend("fraud-v1", 100), backend("fraud-v2", 0), backend("fraud-v3", 0))
    (change,) = providers.chosen(OWNER.spec).render(OWNER, desired(v1=9_000, v2=1_000), live)
    live[FRAUD]["spec"]["rules"][0]["backendRefs"][2]["weight"] = 50
    with pytest.raises(AssertionError):
        gateway.performed(live, change)


def test_our_own_problem_is_told_before_the_gateways() -> None:
    live = gateway.route(RULES)
    live["spec"]["rules"][1]["backendRefs"][1]["weight"] = 50
    seen = read({FRAUD: gateway.accepted(live, status="False")})
    assert problem(seen)[0] is Code.SPLIT_CONTRADICTS


SHARES = st.integers(0, PARTS).flatmap(
    lambda first: st.integers(0, PARTS - first).map(
        lambda second: {"v1": first, "v2": second, "v3": PARTS - first - second}
    )
)
WEIGHTS = st.lists(st.integers(0, 1_000), min_size=3, max_size=3).filter(any)


@given(WEIGHTS, st.lists(st.integers(0, 50), max_size=2), SHARES)
def test_what_is_moved_is_read_back_in_any_rule(
    ours: list[int], foreign: list[int], shares: dict[str, int]
) -> None:
    backends = [backend(f"fraud-v{n}", one) for n, one in enumerate(ours, start=1)]
    backends += [backend(f"other-{n}", one) for n, one in enumerate(foreign)]
    before = rules(*backends)
    after = moved(before, desired(**shares))
    assert programming.agrees(read(after).shares, shares)
    assert moved(after, desired(**shares)) == after
    assert without_weights(after[FRAUD]) == without_weights(before[FRAUD])
    factor, rest = divmod(sum(weights(after[FRAUD])[:3]), sum(ours))
    assert rest == 0, "the sum of ours stays, or grows by a whole factor"
    assert weights(after[FRAUD])[3:] == [one * factor for one in foreign]
    assert max(weights(after[FRAUD])) <= owned.MOST


@given(st.integers(1, 1_000), st.lists(SHARES, min_size=2, max_size=5))
def test_after_a_first_change_the_sum_never_moves_again(
    total: int, plan: list[dict[str, int]]
) -> None:
    live = rules(backend("fraud-v1", total), backend("fraud-v2", 0), backend("fraud-v3", 0))
    sums = set()
    for shares in plan:
        live = moved(live, desired(**shares))
        sums.add(sum(weights(live[FRAUD])))
    assert len(sums) <= 2, sums
