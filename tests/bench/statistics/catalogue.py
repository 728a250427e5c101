"""Which cells there are: one group for each table of the page."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from modelrollout.analysis.spending import Plan
from tests.bench.statistics import engine, noise, scenarios
from tests.bench.statistics.cells import Cell
from tests.bench.statistics.noise import Noise
from tests.bench.statistics.scenarios import Scenario

TRAFFIC: Final = (1.0, 10.0, 100.0)
MORE_TRAFFIC: Final = (10.0, 100.0)
WORSE: Final = (0.006, 0.0075, 0.01, 0.02, 0.05)
HISTORY: Final = 3 * noise.DAY
WARM_UP: Final = 2

FAMILIES: Final[Mapping[str, Noise]] = {
    "none": noise.Quiet(),
    "gamma, CV 0.25": noise.Gamma(0.25),
    "gamma, CV 0.5": noise.Gamma(0.5),
    "gamma, CV 1": noise.Gamma(1.0),
    "AR(1) 0.9, sd 0.3": noise.Autoregressive(0.9, 0.3),
    "AR(1) 0.95, sd 0.2": noise.Autoregressive(0.95, 0.2),
    "two levels, 1 and 1.6, for 30 min": noise.Regimes(1.6, 30.0),
    "daily: load and rate ± 60 %, CV 0.2 to 0.8": noise.Daily(0.6, 0.5),
}
PUBLISHED: Final = ("gamma, CV 0.5", "gamma, CV 1", "AR(1) 0.9, sd 0.3", "AR(1) 0.95, sd 0.2")
"""Families for which the targets are."""
POWER: Final = ("none", "gamma, CV 0.5", "gamma, CV 1", "AR(1) 0.9, sd 0.3")
MEDIANS: Final[Mapping[tuple[float, float], int]] = {
    (1.0, 0.05): 14,
    (10.0, 0.02): 9,
    (10.0, 0.01): 27,
    (100.0, 0.01): 7,
    (100.0, 0.02): 2,
}
"""Minutes in which half of the regressions should be caught, by requests/s and rate."""
WHOLE: Final = Plan(0.02, scenarios.LOOKS)
"""What the targets were found with: all of the error, spent over exactly the looks there are."""
POWER_CELLS: Final = ((10.0, 0.01), (10.0, 0.02), (100.0, 0.02))

OMEGAS: Final = (0.0, 0.1, 0.2)
POD_RATES: Final = (0.01, 0.02)

ABSOLUTE: Final = {"absolute": 0.01}
EITHER: Final = {"relative": "50%", "absolute": 0.01}


def named(kind: str, *rest: object) -> str:
    """Name of a cell."""
    return " / ".join([kind, *(f"{one:g}" if isinstance(one, float) else str(one) for one in rest)])


def quiet() -> dict[str, Cell]:
    """A/A with independent requests, by row and traffic."""
    found: dict[str, Cell] = {}
    for rps in TRAFFIC:
        rows = {
            "nothing happens": Cell("", Scenario("", rps), 960, more=4000, has_rivals=True),
            "shared incident, x3 from look 31": Cell(
                "", Scenario("", rps, incident=(31, 60)), 960, more=4000, has_rivals=True
            ),
            "shared incident, x3 in looks 1 to 30": Cell(
                "", Scenario("", rps, incident=(1, 30)), 960, more=4000, has_rivals=True
            ),
            "cold start: 3 % in the first 2 min, excluded by the warm-up": Cell(
                "", Scenario("", rps, cold=WARM_UP), 960, warm_up=WARM_UP, has_rivals=True
            ),
            "steps are held while the candidate looks worse": Cell(
                "", Scenario("", rps), 640, steer=scenarios.holds
            ),
            "5 % of the traffic while it looks worse, else 50 %": Cell(
                "", Scenario("", rps), 640, more=2000, steer=scenarios.provokes
            ),
        }
        found |= _named("A/A", rows, rps)
    return found


def noisy() -> dict[str, Cell]:
    """A/A under arm noise, with and without calibration."""
    found: dict[str, Cell] = {}
    for rps in MORE_TRAFFIC:
        for family, of in FAMILIES.items():
            for calibrated in (False, True):
                name = named("noise", family, rps, "calibrated" if calibrated else "not")
                # Both on the same counts.
                scenario = Scenario(named("noise", family, rps), rps, noise=of, history=HISTORY)
                found[name] = Cell(name, scenario, 400, calibrated=calibrated)
    return found


def pods() -> dict[str, Cell]:
    """One pod of the candidate against eight of stable, pods that differ for good."""
    found: dict[str, Cell] = {}
    for omega in OMEGAS:
        for rps in MORE_TRAFFIC:
            for calibrated in (False, True):
                name = named("pods", omega, rps, "calibrated" if calibrated else "not")
                scenario = Scenario(
                    named("pods", omega, rps), rps, noise=noise.Pods(omega), history=noise.DAY
                )
                found[name] = Cell(name, scenario, 320, calibrated=calibrated)
        for rate in POD_RATES:
            name = named("pods", omega, "worse", rate)
            scenario = Scenario(name, 100.0, rate, noise=noise.Pods(omega), history=noise.DAY)
            found[name] = Cell(name, scenario, 160, calibrated=True)
    return found


def price() -> dict[str, Cell]:
    """Regressions under arm noise, calibrated: what the calibration costs."""
    found: dict[str, Cell] = {}
    for family in POWER:
        for rps, rate in POWER_CELLS:
            name = named("price", family, rps, rate)
            scenario = Scenario(name, rps, rate, noise=FAMILIES[family], history=HISTORY)
            found[name] = Cell(name, scenario, 192, calibrated=True)
    return found


def worse() -> dict[str, Cell]:
    """Regressions, by traffic and rate."""
    found: dict[str, Cell] = {}
    for rps in TRAFFIC:
        for rate in WORSE:
            name = named("worse", rps, rate)
            found[name] = Cell(name, Scenario(name, rps, rate), 640, has_rivals=True)
    return found


def known() -> dict[str, Cell]:
    """The regressions for which there are targets, of services that know they have no noise."""
    found: dict[str, Cell] = {}
    for rps, rate in MEDIANS:
        name = named("known", rps, rate)
        scenario = Scenario(name, rps, rate, history=HISTORY)
        found[name] = Cell(name, scenario, 640, more=1500, plan=WHOLE, calibrated=True)
    return found


def at_margin() -> dict[str, Cell]:
    """A candidate exactly at its margin, of which no smaller harm can get in the way."""
    found: dict[str, Cell] = {}
    early = (1, 30)
    for rps in TRAFFIC:
        relative, absolute = Scenario("", rps, 0.0075), Scenario("", rps, gap=0.01)
        corner = Scenario("", rps, 0.03, stable=0.02)
        rows = {
            "relative 50 %": _beyond(relative, engine.RELATIVE),
            "relative 50 %, early shared incident": _beyond(
                replace(relative, incident=early), engine.RELATIVE
            ),
            "absolute 1 point": _beyond(absolute, ABSOLUTE),
            "absolute 1 point, early shared incident": _beyond(
                replace(absolute, incident=early), ABSOLUTE
            ),
            "both, where they are equal (2 % errors)": _beyond(corner, EITHER),
        }
        found |= _named("margin", rows, rps)
    return found


def _beyond(scenario: Scenario, margin: Mapping[str, Any]) -> Cell:
    return Cell("", scenario, 400, margin=margin, roll_back_when="WorseThanMargin")


def no_events() -> dict[str, Cell]:
    """Nobody fails at all; the margin is one percentage point."""
    found: dict[str, Cell] = {}
    for known in (True, False):
        name = named("no events", "surveyed" if known else "not surveyed")
        scenario = Scenario(name, 2.0, candidate=0.0, stable=0.0)
        found[name] = Cell(name, scenario, 160, margin=ABSOLUTE, knows_usual=known)
    return found


def _named(kind: str, rows: Mapping[str, Cell], rps: float) -> dict[str, Cell]:
    names = {row: named(kind, row, rps) for row in rows}
    return {
        names[row]: replace(cell, name=names[row], scenario=replace(cell.scenario, name=names[row]))
        for row, cell in rows.items()
    }


def rows(kind: str, cells: Mapping[str, object]) -> list[str]:
    """Row names of a kind, in order."""
    parts = [name.split(" / ") for name in cells]
    return list(dict.fromkeys(part[1] for part in parts if part[0] == kind))


def every() -> dict[str, Cell]:
    """All cells."""
    return quiet() | noisy() | pods() | price() | worse() | known() | at_margin() | no_events()
