"""The pictures of docs/statistics.md, drawn by the engine: `python -m tests.docs.statistics`.

Each picture is of rollouts that were simulated with one fixed seed; what the page says of them is
tested in tests/unit/docs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from modelrollout.analysis import evidence, spending
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.questions import Margin, Question
from modelrollout.analysis.verdicts import Judgement, Verdict

FOLDER: Final = Path(__file__).parents[2] / "docs" / "statistics"
SEED: Final = 4
LOOKS: Final = 60
STABLE: Final = 0.005
ALPHA: Final = 0.02
"""Of a rollout with one judged metric, without a limit."""
MARGIN: Final = Margin(relative=0.5)
STYLE: Final[Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "modelrollout",
    "font.family": "sans-serif",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
# On white whatever the page around it: readable where that is dark, too.
BLUE, RED, GREY, GREEN, INK = "#2563a8", "#b3382c", "#8a9099", "#3c8d5a", "#24292f"
COLOURS: Final = {Verdict.WORSE: RED, Verdict.NOT_WORSE: GREEN, Verdict.UNDECIDED: GREY}

Look = tuple[RateCounts, RateCounts]


@dataclass(frozen=True, slots=True)
class Path60:
    """A rollout of sixty looks of a minute: bad outcomes, boundaries, what chance expects."""

    events: list[int]
    boundaries: list[int]
    expected: list[float]
    alarm_at: int | None


def drawn(
    *, rps: float, candidate: float, stable: float = STABLE, incident: tuple[int, int] | None = None
) -> list[Look]:
    """Counts of (candidate, stable), the weight from 5 to 50 % by 5 points every six looks.

    In an incident, from its first to its last look, both fail six times as often.
    """
    random, looks = np.random.default_rng(SEED), []
    for look in range(1, LOOKS + 1):
        share = 0.05 * ((look - 1) // 6 + 1)
        times = 6.0 if incident is not None and incident[0] <= look <= incident[1] else 1.0
        n_c = int(random.poisson(60 * rps * share))
        n_s = int(random.poisson(60 * rps * (1.0 - share)))
        x_c, x_s = random.binomial(n_c, times * candidate), random.binomial(n_s, times * stable)
        looks.append((RateCounts(n_c, int(x_c)), RateCounts(n_s, int(x_s))))
    return looks


def walked(looks: list[Look]) -> Path60:
    """What exact spending says after each look."""
    plan, spent = spending.Plan(alpha=ALPHA, looks=LOOKS), spending.Spent()
    events, boundaries, expected = [], [], []
    alarm_at = None
    for number, (candidate, stable) in enumerate(looks, start=1):
        spent = spending.advance(spent, plan, candidate=candidate, stable=stable)
        events.append(spent.events)
        boundaries.append(spent.boundary)
        expected.append(spent.expected)
        if spent.alarm and alarm_at is None:
            alarm_at = number
    return Path60(events, boundaries, expected, alarm_at)


def judged(looks: list[Look]) -> list[Judgement]:
    """What the engine says of a rate after each look."""
    plan = spending.Plan(alpha=ALPHA, looks=LOOKS)
    planned = sum(one.trials for look in looks for one in look) * STABLE
    question = Question(margin=MARGIN, usual_rate=STABLE, planned_events=planned, spending=plan)
    state, said = evidence.fresh(question), []
    for candidate, stable in looks:
        state = evidence.advance(state, question, candidate=candidate, stable=stable)
        said.append(evidence.judge(state, question))
    return said


def first(said: list[Judgement]) -> tuple[int, Judgement]:
    """The first look with a conclusion, else the last one."""
    for number, one in enumerate(said, start=1):
        if one.verdict is not Verdict.UNDECIDED:
            return number, one
    return len(said), said[-1]


def pooled(looks: list[Look]) -> list[float]:
    """The ratio of the rates after each look, all looks thrown together."""
    totals = np.cumsum([[c.trials, c.events, s.trials, s.events] for c, s in looks], axis=0)
    n_c, x_c, n_s, x_s = totals.T
    return [float(one) for one in (x_c / n_c) / np.maximum(x_s / n_s, 1e-9)]


PATHS: Final = (("healthy", STABLE), ("twice the errors", 2.0 * STABLE))
INCIDENT: Final = (41, 60)
THREE: Final = (
    ("twice the errors", 10.0, 2.0 * STABLE),
    ("equal versions", 100.0, STABLE),
    ("equal versions", 1.0, STABLE),
)


def boundary() -> Figure:
    """The candidate's bad outcomes against the boundary, look by look."""
    figure = Figure(figsize=(8.0, 3.0))
    for at, (title, rate) in enumerate(PATHS):
        axes = figure.add_subplot(1, 2, at + 1)
        path = walked(drawn(rps=10.0, candidate=rate))
        end = path.alarm_at or LOOKS
        minutes = np.arange(1, end + 1)
        axes.step(minutes, path.boundaries[:end], where="mid", color=RED, label="boundary")
        axes.plot(minutes, path.events[:end], color=BLUE, label="candidate's bad outcomes")
        axes.plot(minutes, path.expected[:end], color=GREY, ls="--", label="expected if equal")
        if path.alarm_at is not None:
            axes.plot([end], [path.events[end - 1]], "o", color=RED)
            axes.annotate(
                f"rolled back\nat minute {end}", (end, path.events[end - 1]), (end + 2.0, 20.0)
            )
        axes.set_title(title, loc="left")
        axes.set_xlabel("minute")
        axes.set_xlim(0, LOOKS)
        axes.set_ylim(0, 85)
        if at == 0:
            axes.legend(frameon=False, loc="upper left", fontsize=8)
    return figure


def shared_incident() -> Figure:
    """Ratio of two equal versions, pooled and look by look, when an incident hits both."""
    looks = drawn(rps=100.0, candidate=STABLE, incident=INCIDENT)
    figure = Figure(figsize=(8.0, 3.0))
    minutes = np.arange(1, LOOKS + 1)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2)
    for arm, colour, label in ((0, BLUE, "candidate"), (1, GREY, "stable")):
        rates = [100.0 * look[arm].events / look[arm].trials for look in looks]
        left.plot(minutes, rates, color=colour, label=label)
    left.set_title("errors, % of each minute's requests", loc="left")
    left.legend(frameon=False, loc="upper left", fontsize=8)
    ratios = [one.ratio for one in judged(looks)]
    low, high = ([max(0.0, getattr(r, side)) for r in ratios if r] for side in ("low", "high"))
    right.fill_between(minutes, low, high, color=BLUE, alpha=0.15, lw=0)
    found = [r.estimate or np.nan for r in ratios if r]
    right.plot(minutes, found, color=BLUE, label="look by look")
    right.plot(minutes, pooled(looks), color=RED, label="counts pooled")
    right.axhline(1.0, color=INK, lw=0.6)
    right.set_ylim(0.5, 2.0)
    right.set_title("candidate's rate over stable's", loc="left")
    right.legend(frameon=False, loc="upper left", fontsize=8)
    for axes in (left, right):
        axes.axvspan(INCIDENT[0], INCIDENT[1], color=GREY, alpha=0.12, lw=0)
        axes.set_xlabel("minute")
        axes.set_xlim(0, LOOKS)
    return figure


def three_answers() -> Figure:
    """Intervals of the difference after the hour, against the margin, and when it was decided."""
    figure = Figure(figsize=(8.0, 2.4))
    axes = figure.add_subplot()
    words = {
        Verdict.WORSE: "harm",
        Verdict.NOT_WORSE: "not worse",
        Verdict.UNDECIDED: "undecided",
    }
    labels = []
    for row, (what, rps, rate) in enumerate(THREE):
        path = judged(drawn(rps=rps, candidate=rate))
        at, said = first(path)
        found, colour = path[-1].difference, COLOURS[said.verdict]
        if found is None or found.estimate is None:
            raise RuntimeError("a picture of a rollout without requests")
        axes.plot([100.0 * found.low, 100.0 * found.high], [row, row], color=colour, lw=3)
        axes.plot([100.0 * found.estimate], [row], "o", color=colour)
        when = "" if said.verdict is Verdict.UNDECIDED else f" at minute {at}"
        labels.append(f"{words[said.verdict]}{when}\n{what}, {rps:g} requests/s")
    tolerated = 100.0 * (MARGIN.relative or 0.0) * STABLE
    axes.axvline(0.0, color=INK, lw=0.8)
    axes.axvline(tolerated, color=RED, lw=0.8, ls="--")
    axes.text(tolerated + 0.02, -0.62, "margin", color=RED)
    axes.text(0.02, -0.62, "equal", color=INK)
    axes.set_yticks(range(len(THREE)), labels)
    axes.set_ylim(2.5, -0.9)
    axes.set_xlabel("candidate's errors minus stable's, percentage points")
    return figure


PICTURES: Final = {
    "boundary.svg": boundary,
    "shared-incident.svg": shared_incident,
    "three-answers.svg": three_answers,
}


def main() -> None:
    """Draws all three."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        for name, picture in PICTURES.items():
            picture().savefig(
                FOLDER / name, bbox_inches="tight", facecolor="white", metadata={"Date": None}
            )


if __name__ == "__main__":
    main()
