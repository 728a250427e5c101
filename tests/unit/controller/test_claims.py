"""Two rollouts that claim the same: the first keeps it, whatever the order of seeing them."""

from typing import Any

import pytest

from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.controller.claims import Claims
from modelrollout.domain.reasons import Code

OLD, NEW = ("ml", "old"), ("ml", "new")


def spec(*services: str, host: str = "a.example.com", workload: str = "") -> ModelRolloutSpec:
    versions: list[dict[str, Any]] = [
        {"name": f"v{n}", "service": {"name": name, "port": 80}} for n, name in enumerate(services)
    ]
    if workload:
        versions[0]["workload"] = {"name": workload}
    gateway = {"parentRefs": [{"name": "public"}], "hostnames": [host]}
    return ModelRolloutSpec.model_validate(
        {"versions": versions, "target": "v0", "traffic": {"gatewayAPI": gateway}}
    )


def rollout(created: str, *, accepted: bool = False) -> dict[str, Any]:
    conditions = [{"type": "Accepted", "status": "True", "observedGeneration": 1}] * accepted
    metadata = {"uid": f"uid-{created}", "creationTimestamp": created, "generation": 1}
    return {"metadata": metadata, "status": {"conditions": conditions}}


@pytest.mark.parametrize("order", [(OLD, NEW), (NEW, OLD)])
def test_the_older_rollout_keeps_a_service(order: tuple[Any, Any]) -> None:
    claims = Claims()
    written = {
        OLD: (rollout("2026-01-01"), spec("a", "b")),
        NEW: (rollout("2026-02-01"), spec("b", "c", host="b.example.com")),
    }
    for key in order:
        claims.put(key, *written[key])
    assert claims.conflict(OLD) is None
    reason = claims.conflict(NEW)
    assert reason is not None
    assert reason.code is Code.CLAIMED
    assert reason.sentence.startswith("Service ml/b is claimed by the ModelRollout ml/old already")


def test_who_is_accepted_with_its_spec_is_first_even_if_younger() -> None:
    claims = Claims()
    claims.put(NEW, rollout("2026-02-01", accepted=True), spec("a"))
    claims.put(OLD, rollout("2026-01-01"), spec("a", host="b.example.com"))
    assert claims.conflict(NEW) is None
    assert claims.conflict(OLD) is not None


def test_once_accepted_a_rollout_is_before_one_of_the_same_second() -> None:
    claims = Claims()
    claims.put(OLD, rollout("2026-01-01T00:00:00Z-b"), spec("a"))
    claims.put(OLD, rollout("2026-01-01T00:00:00Z-b", accepted=True), spec("a"))
    claims.put(NEW, rollout("2026-01-01T00:00:00Z-a"), spec("a", host="b.example.com"))
    assert claims.conflict(OLD) is None
    assert claims.conflict(NEW) is not None


def test_one_host_on_one_gateway_belongs_to_one() -> None:
    claims = Claims()
    claims.put(OLD, rollout("2026-01-01"), spec("a"))
    claims.put(NEW, rollout("2026-02-01"), spec("b"))
    reason = claims.conflict(NEW)
    assert reason is not None
    assert "a.example.com" in reason.sentence


def test_a_workload_belongs_to_one() -> None:
    claims = Claims()
    claims.put(OLD, rollout("2026-01-01"), spec("a", workload="w"))
    claims.put(NEW, rollout("2026-02-01"), spec("b", workload="w", host="b.example.com"))
    assert claims.conflict(NEW) is not None


def test_who_waits_is_named_when_the_first_goes() -> None:
    claims = Claims()
    claims.put(OLD, rollout("2026-01-01"), spec("a"))
    claims.put(NEW, rollout("2026-02-01"), spec("a", host="b.example.com"))
    assert claims.drop(OLD) == {NEW}
    assert claims.conflict(NEW) is None


def test_who_lets_go_of_a_claim_frees_it() -> None:
    claims = Claims()
    claims.put(OLD, rollout("2026-01-01"), spec("a"))
    claims.put(NEW, rollout("2026-02-01"), spec("a", host="b.example.com"))
    assert NEW in claims.put(OLD, rollout("2026-01-01"), spec("c"))
    assert claims.conflict(NEW) is None
