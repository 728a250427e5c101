"""Every provider with objects to start from, and the passes of an operator over them.

What obeys a provider, and where its split is found, is behind `planes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelrollout.api.scalars import PARTS
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.routing import (
    capabilities,
    gateway_api,
    istio,
    providers,
    service_switch,
    traefik,
)
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout
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
