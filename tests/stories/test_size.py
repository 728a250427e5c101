"""The size of the status: what is kept of the evidence is small, and flat in the rollout's age."""

import json
from typing import Any

from modelrollout.analysis.noise import Uncalibrated
from tests.stories.world import World, at_rest, spec

MOST = 16 * 1024
LOOKS = 200
RATES = {"errors": 0.005, "timeouts": 0.005, "fallbacks": 0.05, "refusals": 0.05, "empty": 0.005}
WHY = (
    "the noise is known after 12 h in which two halves of stable's pods had requests; "
    "there are 3.2 h"
)
"""Of the reasons why noise is not known the longest; known noise takes less room."""


def watched() -> dict[str, Any]:
    """Five guardrails with margins so strict that the 200 looks of the deadline never show any."""
    metrics = [
        {
            "name": name,
            "rate": {"events": f"{name}_total", "total": "requests_total"},
            "margin": {"absolute": 0.0001},
        }
        for name in RATES
    ]
    return spec(
        strategy={"canary": {"weights": [10, 50], "minDuration": "5m"}},
        analysis={"interval": "30s", "metrics": metrics},
        deadline="101m",
    )


def size(world: World) -> int:
    """Of the status as the apiserver stores it, in bytes."""
    return len(json.dumps(world.stored, separators=(",", ":")).encode())


def test_the_status_stays_small_with_five_rates_after_200_looks() -> None:
    world = at_rest(watched(), rps=100.0)
    for version in world.versions.values():
        version.rates = dict(RATES)
    world.noise = dict.fromkeys(RATES, Uncalibrated(WHY))
    world.edit(target="v2")
    young = size(world.run(2 * 3600, until=lambda w: looks(w) >= LOOKS // 10))
    old = size(world.run(2 * 3600, until=lambda w: looks(w) >= LOOKS))

    assert looks(world) == LOOKS
    spent = json.loads(world.status.evidence)["metrics"]["fallbacks"]["state"]["spent"]
    assert {row.noise for row in world.status.metrics} == {f"uncalibrated: {WHY}"}
    assert spent is not None, "the largest state is that of exact spending: is it still used here?"
    assert old < MOST, f"{old:,} bytes"
    assert old < 1.15 * young, f"{young:,} bytes grew to {old:,}"


def looks(world: World) -> int:
    """Taken of this rollout."""
    return 0 if world.status.look is None else world.status.look.number
