"""All that the Envoys of a rollout may ask for, as a function of what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus
from modelrollout.assignment import assigning
from modelrollout.domain.transitions import Phase
from modelrollout.routing import observer
from modelrollout.routing.contract import Tee
from modelrollout.routing.router import clusters, listeners, routes
from modelrollout.routing.router.edition import Edition
from modelrollout.routing.router.wanted import Wanted

Json = dict[str, Any]

TYPES: Final[Mapping[str, str]] = {
    "listeners": listeners.TYPE,
    "clusters": clusters.TYPE,
    "routes": routes.TYPE,
}
"""By the last word of the path that they are asked for under."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One edition of the configuration.

    Attributes:
        edition: its number.
        is_settled: the decision follows from the spec: nothing of it waits for the leader.
        resources: by the last word of their path.
        clusters: the names of all clusters.
        needed: the names of the clusters that the routes lead to.
        fresh: the names of clusters that the edition before did not have.
        lingering: the names of clusters that only the edition before has: its routes may be in
            force a little longer.
    """

    edition: Edition
    is_settled: bool
    resources: Mapping[str, Sequence[Json]]
    clusters: frozenset[str]
    needed: frozenset[str]
    fresh: frozenset[str] = frozenset()
    lingering: frozenset[str] = frozenset()


def wanted(
    spec: ModelRolloutSpec,
    status: ModelRolloutStatus,
    *,
    namespace: str,
    name: str,
) -> Wanted:
    """What the router of a rollout is to do.

    Args:
        spec: as written.
        status: as stored.
        namespace: of the rollout.
        name: of the rollout.
    """
    assignment = assigning.of(
        spec,
        status.decision,
        stable=status.stable.name if status.stable else "",
        namespace=namespace,
        name=name,
    )
    decision = status.decision
    return Wanted(
        namespace,
        spec,
        assignment,
        preview=decision.preview,
        preview_host=spec.strategy.preview_host,
        tee=Tee(decision.tee, decision.tee_parts) if decision.tee else None,
        observer=observer.address(namespace=namespace, rollout=name),
    )


def of(live: Mapping[str, Any]) -> Snapshot | None:
    """The snapshot of a rollout as stored; None while nothing is decided, and for other providers.

    Raises:
        ValueError: for a spec or status that cannot be read, or that do not belong together.
    """
    read = understood(live)
    if read is None:
        return None
    asked, status = read
    metadata = live["metadata"]
    edition = Edition.of(metadata, sequence=status.decision.sequence)
    return rendered(asked, edition=edition, is_settled=_is_settled(metadata, status))


def _is_settled(metadata: Mapping[str, Any], status: ModelRolloutStatus) -> bool:
    """Whether the decision was made for this spec, or for its deletion, which counts as a spec."""
    decided = status.observed_generation == int(metadata.get("generation", 0))
    ending = "deletionTimestamp" in metadata and status.phase == Phase.TERMINATING
    return (decided or ending) and status.uid in {"", metadata["uid"]}


def understood(live: Mapping[str, Any]) -> tuple[Wanted, ModelRolloutStatus] | None:
    """What is stored, as types; None while nothing is decided, and for other providers.

    Raises:
        ValueError: for a spec or status that cannot be read.
    """
    spec = ModelRolloutSpec.model_validate(live.get("spec") or {})
    status = ModelRolloutStatus.model_validate(live.get("status") or {})
    if spec.traffic.router is None or not status.decision.shares:
        return None
    metadata = live["metadata"]
    asked = wanted(
        spec,
        status,
        namespace=metadata["namespace"],
        name=metadata["name"],
    )
    return asked, status


def rendered(asked: Wanted, *, edition: Edition, is_settled: bool = True) -> Snapshot:
    """Everything rendered.

    Raises:
        ValueError: when the decision gives requests to a version that the spec does not name.
    """
    found = clusters.clusters(asked)
    return Snapshot(
        edition=edition,
        is_settled=is_settled,
        resources={
            "listeners": listeners.listeners(asked),
            "clusters": found,
            "routes": [routes.route_configuration(asked)],
        },
        clusters=frozenset(one["name"] for one in found),
        needed=frozenset(routes.cluster_of(asked, name) for name in asked.serving),
    )


def after(before: Snapshot | None, now: Snapshot) -> Snapshot:
    """A snapshot that takes over from another: what that one led to stays for one edition more.

    So a version can be exchanged for another without a moment in which routes lead nowhere.
    """
    if before is None:
        return now
    if before.edition == now.edition:
        fresh, lingering = before.fresh, before.lingering - now.clusters
    else:
        fresh = now.clusters - before.clusters
        lingering = before.clusters - before.lingering - now.clusters
    kept = [one for one in before.resources["clusters"] if one["name"] in lingering]
    return replace(
        now,
        resources={**now.resources, "clusters": [*now.resources["clusters"], *kept]},
        clusters=now.clusters | lingering,
        fresh=fresh,
        lingering=lingering,
    )
