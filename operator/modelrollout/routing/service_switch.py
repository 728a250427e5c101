"""Traffic by the selector of a Service: all of it or none, on a cluster with nothing installed.

The Service that clients call is the user's. Which version it leads to is in its selector, which is
that of the version's own Service. A split in between cannot be said, and is never approached: until
one version is to have everything, the selector stays as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.api.spec import ServiceSwitch
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import acceptance, marks
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout, Verb

Json = Mapping[str, Any]

SERVICE: Final = Kind("", "v1", "services", "Service")
_PORT: Final = ("name", "port", "protocol", "targetPort", "appProtocol")


class Switch:
    """Switches the selector of the Service that clients call."""

    name = "service"
    capabilities = frozenset({"switch", "preview"})
    watched: tuple[Kind, ...] = ()

    def needs(self, rollout: Rollout) -> Sequence[Reference]:
        """The Service that clients call, its preview, and the Service of each version."""
        names = [_asked(rollout).name, marks.preview(rollout)]
        names += [name for version in rollout.spec.versions for _, name in [version.backend]]
        return tuple(Reference(SERVICE, rollout.namespace, name) for name in names)

    def read(
        self, rollout: Rollout, live: Mapping[Reference, Json], *, others: Sequence[Json]
    ) -> TrafficSeen:
        """Which version the Service selects; a Service needs no gateway to follow."""
        del others
        service = live.get(_called(rollout))
        if service is None:
            return TrafficSeen(problem=_absent(rollout), blocking=True)
        selectors = _selectors(rollout, live)
        if (ambiguous := _ambiguous(selectors)) is not None:
            return TrafficSeen(exists=True, problem=ambiguous, blocking=True)
        found = [name for name, labels in selectors.items() if labels == _selector(service)]
        problem = None if found else _foreign(rollout, service, selectors)
        writer, written_at = acceptance.last_writer([service], field="f:selector")
        return TrafficSeen(
            exists=True,
            preview=marks.previewed(rollout, live),
            preview_at=_address(rollout, service),
            shares={found[0]: scalars.PARTS} if found else None,
            programmed=problem is None,
            problem=problem,
            writer=writer,
            written_at=written_at,
        )

    def render(
        self, rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """The switch, if one version is to have all traffic, and the preview."""
        selectors = _selectors(rollout, live)
        if _called(rollout) not in live or _ambiguous(selectors) is not None:
            return ()
        return (
            *_switch(rollout, desired, live, selectors),
            *_preview(rollout, desired, live, selectors),
        )

    def remove(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
        """Deletes the preview; the Service that clients call is the user's and stays."""
        preview = Reference(SERVICE, rollout.namespace, marks.preview(rollout))
        return marks.removed(rollout, preview, live.get(preview))


def _switch(
    rollout: Rollout,
    desired: Desired,
    live: Mapping[Reference, Json],
    selectors: Mapping[str, Mapping[str, str]],
) -> Sequence[Change]:
    service = live[_called(rollout)]
    all_of_it = [name for name, share in desired.shares.items() if share == scalars.PARTS]
    wanted = selectors.get(all_of_it[0]) if all_of_it else None
    if wanted is None or wanted == _selector(service):
        return ()
    there = (service.get("spec") or {}).get("selector")
    operations = [
        {"op": "test", "path": "/spec/selector", "value": there},
        {"op": "replace", "path": "/spec/selector", "value": dict(wanted)},
    ]
    if there is None:
        operations = [{"op": "add", "path": "/spec/selector", "value": dict(wanted)}]
    return (Change(Verb.JSON_PATCH, _called(rollout), operations),)


def _preview(
    rollout: Rollout,
    desired: Desired,
    live: Mapping[Reference, Json],
    selectors: Mapping[str, Mapping[str, str]],
) -> Sequence[Change]:
    target = Reference(SERVICE, rollout.namespace, marks.preview(rollout))
    there = live.get(target)
    wanted = selectors.get(desired.preview)
    if wanted is None:
        return marks.removed(rollout, target, there)
    ports = [
        {field: port[field] for field in _PORT if field in port}
        for port in (live[_called(rollout)].get("spec") or {}).get("ports") or ()
    ]
    spec = {"selector": dict(wanted), "ports": ports}
    return marks.applied(rollout, desired, target, spec=spec, live=there)


def _address(rollout: Rollout, service: Json) -> str:
    """Where the preview is reached within the cluster: it has the ports that clients call."""
    ports = (service.get("spec") or {}).get("ports") or ()
    port = f":{ports[0]['port']}" if ports else ""
    return f"http://{marks.preview(rollout)}.{rollout.namespace}{port}"


def _asked(rollout: Rollout) -> ServiceSwitch:
    asked = rollout.spec.traffic.service
    if asked is None:
        raise ValueError("expected spec.traffic.service, found another provider")
    return asked


def _called(rollout: Rollout) -> Reference:
    return Reference(SERVICE, rollout.namespace, _asked(rollout).name)


def _selector(service: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = (service.get("spec") or {}).get("selector") or {}
    return found


def _selectors(rollout: Rollout, live: Mapping[Reference, Json]) -> dict[str, Mapping[str, str]]:
    """The selector of each version whose Service exists and has one."""
    found = {
        version.name: _selector(
            live.get(Reference(SERVICE, rollout.namespace, version.backend[1])) or {}
        )
        for version in rollout.spec.versions
    }
    return {name: labels for name, labels in found.items() if labels}


def _absent(rollout: Rollout) -> Reason:
    return Reason(
        Code.ROUTE_MISSING,
        f"the Service {rollout.namespace}/{_asked(rollout).name}, which clients call, does not "
        "exist: create it with the selector of the version that serves, or name another one under "
        "`traffic.service`",
    )


def _ambiguous(selectors: Mapping[str, Mapping[str, str]]) -> Reason | None:
    names = list(selectors)
    for place, one in enumerate(names):
        for two in names[place + 1 :]:
            if selectors[one] == selectors[two]:
                return Reason(
                    Code.NO_MATCHING_RULE,
                    f"the Services of {one} and {two} have the same selector "
                    f"({_told(selectors[one])}): give each a label that only its pods have",
                )
    return None


def _foreign(rollout: Rollout, service: Json, selectors: Mapping[str, Mapping[str, str]]) -> Reason:
    wanted = "; ".join(f"{name}: {_told(labels)}" for name, labels in selectors.items())
    return Reason(
        Code.SPLIT_CONTRADICTS,
        f"the Service {_asked(rollout).name} selects {_told(_selector(service)) or 'nothing'}, "
        f"which is the selector of no version ({wanted or 'none has a Service yet'}): give it that "
        "of the version that serves",
    )


def _told(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
