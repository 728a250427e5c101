"""Names, labels and kinds of the objects that make up a router."""

from hashlib import sha256
from typing import Final

from modelrollout.routing import ownership
from modelrollout.routing.contract import Kind, Reference, Rollout

DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
SERVICE: Final = Kind("", "v1", "services", "Service")
CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
BUDGET: Final = Kind("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")

CREDENTIAL: Final = "modelrollout.dev/credential"
CONFIGURATION: Final = "modelrollout.dev/configuration"
SHARES: Final = "modelrollout.dev/shares"
PREVIEW: Final = "modelrollout.dev/preview"
TAKEN: Final = "modelrollout.dev/taken-service"

TOKEN: Final = "token"  # noqa: S105 - its name
"""The key of the Secret under which Envoys find what they show the operator."""
FEED: Final = "feed"
"""The key under which Envoys and the observer find what those show this one."""
FEED_VARIABLE: Final = "FEED"
"""Of the environment of an Envoy, so that no configuration that is served holds it."""

LONGEST: Final = 63
"""Characters of a Service's name."""
STATS_PORT: Final = 9902
"""Of metrics, for Prometheus and the operator; the administration port is on loopback."""
ADMIN_PORT: Final = 9901


def name_of(rollout: Rollout) -> str:
    """The name of all objects of a router but its Secret: they differ in kind."""
    return f"{rollout.name}-router"


def secret_of(rollout: Rollout) -> str:
    """The name of the Secret, which nobody else gives to one of theirs by chance.

    The operator has no right to read Secrets, so it cannot see whose one is before it writes it.
    """
    whose = sha256(f"{rollout.namespace}/{rollout.name}".encode()).hexdigest()
    return f"{name_of(rollout)}-{whose[:10]}"


def reference(rollout: Rollout, kind: Kind) -> Reference:
    """One of the objects that the operator makes."""
    name = secret_of(rollout) if kind == SECRET else name_of(rollout)
    return Reference(kind, rollout.namespace, name)


def selector(rollout: Rollout) -> dict[str, str]:
    """What selects the Envoys of a rollout and nothing else."""
    return {
        "app.kubernetes.io/name": "modelrollout-router",
        "app.kubernetes.io/instance": rollout.name,
    }


def labels(rollout: Rollout) -> dict[str, str]:
    """What every object of a router carries."""
    return {
        **selector(rollout),
        ownership.MANAGED_BY: ownership.OURS,
        ownership.ROLLOUT: rollout.name,
    }
