"""`python -m tests.bench.statistics`: simulates, and writes docs/benchmarks/statistics.md.

`--quick` takes a minute, a fiftieth of the runs, and writes to build/ what nobody should quote.
"""

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
import scipy

from tests.bench.statistics import cells, plots, running, tables
from tests.bench.statistics.running import Results
from tests.cluster import layout

PAGE: Final = layout.CHECKOUT / "docs" / "benchmarks" / "statistics.md"
QUICK_PAGE: Final = layout.CHECKOUT / "build" / "benchmarks" / "statistics.md"


def main(arguments: list[str] | None = None) -> None:
    """All cells, then the page and its pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute, not to be quoted")
    parser.add_argument("--seed", type=int, default=cells.REPORT_SEED, help="of all random numbers")
    parser.add_argument("--page", type=Path, help="where to write")
    given = parser.parse_args(arguments)
    part = running.QUICK if given.quick else 1.0
    to = given.page or (QUICK_PAGE if given.quick else PAGE)
    write(running.everything(seed=given.seed, part=part), to)
    print(to.read_text(encoding="utf-8"))  # noqa: T201 - what was asked for


def write(results: Results, to: Path) -> None:
    """The page, and its pictures in a folder beside it."""
    pictures = to.parent / to.stem
    pictures.mkdir(parents=True, exist_ok=True)
    plots.draw(results, pictures)
    to.write_text(page(results, folder=pictures.name), encoding="utf-8")


def page(results: Results, *, folder: str) -> str:
    """The figures as Markdown."""
    return f"""# Statistics, measured

Written by `make bench-statistics` on {datetime.now(UTC):%d %B %Y}: {_machine()}, {results.seconds:.0f} s in {running.PROCESSES} processes ({results.cpu_s:.0f} s of CPU) for {_rollouts(results)}.
Seed {results.seed}{_chosen(results)}. Simulated, not real traffic.{_warning(results)}

Each rollout has sixty looks of a minute; the candidate's weight goes from 5 to 50 % by 5 points every six looks;
requests are Poisson, errors binomial, stable fails 0.5 % of its requests. The operator first surveys stable for five
minutes, as it always does. Behind ± stands one standard error of the simulation (after 0 and 100 its 95 % bound); a
median in minutes is followed by its range of one standard error, "never" if fewer than half are caught in the hour.
A target counts as missed where it is missed by more than twice the error; where it lists three figures they are for 1, 10
and 100 requests/s, two are for 10 and 100.

## Figures asked for

{tables.asked_for(results)}

The test alone, spending all of its 2 % on independent requests, needs the minutes asked for; the operator may need one or
two more. Without a history it learns the noise from the looks themselves and is careful with what it sees; with one, the
excess counts for less by the noise that it knows, and where that is much the slower e-process judges.

{tables.where_minutes_go(results)}

## A healthy model: how often is it rolled back?

Percent of A/A rollouts that are rolled back within the hour, though both versions are the same. The rules of others see
the same counts ({cells.SLOW} rollouts for Kayenta's, which sort), cold starts included. They are our models of those rules, not those programs.

![A/A]({folder}/healthy.svg)

{tables.healthy(results)}

![Error spent]({folder}/spent.svg)

## The same when the arms are noisy

Here the rate of each arm moves by itself, so requests are not independent. Calibrated: every service has learnt its
noise from three days of its own history, two halves of stable against each other. The last two families were used
nowhere else. Where a service cannot be calibrated it is judged as uncalibrated.

{tables.noisy(results)}

What calibration costs: percent of regressions caught in the hour, and the median minute.

{tables.price(results)}

One pod of the candidate against eight of stable; every pod has noise of its own (gamma, CV 0.5 in each minute), and a
rate of its own for good. Calibrated on one day of eight pods.

{tables.pods(results)}

## A harmful model: how soon is it caught?

Percent rolled back within the hour / median minute. A rule that also rolls back healthy models is no faster for it.

![Detection]({folder}/detection.svg)

{tables.worse(results)}

Failed requests that users of the candidate met before the rollback, mean:

{tables.damage(results)}

## Three answers

Percent rolled back / shown to be at most 1.5 times as bad / undecided after the hour, whichever comes first. Beside it
Flagger's rule on its own schedule: rolled back / promoted.

![Three answers]({folder}/three-ways.svg)

{tables.three_ways(results)}

## At the margin

Percent of candidates that could be promoted although they are exactly as much worse as the margin says. Asked for: at most 5.

{tables.at_margin(results)}

## No events at all

Nobody fails; the margin is one percentage point; 2 requests/s. No test can do with fewer than 3/d = 300.

{tables.no_events(results)}

## Through the plan

The same engine inside the operator: `plan` on virtual time, its status written to JSON and read back at every pass, weights as
the plan decides them. "Same": the plan, its stored evidence and the engine on the bare counts decide alike, at the same look.

{tables.through_plan(results)}
"""


def _rollouts(results: Results) -> str:
    ours = sum(cell.runs for cell in results.cells.values())
    more = sum(cell.more for cell in results.cells.values())
    driven = sum(len(runs) for runs in results.driven.values())
    return (
        f"{ours:,} rollouts through the engine, {more:,} through the spending of its error alone and "
        f"{driven:,} through the operator's plan"
    )


def _chosen(results: Results) -> str:
    if results.seed == cells.DESIGN_SEED:
        return ", on which things were tried out: **do not quote**"
    return "; everything was chosen on other seeds"


def _warning(results: Results) -> str:
    if results.part >= 1.0:
        return ""
    return f" **A quick look with {results.part:.0%} of the runs: do not quote.**"


def _machine() -> str:
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    models = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    python = ".".join(str(part) for part in sys.version_info[:3])
    return (
        f"{os.cpu_count()} cores ({models[0] if models else 'unknown'}), Python {python}, "
        f"numpy {np.__version__}, scipy {scipy.__version__}"
    )


if __name__ == "__main__":
    main()
