"""What a plan asks for beside traffic: smoke tests made, workloads scaled, autoscalers held.

It comes after the traffic was written, and a refusal is told on the rollout: nothing of it may
keep traffic from where it was decided.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from modelrollout.adapters import jobs, scaling
from modelrollout.adapters.apiserver import ApiError, Apiserver
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.planned import Event, EventType, Plan
from modelrollout.domain.reasons import Code, Reason

Json = dict[str, Any]

_CHANGED: Final = 409


async def perform(
    apiserver: Apiserver,
    plan: Plan,
    *,
    rollout: Json,
    spec: ModelRolloutSpec,
    tell: Callable[[Event], None],
    observed: Awaitable[None],
) -> None:
    """Everything beside traffic, each part tried whatever became of the others.

    Raises:
        ApiError: where the same call may succeed when it is tried again.
    """
    namespace = rollout["metadata"]["namespace"]
    parts: Sequence[tuple[Awaitable[None], Code, str]] = (
        (
            jobs.make(apiserver, plan.jobs, rollout=rollout, spec=spec),
            Code.SMOKE_TEST_UNUSABLE,
            "the apiserver refuses the smoke test",
        ),
        (
            scaling.scale(apiserver, plan.scales, spec=spec, namespace=namespace),
            Code.REPLICAS_OWNED,
            "the apiserver refuses to scale the old version",
        ),
        (
            scaling.hold(apiserver, plan.minimums, namespace=namespace),
            Code.STABLE_MAY_SHRINK,
            "the apiserver refuses to hold the autoscaler of the version that serves",
        ),
        (observed, Code.OBSERVER_TROUBLE, "the apiserver refuses the observer of the shadow"),
    )
    again: list[ApiError] = []
    for part, code, what in parts:
        try:
            await part
        except ApiError as problem:
            if problem.is_passing or problem.status == _CHANGED:
                again.append(problem)
            else:
                # Refused, and so it will be again: looks and ways back must not wait for it.
                tell(Event(EventType.WARNING, Reason(code, f"{what}: {problem}")))
    if again:
        raise again[0]
