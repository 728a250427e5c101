"""Which version a backend of a route stands for, and weights as parts of ten thousand."""

from collections.abc import Mapping
from typing import Any

from modelrollout.api import scalars
from modelrollout.routing.contract import Rollout

Json = Mapping[str, Any]


def version_of(rollout: Rollout, backend: Json) -> str | None:
    """The version whose Service a backendRef names; None for a backend that is none of ours."""
    here = (backend.get("namespace") or rollout.namespace) == rollout.namespace
    is_service = (backend.get("kind") or "Service") == "Service" and not backend.get("group")
    if not here or not is_service:
        return None
    for version in rollout.spec.versions:
        if (version.service.name, version.service.port) == (backend["name"], backend.get("port")):
            return version.name
    return None


def weight_of(backend: Json) -> int:
    """The weight of a backendRef; the Gateway API takes one that is left out for 1."""
    return int(backend.get("weight", 1))


def address(backend: Json) -> str:
    """A backendRef as a person writes it: `name:port`."""
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
