"""The live picture of an act: weights, metrics with their verdicts, events, what users met.

`picture` draws for a terminal; `Lines` tells the same as plain lines, one for each change, where
the output is a pipe or a log.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from examples.demo.acts import Act
from examples.demo.world import Told, World
from modelrollout.api.status import MetricStatus

_BAR: Final = 30
_NONE: Final = "-"
_EVENTS_SHOWN: Final = 5
_QUIET_S: Final = 15.0
_COLOURS: Final = {
    "Better": "green",
    "NotWorse": "green",
    "Worse": "bold red",
    "Undecided": "yellow",
    "NoData": "dim",
    "SourceDown": "red",
}


def picture(world: World, act: Act, *, now: float, since: float) -> RenderableType:
    """The whole picture of an act at an instant."""
    return Group(
        _state(world, act, now=now, since=since),
        _versions(world, act),
        _metrics(world),
        _events(world, since=since),
    )


def _state(world: World, act: Act, *, now: float, since: float) -> RenderableType:
    status = world.status
    place = f"step {status.step}" if status.step and status.rollout else ""
    words = " · ".join(word for word in (f"{now - since:3.0f} s", status.phase, place) if word)
    grid = Table.grid(expand=False)
    grid.add_row(Text(words, style="bold"))
    grid.add_row(Text(status.message or f"{act.target} is announced", overflow="fold"))
    return grid


def _versions(world: World, act: Act) -> RenderableType:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("version", min_width=8)
    table.add_column("weight", min_width=_BAR + 7)
    for heading in ("users got", "answers", "users"):
        table.add_column(heading, justify="right")
    recent, met = world.recent_shares(), world.met
    for name in shown(world, act):
        weight = weight_of(world, name)
        got = f"{recent[name]:.0%}" if name in recent else _NONE
        table.add_row(
            Text(name, style="bold cyan" if name == act.target else ""),
            _bar(weight, candidate=name == act.target),
            got,
            f"{met.answers(name):,}",
            f"{met.users.get(name, 0):,}",
        )
    caption = (
        f"{world.recent_rate():.0f} requests/s, p99 {met.p99_ms:.0f} ms, {met.failures} failed"
    )
    return Group(Text(), table, Text(caption, style="red" if met.failures else "dim"))


def shown(world: World, act: Act) -> list[str]:
    """The versions worth a row: who serves, who is to take over, and who has any weight."""
    stable = world.status.stable.name if world.status.stable else ""
    weighted = [v.name for v in world.status.versions if v.weight not in ("", "0%")]
    return list(dict.fromkeys(name for name in (stable, *weighted, act.target) if name))


def weight_of(world: World, name: str) -> str:
    """The weight that was decided for a version, as `25%`."""
    return next((v.weight for v in world.status.versions if v.name == name), "0%")


def _bar(weight: str, *, candidate: bool) -> Text:
    share = float(weight.rstrip("%") or 0) / 100
    full = round(_BAR * share) or (1 if share else 0)
    bar = Text("█" * full, style="cyan" if candidate else "blue")
    return bar.append("·" * (_BAR - full), style="dim").append(f" {weight:>5}")


def _metrics(world: World) -> RenderableType:
    candidate = world.status.candidate.name if world.status.candidate else "candidate"
    stable = world.status.stable.name if world.status.stable else "stable"
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("metric", candidate, stable, "estimate", "interval", "samples"):
        table.add_column(heading, justify="left" if heading == "metric" else "right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for metric in world.status.metrics:
        table.add_row(
            metric.name,
            metric.candidate or _NONE,
            metric.stable or _NONE,
            metric.estimate or _NONE,
            metric.interval or _NONE,
            metric.samples or _NONE,
            Text(metric.verdict, style=_COLOURS.get(metric.verdict, "")),
        )
    if not world.status.metrics:
        return Text("no evidence yet", style="dim")
    return Group(Text(), table)


def _events(world: World, *, since: float) -> RenderableType:
    told = [event for event in world.events if event.at >= since][-_EVENTS_SHOWN:]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(justify="right", style="dim", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for event in told:
        style = "red" if event.warning else "green"
        grid.add_row(f"{event.at - since:.0f} s", Text(event.reason, style=style), event.message)
    return Group(Text(), grid) if told else Text()


@dataclass(slots=True)
class Lines:
    """Tells an act in plain lines: what changed since the last call, or a sign of life."""

    since: float
    _weight: str = ""
    _verdicts: dict[str, str] = field(default_factory=dict)
    _told: set[Told] = field(default_factory=set)
    _last: float = 0.0

    def fresh(self, world: World, act: Act, *, now: float) -> list[str]:
        """The lines to print now."""
        lines = [f"{now - self.since:5.0f} s  {line}" for line in self._changes(world, act)]
        if not lines and now - self._last > _QUIET_S:
            lines = [f"{now - self.since:5.0f} s  … {world.status.message}"]
        if lines:
            self._last = now
        return lines

    def _changes(self, world: World, act: Act) -> Iterator[str]:
        for told in [e for e in world.events if e.at >= self.since and e not in self._told]:
            self._told.add(told)
            yield f"{told.reason}: {told.message}"
        weight = weight_of(world, act.target)
        if weight != self._weight:
            self._weight = weight
            yield f"weight of {act.target}: {weight}"
        for metric in world.status.metrics:
            if self._verdicts.get(metric.name) != metric.verdict:
                self._verdicts[metric.name] = metric.verdict
                yield sentence(metric)


def sentence(metric: MetricStatus) -> str:
    """A metric in one line."""
    numbers = f"{metric.candidate} against {metric.stable}" if metric.candidate else "no data"
    interval = f", {metric.estimate} ({metric.interval})" if metric.interval else ""
    return f"{metric.name}: {metric.verdict}: {numbers}{interval}"
