"""What a gateway says it can do: copies of requests only where its GatewayClass lists them.

A gateway that does not know a filter may ignore it, and a shadow that sees nothing looks like one
that agrees. So the feature is looked up (`status.supportedFeatures` of the GatewayClass, standard
since v1.4 of the Gateway API), and where it is not listed the rollout is refused.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.api import scalars
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import tees
from modelrollout.routing.contract import Kind, Reference, Rollout, Tee

Json = Mapping[str, Any]

GROUP: Final = "gateway.networking.k8s.io"
GATEWAY: Final = Kind(GROUP, "v1", "gateways", "Gateway")
CLASS: Final = Kind(GROUP, "v1", "gatewayclasses", "GatewayClass")
MIRROR: Final = "HTTPRouteRequestMirror"
SHARE: Final = "HTTPRouteRequestPercentageMirror"


def copies(spec: ModelRolloutSpec) -> bool:
    """Whether a spec ever asks for copies of requests."""
    strategy = spec.strategy
    return strategy.shadow is not None or any(step.shadow for step in strategy.steps or ())


def facts(rollout: Rollout, live: Mapping[Reference, Json]) -> Sequence[Reference]:
    """The Gateways that the route attaches to and, once these are read, their classes."""
    asked = rollout.spec.traffic.gateway_api
    if asked is None or not copies(rollout.spec):
        return ()
    gateways = [
        Reference(GATEWAY, parent.namespace or rollout.namespace, parent.name)
        for parent in asked.parent_refs
    ]
    classes = [
        Reference(CLASS, "", live[gateway]["spec"]["gatewayClassName"])
        for gateway in gateways
        if gateway in live
    ]
    return tuple(dict.fromkeys([*gateways, *classes]))


def refusal(rollout: Rollout, live: Mapping[Reference, Json]) -> Reason | None:
    """Why a gateway of the route cannot copy requests, or cannot be asked."""
    wanted = facts(rollout, live)
    for gateway in (one for one in wanted if one.kind == GATEWAY):
        where = f"the Gateway {gateway.namespace}/{gateway.name}"
        if gateway not in live:
            return _unknown(f"{where} does not exist or may not be read")
        name = live[gateway]["spec"]["gatewayClassName"]
        found = live.get(Reference(CLASS, "", name))
        if found is None:
            return _unknown(f"the GatewayClass {name} of {where} may not be read")
        lacking = {MIRROR, SHARE} - _features(found)
        if lacking:
            return Reason(
                Code.UNSUPPORTED,
                f"{where} cannot copy requests: its GatewayClass {name} does not list "
                f"{' and '.join(sorted(lacking))} in status.supportedFeatures: use "
                "spec.traffic.router, traefik or istio, or another gateway",
            )
    return None


def _unknown(what: str) -> Reason:
    return Reason(
        Code.UNSUPPORTED,
        f"{what}, so that nobody knows whether it can copy requests: give the operator the right "
        "to get gateways and gatewayclasses, or use spec.traffic.router, traefik or istio",
    )


def _features(gateway_class: Json) -> set[str]:
    """Names of features: objects since v1.4 of the Gateway API, plain names before."""
    listed = (gateway_class.get("status") or {}).get("supportedFeatures") or ()
    return {one if isinstance(one, str) else str(one.get("name")) for one in listed}


def mirror(rollout: Rollout, tee: Tee) -> dict[str, Any]:
    """The filter of a rule that copies a share of its requests."""
    to = tees.target(rollout, tee)
    return {
        "type": "RequestMirror",
        "requestMirror": {
            "backendRef": {"name": to.name, "port": to.port},
            "fraction": {"numerator": tee.parts, "denominator": scalars.PARTS},
        },
    }
