"""The kinds of objects that the operator touches, as the apiserver addresses them."""

from typing import Final

from modelrollout.routing import backends, gateway_api
from modelrollout.routing.contract import Kind

ROLLOUT: Final = Kind("modelrollout.dev", "v1alpha1", "modelrollouts", "ModelRollout")
SERVICE: Final = Kind("", "v1", "services", "Service")
POD: Final = Kind("", "v1", "pods", "Pod")
SLICE: Final = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
EVENT: Final = Kind("events.k8s.io", "v1", "events", "Event")
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
JOB: Final = Kind("batch", "v1", "jobs", "Job")
CRON_JOB: Final = Kind("batch", "v1", "cronjobs", "CronJob")
AUTOSCALER: Final = Kind("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
HTTP_ROUTE: Final = gateway_api.HTTP_ROUTE
GRPC_ROUTE: Final = gateway_api.GRPC_ROUTE
INFERENCE_POOL: Final = backends.INFERENCE_POOL
BACKENDS: Final = {"Service": SERVICE, "InferencePool": INFERENCE_POOL}
WORKLOADS: Final = {
    "Deployment": Kind("apps", "v1", "deployments", "Deployment"),
    "StatefulSet": Kind("apps", "v1", "statefulsets", "StatefulSet"),
}
