"""Which version a backend of a route stands for, and weights as parts of ten thousand."""

from collections.abc import Mapping
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.api.spec import Version
from modelrollout.routing.contract import Kind, Rollout

Json = Mapping[str, Any]

POOL_GROUP: Final = "inference.networking.k8s.io"
INFERENCE_POOL: Final = Kind(POOL_GROUP, "v1", "inferencepools", "InferencePool")


def version_of(rollout: Rollout, backend: Json) -> str | None:
    """The version that a backendRef leads to; None for a backend that is none of ours.

    The Gateway API ignores the port of an InferencePool.
    """
    if (backend.get("namespace") or rollout.namespace) != rollout.namespace:
        return None
    group, kind = backend.get("group") or "", backend.get("kind") or "Service"
    for version in rollout.spec.versions:
        wanted = ref(version)
        same = (group, kind, backend["name"]) == (
            wanted.get("group", ""),
            wanted.get("kind", "Service"),
            wanted["name"],
        )
        if same and (kind != "Service" or backend.get("port") == wanted["port"]):
            return version.name
    return None


def ref(version: Version) -> dict[str, Any]:
    """A version as a backendRef names it, without weight: what has a default is left out."""
    front = version.front
    if front is None:
        kind, name = version.backend
        return {"group": POOL_GROUP, "kind": kind, "name": name}
    return {"name": front.name, "port": front.port}


def expected(version: Version) -> str:
    """The backend of a version as a person writes it: `name:port`, or `InferencePool name`."""
    front = version.front
    return f"{front.name}:{front.port}" if front else " ".join(version.backend)


def weight_of(backend: Json) -> int:
    """The weight of a backendRef; the Gateway API takes one that is left out for 1."""
    return int(backend.get("weight", 1))


def address(backend: Json) -> str:
    """A backendRef as a person writes it: `name:port`, or `InferencePool name`."""
    if (backend.get("kind") or "Service") != "Service":
        return f"{backend['kind']} {backend['name']}"
    return f"{backend['name']}:{backend.get('port', '?')}"


def parts(weights: Mapping[str, int]) -> dict[str, int]:
    """Weights of any sum as parts of ten thousand, by the largest remainder; zeros left out."""
    spread = apportioned(scalars.PARTS, weights)
    return {name: value for name, value in spread.items() if value > 0}


def apportioned(total: int, shares: Mapping[str, int]) -> dict[str, int]:
    """`total` in the proportion of shares, by the largest remainder; all 0 where no share is."""
    whole = sum(shares.values())
    if whole <= 0:
        return dict.fromkeys(shares, 0)
    made = {name: total * share // whole for name, share in shares.items()}
    order = sorted(shares, key=lambda name: (-(total * shares[name] % whole), name))
    for name in order[: total - sum(made.values())]:
        made[name] += 1
    return made


def told(shares: Mapping[str, int]) -> str:
    """A split in words: `v1 99%, v2 1%`."""
    return ", ".join(f"{name} {scalars.percent(share)}" for name, share in shares.items()) or "none"
