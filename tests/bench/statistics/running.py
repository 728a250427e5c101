"""Runs all cells in two processes and keeps what came out, for tables and plots."""

import os
import resource
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import Final

from tests.bench.statistics import (
    catalogue,
    cells,
    costs,
    driven,
    engine,
    learning,
    rivals,
    scenarios,
)
from tests.bench.statistics.cells import Cell, Outcome
from tests.bench.statistics.costs import Cost
from tests.bench.statistics.driven import Driven
from tests.bench.statistics.rivals import Ended
from tests.bench.statistics.scenarios import STABLE, Scenario

PROCESSES: Final = 2
QUICK: Final = 0.02
"""Part of the runs that a quick look takes."""
FLAGGER_RUNS: Final = 2000


@dataclass(frozen=True, slots=True)
class Planned:
    """Rollouts through the plan: of one rate, and of services that have learnt their noise."""

    rps: float
    rate: float
    runs: int
    noise: str = "none"

    @property
    def calibrated(self) -> bool:
        """The services have a history."""
        return self.noise != "none"


DRIVEN: Final = (
    Planned(1.0, STABLE, 60),
    Planned(10.0, STABLE, 60),
    Planned(100.0, STABLE, 60),
    Planned(100.0, STABLE, 40, "gamma, CV 0.5"),
    Planned(10.0, 0.02, 20, "AR(1) 0.9, sd 0.3"),
    Planned(1.0, 0.05, 40),
    Planned(10.0, 0.01, 40),
    Planned(10.0, 0.02, 30),
    Planned(100.0, 0.01, 40),
)


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured.

    Attributes:
        seed: of all random numbers.
        part: of the full number of runs.
        outcomes: by name of the cell.
        flagger: on its own schedule, by requests/s and rate.
        driven: through the plan.
        cost: of one look.
        seconds: that all of it took.
        cpu_s: of them, on all processors.
    """

    seed: int
    part: float
    outcomes: Mapping[str, Outcome]
    flagger: Mapping[tuple[float, float], Ended]
    driven: Mapping[Planned, list[Driven]]
    cost: Cost
    seconds: float
    cpu_s: float
    cells: Mapping[str, Cell] = field(default_factory=catalogue.every)


def everything(*, seed: int, part: float = 1.0) -> Results:
    """Runs everything."""
    began, used = time.monotonic(), _cpu_s()
    cost = costs.measured()
    wanted = {name: cell.scaled(part) for name, cell in catalogue.every().items()}
    # The longest first, so that both processes end together.
    order = sorted(wanted, key=lambda name: -wanted[name].runs * wanted[name].scenario.rps ** 0.1)
    with ProcessPoolExecutor(PROCESSES, initializer=os.nice, initargs=(5,)) as pool:
        by_plan = pool.map(partial(through_plan, part=part, seed=seed), DRIVEN)
        found = pool.map(cells.run, [wanted[name] for name in order], repeat(seed))
        outcomes = dict(zip(order, found, strict=True))
        driven_ = dict(zip(DRIVEN, by_plan, strict=True))
    return Results(
        seed=seed,
        part=part,
        outcomes={name: outcomes[name] for name in wanted},
        flagger=_flagger(seed, part),
        driven=driven_,
        cost=cost,
        seconds=time.monotonic() - began,
        cpu_s=_cpu_s() - used,
        cells=wanted,
    )


def _cpu_s() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    spent = [resource.getrusage(one) for one in who]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def through_plan(planned: Planned, *, part: float, seed: int) -> list[Driven]:
    """Rollouts of one kind through the operator's plan."""
    name = catalogue.named("plan", planned.noise, planned.rps, planned.rate)
    asking, runs = engine.spec(engine.RELATIVE), max(2, round(planned.runs * part))
    scenario = Scenario(
        name,
        planned.rps,
        planned.rate,
        noise=catalogue.FAMILIES[planned.noise],
        history=catalogue.HISTORY,
    )
    random = scenarios.seeded(seed, name)
    noises = (
        learning.learnt(scenario, random, services=runs) if planned.calibrated else [None] * runs
    )
    return [driven.run(scenario, asking, random, noise=noise) for noise in noises]


def _flagger(seed: int, part: float) -> dict[tuple[float, float], Ended]:
    found = {}
    for rps in catalogue.TRAFFIC:
        for rate in (STABLE, *catalogue.WORSE):
            random = scenarios.seeded(seed, "flagger", rps, rate)
            rates = Scenario("", rps, rate).rates(random, runs=max(50, int(FLAGGER_RUNS * part)))
            found[rps, rate] = rivals.flagger_alone(rates, random, rps=rps)
    return found
