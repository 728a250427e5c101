"""Classification: is it the same label? The core is fed by fronts.

Cohen's kappa comes from the two marginals in PromQL; it collapses under skewed classes and is no
gate. A flip near a decision threshold is marked: it says less than one far from it.
"""

import functools
from dataclasses import dataclass

from modelrollout.shadow import comparison, increments, jsontext
from modelrollout.shadow.tasks import naming

MOST_LABELS = 20
"""Labels with series of their own; the rest is `other`."""
MOST_CONFUSED = 10
"""With more declared labels there are no cells of confusion: they grow with the square."""
MOST_SCORES = 100_000


@dataclass(frozen=True, slots=True)
class Label:
    """One label, with its score and the best labels in order where the model gives them."""

    value: str
    score: float | None = None
    top: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Classification:
    """How labels are read and compared.

    An instance is a label (string, boolean, whole number), `[label]`, an object of `label` and
    `score`, a list of such objects, or a list of scores in the order of `labels`. With a
    `threshold` it is one score, and the label is whether it is at least the threshold.

    Attributes:
        labels: declared labels, for scores in the order of their positions.
        top: how many of the best labels are compared as a set.
        threshold: of one score, 0 to 1.
        near: what counts as near the threshold.

    Raises:
        ValueError: on a top below 1, or a label declared twice.
    """

    labels: tuple[str, ...] = ()
    top: int = 5
    threshold: float | None = None
    near: float = 0.02

    def __post_init__(self) -> None:
        if self.top < 1:
            raise ValueError(f"expected at least the first label in top, found {self.top}")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("expected labels that differ, found one declared twice")

    def read(self, value: object) -> Label:
        """See the class; raises as every task does."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if self.threshold is not None:
            return self._decided(jsontext.number(value, what="a score"), self.threshold)
        match value:
            case list():
                return self._best(self._scored(value))
            case dict():
                score = value.get("score")
                known = None if score is None else jsontext.number(score, what="a score")
                return Label(naming.label(value.get("label")), known)
            case _:
                return Label(naming.label(value))

    def _decided(self, score: float, threshold: float) -> Label:
        positive = score >= threshold
        names = self.labels if len(self.labels) == 2 else ("false", "true")  # noqa: PLR2004
        return Label(names[positive], score)

    def _scored(self, values: list[object]) -> list[tuple[float, str]]:
        """Scores and labels in the order of the answer."""
        if not 1 <= len(values) <= MOST_SCORES:
            raise comparison.schema(f"expected 1 to {MOST_SCORES} scores, found {len(values)}")
        if all(isinstance(value, dict) for value in values):
            pairs = [(item.get("score"), item.get("label")) for item in values]  # type: ignore[attr-defined]
            return [(jsontext.number(s, what="a score"), naming.label(label)) for s, label in pairs]
        if self.labels and len(self.labels) != len(values):
            raise comparison.schema(
                f"expected {len(self.labels)} scores, one per declared label, found {len(values)}"
            )
        names = self.labels or tuple(str(at) for at in range(len(values)))
        return [
            (jsontext.number(value, what="a score"), name)
            for value, name in zip(values, names, strict=True)
        ]

    def _best(self, scored: list[tuple[float, str]]) -> Label:
        """Ties go to the earlier position, as argmax does."""
        ranked = sorted(scored, key=lambda pair: -pair[0])[: self.top]
        return Label(ranked[0][1], ranked[0][0], tuple(name for _, name in ranked))

    def compare(self, primary: Label, candidate: Label) -> comparison.Comparison:
        """Distance 0 or 1."""
        same = primary.value == candidate.value
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=0.0 if same else 1.0,
            counted=(
                *self._marginals(primary.value, candidate.value),
                *_confidences(primary, candidate),
                *_tops(primary, candidate),
                *(() if same else self._flips(primary, candidate)),
            ),
            differences=() if same else (comparison.Difference("label", "value"),),
        )

    def _marginals(self, primary: str, candidate: str) -> tuple[increments.Count, ...]:
        if not self.labels:
            return ()
        ours = increments.folded(primary, declared=self.labels[:MOST_LABELS])
        theirs = increments.folded(candidate, declared=self.labels[:MOST_LABELS])
        return _met(ours, theirs, confused=len(self.labels) <= MOST_CONFUSED)

    def _flips(self, primary: Label, candidate: Label) -> tuple[increments.Count, ...]:
        if self.threshold is None or primary.score is None or candidate.score is None:
            return ()
        if abs(primary.score - self.threshold) > self.near:
            return (increments.mark("flip_far_from_threshold"),)
        return (increments.mark("flip_near_threshold"),)


@functools.lru_cache(maxsize=1024)
def _met(ours: str, theirs: str, *, confused: bool) -> tuple[increments.Count, ...]:
    """Labels are declared, so few pairs of them are met again and again."""
    counts = (
        increments.Count(increments.Metric.LABELS, (increments.Side.PRIMARY, ours)),
        increments.Count(increments.Metric.LABELS, (increments.Side.CANDIDATE, theirs)),
    )
    if not confused:
        return counts
    return (*counts, increments.Count(increments.Metric.CONFUSION, (ours, theirs)))


def _confidences(primary: Label, candidate: Label) -> tuple[increments.Observation, ...]:
    """Scores outside of 0 to 1 are no confidences (logits)."""
    if primary.score is None and candidate.score is None:
        return ()
    sides = ((increments.Side.PRIMARY, primary), (increments.Side.CANDIDATE, candidate))
    return tuple(
        increments.confidence(side, label.score)
        for side, label in sides
        if label.score is not None and 0.0 <= label.score <= 1.0
    )


def _tops(primary: Label, candidate: Label) -> tuple[increments.Increment, ...]:
    """Overlap of both best-k sets, by the longer; and each label within the other's best k."""
    if not (primary.top and candidate.top):
        return ()
    common = len(set(primary.top) & set(candidate.top))
    longest = max(len(primary.top), len(candidate.top))
    marks = []
    if primary.value in candidate.top:
        marks.append(increments.mark("label_in_top_of_other", side=increments.Side.PRIMARY))
    if candidate.value in primary.top:
        marks.append(increments.mark("label_in_top_of_other", side=increments.Side.CANDIDATE))
    return (increments.distance("top", 1.0 - common / longest), *marks)
