"""Detection: are the same things found at the same places? The core is fed by fronts.

Boxes are matched greedily, best overlap first, down to an IoU of 0.5 (as in PASCAL VOC; Everingham
et al. 2010), whatever their labels; the labels are compared on the matches. Order is noise.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from modelrollout.shadow import comparison, increments, jsontext, trouble
from modelrollout.shadow.tasks import naming

MOST_BOXES = 300
"""Of one image, above the least score: matching costs the square."""
CORNERS = 4


@dataclass(frozen=True, slots=True, order=True)
class Box:
    """x1 <= x2 and y1 <= y2 in any one unit."""

    x1: float
    y1: float
    x2: float
    y2: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Boxes:
    """In a canonical order, so that the model's order plays no part, in ties neither."""

    found: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Detection:
    """How boxes are read and compared.

    An instance is a list of objects of `box` (`[x1, y1, x2, y2]`), `label` and `score`, or one
    object of three lists `boxes`, `labels` and `scores`. Label and score may be left out.

    Attributes:
        least_score: boxes below are left out on both sides.
        least_iou: below that, two boxes are no match.
        sized: boxes are `[x, y, width, height]` instead (COCO).

    Raises:
        ValueError: on a least IoU outside of (0, 1].
    """

    least_score: float = 0.0
    least_iou: float = 0.5
    sized: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.least_iou <= 1.0:
            raise ValueError(f"expected a least IoU above 0, at most 1, found {self.least_iou}")

    def read(self, value: object) -> Boxes:
        """See the class; raises as every task does."""
        kept = [self._box(row) for row in _rows(value) if self._scores_enough(row)]
        if len(kept) > MOST_BOXES:
            raise trouble.UnreadableError(
                trouble.Trouble.TOO_LARGE,
                f"expected at most {MOST_BOXES} boxes, found {len(kept)}; raise the least score",
            )
        return Boxes(tuple(sorted(kept)))

    def _scores_enough(self, row: dict[str, object]) -> bool:
        score = row.get("score")
        return score is None or jsontext.number(score, what="a score") >= self.least_score

    def _box(self, row: dict[str, object]) -> Box:
        box, label = row.get("box"), row.get("label", "")
        if not isinstance(box, list) or len(box) != CORNERS:
            raise comparison.schema("expected a box of four numbers, found something else")
        x1, y1, x2, y2 = (jsontext.number(corner, what="a corner") for corner in box)
        if self.sized:
            x2, y2 = x1 + x2, y1 + y2
        if x2 < x1 or y2 < y1:
            raise comparison.schema("expected a box from its lower to its upper corner")
        return Box(x1, y1, x2, y2, naming.label(label))

    def compare(self, primary: Boxes, candidate: Boxes) -> comparison.Comparison:
        """The leading distance is the unmatched share of all boxes of both, 0 where none are."""
        matches = matched(primary.found, candidate.found, least=self.least_iou)
        total = len(primary.found) + len(candidate.found)
        unmatched = (total - 2 * len(matches)) / total if total else 0.0
        relabelled = sum(a.label != b.label for a, b, _ in matches)
        same = unmatched == 0.0 and relabelled == 0
        unlike = increments.Count(increments.Metric.MARKS, ("both", "label_differs"), relabelled)
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=unmatched,
            counted=(
                increments.distance("unmatched", unmatched),
                *(increments.distance("iou", 1.0 - iou) for _, _, iou in matches),
                *((unlike,) if relabelled else ()),
                *increments.shift(
                    "boxes", primary=len(primary.found), candidate=len(candidate.found)
                ),
            ),
            differences=() if same else (comparison.Difference("boxes", "value"),),
        )


def _rows(value: object) -> list[dict[str, object]]:
    if isinstance(value, dict):
        value = _rows_of_columns(value)
    if not isinstance(value, list):
        raise comparison.schema(f"expected a list of boxes, found {jsontext.kind(value)}")
    for row in value:
        if not isinstance(row, dict):
            raise comparison.schema(f"expected a box as object, found {jsontext.kind(row)}")
    return value


def _rows_of_columns(columns: dict[str, object]) -> list[dict[str, object]]:
    names = {"boxes": "box", "labels": "label", "scores": "score"}
    given = {names[key]: columns[key] for key in names if key in columns}
    lists = {name: column for name, column in given.items() if isinstance(column, list)}
    if "box" not in lists or len(lists) != len(given):
        raise comparison.schema("expected lists of boxes, labels and scores, found others")
    if len({len(column) for column in lists.values()}) != 1:
        raise comparison.schema("expected as many boxes as labels and scores, found others")
    return [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]


def matched(
    a: tuple[Box, ...], b: tuple[Box, ...], *, least: float
) -> list[tuple[Box, Box, float]]:
    """Greedy one-to-one matches with their IoU, best first; ties by the order of the boxes."""
    if not (a and b):
        return []
    ious = intersection_over_union(a, b)
    rows, columns = np.nonzero(ious >= least)
    order = np.argsort(-ious[rows, columns], kind="stable")
    free_a, free_b = set(range(len(a))), set(range(len(b)))
    found = []
    for i, j in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if i in free_a and j in free_b:
            free_a.remove(i)
            free_b.remove(j)
            found.append((a[i], b[j], float(ious[i, j])))
    return found


def intersection_over_union(a: tuple[Box, ...], b: tuple[Box, ...]) -> npt.NDArray[np.float64]:
    """IoU of every box with every other, len(a) x len(b), 0 to 1.

    Equal boxes have 1, those without an area too.
    """
    left, right = _corners(a)[:, None, :], _corners(b)[None, :, :]
    low = np.maximum(left[..., :2], right[..., :2])
    high = np.minimum(left[..., 2:], right[..., 2:])
    inside = np.clip(high - low, 0.0, None).prod(axis=-1)
    areas = [(box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (left, right)]
    union = areas[0] + areas[1] - inside
    equal = (left == right).all(axis=-1)
    ious = np.divide(inside, union, out=np.zeros_like(inside), where=union > 0.0)
    result: npt.NDArray[np.float64] = np.where(equal, 1.0, np.clip(ious, 0.0, 1.0))
    return result


def _corners(boxes: tuple[Box, ...]) -> npt.NDArray[np.float64]:
    return np.array([(box.x1, box.y1, box.x2, box.y2) for box in boxes])
