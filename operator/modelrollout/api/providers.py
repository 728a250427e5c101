"""The providers beside the Gateway API as a user writes them under `spec.traffic`.

Each asks for the least that its data plane cannot know: a name that clients call already, or an
object of the user's own. What a provider cannot do is not in its schema but refused with a reason
(`routing.capabilities`), which names those that can.
"""

from typing import Annotated

from pydantic import Field

from modelrollout.api.part import Hostname, Name, Part

GatewayName = Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9./-]+$")]


class ServiceSwitch(Part):
    """A Service that clients call: its selector is switched from one version to the other."""

    name: Annotated[
        Name,
        Field(
            description="The Service that clients call. It is yours; the operator changes its "
            "selector and nothing else."
        ),
    ]


class Traefik(Part):
    """Weights in a TraefikService: one that the operator makes, or one of yours."""

    service: Annotated[
        Name | None,
        Field(
            description="A weighted TraefikService that you own: the operator moves only the "
            "weights of the versions in it. Left out: the operator makes one, named after the "
            "rollout, for your IngressRoute to refer to."
        ),
    ] = None


class Istio(Part):
    """Weights in VirtualServices: one that the operator makes, or some of yours."""

    hosts: Annotated[
        list[Hostname],
        Field(
            max_length=16,
            description="Hosts of the VirtualService that the operator makes. Write this or "
            "`virtualServices`.",
        ),
    ] = Field(default_factory=list)
    gateways: Annotated[
        list[GatewayName],
        Field(
            max_length=8,
            description="Gateways of that VirtualService, such as istio-system/public; `mesh` for "
            "the sidecars. Left out: the sidecars only.",
        ),
    ] = Field(default_factory=list)
    virtual_services: Annotated[
        list[Name],
        Field(
            max_length=8,
            description="VirtualServices that you own: the operator moves only the weights in "
            "rules that refer to two or more of the versions. Write this or `hosts`.",
        ),
    ] = Field(default_factory=list)
