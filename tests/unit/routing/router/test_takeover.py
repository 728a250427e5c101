"""A Service of the user's, led to the router and back."""

from dataclasses import replace
from typing import Any

import pytest

from modelrollout.routing.contract import Desired, Verb
from modelrollout.routing.router import answers, naming, takeover
from tests.unit.routing.router import store
from tests.unit.routing.router.store import CANARY, ROUTER, STABLE, Store

FRAUD = store.reference(naming.SERVICE, "fraud")
OWNER = store.rollout(service="fraud")


def around(selector: dict[str, str] | None = None) -> Store:
    """The user's Service and those of the versions."""
    return store.service("fraud", selector or store.labelled("v1")) | store.backends("v1", "v2")


def taken(selector: dict[str, str] | None = None, desired: Desired = STABLE) -> Store:
    """After Envoys became ready and the Service was switched."""
    live = store.written(OWNER, desired, around(selector)) | store.following(desired.sequence)
    return store.performed(live, ROUTER.render(OWNER, desired, live))


def test_it_is_switched_when_all_envoys_are_ready_and_not_before() -> None:
    live = store.written(OWNER, STABLE, around())
    for answered in (store.telling(), store.following(1, count=1), store.following(0)):
        changes = ROUTER.render(OWNER, STABLE, live | answered)
        assert [change for change in changes if change.verb is Verb.JSON_PATCH] == []
        assert not store.seen(OWNER, live | answered).programmed
    after = store.performed(live, ROUTER.render(OWNER, STABLE, live | store.following(1)))
    assert takeover.is_taken(OWNER, after[FRAUD])
    assert store.seen(OWNER, after | store.following(1)).programmed


def test_nothing_but_selector_and_notes_is_touched() -> None:
    before, after = around()[FRAUD], taken()[FRAUD]
    assert after["spec"] == {**before["spec"], "selector": naming.selector(OWNER)}
    assert set(after["metadata"]["annotations"]) == {takeover.BEFORE, takeover.TAKEN_BY}


def test_who_serves_before_the_router_is_known_by_the_selector() -> None:
    assert store.seen(OWNER, around(store.labelled("v2"))).shares == {"v2": 10_000}
    assert store.seen(OWNER, around({"app": "fraud"})).shares is None


@pytest.mark.parametrize(
    ("before", "stable", "then"),
    [
        pytest.param({"app": "fraud"}, "v2", {"app": "fraud"}, id="all-versions"),
        pytest.param(store.labelled("v1"), "v1", store.labelled("v1"), id="still-stable"),
        pytest.param(store.labelled("v1"), "v2", store.labelled("v2"), id="promoted-since"),
    ],
)
def test_it_is_given_back_before_the_envoys_end(
    before: dict[str, str], stable: str, then: dict[str, str]
) -> None:
    live = taken(before, Desired({stable: 10_000}, stable=stable, sequence=3))
    changes = ROUTER.remove(OWNER, live)
    assert changes[0].target == FRAUD
    assert changes[1].target.kind == naming.DEPLOYMENT
    after = store.performed(live, changes)
    assert takeover.selector(after[FRAUD]) == then
    assert after[FRAUD]["metadata"]["annotations"] == {}
    assert {one.name for one in after if one.kind != answers.KIND} == {
        "fraud",
        "fraud-v1",
        "fraud-v2",
    }


def test_a_service_that_somebody_took_back_is_not_touched() -> None:
    live = taken()
    live[FRAUD]["spec"]["selector"] = {"app": "mine"}
    assert ROUTER.remove(OWNER, live)[0].target.kind == naming.DEPLOYMENT


@pytest.mark.parametrize(
    ("service", "said"),
    [
        pytest.param({}, "does not exist: create it", id="absent"),
        pytest.param(store.service("fraud", None), "has no selector", id="no-selector"),
        pytest.param(
            store.service("fraud", {"a": "b"}, {"port": 80, "targetPort": 9000}),
            "write `router: {port: 9000}`",
            id="other-port",
        ),
    ],
)
def test_a_service_that_cannot_be_led_there_is_refused(service: Store, said: str) -> None:
    found = store.seen(OWNER, service)
    assert found.blocking
    assert found.problem is not None
    assert said in found.problem.sentence
    assert ROUTER.render(OWNER, CANARY, service) == ()


def test_the_service_of_a_version_is_refused() -> None:
    owner = store.rollout(service="fraud-v1")
    found = store.seen(owner, store.backends("v1", "v2"))
    assert found.problem is not None
    assert "in circles" in found.problem.sentence


def test_a_named_port_is_named_so_in_the_envoys() -> None:
    live = store.service("fraud", {"app": "fraud"}, {"port": 80, "targetPort": "predict"})
    live |= store.backends("v1", "v2")
    made = store.written(OWNER, STABLE, live)[store.reference(naming.DEPLOYMENT)]
    ports: list[dict[str, Any]] = made["spec"]["template"]["spec"]["containers"][0]["ports"]
    assert [port["name"] for port in ports] == ["predict", "stats"]


def test_two_rollouts_do_not_take_each_others_service() -> None:
    other = replace(OWNER, name="other")
    assert not takeover.is_taken(other, taken()[FRAUD])
