"""The one table of traffic providers."""

from collections.abc import Collection, Mapping
from typing import Final

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.reasons import Code, Reason
from modelrollout.routing import gateway_api, istio, service_switch, traefik
from modelrollout.routing.contract import Provider
from modelrollout.routing.router import provider as router

PROVIDERS: Final[Mapping[str, Provider]] = {
    "gateway_api": gateway_api.GatewayApi(),
    "router": router.Router(),
    "service": service_switch.Switch(),
    "traefik": traefik.Weighted(),
    "istio": istio.VirtualServices(),
}
"""By the field of `spec.traffic` that chooses them."""


def chosen(spec: ModelRolloutSpec) -> Provider:
    """The provider that a spec names; the schema sees to it that it names exactly one."""
    for name, provider in PROVIDERS.items():
        if getattr(spec.traffic, name) is not None:
            return provider
    raise ValueError(f"expected spec.traffic to name one of {', '.join(PROVIDERS)}, found none")


def switched_off(spec: ModelRolloutSpec, off: Collection[str]) -> Reason | None:
    """Why the administrator's configuration does not let a rollout use its provider."""
    for name, provider in PROVIDERS.items():
        if getattr(spec.traffic, name) is None or name not in off:
            continue
        allowed = ", ".join(one.name for key, one in PROVIDERS.items() if key not in off)
        return Reason(
            Code.UNSUPPORTED,
            f"spec.traffic.{provider.name} is switched off in this cluster: use one of {allowed}, "
            f"or let the administrator set `providers.{provider.name}: true` in the chart",
        )
    return None
