"""Traffic by a router of the rollout's own: the provider.

Weights are not in objects. They follow from the persisted decision, which every replica of the
operator serves to the Envoys; the objects here are what the Envoys run in, and what is in force is
asked of the Envoys themselves (`answers`).
"""

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from modelrollout.api.router import Router as Asked
from modelrollout.api.spec import Traffic
from modelrollout.domain.observed import TrafficSeen
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import generated, marks
from modelrollout.routing.contract import Change, Desired, Kind, Reference, Rollout, Verb
from modelrollout.routing.router import answers, bootstrap, naming, objects, takeover
from modelrollout.routing.router.answers import Answer
from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.wanted import Wanted, asked

Json = Mapping[str, Any]

_MADE: Final = (naming.DEPLOYMENT, naming.SERVICE, naming.CONFIG_MAP, naming.BUDGET)
_WRITTEN: Final = "modelrollout.dev/written"


class Router:
    """Deploys Envoys that follow the decision."""

    name = "router"
    capabilities = frozenset({"weights", "switch", "sticky", "preview", "mirror", "faults"})
    watched: tuple[Kind, ...] = ()

    def needs(self, rollout: Rollout) -> Sequence[Reference]:
        """The objects of the router, the Service that clients call, and those of the versions."""
        found = [naming.reference(rollout, kind) for kind in _MADE]
        if (called := takeover.called(rollout)) is not None:
            names = [front.name for v in rollout.spec.versions if (front := v.front) is not None]
            found += [called, *(_service(rollout, name) for name in names)]
        return tuple(dict.fromkeys(found))

    def read(
        self, rollout: Rollout, live: Mapping[Reference, Json], *, others: Sequence[Json]
    ) -> TrafficSeen:
        """What the Envoys route by, as they say themselves."""
        del others
        deployment = live.get(naming.reference(rollout, naming.DEPLOYMENT))
        blocked = _blocked(rollout, live)
        if blocked is not None:
            return TrafficSeen(exists=deployment is not None, problem=blocked, blocking=True)
        if deployment is None:
            return TrafficSeen(shares=_before(rollout, live))
        shares, sequence = objects.written(deployment)
        told = answers.among(rollout, live)
        problem = _behind(rollout, told, sequence=sequence) or _untaken(rollout, live)
        return TrafficSeen(
            exists=True,
            shares=shares,
            programmed=problem is None,
            problem=problem,
            preview=_notes(deployment).get(naming.PREVIEW, ""),
            recorded_stable=_notes(deployment).get(generated.STABLE, ""),
            recorded_uid=_notes(deployment).get(generated.UID, ""),
            sequence=max([sequence, *_known(rollout, told)]),
        )

    def render(
        self, rollout: Rollout, desired: Desired, live: Mapping[Reference, Json]
    ) -> Sequence[Change]:
        """Whatever of the router is not as wanted; the clients' Service when it may be led here."""
        deployment = live.get(naming.reference(rollout, naming.DEPLOYMENT))
        if _blocked(rollout, live) is not None:
            return ()
        called = takeover.called(rollout)
        service = live.get(called) if called else None
        changes = [*_credential(rollout, deployment)]
        for target, body in objects.wanted(
            rollout, desired, port_names=takeover.port_names(service)
        ):
            changes += _applied(target, body, live.get(target))
        told = answers.among(rollout, live)
        is_ready = len(told) >= asked(rollout.spec).replicas
        follows = _behind(rollout, told, sequence=desired.sequence) is None
        if called and service and is_ready and follows:
            changes += takeover.take(rollout, called, service)
        return changes

    def remove(self, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
        """Gives the Service back, then takes the router away; its pods drain as they end."""
        deployment = live.get(naming.reference(rollout, naming.DEPLOYMENT))
        if deployment is None or not generated.is_of(rollout, deployment):
            return ()
        called = takeover.called(rollout)
        service = live.get(called) if called else None
        stable = _notes(deployment).get(generated.STABLE, "")
        changes: list[Change] = []
        if service is not None:
            changes += takeover.give_back(rollout, service, live, stable=stable)
        for kind in (naming.DEPLOYMENT, naming.BUDGET, naming.CONFIG_MAP, naming.SERVICE):
            target = naming.reference(rollout, kind)
            changes += marks.removed(rollout, target, live.get(target))
        return [*changes, Change(Verb.DELETE, naming.reference(rollout, naming.SECRET), {})]


def before(rollout: Rollout, deployment: Json | None) -> Rollout | None:
    """The rollout as it was when it had a router, by what is noted there; None where it had none.

    Args:
        rollout: as it is now, with another provider.
        deployment: the router's, as read.
    """
    if deployment is None or not generated.is_of(rollout, deployment):
        return None
    taken = _notes(deployment).get(naming.TAKEN) or None
    spec = rollout.spec.model_copy(update={"traffic": Traffic(router=Asked(service=taken))})
    return replace(rollout, spec=spec)


def retained(wanted: Wanted, rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Change]:
    """The writes for a rollout that is deleted while its router stays (deletionPolicy Retain).

    Running Envoys keep what they have; those that start later start with it.
    """
    target = naming.reference(rollout, naming.CONFIG_MAP)
    there = live.get(target)
    if there is None or not generated.is_of(rollout, there):
        return ()
    return (Change(Verb.APPLY, *objects.frozen(rollout, bootstrap.frozen(wanted))),)


def _notes(live: Json) -> Mapping[str, str]:
    found: Mapping[str, str] = live["metadata"].get("annotations") or {}
    return found


def _service(rollout: Rollout, name: str) -> Reference:
    return Reference(naming.SERVICE, rollout.namespace, name)


def _blocked(rollout: Rollout, live: Mapping[Reference, Json]) -> Reason | None:
    """Why no router can be there until somebody acts."""
    if not rollout.site.image:
        return Reason(
            Code.NOT_PROGRAMMED,
            "the router is switched off here: install the operator with router.enabled=true, or "
            "choose another provider",
        )
    if len(naming.name_of(rollout)) > naming.LONGEST:
        return Reason(
            Code.INVALID_SPEC,
            f"the router's objects would be called {naming.name_of(rollout)}, and a Service has at "
            f"most {naming.LONGEST} characters: give the rollout a shorter name",
        )
    for version in rollout.spec.versions:
        if version.front is None:
            return Reason(
                Code.BACKEND_MISSING,
                f"the router sends requests to Services, and version {version.name} has none: "
                "name its `service`",
            )
    for kind in _MADE:
        there = live.get(naming.reference(rollout, kind))
        if there is not None and not generated.is_of(rollout, there):
            return marks.foreign({"kind": kind.kind, **there})
    called = takeover.called(rollout)
    return takeover.problem(rollout, live.get(called)) if called else None


def _before(rollout: Rollout, live: Mapping[Reference, Json]) -> dict[str, int] | None:
    """Who serves while there is no router yet."""
    called = takeover.called(rollout)
    service = live.get(called) if called else None
    return takeover.serving(rollout, service, live) if service else None


def _known(rollout: Rollout, told: Sequence[Answer]) -> Sequence[int]:
    """The decisions of this rollout that Envoys have, by their sequence."""
    found = (one.editions.get("routes") for one in told)
    return [one.sequence for one in found if one is not None and one.created == rollout.created]


def _behind(rollout: Rollout, told: Sequence[Answer], *, sequence: int) -> Reason | None:
    """Why the Envoys do not route as decided yet; None when all that are ready do."""
    name = naming.name_of(rollout)
    if not told:
        sentence = f"no Envoy of the Deployment {name} is ready yet"
        return Reason(Code.NOT_PROGRAMMED, sentence)
    silent = [one for one in told if one.problem]
    if silent:
        return Reason(
            Code.NOT_PROGRAMMED,
            f"the Envoy {silent[0].name} does not say what it routes by ({silent[0].problem}): "
            f"the operator must reach port {naming.STATS_PORT} of the router's pods",
        )
    edition = Edition(rollout.created, sequence, 0)
    late = [one for one in told if not one.has(edition)]
    if not late:
        return None
    refusing = [one for one in late if any(one.refused.values())]
    if refusing:
        return Reason(
            Code.NOT_PROGRAMMED,
            f"{len(refusing)} of {len(told)} Envoys refuse the configuration of decision {sequence}"
            f" and serve their last good one; the log of {refusing[0].name} says why",
        )
    return Reason(
        Code.NOT_PROGRAMMED,
        f"{len(late)} of {len(told)} Envoys do not route by decision {sequence} yet",
    )


def _untaken(rollout: Rollout, live: Mapping[Reference, Json]) -> Reason | None:
    called = takeover.called(rollout)
    service = live.get(called) if called else None
    if called is None or service is None or takeover.is_taken(rollout, service):
        return None
    return Reason(
        Code.NOT_PROGRAMMED,
        f"the Service {called.name} does not lead to the router yet: it is switched as soon as "
        f"{asked(rollout.spec).replicas} Envoys are ready",
    )


def _credential(rollout: Rollout, deployment: Json | None) -> Sequence[Change]:
    """The Secret, written anew when it changes: nothing reads Secrets of others."""
    template = ((deployment or {}).get("spec") or {}).get("template") or {}
    notes = (template.get("metadata") or {}).get("annotations") or {}
    if notes.get(naming.CREDENTIAL) == objects.fingerprint(rollout):
        return ()
    return (Change(Verb.APPLY, *objects.credential(rollout)),)


def _applied(target: Reference, body: dict[str, Any], live: Json | None) -> Sequence[Change]:
    body["metadata"]["annotations"][_WRITTEN] = _digest(body)
    if live is not None and _holds(live, body):
        return ()
    return (Change(Verb.APPLY, target, body),)


def _digest(body: Json) -> str:
    """Of what we wrote: the apiserver spells quantities in its own way, which is no change."""
    text = json.dumps([body.get("spec"), body.get("data")], sort_keys=True)
    return sha256(text.encode()).hexdigest()[:16]


def _holds(live: Json, body: dict[str, Any]) -> bool:
    if body.get("data") != live.get("data"):
        return False
    comparable = copy.deepcopy({"spec": {}, **body})
    for container in _containers(comparable):
        container.pop("resources", None)
    return generated.holds(live, comparable)


def _containers(body: Json) -> Sequence[dict[str, Any]]:
    pod = ((body["spec"].get("template") or {}).get("spec")) or {}
    found: Sequence[dict[str, Any]] = pod.get("containers") or ()
    return found
