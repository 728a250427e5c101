"""`python -m modelrollout.tour`: two releases judged twice, in fifteen seconds, no cluster."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from typing import Final

from modelrollout.tour import drawing, scenes
from modelrollout.tour.drawing import Pen
from modelrollout.tour.scenes import SCENES, Lane, Scene

_FRAMES_PER_S: Final = 12
_READING_S: Final = 1.5
DRAWS: Final = (
    "Other draws (--seed N): the fixed threshold errs in about 85 of 100 in the first scene and "
    "always in the second; the comparison rolls the healthy model back in at most 2 of 100, the "
    "rate it was given."
)


def main() -> int:
    """Show the tour; gives the exit status."""
    options = _options()
    pen = drawing.pen_for(sys.stdout, os.environ)
    print("The operator's own decision and statistics on virtual time; nothing here is scripted.\n")
    try:
        for number, scene in enumerate(SCENES, start=1):
            lanes = scenes.played(scene, seed=options.seed)
            _show(scene, lanes, number=number, pen=pen, length_s=options.seconds / len(SCENES))
    except KeyboardInterrupt:
        return 130
    for line in drawing.wrapped(DRAWS, pen):
        print(line)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m modelrollout.tour", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="which draw of the requests to show")
    parser.add_argument("--seconds", type=float, default=14.0, help="how long to take for it")
    return parser.parse_args()


def _show(scene: Scene, lanes: Sequence[Lane], *, number: int, pen: Pen, length_s: float) -> None:
    print("\n".join(drawing.heading(scene, number=number, pen=pen)))
    if pen.live:
        _play(scene, lanes, pen=pen, length_s=max(0.0, length_s - _READING_S))
    else:
        for lane in lanes:
            print("\n".join(drawing.told(lane, scene, pen=pen)))
    print(pen.paint(scene.lesson, "strong") + "\n", flush=True)
    if pen.live:
        time.sleep(min(length_s, _READING_S))


def _play(scene: Scene, lanes: Sequence[Lane], *, pen: Pen, length_s: float) -> None:
    """Draw virtual time as fast as it fits into `length_s`."""
    whole_s = max(lane.ended_s for lane in lanes)
    count = max(2, round(length_s * _FRAMES_PER_S))
    before = 0
    for frame in range(count):
        lines = drawing.picture(lanes, scene, at_s=whole_s * frame / (count - 1), pen=pen)
        sys.stdout.write(drawing.again(lines, before=before))
        sys.stdout.flush()
        before = len(lines)
        time.sleep(length_s / count)


if __name__ == "__main__":
    sys.exit(main())
