"""Rollouts as an apiserver would hold them, in the states that the command line tells apart."""

from typing import Any

Json = dict[str, Any]
STAMP = "2026-01-01T00:00:00Z"


def condition(kind: str, reason: str, message: str = "", *, truth: str = "True") -> Json:
    return {
        "type": kind,
        "status": truth,
        "reason": reason,
        "message": message,
        "lastTransitionTime": STAMP,
        "observedGeneration": 2,
    }


def rollout(
    phase: str, *conditions: Json, target: str = "v2", stable: str = "v1", **status: Any
) -> Json:
    return {
        "apiVersion": "modelrollout.dev/v1alpha1",
        "kind": "ModelRollout",
        "metadata": {"name": "fraud", "namespace": "ml", "uid": "u1", "generation": 2},
        "spec": {"target": target},
        "status": {
            "observedGeneration": 2,
            "phase": phase,
            "stable": {"name": stable, "revision": "aa"},
            "conditions": list(conditions),
            **status,
        },
    }


def at_step(step: str, *, weight: str = "5%", message: str = "not yet shown") -> Json:
    running = condition("Ready", "StepRunning", truth="False")
    return rollout(
        "Stepping",
        running,
        step=step,
        weight=weight,
        message=message,
        candidate={"name": "v2", "revision": "bb"},
    )


def promoted(*, target: str = "v2") -> Json:
    ready = condition("Ready", "Promoted", f"{target}@bb serves")
    return rollout("Serving", ready, target=target, stable=target)


def rejected(reason: str) -> Json:
    words = "errors 9.1 % against 0.4 %; v1@aa serves"
    stalled = condition("Stalled", reason, words)
    ready = condition("Ready", reason, words, truth="False")
    return rollout("RolledBack", ready, stalled, candidate={"name": "v2", "revision": "bb"})


def undecided() -> Json:
    stalled = condition("Stalled", "Inconclusive", "the deadline has passed; the weight is held")
    return rollout("Undecided", condition("Ready", "Undecided", truth="False"), stalled)


def refused(reason: str) -> Json:
    stalled = condition("Stalled", reason, "weights must ascend")
    return rollout("Serving", condition("Ready", reason, truth="False"), stalled)
