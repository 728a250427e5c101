"""Whether the gateways follow: conditions of a route per parent, in the gateway's own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing.contract import MANAGER

Json = Mapping[str, Any]

_LONGEST: Final = 400


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the parents of all routes say together.

    Attributes:
        programmed: every parent accepts every route at its current generation.
        problem: the first parent's own reason where one refuses.
    """

    programmed: bool
    problem: Reason | None = None


def of(routes: Sequence[Json]) -> Acceptance:
    """What the gateways say about these routes."""
    programmed = True
    for route in routes:
        parents = (route.get("spec") or {}).get("parentRefs") or ()
        if not parents:
            return Acceptance(programmed=False, problem=_unattached(route))
        for parent in parents:
            said = _parent(route, parent)
            if said.problem is not None:
                return said
            programmed = programmed and said.programmed
    return Acceptance(programmed)


def _parent(route: Json, parent: Json) -> Acceptance:
    namespace = route["metadata"]["namespace"]
    generation = route["metadata"].get("generation", 0)
    answers = [
        status
        for status in (route.get("status") or {}).get("parents") or ()
        if identity(status["parentRef"], namespace) == identity(parent, namespace)
    ]
    if not answers:
        return Acceptance(programmed=False)
    for status in answers:
        conditions = {one["type"]: one for one in status.get("conditions") or ()}
        accepted, resolved = conditions.get("Accepted"), conditions.get("ResolvedRefs")
        current = [one for one in (accepted, resolved) if one is not None]
        if accepted is None or any(
            one.get("observedGeneration", generation) != generation for one in current
        ):
            return Acceptance(programmed=False)
        for one in current:
            if one["status"] == "False":
                return Acceptance(programmed=False, problem=_refused(route, parent, one))
        if accepted["status"] != "True":
            return Acceptance(programmed=False)
    return Acceptance(programmed=True)


def _unattached(route: Json) -> Reason:
    return Reason(
        Code.NOT_PROGRAMMED,
        f"the {route.get('kind', 'route')} {route['metadata']['name']} names no gateway and serves "
        "nobody: give it `parentRefs`",
    )


def _refused(route: Json, parent: Json, condition: Json) -> Reason:
    gateway = f"{parent.get('namespace') or route['metadata']['namespace']}/{parent['name']}"
    return Reason(
        Code.NOT_PROGRAMMED,
        f"the gateway {gateway} does not accept the {route.get('kind', 'route')} "
        f"{route['metadata']['name']}: {condition['type']}={condition['status']}, "
        f"{condition.get('reason', '')}: {condition.get('message', '')[:_LONGEST]}",
    )


def identity(parent: Json, namespace: str) -> tuple[str, str, str, str, str]:
    """What a parentRef of a route in `namespace` names: kind, namespace, name, section, port."""
    return (
        str(parent.get("kind") or "Gateway"),
        str(parent.get("namespace") or namespace),
        str(parent["name"]),
        str(parent.get("sectionName") or ""),
        str(parent.get("port") or ""),
    )


def last_writer(routes: Sequence[Json], *, field: str = "") -> tuple[str, float]:
    """Who last wrote a spec, when it was not us: field manager and instant (epoch, seconds).

    Args:
        routes: objects with their managed fields.
        field: of the spec, such as `f:selector`, where others write other fields; "" for any.
    """
    latest = ("", 0.0)
    for route in routes:
        manager, at = _writer(route, field=field)
        if manager != MANAGER and at >= latest[1] and manager:
            latest = (manager, at)
    return latest


def _writer(route: Json, *, field: str) -> tuple[str, float]:
    entries = [
        entry
        for entry in route["metadata"].get("managedFields") or ()
        if "f:spec" in (entry.get("fieldsV1") or {}) and not entry.get("subresource")
        if not field or field in entry["fieldsV1"]["f:spec"]
    ]
    if not entries:
        return "", 0.0
    # Instants have whole seconds; of two writers in one second it was not us who came last, since
    # whoever finds the weights as decided does not write.
    last = max(entries, key=lambda entry: (_instant(entry), entry["manager"] != MANAGER))
    return str(last["manager"]), _instant(last)


def _instant(entry: Json) -> float:
    text = entry.get("time")
    return datetime.fromisoformat(text).timestamp() if text else 0.0
