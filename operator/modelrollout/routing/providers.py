"""The one table of traffic providers."""

from collections.abc import Mapping
from typing import Final

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.routing import gateway_api, istio, service_switch, traefik
from modelrollout.routing.contract import Provider

PROVIDERS: Final[Mapping[str, Provider]] = {
    "gateway_api": gateway_api.GatewayApi(),
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
