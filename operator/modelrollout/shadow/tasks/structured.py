"""Structured JSON: which declared fields differ, and how? The core is fed by fronts.

Fields that were not declared are counted as `other`, so that a model cannot make new series.
Ignore rules have names and are counted, so that they do not rot.
"""

from dataclasses import dataclass, field

from modelrollout.shadow import comparison, increments, jsontext, paths, trouble
from modelrollout.shadow.tasks import differing

MOST_LEAVES = 5_000
_SHOWN = 10
BROKEN = (differing.Kind.TYPE, differing.Kind.MISSING)


@dataclass(frozen=True, slots=True)
class Ignore:
    """Differences at or below `path` are none. `name` says why, and is counted."""

    name: str
    path: paths.Path


@dataclass(frozen=True, slots=True)
class Document:
    """One JSON value, how many leaves it has, and whether NaN is among them."""

    value: object
    leaves: int
    holds_nan: bool = False


@dataclass(frozen=True, slots=True)
class Structured:
    """How documents are read and compared.

    An instance is any JSON value; with `in_text` it is text that holds JSON, or an object of such a
    `text` (a choice of OpenAI's protocols).

    Attributes:
        fields: declared places with series of their own; the first that covers a place names it.
        required: places at which a missing value or another type is marked as `required_broken`.
        ignore: named rules; the first that covers a place takes it.
        unordered: arrays whose order is noise.
        tolerance: of numbers.
        normalise_text: whether strings are compared after NFC.
        in_text: see above.
    """

    fields: tuple[paths.Path, ...] = ()
    required: tuple[paths.Path, ...] = ()
    ignore: tuple[Ignore, ...] = ()
    unordered: tuple[differing.Unordered, ...] = ()
    tolerance: comparison.Tolerance = field(default_factory=comparison.Tolerance)
    normalise_text: bool = False
    in_text: bool = False

    def read(self, value: object) -> Document:
        """See the class; raises as every task does, `UNPARSEABLE` on text that holds no JSON."""
        if self.in_text:
            held = value.get("text") if isinstance(value, dict) else value
            if not isinstance(held, str):
                raise comparison.schema(f"expected text with JSON, found {jsontext.kind(held)}")
            value = jsontext.parsed(held)
        count = differing.leaves(value)
        if count > MOST_LEAVES:
            raise trouble.UnreadableError(
                trouble.Trouble.TOO_LARGE,
                f"expected at most {MOST_LEAVES} values, found {count}",
            )
        return Document(value, count, differing.holds_nan(value))

    def compare(self, primary: Document, candidate: Document) -> comparison.Comparison:
        """The leading distance: differences by the leaves of the larger document, at most 1.

        A field is counted once per pair and kind, however many of its items differ.
        """
        differ = differing.Differ(self.tolerance, self.unordered, self.normalise_text)
        found = list(differ.differences(primary.value, candidate.value))
        rules = [self._rule(at.place) for at in found]
        seen = [at for at, rule in zip(found, rules, strict=True) if rule is None]
        fields = sorted({(self._field(at.place), at.kind) for at in set(seen)})
        apart = min(1.0, len(seen) / max(primary.leaves, candidate.leaves, 1))
        return comparison.Comparison(
            verdict=_verdict(differing_=bool(seen), ignored=bool(found)),
            distance=apart,
            counted=(
                increments.distance("structure", apart),
                *(
                    increments.Count(increments.Metric.IGNORED, (rule,))
                    for rule in sorted({rule for rule in rules if rule is not None})
                ),
                *(increments.Count(increments.Metric.FIELDS, names) for names in fields),
                *((increments.mark("required_broken"),) if self._breaks(seen) else ()),
                *_nans(primary, increments.Side.PRIMARY),
                *_nans(candidate, increments.Side.CANDIDATE),
            ),
            differences=tuple(comparison.Difference(*names) for names in fields[:_SHOWN]),
        )

    def _rule(self, place: differing.Place) -> str | None:
        return next((rule.name for rule in self.ignore if paths.covers(rule.path, place)), None)

    def _field(self, place: differing.Place) -> str:
        covering = (path for path in self.fields if paths.covers(path, place))
        return next((str(path) for path in covering), increments.OTHER)

    def _breaks(self, found: list[differing.At]) -> bool:
        """A required place is broken where it, or an object that holds it, is gone or retyped."""
        broken = {at.place for at in found if at.kind in BROKEN}
        return any(
            paths.covers(paths.Path(path.steps[: len(place)]), place)
            for place in broken
            for path in self.required
        )


def _nans(document: Document, side: increments.Side) -> tuple[increments.Count, ...]:
    """NaN equals NaN, and is counted."""
    return (increments.mark("holds_nan", side=side),) if document.holds_nan else ()


def _verdict(*, differing_: bool, ignored: bool) -> increments.Verdict:
    if differing_:
        return increments.Verdict.MISMATCH
    return increments.Verdict.IGNORED if ignored else increments.Verdict.MATCH
