"""The router as a provider: what it writes, when it writes nothing, and what it says of itself."""

from dataclasses import replace

import pytest

from modelrollout.domain.reasons import Code
from modelrollout.routing.contract import Verb
from modelrollout.routing.router import credentials, naming, provider, snapshot
from modelrollout.routing.router.answers import Answer
from modelrollout.routing.router.edition import Edition
from tests.unit.routing.router import store
from tests.unit.routing.router.store import CANARY, CREATED, ROUTER, STABLE, Store

KINDS = {"Secret", "ConfigMap", "Service", "Deployment", "PodDisruptionBudget"}


def test_a_first_pass_makes_everything_and_owns_nothing() -> None:
    changes = ROUTER.render(store.rollout(), STABLE, {})
    assert {change.target.kind.kind for change in changes} == KINDS
    assert {change.verb for change in changes} == {Verb.APPLY}
    assert all("ownerReferences" not in change.body["metadata"] for change in changes)
    # The credential and the configuration are there before the pods that need them.
    assert [change.target.kind.kind for change in changes][:2] == ["Secret", "ConfigMap"]


def test_a_second_pass_writes_nothing_although_quantities_are_spelt_anew() -> None:
    live = store.written(store.rollout())
    assert ROUTER.render(store.rollout(), STABLE, live) == []


def test_a_weight_restarts_no_envoy() -> None:
    live = store.written(store.rollout())
    (change,) = ROUTER.render(store.rollout(), CANARY, live)
    before = live[change.target]["spec"]["template"]
    assert change.target.kind == naming.DEPLOYMENT
    assert change.body["spec"]["template"]["metadata"] == before["metadata"]


def test_a_rollout_that_comes_back_restarts_envoys_that_follow_nobody() -> None:
    live = store.written(store.rollout())
    owner = replace(store.rollout(), created=CREATED + 60)
    (change,) = ROUTER.render(owner, STABLE, live)
    before = live[change.target]["spec"]["template"]["metadata"]["annotations"]
    after = change.body["spec"]["template"]["metadata"]["annotations"]
    assert before[naming.CONFIGURATION] != after[naming.CONFIGURATION]


def test_a_changed_credential_is_written_and_restarts_the_envoys() -> None:
    live = store.written(store.rollout())
    owner = store.rollout(site=replace(store.SITE, token="b" * 64))
    changes = ROUTER.render(owner, STABLE, live)
    assert [change.target.kind.kind for change in changes] == ["Secret", "Deployment"]
    shown = changes[0].body["stringData"]
    assert shown == {"token": "b" * 64, "feed": credentials.feed("b" * 64)}
    assert len(set(shown.values())) == 2


def test_the_secret_has_a_name_that_nobody_gives_to_one_of_theirs() -> None:
    """It is written unread: the operator has no right to read Secrets."""
    secret, *others = ROUTER.render(store.rollout(), STABLE, {})
    name = secret.target.name
    assert name.startswith(f"{naming.name_of(store.rollout())}-")
    assert len(name) > len(naming.name_of(store.rollout())) + 8
    pods = next(one.body for one in others if one.target.kind == naming.DEPLOYMENT)
    assert f"'name': '{name}'" in str(pods["spec"]["template"]["spec"])


@pytest.mark.parametrize("field", ["replicas", "image", "args"])
def test_what_somebody_changed_is_put_back(field: str) -> None:
    live = store.written(store.rollout())
    spec = live[store.reference(naming.DEPLOYMENT)]["spec"]
    if field == "replicas":
        spec["replicas"] = 0
    else:
        spec["template"]["spec"]["containers"][0][field] = "other"
    (change,) = ROUTER.render(store.rollout(), STABLE, live)
    assert change.target.kind == naming.DEPLOYMENT


def test_a_namesake_of_somebody_else_is_left_alone() -> None:
    owner = store.rollout()
    live = store.service("fraud-router", {"app": "other"})
    found = store.seen(owner, live)
    assert found.blocking
    assert found.problem is not None
    assert "was not made for this rollout" in found.problem.sentence
    assert ROUTER.render(owner, STABLE, live) == ()


def test_nothing_is_programmed_before_envoys_say_so() -> None:
    owner = store.rollout()
    live = store.written(owner, CANARY)
    found = store.seen(owner, live)
    assert (found.exists, found.programmed, found.blocking) == (True, False, False)
    assert found.shares == {"v1": 9_000, "v2": 1_000}
    assert store.seen(owner, live | store.following(2)).programmed
    assert store.seen(owner, live | store.following(3)).programmed


LATE = Answer("late", {"routes": Edition(CREATED, 1, 1)})
REFUSING = replace(LATE, name="refusing", refused={"routes": 2})
SILENT = Answer("silent", problem="ClientConnectorError")
GOOD = Answer("good", {"routes": Edition(CREATED, 2, 1)})


@pytest.mark.parametrize(
    ("told", "said"),
    [
        pytest.param([], "no Envoy of the Deployment fraud-router is ready", id="none"),
        pytest.param([GOOD, LATE], "1 of 2 Envoys do not route by decision 2", id="late"),
        pytest.param([GOOD, REFUSING], "1 of 2 Envoys refuse", id="refused"),
        pytest.param([GOOD, SILENT], "does not say what it routes by", id="silent"),
        pytest.param([Answer("empty")], "1 of 1 Envoys do not route", id="empty"),
    ],
)
def test_it_says_why_traffic_is_not_as_decided(told: list[Answer], said: str) -> None:
    owner = store.rollout()
    found = store.seen(owner, store.written(owner, CANARY) | store.telling(*told))
    assert found.problem is not None
    assert said in found.problem.sentence
    assert found.problem.code is Code.NOT_PROGRAMMED
    assert not found.programmed
    assert not found.blocking


def test_envoys_that_outlived_another_rollout_of_the_name_do_not_count_as_programmed() -> None:
    owner = store.rollout()
    live = store.written(owner, STABLE) | store.following(57, created=CREATED - 1)
    assert not store.seen(owner, live).programmed


def test_a_lost_status_begins_above_what_envoys_know() -> None:
    owner = store.rollout()
    assert store.seen(owner, store.written(owner, CANARY) | store.following(9)).sequence == 9


def test_a_name_that_is_too_long_is_refused_before_the_apiserver_does() -> None:
    found = store.seen(replace(store.rollout(), name="f" * 60), {})
    assert found.blocking
    assert found.problem is not None
    assert "shorter name" in found.problem.sentence


@pytest.mark.parametrize(
    ("cpu", "workers"), [(None, "2"), ("500m", "1"), ("1500m", "2"), ("0.5", "1"), ("4", "4")]
)
def test_an_envoy_has_as_many_threads_as_it_may_use(cpu: str | None, workers: str) -> None:
    owner = store.rollout(resources={"limits": {"cpu": cpu} if cpu else {}})
    made = store.written(owner)[store.reference(naming.DEPLOYMENT)]
    args = made["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[args.index("--concurrency") + 1] == workers


def test_a_low_port_needs_no_privileges() -> None:
    made = store.written(store.rollout(port=80))[store.reference(naming.DEPLOYMENT)]
    context = made["spec"]["template"]["spec"]["securityContext"]
    assert context["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    assert context["runAsNonRoot"]


def test_without_the_administrators_consent_nothing_is_made() -> None:
    owner = store.rollout(site=replace(store.SITE, image=""))
    assert ROUTER.render(owner, STABLE, {}) == ()
    assert store.seen(owner, {}).blocking


def test_a_router_that_is_to_go_goes_whole() -> None:
    owner = store.rollout()
    live = store.written(owner)
    after = store.performed(live, ROUTER.remove(owner, live))
    assert after == {}
    other = replace(owner, name="other")
    assert ROUTER.remove(other, live) == ()


def test_a_router_whose_rollout_goes_starts_without_asking_anybody() -> None:
    owner = store.rollout()
    live: Store = store.written(owner)
    stored = {
        "metadata": {"namespace": "ml", "name": "fraud"},
        "spec": owner.spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "status": {"stable": {"name": "v1"}, "decision": {"sequence": 1, "shares": {"v1": 10_000}}},
    }
    read = snapshot.understood(stored)
    assert read is not None
    (change,) = provider.retained(read[0], owner, live)
    assert change.target.kind == naming.CONFIG_MAP
    text = change.body["data"]["bootstrap.json"]
    assert "dynamic_resources" not in text
    assert "ml/fraud-v1/8080" in text
    assert "discovery" not in text


def test_what_a_rollout_had_before_is_known_from_its_router() -> None:
    owner = store.rollout(service="fraud")
    around = store.service("fraud", store.labelled("v1")) | store.backends("v1", "v2")
    live = store.written(owner, STABLE, around)
    old = provider.before(owner, live[store.reference(naming.DEPLOYMENT)])
    assert old is not None
    assert old.spec.traffic.router is not None
    assert old.spec.traffic.router.service == "fraud"
    assert provider.before(owner, None) is None
