"""Traffic by the operator's own router: an Envoy that it deploys and configures for one rollout."""

from typing import Annotated

from pydantic import Field

from modelrollout.api.part import Name, Part
from modelrollout.api.scalars import Duration

QUANTITY = r"^([1-9][0-9]{0,8}|[0-9]{1,3}\.[0-9]{1,3})(m|k|M|G|Ki|Mi|Gi)?$"
BYTES = r"^[1-9][0-9]{0,5}(Ki|Mi|Gi)?$"
HEADER = r"^[A-Za-z0-9]([-A-Za-z0-9_]*[A-Za-z0-9])?$"
CPU = r"^([1-9][0-9]{0,8}m?|[0-9]{1,3}\.[0-9]{1,3})$"
Cpu = Annotated[str, Field(pattern=CPU, max_length=16)]
Quantity = Annotated[str, Field(pattern=QUANTITY, max_length=16)]

_UNITS = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


class RouterTimeouts(Part):
    """How long the router waits. Answers of language models take minutes: nothing is cut short."""

    request: Annotated[
        Duration | None,
        Field(description="For the whole answer. Left out: as long as something flows."),
    ] = None
    idle: Annotated[
        Duration, Field(description="For a request on which nothing flows in either direction.")
    ] = 600.0
    connect: Annotated[Duration, Field(description="To connect to a pod of a version.")] = 2.0


class Sticky(Part):
    """What a user is known by, so that one user always meets one version."""

    header: Annotated[
        str | None,
        Field(
            pattern=HEADER,
            min_length=1,
            max_length=64,
            description="A header that names the user, such as x-user-id. It comes before the "
            "cookie.",
        ),
    ] = None
    cookie: Annotated[
        str | None,
        Field(
            pattern=HEADER,
            min_length=1,
            max_length=64,
            description="A cookie that the router sets for users that have none.",
        ),
    ] = None


class Quantities(Part):
    """CPU and memory, as Kubernetes writes them."""

    cpu: Annotated[Cpu | None, Field(description="CPUs, such as 500m or 2.")] = None
    memory: Annotated[Quantity | None, Field(description="Memory, such as 256Mi.")] = None


class RouterResources(Part):
    """What one Envoy asks for and may use."""

    requests: Quantities = Quantities(cpu="100m", memory="128Mi")
    limits: Quantities = Quantities(memory="512Mi")


class Router(Part):
    """An Envoy that the operator deploys and configures for this rollout alone."""

    service: Annotated[
        Name | None,
        Field(
            description="A Service that clients call already: its selector is switched to the "
            "router, and switched back when the rollout leaves it. Left out: clients call the "
            "Service <rollout>-router, which the operator makes in any case."
        ),
    ] = None
    port: Annotated[
        int | None,
        Field(
            ge=1,
            le=65535,
            description="Port of the Service that the operator makes. Left out: 8080, or the "
            "target port of `service`.",
        ),
    ] = None
    replicas: Annotated[int, Field(ge=1, le=50, description="How many Envoys.")] = 2
    timeouts: RouterTimeouts = RouterTimeouts()
    max_body: Annotated[
        str | None,
        Field(
            pattern=BYTES,
            max_length=12,
            description="Largest body of a request, such as 10Mi; a larger one is answered with "
            "413. Bodies are then held until they are complete. Left out: no limit, and bodies "
            "stream.",
        ),
    ] = None
    sticky: Annotated[
        Sticky | None,
        Field(description="What a user is known by. Left out: each request is on its own."),
    ] = None
    resources: RouterResources = RouterResources()


def in_bytes(size: str) -> int:
    """Bytes of a size such as `10Mi`, as the schema lets them through."""
    number = size.rstrip("KMGi")
    return int(number) * _UNITS[size[len(number) :]]
