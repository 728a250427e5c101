"""What one look costs: CPU of a pass with five metrics and 200 strata behind it, and its status."""

import json
import time
from dataclasses import dataclass
from statistics import median
from typing import Final

from modelrollout.domain import looking
from modelrollout.domain.plan import plan
from tests.bench.statistics.scenarios import LOOK_S
from tests.stories import world

METRICS: Final = 5
STRATA: Final = 200
PASSES: Final = 40
RPS: Final = 100.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one look.

    Attributes:
        pass_ms: median CPU of `plan` with a look to take, status already read.
        read_ms: of reading the status from JSON and writing it.
        early_bytes: of the stored status after the first look that counted.
        late_bytes: after STRATA looks.
        old_bytes: after three times as many.
    """

    pass_ms: float
    read_ms: float
    early_bytes: int
    late_bytes: int
    old_bytes: int


def measured() -> Cost:
    """Drives a rollout that cannot end through STRATA looks, then times passes with a look."""
    there = _rollout()
    early, late = _grown(there, looks=1), _grown(there, looks=STRATA)
    passes: list[float] = []
    reads: list[float] = []
    while len(passes) < PASSES:
        pass_s, read_s = _pass(there)
        if pass_s:
            passes.append(pass_s)
            reads.append(read_s)
    old = _grown(there, looks=3 * STRATA)
    return Cost(1000.0 * median(passes), 1000.0 * median(reads), early, late, old)


def _grown(there: world.World, *, looks: int) -> int:
    """Bytes of the stored status after so many looks."""
    while _looks(there) < looks:
        there.run(LOOK_S)
    return len(json.dumps(there.stored, separators=(",", ":")))


def _rollout() -> world.World:
    rates = [
        {
            "name": f"metric-{number}",
            "rate": {"events": "failed_total", "total": "requests_total"},
            "margin": {"absolute": 0.00001},
        }
        for number in range(METRICS)
    ]
    analysis = {"interval": f"{LOOK_S:g}s", "warmUp": "0s", "metrics": rates}
    there = world.World(world.spec(analysis=analysis), rps=RPS)
    for version in there.versions.values():
        version.rates |= {str(metric["name"]): 0.005 for metric in rates}
    there.settle()
    there.edit(target="v2")
    return there


def _looks(there: world.World) -> int:
    look = there.status.look
    return look.number if look else 0


def _pass(there: world.World) -> tuple[float, float]:
    """CPU of `plan` in the next pass with a look, and of its status; 0 without a look."""
    began = time.process_time()
    before = there.status
    read_s = time.process_time() - began
    window = looking.due(there.now, there.spec, before, scrape_interval_s=world.SCRAPE_S)
    if window is None:
        there.now += 1.0
        return 0.0, 0.0
    observed = there.observed(window)
    began = time.process_time()
    plan(there.now, there.spec, before, observed)
    pass_s = time.process_time() - began
    there.step()
    return pass_s, read_s
