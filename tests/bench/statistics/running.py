"""Runs all cells in two processes and keeps what came out, for tables and plots."""

import os
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import repeat
from typing import Final

from tests.bench.statistics import catalogue, cells, costs, driven, engine, rivals, scenarios
from tests.bench.statistics.cells import Cell, Outcome
from tests.bench.statistics.costs import Cost
from tests.bench.statistics.driven import Driven
from tests.bench.statistics.rivals import Ended
from tests.bench.statistics.scenarios import STABLE, Scenario

PROCESSES: Final = 2
QUICK: Final = 0.02
"""Part of the runs that a quick look takes."""
FLAGGER_RUNS: Final = 2000
DRIVEN: Final = (
    (1.0, STABLE, 60),
    (10.0, STABLE, 60),
    (100.0, STABLE, 60),
    (1.0, 0.05, 40),
    (10.0, 0.01, 40),
    (10.0, 0.02, 30),
    (100.0, 0.01, 40),
)
"""Requests/s, the candidate's errors, rollouts through the plan."""


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured.

    Attributes:
        seed: of all random numbers.
        part: of the full number of runs.
        outcomes: by name of the cell.
        flagger: on its own schedule, by requests/s and rate.
        driven: through the plan, by requests/s and rate.
        cost: of one look.
        seconds: that all of it took.
    """

    seed: int
    part: float
    outcomes: Mapping[str, Outcome]
    flagger: Mapping[tuple[float, float], Ended]
    driven: Mapping[tuple[float, float], list[Driven]]
    cost: Cost
    seconds: float
    cells: Mapping[str, Cell] = field(default_factory=catalogue.every)


def everything(*, seed: int, part: float = 1.0) -> Results:
    """Runs everything."""
    began = time.monotonic()
    cost = costs.measured()
    wanted = {name: cell.scaled(part) for name, cell in catalogue.every().items()}
    # The longest first, so that both processes end together.
    order = sorted(wanted, key=lambda name: -wanted[name].runs * wanted[name].scenario.rps ** 0.1)
    with ProcessPoolExecutor(PROCESSES, initializer=os.nice, initargs=(5,)) as pool:
        plans = [(*one, part, seed) for one in DRIVEN]
        by_plan = pool.map(through_plan, plans)
        found = pool.map(cells.run, [wanted[name] for name in order], repeat(seed))
        outcomes = dict(zip(order, found, strict=True))
        driven_ = {(one[0], one[1]): runs for one, runs in zip(DRIVEN, by_plan, strict=True)}
    return Results(
        seed=seed,
        part=part,
        outcomes={name: outcomes[name] for name in wanted},
        flagger=_flagger(seed, part),
        driven=driven_,
        cost=cost,
        seconds=time.monotonic() - began,
        cells=wanted,
    )


def through_plan(one: tuple[float, float, int, float, int]) -> list[Driven]:
    """Rollouts of one cell through the operator's plan."""
    rps, rate, runs, part, seed = one
    asking = engine.spec(engine.RELATIVE)
    scenario = Scenario("plan", rps, rate)
    wanted = max(2, round(runs * part))
    return [
        driven.run(scenario, asking, scenarios.seeded(seed, "plan", rps, rate, number))
        for number in range(wanted)
    ]


def _flagger(seed: int, part: float) -> dict[tuple[float, float], Ended]:
    found = {}
    for rps in catalogue.TRAFFIC:
        for rate in (STABLE, *catalogue.WORSE):
            random = scenarios.seeded(seed, "flagger", rps, rate)
            rates = Scenario("", rps, rate).rates(random, runs=max(50, int(FLAGGER_RUNS * part)))
            found[rps, rate] = rivals.flagger_alone(rates, random, rps=rps)
    return found
