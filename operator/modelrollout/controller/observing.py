"""Everything that one pass sees: versions, routes, people's intents, and the look that is due."""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from modelrollout import metrics
from modelrollout.adapters import history, jobs, kinds, scaling, versions
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_to
from modelrollout.adapters.informed import Informed
from modelrollout.adapters.installed import Installed
from modelrollout.adapters.observers import Observers
from modelrollout.adapters.prometheus import Sources
from modelrollout.adapters.versions import Sighting
from modelrollout.analysis.noise import Noise, Uncalibrated
from modelrollout.api import intents
from modelrollout.api.spec import ModelRolloutSpec, Version
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.controller.queue import Key
from modelrollout.controller.routers import Routers
from modelrollout.domain import distributions, holding, looking
from modelrollout.domain.observed import (
    AutoscalerSeen,
    CheckSeen,
    Distribution,
    Look,
    Observed,
    TrafficSeen,
)
from modelrollout.domain.planned import Window
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import contract, providers
from modelrollout.routing.contract import Reference, Site
from modelrollout.routing.router import edition

Json = dict[str, Any]

UNVERIFIED: Final = "unverified"
_ROUTES_FRESH_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Subject:
    """The rollout under observation.

    Attributes:
        live: the object as read.
        spec: its spec, its metrics resolved.
        status: its status as stored.
        problem: what only code can see and what makes it unacceptable.
        site: what the administrator decided for its router.
    """

    live: Json
    spec: ModelRolloutSpec
    status: ModelRolloutStatus
    problem: Reason | None = None
    site: Site = field(default_factory=Site)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.live["metadata"]["namespace"], self.live["metadata"]["name"]

    @property
    def is_deleted(self) -> bool:
        """Somebody asked for its deletion."""
        return "deletionTimestamp" in self.live["metadata"]

    @property
    def rollout(self) -> contract.Rollout:
        """The rollout as routing knows it."""
        metadata = self.live["metadata"]
        return contract.Rollout(
            metadata["namespace"],
            metadata["name"],
            metadata["uid"],
            self.spec,
            previewed=bool(self.status.decision.preview),
            site=self.site,
            created=edition.created(metadata),
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen, and the live routes that the provider's changes start from."""

    observed: Observed
    routes: Mapping[Reference, Json]


class Observer:
    """Reads live objects and, when a look is due, the metric sources."""

    def __init__(
        self,
        apiserver: Apiserver,
        sources: Sources,
        *,
        informed: Informed,
        routers: Routers,
        namespaces: Sequence[str],
        verified_intents: bool,
        may_hold: bool,
        observers: Observers,
    ) -> None:
        self._apiserver, self._sources, self._informed = apiserver, sources, informed
        self._namespaces, self._verified = namespaces, verified_intents
        self._routers, self._may_hold = routers, may_hold
        self._observers, self._installed = observers, Installed(apiserver)
        self._routes: tuple[float, list[Json]] = (-math.inf, [])
        self._routes_changed_at = 0.0
        self._reading_routes = asyncio.Lock()

    def route_changed(self) -> None:
        """Somebody else's route changed: what is known of all routes is old."""
        self._routes_changed_at = time.monotonic()

    async def observe(self, subject: Subject, *, now: float) -> Sight:
        """One observation.

        Raises:
            ApiError: when the apiserver refuses or does not answer.
        """
        sightings, routes, others = await asyncio.gather(
            self._versions(subject), self._live(subject), self._others(subject)
        )
        traffic = await self._uninstalled(subject, routes) or providers.chosen(subject.spec).read(
            subject.rollout, routes, others=others
        )
        scrape_interval_s = self._scrape_interval_s(subject.spec)
        look = await self._look(subject, sightings, now=now, scrape_interval_s=scrape_interval_s)
        observed = replace(
            self.outline(subject.live),
            versions={name: sighting.seen for name, sighting in sightings.items()},
            traffic=traffic,
            look=look,
            noise=await self._noise(subject, sightings, look),
            distributions=await self._distributions(subject, sightings, look),
            check=await self._check(subject),
            shadow=await self._observers.sight(
                self._apiserver,
                self._sources,
                rollout=subject.rollout,
                shadow=subject.status.shadow,
                now=now,
            ),
            autoscalers=await self._autoscalers(subject),
            may_hold=self._may_hold,
            problem=subject.problem,
            scrape_interval_s=scrape_interval_s,
        )
        return Sight(observed, routes)

    def outline(self, live: Json) -> Observed:
        """What the rollout's own metadata says."""
        metadata = live["metadata"]
        given = intents.from_annotations(metadata.get("annotations") or {})
        if not self._verified:
            given = tuple(replace(intent, by=UNVERIFIED) for intent in given)
        return Observed(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            generation=metadata.get("generation", 0),
            deleting="deletionTimestamp" in metadata,
            intents=given,
        )

    async def _versions(self, subject: Subject) -> dict[str, Sighting]:
        namespace = subject.live["metadata"]["namespace"]
        test = subject.status.ab_test
        under_way = subject.status.rollout is not None or (test is not None and test.running)
        seen = await asyncio.gather(
            *(
                versions.sight(self._informed, version, namespace=namespace, with_pods=under_way)
                for version in subject.spec.versions
            )
        )
        return {
            version.name: sighting
            for version, sighting in zip(subject.spec.versions, seen, strict=True)
        }

    async def _live(self, subject: Subject) -> dict[Reference, Json]:
        wanted = providers.chosen(subject.spec).needs(subject.rollout)
        found, answers = await asyncio.gather(
            asyncio.gather(*(self._apiserver.get(path_to(reference)) for reference in wanted)),
            self._routers.answers(subject.rollout),
        )
        objects = {
            reference: route
            for reference, route in zip(wanted, found, strict=True)
            if route is not None
        }
        return {**objects, **answers, **await self._facts(subject, objects)}

    async def _uninstalled(
        self, subject: Subject, live: Mapping[Reference, Json]
    ) -> TrafficSeen | None:
        """What is seen where a kind of the provider's does not exist in this cluster."""
        provider = providers.chosen(subject.spec)
        absent = {one.kind for one in provider.needs(subject.rollout) if one not in live}
        kind = await self._installed.first_missing(absent)
        if kind is None:
            return None
        sentence = (
            f"spec.traffic.{provider.name} needs the kind {kind.kind} "
            f"({kind.group}/{kind.version}), which is not installed in this cluster: install its "
            "resource definitions and restart the operator, or use another provider"
        )
        return TrafficSeen(problem=Reason(Code.UNSUPPORTED, sentence), blocking=True)

    async def _facts(
        self, subject: Subject, live: Mapping[Reference, Json]
    ) -> dict[Reference, Json]:
        """What the provider must know of somebody else's part; what may not be read is left out."""
        provider, known, tried = providers.chosen(subject.spec), dict(live), set(live)
        if not isinstance(provider, contract.Asking):
            return {}
        while new := set(provider.facts(subject.rollout, known)) - tried:
            tried |= new
            for reference in new:
                try:
                    found = await self._apiserver.get(path_to(reference))
                except ApiError as problem:
                    if not problem.is_forbidden:
                        raise
                    continue
                if found is not None:
                    known[reference] = found
        return {one: found for one, found in known.items() if one not in live}

    async def _autoscalers(self, subject: Subject) -> Mapping[str, AutoscalerSeen] | None:
        if not holding.concerns(subject.spec, subject.status):
            return None
        namespace = subject.live["metadata"]["namespace"]
        return await scaling.autoscalers(self._apiserver, subject.spec, namespace=namespace)

    async def _check(self, subject: Subject) -> CheckSeen | None:
        """The smoke test, from the pass that may start a rollout until the switch."""
        checks, status = subject.spec.strategy.checks, subject.status
        rollout = status.rollout
        moves = status.stable is not None and status.stable.name != subject.spec.target
        is_needed = moves if rollout is None else rollout.promoted_at is None
        if not checks or not is_needed or subject.problem is not None:
            return None
        job = rollout.check.job if rollout is not None and rollout.check is not None else ""
        namespace = subject.live["metadata"]["namespace"]
        return await jobs.sight(self._apiserver, checks, namespace=namespace, job=job)

    async def _others(self, subject: Subject) -> list[Json]:
        """All routes, while ours is not confirmed: one of them may stand before it."""
        if subject.spec.traffic.gateway_api is None:
            return []
        if subject.status.decision.confirmed_at is not None:
            return []
        async with self._reading_routes:
            at, routes = self._routes
            if time.monotonic() - at > _ROUTES_FRESH_S or at < self._routes_changed_at:
                at = time.monotonic()
                routes = await self._apiserver.everywhere(
                    kinds.HTTP_ROUTE, self._namespaces, cached=True
                )
                self._routes = (at, routes)
            return routes

    def _scrape_interval_s(self, spec: ModelRolloutSpec) -> float:
        """Of the slowest source in use, seconds."""
        facts = self._sources.facts()
        used = {metric.source or spec.analysis.source for metric in spec.analysis.metrics}
        return max((facts[name].scrape_interval_s for name in used if name in facts), default=0.0)

    async def _look(
        self,
        subject: Subject,
        sightings: Mapping[str, Sighting],
        *,
        now: float,
        scrape_interval_s: float,
    ) -> Look | None:
        if subject.problem is not None and subject.problem.code is not Code.CLAIMED:
            # Its metrics cannot be read as written.
            return None
        window = looking.due(now, subject.spec, subject.status, scrape_interval_s=scrape_interval_s)
        if window is None:
            return None
        arms = _arms(subject.spec, sightings, window)
        namespace = subject.live["metadata"]["namespace"]
        return await self._sources.look(subject.spec, namespace=namespace, window=window, arms=arms)

    async def _distributions(
        self, subject: Subject, sightings: Mapping[str, Sighting], look: Look | None
    ) -> Mapping[str, Distribution]:
        """Whole latency distributions of the present weight, every few looks that came through."""
        if look is None or look.down is not None:
            return {}
        analysis, status = subject.spec.analysis, subject.status
        window = distributions.due(
            status,
            look.end,
            candidate=status.candidate.name if status.candidate else "",
            stable=looking.baseline(status),
            warm_up_s=analysis.warm_up,
            interval_s=analysis.interval,
        )
        if window is None:
            return {}
        arms = _arms(subject.spec, sightings, window)
        namespace = subject.live["metadata"]["namespace"]
        return await self._sources.distributions(
            subject.spec, namespace=namespace, window=window, arms=arms
        )

    async def _noise(
        self, subject: Subject, sightings: Mapping[str, Sighting], look: Look | None
    ) -> Mapping[str, Noise | Uncalibrated]:
        """What stable's own past says, once: with a survey that came through."""
        status, rollout = subject.status, subject.status.rollout
        if look is None or look.down is not None or rollout is None or rollout.surveyed:
            return {}
        name = looking.baseline(status)
        version = next((one for one in subject.spec.versions if one.name == name), None)
        if version is None:
            return {}
        return await history.noises(
            self._sources.by_name,
            subject.spec,
            namespace=subject.live["metadata"]["namespace"],
            version=name,
            seen=_arm(version, sightings[name]),
            until=look.end,
        )


def _arms(
    spec: ModelRolloutSpec, sightings: Mapping[str, Sighting], window: Window
) -> dict[str, metrics.ArmSeen]:
    """What is known of the versions that a window compares."""
    return {
        version.name: _arm(version, sightings[version.name])
        for version in spec.versions
        if version.name in window.versions
    }


def _arm(version: Version, sighting: Sighting) -> metrics.ArmSeen:
    front = version.front
    return metrics.ArmSeen(
        service=front.name if front else "",
        port=front.port if front else 0,
        workload=version.workload.name if version.workload else "",
        pods=sighting.pods,
    )
