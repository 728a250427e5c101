"""Traffic by Traefik's own TraefikService: one that the operator makes, or one of the user's.

The one that the operator makes has the name of the rollout, so that an IngressRoute can refer to it
before it exists. While a copy of the requests goes to a shadow, that name mirrors, and the weights
are in a second TraefikService behind it. Traefik writes no status: what was written counts as
programmed, and the observed split has to agree before a step may advance.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api.spec import Traefik, Version
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import backends, marks, owned, tees
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout, Tee
from modelrollout.routing.shapes import Shape

Json = Mapping[str, Any]

SERVICE: Final = Kind("traefik.io", "v1alpha1", "traefikservices", "TraefikService")
_PARTS_OF_A_PERCENT: Final = 100
_WAYS: Final = ("weighted", "mirroring", "highestRandomWeight", "failover")


class Weighted:
    """Moves weights in TraefikServices."""

    name = "traefik"
    capabilities = frozenset({"weights", "switch", "preview", "mirror"})
    watched: tuple[Kind, ...] = (SERVICE,)

    def needs(self, rollout: Rollout) -> Sequence[Reference]:
        """The TraefikService that clients reach, the split behind a mirror, and the preview."""
        if _asked(rollout).service is not None:
            return (_front(rollout), _preview(rollout))
        return (_front(rollout), _split(rollout), _preview(rollout))

    def read(
        self, rollout: Rollout, live: Mapping[Reference, Json], *, others: Sequence[Json]
    ) -> TrafficSeen:
        """What the weights say now."""
        del others
        front = live.get(_front(rollout))
        if _asked(rollout).service is not None:
            return _read_owned(rollout, front, live)
        if front is None:
            return TrafficSeen()
        if not marks.are_on(rollout, front):
            return TrafficSeen(exists=True, problem=marks.foreign(front), blocking=True)
        read = [front, *_behind(rollout, front, live)]
        split, problem = _read_generated(rollout, read[-1])
        return marks.seen(rollout, live, read, split=split, problem=problem, made=True)

    def render(
        self, rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """The writes that lead to the desired split: what is referred to comes first."""
        front = _front(rollout)
        if _asked(rollout).service is not None:
            if front not in live:
                return ()
            moved = owned.render(rollout, desired, front, live[front], shape=SHAPE)
            return (*moved, *_previewed(rollout, desired, live))
        if front in live and not marks.are_on(rollout, live[front]):
            return ()
        return (*_generated(rollout, desired, live), *_previewed(rollout, desired, live))

    def remove(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
        """Deletes what the operator made; a TraefikService of the user's stays."""
        made = [one for one in self.needs(rollout) if one.name != _asked(rollout).service]
        return tuple(
            change for one in made for change in marks.removed(rollout, one, live.get(one))
        )


def _read_owned(
    rollout: Rollout, front: Json | None, live: Mapping[Reference, Json]
) -> TrafficSeen:
    if front is None:
        return TrafficSeen(problem=_absent(rollout), blocking=True)
    split, problem = owned.split(rollout, [front], shape=SHAPE)
    return marks.seen(rollout, live, [front], split=split, problem=problem, made=False)


def _behind(rollout: Rollout, front: Json, live: Mapping[Reference, Json]) -> list[Json]:
    """The split behind a front that mirrors."""
    mirroring = (front.get("spec") or {}).get("mirroring") or {}
    split = _split(rollout)
    if (mirroring.get("kind"), mirroring.get("name")) != (SERVICE.kind, split.name):
        return []
    return [live[split]] if split in live else []


def _read_generated(rollout: Rollout, service: Json) -> tuple[dict[str, int] | None, Reason | None]:
    spec: Json = service.get("spec") or {}
    ways = [way for way in _WAYS if spec.get(way)]
    if ways != ["weighted"]:
        return None, marks.contradicts(service, f"has {' and '.join(ways) or 'no backends'}")
    weights: dict[str, int] = {}
    for backend in spec["weighted"].get("services") or ():
        version = _version_of(rollout, backend)
        if version is not None:
            weights[version] = weights.get(version, 0) + _weight_of(backend, 0)
        elif _weight_of(backend, 0) > 0:
            return None, marks.contradicts(service, f"sends requests to {_address(backend)}, too")
    if spec["weighted"].get("sticky"):
        where = f"the TraefikService {service['metadata']['name']}"
        return backends.parts(weights), owned.sticks(where, "sticky")
    return backends.parts(weights), None


def _generated(
    rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
) -> Sequence[Change]:
    front, split = _front(rollout), _split(rollout)
    weighted = {"weighted": {"services": _services(rollout, desired)}}
    if desired.tee is None:
        return (
            *marks.applied(rollout, desired, front, spec=weighted, live=live.get(front)),
            *marks.removed(rollout, split, live.get(split)),
        )
    mirroring = {
        "mirroring": {
            "kind": SERVICE.kind,
            "name": split.name,
            "mirrors": [_mirror(rollout, desired.tee)],
        }
    }
    return (
        *marks.applied(rollout, desired, split, spec=weighted, live=live.get(split)),
        *marks.applied(rollout, desired, front, spec=mirroring, live=live.get(front)),
    )


def _services(rollout: Rollout, desired: Desired) -> list[dict[str, Any]]:
    serving = [
        {**_ref(version), "weight": desired.shares[version.name]}
        for version in rollout.spec.versions
        if desired.shares.get(version.name, 0) > 0
    ]
    if not serving:
        raise ValueError(f"expected at least one version with a share, found {desired.shares}")
    return serving


def _mirror(rollout: Rollout, tee: Tee) -> dict[str, Any]:
    """Traefik mirrors whole percents; others are refused before (`capabilities`)."""
    to = tees.target(rollout, tee)
    named = {"kind": "Service", "name": to.name, "port": to.port}
    return {**named, "percent": tee.parts // _PARTS_OF_A_PERCENT}


def _previewed(
    rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
) -> Sequence[Change]:
    target = _preview(rollout)
    for version in rollout.spec.versions:
        if version.name == desired.preview:
            spec = {"weighted": {"services": [{**_ref(version), "weight": 1}]}}
            return marks.applied(rollout, desired, target, spec=spec, live=live.get(target))
    return marks.removed(rollout, target, live.get(target))


def _asked(rollout: Rollout) -> Traefik:
    asked = rollout.spec.traffic.traefik
    if asked is None:
        raise ValueError("expected spec.traffic.traefik, found another provider")
    return asked


def _front(rollout: Rollout) -> Reference:
    return Reference(SERVICE, rollout.namespace, _asked(rollout).service or rollout.name)


def _split(rollout: Rollout) -> Reference:
    return Reference(SERVICE, rollout.namespace, f"{rollout.name}-split")


def _preview(rollout: Rollout) -> Reference:
    return Reference(SERVICE, rollout.namespace, marks.preview(rollout))


def _absent(rollout: Rollout) -> Reason:
    return Reason(
        Code.ROUTE_MISSING,
        f"the TraefikService {rollout.namespace}/{_asked(rollout).service} does not exist: create "
        "it with `weighted.services` that refer to two or more of the versions, or leave out "
        "`traffic.traefik.service` for one that the operator makes",
    )


def _ref(version: Version) -> dict[str, Any]:
    front = version.front
    if front is None:
        raise ValueError(f"expected a Service, found {' '.join(version.backend)}")
    return {"kind": "Service", "name": front.name, "port": front.port}


def _rules(service: Json) -> list[tuple[str, Json]]:
    weighted = (service.get("spec") or {}).get("weighted")
    return [("/spec/weighted", weighted)] if weighted else []


def _version_of(rollout: Rollout, backend: Json) -> str | None:
    """The version whose Service is named; of a TraefikService in between nothing is known."""
    return backends.version_of(rollout, {**backend, "group": ""})


def _weight_of(backend: Json, _: int) -> int:
    """The weight of a service; Traefik takes one that is left out for 1."""
    return int(backend.get("weight", 1))


def _address(backend: Json) -> str:
    return backends.address(backend)


SHAPE: Final = Shape(
    rules=_rules,
    listed="services",
    named=("kind", "name", "port"),
    version_of=_version_of,
    weight_of=_weight_of,
    address=_address,
    sticky="sticky",
)
"""A weighted TraefikService."""
