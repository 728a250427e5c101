"""The contract that every provider keeps, each with its own objects and those of a user."""

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from modelrollout.api.scalars import PARTS
from modelrollout.domain.reasons import Code
from modelrollout.routing import capabilities, generated, ownership, providers
from modelrollout.routing.contract import Tee, Verb
from tests.unit.routing import gateway, planes
from tests.unit.routing.cases import (
    CASES,
    HOST,
    SHADOW,
    Case,
    Json,
    desired,
    following,
    moved,
    obeyed,
    observed,
    rendered,
    seen,
    splits,
    with_preview_host,
)

every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


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
        assert bare(live[one]) == bare(body)


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
        assert bare(live[one]) == bare(body)
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


def bare(body: Json) -> Json:
    """A user's object without what counts its changes, our weights, selector and notes."""
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
