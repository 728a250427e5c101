"""Draws the tour: in place on a terminal, as plain lines elsewhere. Any terminal, no library."""

import os
import shutil
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TextIO

from modelrollout.tour.scenes import Frame, Lane, Scene

_BAR: Final = 32
_SAYS_LINES: Final = 2
_WIDEST: Final = 100
_NARROWEST: Final = 60
_COLOURS: Final = {"good": "32", "bad": "31", "bar": "36", "faint": "2", "strong": "1"}
_WORDS: Final = {"Promoted": "PROMOTED", "RolledBack": "ROLLED BACK"}


@dataclass(frozen=True, slots=True)
class Pen:
    """What the output can show.

    Attributes:
        width: columns to use.
        colour: escape sequences for colours may be written.
        live: escape sequences that move the cursor may be written.
        blocks: characters beyond ASCII may be written.
    """

    width: int = 80
    colour: bool = False
    live: bool = False
    blocks: bool = True

    def paint(self, text: str, style: str) -> str:
        """The text in a style, where colours are shown."""
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self.colour and text else text


def pen_for(output: TextIO, environment: Mapping[str, str]) -> Pen:
    """What an output can show: `NO_COLOR` and dumb terminals are respected."""
    live = output.isatty() and environment.get("TERM") != "dumb"
    if live and os.name == "nt":
        os.system("")  # noqa: S605 - makes Windows' console understand escape sequences
    columns, rows = shutil.get_terminal_size((80, 24))
    return Pen(
        width=max(_NARROWEST, min(columns - 1, _WIDEST)),
        colour=live and not environment.get("NO_COLOR"),
        live=live and rows >= _rows_needed() and columns > _NARROWEST,
        blocks=_can_show("█·✓✗", output.encoding or "ascii"),
    )


def _rows_needed() -> int:
    return 2 * (_SAYS_LINES + 3) + 4


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def wrapped(text: str, pen: Pen) -> list[str]:
    """A paragraph as wide as the output."""
    return textwrap.wrap(text, pen.width)


def heading(scene: Scene, *, number: int, pen: Pen) -> list[str]:
    """The lines above a scene."""
    title = pen.paint(f"{number}. {scene.title}", "strong")
    return [title, *wrapped(scene.truth, pen), ""]


def picture(lanes: Sequence[Lane], scene: Scene, *, at_s: float, pen: Pen) -> list[str]:
    """Both judges at an instant; always the same number of lines."""
    lines = []
    for lane in lanes:
        lines += [*_lane(lane, scene, at_s=at_s, pen=pen), ""]
    return lines


def _lane(lane: Lane, scene: Scene, *, at_s: float, pen: Pen) -> list[str]:
    frame = lane.at(at_s)
    clock = pen.paint(f"{min(at_s, lane.ended_s) / 60:3.0f} min", "faint")
    says = textwrap.wrap(_plain(frame.says, pen), pen.width - 4, max_lines=_SAYS_LINES)
    return [
        lane.name,
        f"    new version {bar(frame.weight, pen)} {clock}  {_outcome(frame, scene, pen)}".rstrip(),
        *[f"    {line}" for line in [*says, *[""] * _SAYS_LINES][:_SAYS_LINES]],
    ]


def bar(weight: float, pen: Pen) -> str:
    """A share of traffic as a bar."""
    full, empty = ("█", "·") if pen.blocks else ("#", ".")
    count = round(_BAR * weight) or (1 if weight > 0 else 0)
    drawn = pen.paint(full * count, "bar") + pen.paint(empty * (_BAR - count), "faint")
    return f"{drawn} {weight:4.0%}"


def _outcome(frame: Frame, scene: Scene, pen: Pen) -> str:
    if not frame.outcome:
        return ""
    right = frame.outcome == scene.should
    marks = ("✓", "✗") if pen.blocks else ("ok", "wrong")
    word = f"{_WORDS[frame.outcome]} {marks[0] if right else marks[1]}"
    return pen.paint(word, "good" if right else "bad")


def _plain(text: str, pen: Pen) -> str:
    return text if pen.blocks else text.encode("ascii", "replace").decode()


def again(lines: Sequence[str], *, before: int) -> str:
    """The text that draws lines over the `before` lines drawn last."""
    up = f"\x1b[{before}A" if before else ""
    return up + "".join(f"\r\x1b[2K{line}\n" for line in lines)


def told(lane: Lane, scene: Scene, *, pen: Pen) -> Iterator[str]:
    """A lane as plain lines: one for each change of weight, and the outcome."""
    yield lane.name
    weight = -1.0
    for frame in lane.frames:
        if frame.weight == weight and not frame.outcome:
            continue
        weight = frame.weight
        outcome = _outcome(frame, scene, pen)
        line = f"  {frame.at_s / 60:4.0f} min  {weight:4.0%}  {outcome or _plain(frame.says, pen)}"
        yield line
    yield ""
