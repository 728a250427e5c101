"""The route of a preview: a host of the candidate's own on the gateways of the rollout.

It takes the same requests as the rollout's route, by another host, and leads to one version alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from modelrollout.api.spec import GatewayAPI, Version
from modelrollout.routing import backends, generated, marks
from modelrollout.routing.contract import Change, Desired, Reference, Rollout

Json = Mapping[str, Any]


def render(
    rollout: Rollout,
    desired: Desired,
    target: Reference,
    live: Json | None,
    *,
    asked: GatewayAPI,
    parents: Sequence[Json],
) -> Sequence[Change]:
    """The route as decided: written whole, or taken away.

    Args:
        rollout: whose preview it is.
        desired: names the version that is shown, "" for none.
        target: where the route lies.
        live: the route as read.
        asked: what the user wrote of the rollout's own route.
        parents: the gateways that it attaches to.
    """
    host = rollout.spec.strategy.preview_host
    shown = next((one for one in rollout.spec.versions if one.name == desired.preview), None)
    if shown is None or not host:
        return marks.removed(rollout, target, live)
    spec = {
        "hostnames": [host],
        "parentRefs": [dict(parent) for parent in parents],
        "rules": [_rule(shown, asked)],
    }
    return marks.applied(rollout, desired, target, spec=spec, live=live)


def _rule(shown: Version, asked: GatewayAPI) -> dict[str, Any]:
    only = {**backends.ref(shown), "weight": 1}
    return {**generated.conditions(asked), "backendRefs": [only]}
