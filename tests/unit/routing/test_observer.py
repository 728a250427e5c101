"""The objects of an observer, and the configuration that it will read."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from modelrollout.api.shadow import Shadowing
from modelrollout.api.spec import ModelRolloutSpec, Traffic
from modelrollout.domain.planned import Observing
from modelrollout.routing import observer, tees
from modelrollout.routing.contract import Rollout, Site, Tee
from modelrollout.routing.router import objects as router_objects
from modelrollout.shadow.serving import config, declaring

SPEC = ModelRolloutSpec.model_validate(
    {
        "versions": [
            {"name": name, "service": {"name": f"fraud-{name}", "port": 8080}}
            for name in ("v1", "v2")
        ],
        "target": "v1",
        "traffic": {"router": {}},
    }
)
ROLLOUT = Rollout("ml", "fraud", "uid-1", SPEC)
PLAIN: dict[str, Any] = {
    "protocol": {"openInference": {"outputs": ["label"]}},
    "task": {"classification": {"labels": ["a", "b"]}},
}
FULL: dict[str, Any] = PLAIN | {
    "sample": 25,
    "noise": {"mode": "Paired", "share": "20%"},
    "paths": ["/predict"],
    "session": "x-session",
    "slices": {"header": "x-country", "values": ["de"]},
    "credentials": ["x-api-key"],
    "timeout": "2s",
    "examples": {"tokenSecret": "look", "fields": ["/label"]},
}


def observing(asked: dict[str, Any], run: str = "abc") -> Observing:
    return Observing(run, "v2", "v1", Shadowing.model_validate(asked))


def made(asked: dict[str, Any]) -> dict[str, dict[str, Any]]:
    objects = observer.objects(ROLLOUT, observing(asked), image="observer:1", pull_secrets=["p"])
    return {reference.kind.kind: body for reference, body in objects}


@pytest.mark.parametrize("asked", [PLAIN, FULL], ids=["plain", "full"])
def test_the_observer_understands_what_is_written_for_it(asked: dict[str, Any]) -> None:
    written = yaml.safe_load(made(asked)["ConfigMap"]["data"]["observer.yaml"])
    read = config.Config.model_validate(written)
    assert read.models.candidate == "http://fraud-v2.ml.svc:8080"
    assert read.models.stable == "http://fraud-v1.ml.svc:8080"
    declaring.task(read.task)
    declaring.protocol(read.protocol)


def test_what_was_asked_for_arrives() -> None:
    written = yaml.safe_load(made(FULL)["ConfigMap"]["data"]["observer.yaml"])
    read = config.Config.model_validate(written)
    assert (read.noise.mode, read.noise.share) == (config.Mode.PAIRED, 0.2)
    assert (read.sampling.session, read.sampling.share) == ("x-session", 0.25)
    assert read.eligible.paths == ["/predict"]
    assert read.eligible.credentials == ["x-api-key"]
    assert read.timeouts.total == 2.0
    assert read.slices is not None
    assert str(read.examples.token_file) == "/etc/observer-token/token"


def test_it_belongs_to_its_rollout_and_has_no_rights() -> None:
    objects = made(FULL)
    for body in objects.values():
        (owner,) = body["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("ModelRollout", "uid-1")
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert {"name": "token", "secret": {"secretName": "look"}} in pod["volumes"]
    assert pod["imagePullSecrets"] == [{"name": "p"}]


def test_a_routers_envoys_show_the_observer_what_it_expects_and_the_mirror_is_shut() -> None:
    owner = replace(ROLLOUT, site=Site(image="envoy", token="a" * 64))
    _, secret = router_objects.credential(owner)
    objects = made(PLAIN)
    read = config.Config.model_validate(
        yaml.safe_load(objects["ConfigMap"]["data"]["observer.yaml"])
    )
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (feed,) = (one["secret"] for one in pod["volumes"] if one["name"] == "feed")
    assert feed["secretName"] == secret["metadata"]["name"]
    assert {one["key"] for one in feed["items"]} == {"feed"} < set(secret["stringData"])
    assert str(read.fronts.token_file) == "/etc/observer-feed/feed"
    assert read.fronts.mirror is None
    ports = {one["name"] for one in objects["Service"]["spec"]["ports"]}
    assert ports == {"extproc", "metrics"}


def test_a_gateways_mirror_is_the_one_way_in_where_there_is_one() -> None:
    spec = SPEC.model_copy(update={"traffic": Traffic.model_validate({"traefik": {}})})
    owner = replace(ROLLOUT, spec=spec)
    objects = {
        reference.kind.kind: body
        for reference, body in observer.objects(owner, observing(PLAIN), image="observer:1")
    }
    read = config.Config.model_validate(
        yaml.safe_load(objects["ConfigMap"]["data"]["observer.yaml"])
    )
    assert (read.fronts.mirror, read.fronts.ext_proc) == (observer.MIRROR_PORT, None)
    volumes = objects["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert [one["name"] for one in volumes] == ["config"]


def test_another_shadow_makes_it_anew_and_the_same_one_does_not() -> None:
    first = observer.mark(ROLLOUT, observing(PLAIN))
    assert first == observer.mark(ROLLOUT, observing(PLAIN))
    assert first != observer.mark(ROLLOUT, observing(PLAIN, run="abd"))
    assert first != observer.mark(ROLLOUT, observing(FULL))


def test_copies_go_to_the_observer_and_not_to_the_version() -> None:
    target = tees.target(ROLLOUT, Tee("v2", 100, observer="fraud-observer"))
    assert (target.name, target.port) == ("fraud-observer", observer.MIRROR_PORT)
    assert tees.target(ROLLOUT, Tee("v2", 100)).name == "fraud-v2"
    assert observer.address(namespace="ml", rollout="fraud") == "fraud-observer.ml.svc:9000"
