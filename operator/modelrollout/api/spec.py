"""What a user writes: `ModelRollout.spec`.

The models are the source of the CRD's schema (`crds/` is generated from them), so names, bounds
and descriptions here are what `kubectl explain` shows. Rules across fields stand beside the
models as CEL (`RULES` in `api.rules`); what only code can see becomes `Accepted=False`.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelrollout.api.analysis import (
    Analysis,
    Arm,
    Better,
    ErrorRate,
    HarmTest,
    Latency,
    Limit,
    Margin,
    Mean,
    Metric,
    Rate,
    Role,
    RollBackWhen,
)
from modelrollout.api.part import Name, Part
from modelrollout.api.providers import Istio, ServiceSwitch, Traefik
from modelrollout.api.scalars import Duration, Weight
from modelrollout.api.strategy import Canary, Pause, Ramp, Step, Strategy
from modelrollout.api.traffic import (
    GatewayAPI,
    InferencePoolBackend,
    InferenceServiceBackend,
    Match,
    ParentRef,
    RouteRef,
    ServiceBackend,
    Timeouts,
    Traffic,
    Version,
    Workload,
)

__all__ = [
    "Analysis",
    "Arm",
    "Bake",
    "Better",
    "Canary",
    "ErrorRate",
    "GatewayAPI",
    "HarmTest",
    "InferencePoolBackend",
    "InferenceServiceBackend",
    "Istio",
    "Latency",
    "Limit",
    "Margin",
    "Match",
    "Mean",
    "Metric",
    "ModelRolloutSpec",
    "OnInconclusive",
    "ParentRef",
    "Part",
    "Pause",
    "Ramp",
    "Rate",
    "Role",
    "RollBackWhen",
    "RouteRef",
    "ServiceBackend",
    "ServiceSwitch",
    "Step",
    "Strategy",
    "Timeouts",
    "Traefik",
    "Traffic",
    "Version",
    "Workload",
]


class Bake(Part):
    """Watching after the promotion, with some users left on the old version as the control."""

    duration: Annotated[Duration, Field(description="Length of the bake, such as 30m.")]
    holdback: Annotated[
        Weight, Field(description="Share that stays on the old version meanwhile; 0 for none.")
    ] = 0


class OnInconclusive(StrEnum):
    """What happens when the deadline passes undecided."""

    HOLD = "Hold"
    ROLL_BACK = "RollBack"
    PROMOTE = "Promote"


class ModelRolloutSpec(Part):
    """Which model should serve, and how it may come to serve."""

    versions: Annotated[
        list[Version],
        Field(min_length=1, max_length=10, description="All models that can take traffic."),
    ]
    target: Annotated[Name, Field(description="The version that should serve.")]
    traffic: Traffic
    strategy: Annotated[
        Strategy,
        Field(
            description="How the target gets to serve, exactly one. Left out: a canary whose "
            "weights are chosen from the traffic seen."
        ),
    ] = Strategy(canary=Canary())
    analysis: Analysis = Analysis()
    bake: Annotated[
        Bake | None,
        Field(
            description="Watching after the promotion, with some users left on the old version as "
            "the control. Left out: none."
        ),
    ] = None
    deadline: Annotated[
        Duration,
        Field(description="Longest time of a rollout; then `onInconclusive` decides."),
    ] = 86400.0
    progress_deadline: Annotated[
        Duration, Field(description="Longest time until a candidate is ready.")
    ] = 600.0
    drain: Annotated[
        Duration,
        Field(description="Time that requests under way get after a version's weight went to 0."),
    ] = 30.0
    on_inconclusive: Annotated[
        OnInconclusive,
        Field(
            description="What happens when the deadline passes undecided. Promote: only while the "
            "bound is under twice the margin."
        ),
    ] = OnInconclusive.HOLD
    capacity: Annotated[
        Literal["Leave", "ParkOld"],
        Field(
            description="Leave: replicas are never touched. ParkOld: those of the old version go "
            "to 0 after bake and drain, and come back before anything returns to it."
        ),
    ] = "Leave"
    deletion_policy: Annotated[
        Literal["Retain", "Delete"],
        Field(description="What becomes of the generated route when the rollout is deleted."),
    ] = "Retain"
