"""Where copies of requests go, in one place for every provider that mirrors."""

from modelrollout.api.spec import ServiceBackend
from modelrollout.routing import observer
from modelrollout.routing.contract import Rollout, Tee


def observers(rollout: Rollout) -> frozenset[str]:
    """Names of the Services that may get copies for this rollout beside its versions."""
    return frozenset({observer.name_of(rollout.name)})


def target(rollout: Rollout, tee: Tee) -> ServiceBackend:
    """The Service that gets the copies.

    Raises:
        ValueError: when the version is not listed, or has no Service.
    """
    if tee.observer:
        return ServiceBackend(name=tee.observer, port=observer.MIRROR_PORT)
    for version in rollout.spec.versions:
        if version.name == tee.version and version.front is not None:
            return version.front
    raise ValueError(f"expected a version with a Service to copy requests to, found {tee.version}")
