"""Four pictures of the same figures, small SVG files beside the page."""

from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tests.bench.statistics import tables, targets
from tests.bench.statistics.catalogue import TRAFFIC, WORSE, named
from tests.bench.statistics.figures import Share
from tests.bench.statistics.noise import Floats
from tests.bench.statistics.running import Results
from tests.bench.statistics.scenarios import LOOKS, STABLE

WIDE: Final = (9.0, 3.2)
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "modelrollout",
    "font.family": "sans-serif",
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
BLUE, RED, GREY, GREEN = "#2563a8", "#b3382c", "#b8bcc2", "#3c8d5a"
SHOWN: Final = (
    "Flagger's rule",
    "Kayenta's judge every 10 min",
    "z-test at every look, one-sided 5 %",
)


def draw(results: Results, folder: Path) -> list[str]:
    """Writes all pictures and returns their file names."""
    with mpl.rc_context(STYLE):
        pictures = {
            "healthy.svg": _healthy(results),
            "detection.svg": _detection(results),
            "spent.svg": _spent(results),
            "three-ways.svg": _three_ways(results),
        }
        for name, figure in pictures.items():
            figure.savefig(folder / name, bbox_inches="tight", metadata={"Date": None})
    return list(pictures)


def _healthy(results: Results) -> Figure:
    figure = Figure(figsize=WIDE)
    rows = ("nothing happens", "shared incident, x3 from look 31")
    for at, row in enumerate(rows):
        axes = figure.add_subplot(1, len(rows), at + 1)
        found = [results.outcomes[named("A/A", row, rps)] for rps in TRAFFIC]
        series = [("modelrollout", [targets.rolled_back(one) for one in found], BLUE)]
        greys = ("#8a9099", "#b8bcc2", "#d9dce0")
        for rule, colour in zip(SHOWN, greys, strict=True):
            shares = [Share.of(np.isfinite(one.rivals[rule])) for one in found]
            series.append((rule, shares, colour))
        _bars(axes, series)
        axes.set_title(f"A/A: {row}", loc="left")
        axes.set_ylabel("% rolled back in an hour" if at == 0 else "")
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _bars(axes: Any, series: list[tuple[str, list[Share], str]]) -> None:
    width = 0.8 / len(series)
    for at, (label, shares, colour) in enumerate(series):
        places = np.arange(len(shares)) + (at - (len(series) - 1) / 2.0) * width
        errors = [one.error for one in shares]
        heights = [one.percent for one in shares]
        axes.bar(
            places, heights, width, yerr=errors, label=label, color=colour, error_kw={"lw": 0.6}
        )
    axes.axhline(targets.AT_MOST_HEALTHY, color=RED, lw=0.8)
    axes.set_yscale("symlog", linthresh=5.0)
    axes.set_yticks([0, 2, 5, 10, 50, 100], ["0", "2", "5", "10", "50", "100"])
    axes.set_xticks(range(len(TRAFFIC)), [f"{rps:g} requests/s" for rps in TRAFFIC])


def _detection(results: Results) -> Figure:
    figure = Figure(figsize=WIDE)
    for at, rps in enumerate(TRAFFIC):
        axes = figure.add_subplot(1, len(TRAFFIC), at + 1)
        for rate, dark in zip(WORSE, np.linspace(0.3, 1.0, len(WORSE)), strict=True):
            outcome = results.outcomes[named("worse", rps, rate)]
            axes.plot(
                *_caught(outcome.rollback),
                color=BLUE,
                alpha=dark,
                label=f"{100 * rate:g} %",
            )
        healthy = tables.of(results, rps, STABLE)
        axes.plot(*_caught(healthy.rollback), color=RED, label="0.5 % (healthy)")
        axes.set_title(f"{rps:g} requests/s", loc="left")
        axes.set_xlabel("minute")
        axes.set_ylabel("% rolled back" if at == 0 else "")
        axes.set_ylim(0, 102)
    axes.legend(
        frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0), title="candidate's errors"
    )
    return figure


def _caught(looks: Floats) -> tuple[Floats, Floats]:
    minutes = np.arange(LOOKS + 1.0)
    return minutes, np.asarray(100.0 * np.mean(looks[:, None] <= minutes, axis=0))


def _spent(results: Results) -> Figure:
    figure = Figure(figsize=(5.0, 3.2))
    axes = figure.add_subplot()
    for rps, colour in zip(TRAFFIC, (GREY, GREEN, BLUE), strict=True):
        spent = results.outcomes[named("A/A", "nothing happens", rps)].spent
        if spent is None:
            continue
        minutes = np.arange(len(spent.by_look) + 1)
        axes.plot(
            minutes,
            100.0 * np.append(0.0, spent.by_look),
            color=colour,
            label=f"computed, {rps:g} requests/s",
        )
        axes.plot(*_caught(spent.rollback), color=colour, ls=":", label="counted")
    axes.axhline(targets.AT_MOST_HEALTHY, color=RED, lw=0.8)
    axes.set_xlabel("minute")
    axes.set_ylabel("% of healthy rollouts rolled back")
    axes.set_ylim(0, 2.5)
    axes.legend(frameon=False, fontsize=7)
    return figure


def _three_ways(results: Results) -> Figure:
    figure = Figure(figsize=WIDE)
    rates = (STABLE, *WORSE)
    for at, rps in enumerate(TRAFFIC):
        axes = figure.add_subplot(1, len(TRAFFIC), at + 1)
        base = np.zeros(len(rates))
        outcomes = [tables.of(results, rps, rate) for rate in rates]
        shown = np.array([np.mean(one.promotion < one.rollback) for one in outcomes])
        ended = np.array(
            [np.mean(np.isfinite(np.minimum(one.promotion, one.rollback))) for one in outcomes]
        )
        back = ended - shown
        for part, colour, label in (
            (shown, GREEN, "within the margin"),
            (1.0 - shown - back, GREY, "undecided"),
            (back, RED, "rolled back"),
        ):
            axes.bar(range(len(rates)), 100.0 * part, bottom=base, color=colour, label=label)
            base = base + 100.0 * part
        axes.set_xticks(range(len(rates)), [f"{100 * rate:g}" for rate in rates])
        axes.set_xlabel("candidate's errors, %")
        axes.set_title(f"{rps:g} requests/s", loc="left")
        axes.set_ylabel("% of rollouts after an hour" if at == 0 else "")
        axes.set_ylim(0, 100)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
