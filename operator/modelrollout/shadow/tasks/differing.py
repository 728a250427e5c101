"""The typed differences of two JSON values, by place. The core is fed by fronts.

A place is a path with `[]` for any item of an array, so that a longer list makes no new places.
Recursion is bounded by the reader of JSON, which refuses what is nested deeper than 64.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from modelrollout.shadow import comparison, jsontext, paths
from modelrollout.shadow.tasks import naming

Place = tuple[str, ...]
ITEM = "[]"


class Kind(StrEnum):
    """How a place differs, seen from the primary."""

    VALUE = "value"
    TYPE = "type"
    MISSING = "missing"
    EXTRA = "extra"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class At:
    """One difference."""

    place: Place
    kind: Kind


@dataclass(frozen=True, slots=True)
class Unordered:
    """An array whose order is noise.

    Attributes:
        array: where it lies.
        key: where in each item its identity lies; the whole item without steps.
    """

    array: paths.Path
    key: paths.Path


@dataclass(frozen=True, slots=True)
class Differ:
    """The rules of one comparison."""

    tolerance: comparison.Tolerance
    unordered: tuple[Unordered, ...] = ()
    normalise_text: bool = False

    def differences(self, primary: object, candidate: object, place: Place = ()) -> Iterator[At]:
        """In the order of the primary; nothing where both are the same."""
        kinds = jsontext.kind(primary), jsontext.kind(candidate)
        if kinds[0] != kinds[1]:
            yield At(place, Kind.TYPE)
        elif isinstance(primary, dict) and isinstance(candidate, dict):
            yield from self._objects(primary, candidate, place)
        elif isinstance(primary, list) and isinstance(candidate, list):
            yield from self._arrays(primary, candidate, place)
        elif not self._equal(primary, candidate):
            yield At(place, Kind.VALUE)

    def _objects(
        self, primary: dict[str, object], candidate: dict[str, object], place: Place
    ) -> Iterator[At]:
        for key, value in primary.items():
            if key in candidate:
                yield from self.differences(value, candidate[key], (*place, key))
            else:
                yield At((*place, key), Kind.MISSING)
        for key in candidate:
            if key not in primary:
                yield At((*place, key), Kind.EXTRA)

    def _arrays(self, primary: list[object], candidate: list[object], place: Place) -> Iterator[At]:
        key = next((rule.key for rule in self.unordered if rule.array.steps == place), None)
        if key is not None:
            yield from self._sets(primary, candidate, key, place)
            return
        if len(primary) != len(candidate):
            yield At(place, Kind.LENGTH)
        for a, b in zip(primary, candidate, strict=False):
            yield from self.differences(a, b, (*place, ITEM))

    def _sets(
        self, primary: list[object], candidate: list[object], key: paths.Path, place: Place
    ) -> Iterator[At]:
        ours, theirs = _keyed(primary, key), _keyed(candidate, key)
        here = (*place, ITEM)
        for identity, value in ours.items():
            if identity in theirs:
                yield from self.differences(value, theirs[identity], here)
            else:
                yield At(here, Kind.MISSING)
        for identity in theirs:
            if identity not in ours:
                yield At(here, Kind.EXTRA)

    def _equal(self, primary: object, candidate: object) -> bool:
        match primary, candidate:
            case (bool(), _):
                return primary == candidate
            case (int() | float(), int() | float()):
                return self.tolerance.equal(primary, candidate)
            case (str(), str()) if self.normalise_text:
                return naming.normalised(primary) == naming.normalised(candidate)
            case _:
                return primary == candidate


def _keyed(items: list[object], key: paths.Path) -> dict[tuple[str, int], object]:
    """Items by identity and by which occurrence of it they are."""
    seen: dict[str, int] = {}
    keyed: dict[tuple[str, int], object] = {}
    for item in items:
        identity = json.dumps(paths.found(item, key), sort_keys=True)
        occurrence = seen.get(identity, 0)
        seen[identity] = occurrence + 1
        keyed[identity, occurrence] = item
    return keyed


def leaves(value: object) -> int:
    """Values that are no object and no array; an empty one is a leaf too."""
    return sum(1 for _ in _leaves(value))


def holds_nan(value: object) -> bool:
    """Whether any number in it is NaN."""
    return any(isinstance(leaf, float) and math.isnan(leaf) for leaf in _leaves(value))


def _leaves(value: object) -> Iterator[object]:
    level = [value]
    while level:
        inner = [(item, tuple(jsontext.children(item))) for item in level]
        yield from (item for item, held in inner if not held)
        level = [item for _, held in inner for item in held]
