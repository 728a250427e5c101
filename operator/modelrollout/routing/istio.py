"""Traffic by Istio's VirtualServices: one that the operator makes, or some of the user's.

Istio writes no status that must be waited for: what was written counts as programmed, and the
observed split has to agree before a step may advance. The VirtualService that the operator makes
retries nothing, since a retry hides an error of the candidate from the evidence.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.api.spec import Istio, ServiceBackend, Version
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import backends, generated, marks, owned, tees
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout, Tee, Verb
from modelrollout.routing.shapes import Shape

Json = Mapping[str, Any]

VIRTUAL_SERVICE: Final = Kind("networking.istio.io", "v1", "virtualservices", "VirtualService")


class VirtualServices:
    """Moves weights in VirtualServices."""

    name = "istio"
    capabilities = frozenset({"weights", "switch", "preview", "mirror"})
    watched: tuple[Kind, ...] = (VIRTUAL_SERVICE,)

    def needs(self, rollout: Rollout) -> Sequence[Reference]:
        """The VirtualServices: those that the user named, or the one that the operator makes."""
        names = _asked(rollout).virtual_services or [generated.name_of(rollout)]
        return tuple(_reference(rollout, name) for name in (*names, marks.preview(rollout)))

    def read(
        self, rollout: Rollout, live: Mapping[Reference, Json], *, others: Sequence[Json]
    ) -> TrafficSeen:
        """What the weights say now."""
        del others
        wanted = _routed(self, rollout)
        owns = bool(_asked(rollout).virtual_services)
        absent = next((one for one in wanted if one not in live), None)
        if absent is not None:
            return TrafficSeen(problem=_absent(absent), blocking=True) if owns else TrafficSeen()
        services = [live[one] for one in wanted]
        if not owns and not marks.are_on(rollout, services[0]):
            return TrafficSeen(exists=True, problem=marks.foreign(services[0]), blocking=True)
        split, problem = (
            owned.split(rollout, services, shape=SHAPE) if owns else _made(rollout, services[0])
        )
        return marks.seen(rollout, live, services, split=split, problem=problem, made=not owns)

    def render(
        self, rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """The writes that lead to the desired split; none when it holds."""
        wanted = _routed(self, rollout)
        if not _asked(rollout).virtual_services:
            spec = _spec(rollout, desired)
            made = marks.applied(rollout, desired, wanted[0], spec=spec, live=live.get(wanted[0]))
            return (*made, *_preview(rollout, desired, live))
        changes: list[Change] = []
        for reference in wanted:
            if reference in live:
                changes += _moved(rollout, desired, reference, live[reference])
        return (*changes, *_preview(rollout, desired, live))

    def remove(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
        """Deletes what the operator made; a VirtualService of the user's stays."""
        made = [_reference(rollout, marks.preview(rollout))]
        if not _asked(rollout).virtual_services:
            made.append(_reference(rollout, generated.name_of(rollout)))
        return tuple(
            change for one in made for change in marks.removed(rollout, one, live.get(one))
        )


def _routed(provider: VirtualServices, rollout: Rollout) -> Sequence[Reference]:
    return provider.needs(rollout)[:-1]


def _asked(rollout: Rollout) -> Istio:
    asked = rollout.spec.traffic.istio
    if asked is None:
        raise ValueError("expected spec.traffic.istio, found another provider")
    return asked


def _reference(rollout: Rollout, name: str) -> Reference:
    return Reference(VIRTUAL_SERVICE, rollout.namespace, name)


def _absent(reference: Reference) -> Reason:
    return Reason(
        Code.ROUTE_MISSING,
        f"the VirtualService {reference.namespace}/{reference.name} does not exist: create it with "
        "a rule that refers to two or more of the versions, or name another one",
    )


def _made(rollout: Rollout, service: Json) -> tuple[dict[str, int] | None, Reason | None]:
    """The split of the VirtualService that the operator made."""
    rules = _rules(service)
    if len(rules) != 1:
        return None, marks.contradicts(service, f"has {len(rules)} rules instead of one")
    listed = SHAPE.backends(rules[0][1])
    weights: dict[str, int] = {}
    for destination in listed:
        version, weight = _version_of(rollout, destination), _weight_of(destination, len(listed))
        if version is not None:
            weights[version] = weights.get(version, 0) + weight
        elif weight > 0:
            what = f"sends requests to {_address(destination)}, too"
            return None, marks.contradicts(service, what)
    return backends.parts(weights), None


def _spec(rollout: Rollout, desired: Desired) -> dict[str, Any]:
    serving = [
        {"destination": _destination(version), "weight": desired.shares[version.name]}
        for version in rollout.spec.versions
        if desired.shares.get(version.name, 0) > 0
    ]
    if not serving:
        raise ValueError(f"expected at least one version with a share, found {desired.shares}")
    rule: dict[str, Any] = {"route": serving, "retries": {"attempts": 0}}
    if desired.tee is not None:
        rule["mirrors"] = [_mirror(rollout, desired.tee)]
    return {**_where(rollout, _asked(rollout).hosts), "http": [rule]}


def _where(rollout: Rollout, hosts: Sequence[str]) -> dict[str, Any]:
    gateways = _asked(rollout).gateways
    return {"hosts": list(hosts), **({"gateways": list(gateways)} if gateways else {})}


def _only(version: Version) -> dict[str, Any]:
    return {
        "route": [{"destination": _destination(version), "weight": scalars.PARTS}],
        "retries": {"attempts": 0},
    }


def _preview(
    rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
) -> Sequence[Change]:
    """A VirtualService of its own for the preview host."""
    target, host = _reference(rollout, marks.preview(rollout)), rollout.spec.strategy.preview_host
    if not desired.preview or not host:
        return marks.removed(rollout, target, live.get(target))
    names = _asked(rollout).virtual_services
    first = live.get(_reference(rollout, names[0])) if names else None
    where = _where(rollout, [host])
    if first is not None and (gateways := (first.get("spec") or {}).get("gateways")):
        where["gateways"] = list(gateways)
    spec = {**where, "http": [_only(_version(rollout, desired.preview))]}
    return marks.applied(rollout, desired, target, spec=spec, live=live.get(target))


def _version(rollout: Rollout, name: str) -> Version:
    return next(version for version in rollout.spec.versions if version.name == name)


def _mirror(rollout: Rollout, tee: Tee) -> dict[str, Any]:
    """The mirror for a tee: percents, with fractions."""
    return {
        "destination": _at(tees.target(rollout, tee)),
        "percentage": {"value": 100 * tee.parts / scalars.PARTS},
    }


def _moved(rollout: Rollout, desired: Desired, target: Reference, live: Json) -> Sequence[Change]:
    """Mirrors and weights of a user's VirtualService, in one patch."""
    operations = _mirrored(rollout, desired, live)
    for change in owned.render(rollout, desired, target, live, shape=SHAPE):
        operations += change.body
    return (Change(Verb.JSON_PATCH, target, operations),) if operations else ()


def _mirrored(rollout: Rollout, desired: Desired, live: Json) -> list[dict[str, Any]]:
    """Our mirror beside those of the user, in every rule of ours.

    A rule with the older single `mirror` of the user's takes no second one: it stays as it is.
    """
    ours = [_mirror(rollout, desired.tee)] if desired.tee is not None else []
    operations: list[dict[str, Any]] = []
    for rule in owned.rules_of(rollout, live, shape=SHAPE):
        written = live["spec"]["http"][rule.index]
        listed = list(written.get("mirrors") or ())
        foreign = [one for one in listed if not _is_ours(rollout, one)]
        wanted = [*foreign, *ours]
        if wanted == listed or (written.get("mirror") and ours):
            continue
        where = f"/spec/http/{rule.index}"
        if listed:
            operations.append({"op": "test", "path": f"{where}/mirrors", "value": listed})
        else:
            listing = written["route"]
            operations.append({"op": "test", "path": f"{where}/route", "value": listing})
        operations.append(
            {"op": "add", "path": f"{where}/mirrors", "value": wanted}
            if wanted
            else {"op": "remove", "path": f"{where}/mirrors"}
        )
    return operations


def _is_ours(rollout: Rollout, mirror: Json) -> bool:
    """Whether a mirror leads to a version, or to the observer that asks one."""
    to: Json = mirror.get("destination") or {}
    return _version_of(rollout, mirror) is not None or to.get("host") in tees.observers(rollout)


def _destination(version: Version) -> dict[str, Any]:
    if version.front is None:
        raise ValueError(f"expected a Service, found {' '.join(version.backend)}")
    return _at(version.front)


def _at(service: ServiceBackend) -> dict[str, Any]:
    return {"host": service.name, "port": {"number": service.port}}


def _rules(service: Json) -> list[tuple[str, Json]]:
    found: Sequence[Json] = (service.get("spec") or {}).get("http") or ()
    return [(f"/spec/http/{index}", rule) for index, rule in enumerate(found)]


def _version_of(rollout: Rollout, destination: Json) -> str | None:
    """The version that a destination means; a subset of a Service is none.

    Istio completes a name without dots by the namespace of the VirtualService.
    """
    there: Json = destination.get("destination") or {}
    host, port = str(there.get("host") or ""), (there.get("port") or {}).get("number")
    if there.get("subset"):
        return None
    for version in rollout.spec.versions:
        front = version.front
        if front is None or (port is not None and port != front.port):
            continue
        full = f"{front.name}.{rollout.namespace}"
        if host in {front.name, full, f"{full}.svc"} or host.startswith(f"{full}.svc."):
            return version.name
    return None


def _weight_of(destination: Json, count: int) -> int:
    """The weight of a destination; left out, it is all where it is alone, else nothing."""
    return int(destination.get("weight", 0 if count > 1 else 100))


def _address(destination: Json) -> str:
    there: Json = destination.get("destination") or {}
    subset = f" subset {there['subset']}" if there.get("subset") else ""
    return f"{there.get('host', '?')}:{(there.get('port') or {}).get('number', '?')}{subset}"


SHAPE: Final = Shape(
    rules=_rules,
    listed="route",
    named=("destination",),
    version_of=_version_of,
    weight_of=_weight_of,
    address=_address,
)
"""A VirtualService, its rules for HTTP."""
