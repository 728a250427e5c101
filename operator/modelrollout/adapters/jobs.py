"""Smoke tests in the cluster: a Job from the user's suspended CronJob, and how it ended.

Nothing of a Job is read but its conditions: what it prints is for those who may read its pods.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from modelrollout.adapters import kinds
from modelrollout.adapters.apiserver import ApiError, Apiserver, path_of
from modelrollout.api.blue_green import SmokeTest
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.domain.observed import CheckSeen, JobState
from modelrollout.domain.planned import Job
from modelrollout.routing import ownership

Json = Mapping[str, Any]

LEAST_KEPT_S: Final = 3600
"""How long a finished Job stays at least: an operator that was away must see its end, too."""
USUALLY_KEPT_S: Final = 86_400
_REFUSED: Final = frozenset({401, 403})
_EXISTS: Final = 409


async def sight(
    apiserver: Apiserver, checks: Sequence[SmokeTest], *, namespace: str, job: str
) -> CheckSeen:
    """What the cluster has of the smoke tests of a plan.

    Args:
        apiserver: to read from.
        checks: all of the plan.
        namespace: of the rollout.
        job: name of the Job of the present step, "" when there is none.

    Raises:
        ApiError: when the apiserver does not answer; a refusal is a problem that is told.
    """
    try:
        found = await apiserver.get(path_of(kinds.JOB, namespace, job)) if job else None
        names = dict.fromkeys(check.cron_job for check in checks)
        problems = [await _problem(apiserver, name, namespace=namespace) for name in names]
    except ApiError as refused:
        if refused.status not in _REFUSED:
            raise
        return CheckSeen(problem=f"the apiserver does not let the operator read Jobs: {refused}")
    state, why = _state(found)
    return CheckSeen(next((one for one in problems if one), ""), state, why)


async def _problem(apiserver: Apiserver, name: str, *, namespace: str) -> str:
    template = await apiserver.get(path_of(kinds.CRON_JOB, namespace, name))
    if template is None:
        return f"the CronJob {namespace}/{name} does not exist: create it with `suspend: true`"
    if not template["spec"].get("suspend"):
        return f"the CronJob {namespace}/{name} runs by itself: set `suspend: true`"
    return ""


def _state(job: Json | None) -> tuple[JobState, str]:
    if job is None:
        return JobState.ABSENT, ""
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] == "Complete":
            return JobState.SUCCEEDED, ""
        if condition["status"] == "True" and condition["type"] == "Failed":
            return JobState.FAILED, str(condition.get("reason") or "")
    return JobState.RUNNING, ""


async def make(
    apiserver: Apiserver, wanted: Sequence[Job], *, rollout: Json, spec: ModelRolloutSpec
) -> None:
    """Makes Jobs that are not there; one that is there already is as good.

    Raises:
        ApiError: when the apiserver refuses.
    """
    namespace = rollout["metadata"]["namespace"]
    for job in wanted:
        template = await apiserver.get(path_of(kinds.CRON_JOB, namespace, job.template))
        if template is None:
            continue
        body = rendered(job, template=template, rollout=rollout, spec=spec)
        try:
            await apiserver.create(path_of(kinds.JOB, namespace), body)
        except ApiError as problem:
            if problem.status != _EXISTS:
                raise


def rendered(job: Job, *, template: Json, rollout: Json, spec: ModelRolloutSpec) -> dict[str, Any]:
    """The Job, from the CronJob's template: bounded in time, and told where the candidate is."""
    made = copy.deepcopy(dict(template["spec"]["jobTemplate"]))
    within = made["spec"]
    longest_s = math.ceil(job.timeout_s)
    within["activeDeadlineSeconds"] = min(within.get("activeDeadlineSeconds", longest_s), longest_s)
    kept_s = within.get("ttlSecondsAfterFinished", USUALLY_KEPT_S)
    within["ttlSecondsAfterFinished"] = max(kept_s, LEAST_KEPT_S)
    pods = within["template"]["spec"]
    told = _environment(job, spec=spec, namespace=rollout["metadata"]["namespace"])
    for container in (*pods.get("initContainers", ()), *pods["containers"]):
        own = [one for one in container.get("env") or () if one["name"] not in told]
        # Ours come first, so that those of the template can refer to them.
        ours = [{"name": name, "value": value} for name, value in sorted(told.items())]
        container["env"] = [*ours, *own]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(job, made.get("metadata") or {}, rollout=rollout),
        "spec": within,
    }


def _environment(job: Job, *, spec: ModelRolloutSpec, namespace: str) -> dict[str, str]:
    version = next(one for one in spec.versions if one.name == job.version)
    told = dict(job.environment)
    if version.front is not None:
        told["MODELROLLOUT_SERVICE_URL"] = (
            f"http://{version.front.name}.{namespace}:{version.front.port}"
        )
    return told


def _metadata(job: Job, given: Json, *, rollout: Json) -> dict[str, Any]:
    whose = rollout["metadata"]
    labels = {ownership.MANAGED_BY: ownership.OURS, ownership.ROLLOUT: whose["name"]}
    return {
        "name": job.name,
        "namespace": whose["namespace"],
        "labels": {**(given.get("labels") or {}), **labels},
        "annotations": {
            **(given.get("annotations") or {}),
            "cronjob.kubernetes.io/instantiate": "manual",
        },
        # A Job is not in the path of traffic: it may go with its rollout.
        "ownerReferences": [
            {
                "apiVersion": rollout["apiVersion"],
                "kind": rollout["kind"],
                "name": whose["name"],
                "uid": whose["uid"],
            }
        ],
    }
