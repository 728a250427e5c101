"""Who owns what: two rollouts that move the same traffic would undo each other for ever.

The first claimant keeps a Service, a workload, a route or a (parent, host, match). First is who was
accepted with its present spec already, then who was created earlier, then the smaller uid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from modelrollout.api.spec import GatewayAPI, ModelRolloutSpec, Traffic
from modelrollout.controller.queue import Key
from modelrollout.domain.reasons import Code, Reason

Claim = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Claimant:
    """One rollout and what it claims.

    Attributes:
        rank: smaller is earlier.
        claims: what its spec refers to.
    """

    rank: tuple[bool, str, str]
    claims: frozenset[Claim]


@dataclass(slots=True)
class Claims:
    """All rollouts that are known, by what they claim."""

    _claimants: dict[Key, Claimant] = field(default_factory=dict)
    _by_claim: dict[Claim, set[Key]] = field(default_factory=dict)

    def put(self, key: Key, rollout: Mapping[str, Any], spec: ModelRolloutSpec) -> set[Key]:
        """Notes what a rollout claims; gives the rollouts whose standing may change by it."""
        claimant = Claimant(_rank(rollout), claims_of(key[0], spec))
        known = self._claimants.get(key)
        if known is not None and known.claims == claimant.claims:
            self._claimants[key] = Claimant(min(known.rank, claimant.rank), claimant.claims)
            return set()
        touched = self.drop(key)
        self._claimants[key] = claimant
        for claim in claimant.claims:
            self._by_claim.setdefault(claim, set()).add(key)
            touched |= self._by_claim[claim]
        return touched - {key}

    def drop(self, key: Key) -> set[Key]:
        """A rollout is gone, or claims something else; gives those that waited for it."""
        claimant = self._claimants.pop(key, None)
        touched: set[Key] = set()
        for claim in claimant.claims if claimant else ():
            rest = self._by_claim.get(claim, set())
            rest.discard(key)
            touched |= rest
            if not rest:
                self._by_claim.pop(claim, None)
        return touched

    def conflict(self, key: Key) -> Reason | None:
        """Why a rollout may not act: an earlier one claims the same."""
        mine = self._claimants.get(key)
        if mine is None:
            return None
        for claim in sorted(mine.claims):
            for other in sorted(self._by_claim.get(claim, set()) - {key}):
                if self._claimants[other].rank < mine.rank:
                    return _reason(claim, other)
        return None


def _reason(claim: Claim, other: Key) -> Reason:
    what = f"{claim[0]} {'/'.join(part for part in claim[1:] if part)}"
    return Reason(
        Code.CLAIMED,
        f"{what} is claimed by the ModelRollout {other[0]}/{other[1]} already: "
        "name another one here, or delete that rollout",
    )


def _rank(rollout: Mapping[str, Any]) -> tuple[bool, str, str]:
    metadata, status = rollout["metadata"], rollout.get("status") or {}
    accepted = any(
        condition.get("type") == "Accepted"
        and condition.get("status") == "True"
        and condition.get("observedGeneration") == metadata.get("generation")
        for condition in status.get("conditions") or ()
    )
    return not accepted, str(metadata.get("creationTimestamp", "")), str(metadata["uid"])


def claims_of(namespace: str, spec: ModelRolloutSpec) -> frozenset[Claim]:
    """What a spec claims for itself alone."""
    found: set[Claim] = set()
    for version in spec.versions:
        kind, name = version.backend
        found.add((kind, namespace, name))
        if version.workload is not None:
            found.add((version.workload.kind, namespace, version.workload.name))
    if (gateway := spec.traffic.gateway_api) is not None:
        found.update(_of_routes(namespace, gateway))
    found.update(_of_providers(namespace, spec.traffic))
    return frozenset(found)


def _of_providers(namespace: str, traffic: Traffic) -> Iterable[Claim]:
    if traffic.service is not None:
        yield ("Service", namespace, traffic.service.name)
    if traffic.router is not None and traffic.router.service is not None:
        yield ("Service", namespace, traffic.router.service)
    if traffic.traefik is not None and traffic.traefik.service is not None:
        yield ("TraefikService", namespace, traffic.traefik.service)
    if traffic.istio is not None:
        for name in traffic.istio.virtual_services:
            yield ("VirtualService", namespace, name)
        for host in traffic.istio.hosts:
            for gateway in traffic.istio.gateways or ["mesh"]:
                yield ("the VirtualService on", gateway, host)


def _of_routes(namespace: str, gateway: GatewayAPI) -> Iterable[Claim]:
    for route in gateway.routes:
        yield (route.kind, namespace, route.name)
    hosts = gateway.hostnames or ["*"]
    matches = [
        (match.path, *(f"{key}={value}" for key, value in sorted(match.headers.items())))
        for match in gateway.matches
    ] or [("/",)]
    for parent in gateway.parent_refs:
        where = parent.namespace or namespace, parent.name, parent.section_name or ""
        for host in hosts:
            for match in matches:
                yield ("the route on Gateway", *where, host, *match)
