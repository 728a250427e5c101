"""A Service that clients call already, led to the router and back.

Its selector is switched and nothing else: ports, addresses and names stay, so that no client
notices. The old selector is noted on the Service. Towards the router it is switched when the Envoys
are ready and route as decided; back it is switched before they end.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing.contract import Change, Reference, Rollout, Verb
from modelrollout.routing.router import naming
from modelrollout.routing.router.wanted import asked, port_of, version_named

Json = Mapping[str, Any]

BEFORE: Final = "modelrollout.dev/selector-before-router"
TAKEN_BY: Final = "modelrollout.dev/taken-by"


def called(rollout: Rollout) -> Reference | None:
    """The Service that clients call; None where they call the router's own."""
    router = rollout.spec.traffic.router
    if router is None or router.service is None:
        return None
    return Reference(naming.SERVICE, rollout.namespace, router.service)


def selector(service: Json) -> dict[str, str]:
    """What a Service selects."""
    return dict((service.get("spec") or {}).get("selector") or {})


def is_taken(rollout: Rollout, service: Json) -> bool:
    """Whether it leads to the router already."""
    return selector(service) == naming.selector(rollout)


def problem(rollout: Rollout, service: Json | None) -> Reason | None:
    """Why a Service cannot be led to the router; None when it can."""
    name = asked(rollout.spec).service or ""
    if service is None:
        return Reason(
            Code.ROUTE_MISSING,
            f"the Service {rollout.namespace}/{name}, which clients call, does not exist: create "
            "it, or leave out `router.service` to have clients call the router's own Service "
            f"{naming.name_of(rollout)}",
        )
    if name in {front.name for v in rollout.spec.versions if (front := v.front) is not None}:
        return Reason(
            Code.NO_MATCHING_RULE,
            f"the Service {name} is that of a version, and the router would send requests in "
            "circles: give each version a Service of its own beside the one that clients call",
        )
    if not selector(service):
        return Reason(
            Code.NO_MATCHING_RULE,
            f"the Service {name} has no selector that could be switched to the router: name one "
            "that selects pods",
        )
    return _elsewhere(rollout, service)


def _elsewhere(rollout: Rollout, service: Json) -> Reason | None:
    port = port_of(asked(rollout.spec))
    for one in service["spec"].get("ports") or ():
        target = one.get("targetPort", one["port"])
        if isinstance(target, int) and target != port:
            return Reason(
                Code.NO_MATCHING_RULE,
                f"port {one['port']} of the Service {service['metadata']['name']} leads to port "
                f"{target} of its pods, and the router listens on {port}: write "
                f"`router: {{port: {target}}}`, or take the port out of the Service",
            )
    return None


def port_names(service: Json | None) -> Sequence[str]:
    """The names by which a Service calls ports of its pods."""
    ports = ((service or {}).get("spec") or {}).get("ports") or ()
    names = (one.get("targetPort") for one in ports)
    return tuple(dict.fromkeys(name for name in names if isinstance(name, str)))


def take(rollout: Rollout, target: Reference, service: Json) -> Sequence[Change]:
    """Leads a Service to the router, if it is as it was read."""
    if is_taken(rollout, service):
        return ()
    notes = dict(service["metadata"].get("annotations") or {})
    notes |= {BEFORE: json.dumps(selector(service), sort_keys=True), TAKEN_BY: rollout.name}
    return (_patch(target, service, selected=naming.selector(rollout), notes=notes),)


def give_back(
    rollout: Rollout, service: Json, live: Mapping[Reference, Json], *, stable: str
) -> Sequence[Change]:
    """Leads a Service to pods again: those it selected before, or those that serve by now.

    Args:
        rollout: that took it.
        service: as read.
        live: with the Services of the versions.
        stable: the version that serves.
    """
    if not is_taken(rollout, service):
        return ()
    metadata = service["metadata"]
    notes = dict(metadata.get("annotations") or {})
    try:
        before = dict(json.loads(notes.pop(BEFORE, "{}")))
    except ValueError:
        before = {}
    notes.pop(TAKEN_BY, None)
    selected = _now(rollout, before, live, stable=stable)
    if not selected:
        return ()
    target = Reference(naming.SERVICE, metadata["namespace"], metadata["name"])
    return (_patch(target, service, selected=selected, notes=notes),)


def _now(
    rollout: Rollout, before: dict[str, str], live: Mapping[Reference, Json], *, stable: str
) -> dict[str, str]:
    """What it selected before, unless that is a version which does not serve any more."""
    of_stable = _of_version(rollout, stable, live)
    others = [
        _of_version(rollout, version.name, live)
        for version in rollout.spec.versions
        if version.name != stable
    ]
    return of_stable if of_stable and (before in others or not before) else before


def _of_version(rollout: Rollout, name: str, live: Mapping[Reference, Json]) -> dict[str, str]:
    version = version_named(rollout.spec, name)
    front = version.front if version else None
    if front is None:
        return {}
    return selector(live.get(Reference(naming.SERVICE, rollout.namespace, front.name)) or {})


def serving(
    rollout: Rollout, service: Json, live: Mapping[Reference, Json]
) -> dict[str, int] | None:
    """Who serves by a Service that was not taken yet: the version that selects the same pods."""
    for version in rollout.spec.versions:
        if _of_version(rollout, version.name, live) == selector(service):
            return {version.name: 10_000}
    return None


def _patch(
    target: Reference, service: Json, *, selected: Mapping[str, str], notes: Mapping[str, str]
) -> Change:
    read = service["metadata"]["resourceVersion"]
    operations = [
        {"op": "test", "path": "/metadata/resourceVersion", "value": read},
        {"op": "add", "path": "/metadata/annotations", "value": dict(notes)},
        {"op": "replace", "path": "/spec/selector", "value": dict(selected)},
    ]
    return Change(Verb.JSON_PATCH, target, operations)
