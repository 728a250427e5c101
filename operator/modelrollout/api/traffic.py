"""Versions, and the traffic between them: who serves, and which provider moves the weights."""

from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api import scalars
from modelrollout.api.part import Hostname, Name, Part
from modelrollout.api.providers import Istio, ServiceSwitch, Traefik
from modelrollout.api.router import Router
from modelrollout.api.scalars import Duration


class ServiceBackend(Part):
    """A Service of the rollout's namespace that fronts one version and nothing else."""

    name: Annotated[Name, Field(description="Name of the Service.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Port of the Service.")]


class InferencePoolBackend(Part):
    """An InferencePool of the rollout's namespace that picks the pods of one version."""

    name: Annotated[Name, Field(description="Name of the InferencePool.")]


class InferenceServiceBackend(Part):
    """A KServe InferenceService of the rollout's namespace, reached by its predictor's Service."""

    # The predictor's Service is named after it, and must fit into a label as well.
    name: Annotated[
        str,
        Field(
            pattern=scalars.NAME,
            min_length=1,
            max_length=53,
            description="Name of the InferenceService.",
        ),
    ]


class Workload(Part):
    """The workload behind a version: tells its revision, its readiness and its crashes."""

    kind: Annotated[
        Literal["Deployment", "StatefulSet"], Field(description="Left out: Deployment.")
    ] = "Deployment"
    name: Annotated[Name, Field(description="Name of the workload.")]


class Version(Part):
    """One model deployment that can take traffic."""

    name: Annotated[Name, Field(description="How this version is called everywhere.")]
    service: ServiceBackend | None = None
    inference_pool: Annotated[
        InferencePoolBackend | None,
        Field(
            description="Instead of a Service: an InferencePool, for providers that route to it."
        ),
    ] = None
    inference_service: Annotated[
        InferenceServiceBackend | None,
        Field(description="Instead of a Service: a KServe InferenceService."),
    ] = None
    workload: Annotated[
        Workload | None,
        Field(description="The workload behind it: revision, readiness, crashes, capacity."),
    ] = None
    info: Annotated[
        dict[str, Annotated[str, Field(max_length=512)]],
        Field(
            max_length=16,
            description="Free provenance (model URI, commit, data), shown in events and reports.",
        ),
    ] = Field(default_factory=dict)

    @property
    def front(self) -> ServiceBackend | None:
        """The Service in front of its pods; None for an InferencePool, which has none."""
        if self.inference_service is not None:
            return ServiceBackend(name=f"{self.inference_service.name}-predictor", port=80)
        return self.service

    @property
    def backend(self) -> tuple[str, str]:
        """Kind and name of the object that takes its requests."""
        if self.inference_pool is not None:
            return "InferencePool", self.inference_pool.name
        return "Service", self.front.name if self.front else ""


class ParentRef(Part):
    """A Gateway that the generated route attaches to."""

    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the Gateway.")]
    namespace: Annotated[
        Name | None, Field(description="Left out: the namespace of the rollout.")
    ] = None
    section_name: Annotated[
        str | None, Field(max_length=253, description="One listener of the Gateway. Left out: all.")
    ] = None
    port: Annotated[
        int | None, Field(ge=1, le=65535, description="Listeners of this port. Left out: all.")
    ] = None


class Match(Part):
    """Requests of the host that belong to this rollout."""

    path: Annotated[str, Field(pattern="^/", max_length=1024, description="A path prefix.")] = "/"
    headers: Annotated[
        dict[str, Annotated[str, Field(max_length=512)]],
        Field(max_length=8, description="Exact values of headers."),
    ] = Field(default_factory=dict)


class Timeouts(Part):
    """Timeouts of the generated route, as the Gateway API defines them."""

    request: Annotated[
        Duration | None, Field(description="For the whole request, retries included.")
    ] = None
    backend_request: Annotated[
        Duration | None, Field(description="For one try; at most `request`.")
    ] = None


class RouteRef(Part):
    """A route of the user's own, whose weights the operator moves."""

    kind: Annotated[
        Literal["HTTPRoute", "GRPCRoute"], Field(description="Left out: HTTPRoute.")
    ] = "HTTPRoute"
    name: Annotated[str, Field(min_length=1, max_length=253, description="Name of the route.")]


class GatewayAPI(Part):
    """Traffic by Gateway API routes: one that the operator generates, or the user's own."""

    parent_refs: Annotated[
        list[ParentRef],
        Field(
            max_length=8,
            description="Gateways to attach to: the operator generates the HTTPRoute. Write this "
            "or `routes`.",
        ),
    ] = Field(default_factory=list)
    hostnames: Annotated[
        list[Hostname],
        Field(
            max_length=16,
            description="Hosts of the generated route. Left out: those of the Gateway's listeners.",
        ),
    ] = Field(default_factory=list)
    matches: Annotated[
        list[Match],
        Field(
            max_length=8,
            description="Which requests of the hosts the generated route takes; any of them is "
            "enough. Left out: all.",
        ),
    ] = Field(default_factory=list)
    timeouts: Timeouts | None = None
    routes: Annotated[
        list[RouteRef],
        Field(
            max_length=8,
            description="Routes that you own: the operator moves only the weights in rules that "
            "refer to two or more of the versions. Write this or `parentRefs`.",
        ),
    ] = Field(default_factory=list)


class Traffic(Part):
    """How traffic is split: exactly one provider."""

    gateway_api: Annotated[
        GatewayAPI | None, Field(alias="gatewayAPI", description="Routes of the Gateway API.")
    ] = None
    router: Annotated[
        Router | None,
        Field(description="An Envoy that the operator deploys and configures; {} is enough."),
    ] = None
    service: Annotated[
        ServiceSwitch | None,
        Field(
            description="The selector of a Service: all traffic or none, with nothing installed."
        ),
    ] = None
    traefik: Annotated[Traefik | None, Field(description="Weights of a TraefikService.")] = None
    istio: Annotated[Istio | None, Field(description="Weights of Istio's VirtualServices.")] = None
