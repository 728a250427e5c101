"""The tour can be read on any output: terminals, pipes, ASCII, without colours."""

import io

import pytest

from modelrollout.tour import drawing, scenes
from modelrollout.tour.drawing import Pen
from modelrollout.tour.scenes import SCENES, Frame, Lane

SCENE = SCENES[0]
LANES = (
    Lane("one", (Frame(0.0, 0.05, "first"), Frame(120.0, 0.0, "x" * 300, "RolledBack"))),
    Lane("two", (Frame(0.0, 0.5, "second"),)),
)


class Terminal(io.StringIO):
    """An output that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_no_escape_sequences() -> None:
    pen = drawing.pen_for(io.StringIO(), {})
    assert (pen.live, pen.colour) == (False, False)
    lines = [line for lane in LANES for line in drawing.told(lane, SCENE, pen=pen)]
    assert not any("\x1b" in line for line in lines)


@pytest.mark.parametrize(
    ("environment", "colour", "live"),
    [
        pytest.param({"TERM": "xterm"}, True, True, id="terminal"),
        pytest.param({"TERM": "xterm", "NO_COLOR": "1"}, False, True, id="NO_COLOR"),
        pytest.param({"TERM": "dumb"}, False, False, id="dumb"),
    ],
)
def test_a_terminal_gets_what_it_can_show(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, *, colour: bool, live: bool
) -> None:
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("COLUMNS", "100")
    pen = drawing.pen_for(Terminal(), environment)
    assert (pen.colour, pen.live) == (colour, live)


def test_a_terminal_too_low_for_the_picture_gets_plain_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LINES", "10")
    assert not drawing.pen_for(Terminal(), {"TERM": "xterm"}).live


def test_an_output_without_block_characters_gets_ascii() -> None:
    pen = Pen(blocks=False)
    lines = drawing.picture(LANES, SCENE, at_s=200.0, pen=pen)
    assert "\n".join(lines).isascii()
    assert any("ROLLED BACK wrong" in line for line in lines)


@pytest.mark.parametrize("at_s", [0.0, 60.0, 200.0])
def test_the_picture_keeps_its_height_and_width(at_s: float) -> None:
    lines = drawing.picture(LANES, SCENE, at_s=at_s, pen=Pen(width=80))
    assert len(lines) == 10
    assert max(len(line) for line in lines) <= 80


@pytest.mark.parametrize(
    ("weight", "text"),
    [(0.0, "." * 32 + "   0%"), (0.001, "#" + "." * 31 + "   0%"), (1.0, "#" * 32 + " 100%")],
)
def test_a_bar_shows_the_smallest_share_and_the_whole(weight: float, text: str) -> None:
    assert drawing.bar(weight, Pen(blocks=False)) == text


def test_plain_lines_tell_changes_of_weight_and_the_outcome() -> None:
    assert list(drawing.told(LANES[0], SCENE, pen=Pen())) == [
        "one",
        "     0 min    5%  first",
        "     2 min    0%  ROLLED BACK ✗",
        "",
    ]


def test_drawing_again_covers_the_lines_before() -> None:
    assert drawing.again(["a", "b"], before=0) == "\r\x1b[2Ka\n\r\x1b[2Kb\n"
    assert drawing.again(["a"], before=2).startswith("\x1b[2A")


def test_each_scene_says_what_is_true_in_it() -> None:
    for scene in scenes.SCENES:
        assert scene.truth in " ".join(drawing.heading(scene, number=1, pen=Pen()))
