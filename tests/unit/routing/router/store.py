"""A small apiserver for a router: rollouts, the objects around them, and what Envoys answer."""

import copy
from collections.abc import Iterable, Sequence
from typing import Any

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import TrafficSeen
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout, Site, Verb
from modelrollout.routing.router import answers, naming
from modelrollout.routing.router.answers import Answer
from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.provider import Router

Json = dict[str, Any]
Store = dict[Reference, Any]

ROUTER = Router()
CREATED = 1_767_225_600
SITE = Site(
    image="envoyproxy/envoy:v1.40.0", xds="modelrollout.modelrollout.svc:18000", token="a" * 64
)
STABLE = Desired({"v1": 10_000}, stable="v1", sequence=1)
CANARY = Desired({"v1": 9_000, "v2": 1_000}, stable="v1", sequence=2)


def rollout(*, site: Site = SITE, versions: Sequence[str] = ("v1", "v2"), **router: Any) -> Rollout:
    """The rollout `fraud` with a router."""
    spec = ModelRolloutSpec.model_validate(
        {
            "versions": [
                {"name": name, "service": {"name": f"fraud-{name}", "port": 8080}}
                for name in versions
            ],
            "target": "v1",
            "traffic": {"router": router},
        }
    )
    return Rollout("ml", "fraud", "uid-1", spec, site=site, created=CREATED)


def reference(kind: Kind, name: str = "fraud-router") -> Reference:
    """An object of the namespace."""
    return Reference(kind, "ml", name)


def service(name: str, selector: Json | None, *ports: Json) -> Store:
    """A Service of the user's."""
    spec: Json = {"ports": list(ports) or [{"name": "http", "port": 80, "targetPort": 8080}]}
    if selector is not None:
        spec["selector"] = selector
    metadata = {"name": name, "namespace": "ml", "uid": f"uid-of-{name}", "resourceVersion": "7"}
    found = {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}
    return {reference(naming.SERVICE, name): found}


def labelled(version: str) -> Json:
    """What selects the pods of a version."""
    return {"app": "fraud", "version": version}


def backends(*versions: str) -> Store:
    """The Services of versions."""
    found: Store = {}
    for name in versions:
        found |= service(f"fraud-{name}", labelled(name))
    return found


def performed(live: Store, changes: Iterable[Change]) -> Store:
    """The objects after changes; quantities are spelt as the apiserver spells them.

    Raises:
        AssertionError: where a `test` operation fails.
    """
    after = copy.deepcopy(live)
    for change in changes:
        match change.verb:
            case Verb.APPLY:
                after[change.target] = _applied(change, after.get(change.target))
            case Verb.JSON_PATCH:
                _patch(after[change.target], change.body)
            case Verb.DELETE:
                after.pop(change.target, None)
    return after


def _applied(change: Change, old: Json | None) -> Json:
    body: Json = copy.deepcopy(dict(change.body))
    known = old or {"metadata": {"uid": f"uid-of-{change.target.name}", "resourceVersion": "1"}}
    body["metadata"] = {**known["metadata"], **body["metadata"]}
    if change.target.kind == naming.DEPLOYMENT:
        container = body["spec"]["template"]["spec"]["containers"][0]
        container["resources"]["requests"]["cpu"] = "spelt in another way"
        container["terminationMessagePath"] = "/dev/termination-log"
        body["spec"]["revisionHistoryLimit"] = 10
    return body


def _patch(document: Json, operations: Sequence[Json]) -> None:
    for operation in operations:
        *path, last = operation["path"].strip("/").split("/")
        place: Any = document
        for step in path:
            place = place[step]
        if operation["op"] == "test":
            assert place.get(last) == operation["value"]
        else:
            place[last] = operation["value"]


def telling(*found: Answer) -> Store:
    """What Envoys answer."""
    return {reference(answers.KIND): {"answers": found}}


def following(sequence: int, *, count: int = 2, created: int = CREATED) -> Store:
    """Envoys that all have a decision."""
    edition = Edition(created, sequence, 1)
    have = dict.fromkeys(("listeners", "clusters", "routes"), edition)
    return telling(*(Answer(f"envoy-{number}", have) for number in range(count)))


def written(owner: Rollout, desired: Desired = STABLE, live: Store | None = None) -> Store:
    """The objects after a first pass."""
    return performed(live or {}, ROUTER.render(owner, desired, live or {}))


def seen(owner: Rollout, live: Store) -> TrafficSeen:
    """What the provider reads."""
    return ROUTER.read(owner, live, others=())
