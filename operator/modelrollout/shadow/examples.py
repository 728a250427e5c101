"""A few disagreements to look at: redacted, bounded, and gone after a while.

The core is fed by fronts, which add to the ring and show it to an authorised person only. Nothing
here reads a clock: the time comes with the example and with the question.
"""

from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from modelrollout.shadow import comparison


@dataclass(frozen=True, slots=True)
class Example:
    """One disagreement.

    Attributes:
        request: its id.
        at_s: when it was compared, in seconds of any one clock.
        slice_name: of the request.
        kind: its first difference's kind, or the outcome's class.
        differences: declared places and kinds.
        primary: what users got, redacted.
        candidate: what the candidate said, redacted.
    """

    request: str
    at_s: float
    slice_name: str
    kind: str
    differences: tuple[comparison.Difference, ...]
    primary: Mapping[str, str]
    candidate: Mapping[str, str]


@dataclass(slots=True)
class Ring:
    """The newest examples of each slice and kind; the only state in the core.

    Attributes:
        most: of one slice and kind.
        keep_s: after that an example is gone; ages below 0, after a clock's jump, count as 0.
        most_places: pairs of slice and kind; the longest untouched goes first.
        left_out: how many had to go for newer ones.

    Raises:
        ValueError: on a bound that is not above 0.
    """

    most: int = 20
    keep_s: float = 3600.0
    most_places: int = 100
    left_out: int = 0
    _places: "OrderedDict[tuple[str, str], deque[Example]]" = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        if not (self.most > 0 and self.keep_s > 0 and self.most_places > 0):
            raise ValueError("expected a ring of at least 1 example kept for more than 0 s")

    def add(self, example: Example) -> None:
        """Take an example in; of its kind the oldest goes where there is no room."""
        key = (example.slice_name, example.kind)
        if key not in self._places and len(self._places) >= self.most_places:
            self.left_out += len(self._places.popitem(last=False)[1])
        place = self._places.setdefault(key, deque())
        self._places.move_to_end(key)
        place.append(example)
        if len(place) > self.most:
            place.popleft()
            self.left_out += 1

    def fresh(self, now_s: float) -> list[Example]:
        """All that may still be seen, newest first; what is too old is forgotten by asking."""
        for key, place in list(self._places.items()):
            kept = deque(e for e in place if now_s - e.at_s <= self.keep_s)
            if kept:
                self._places[key] = kept
            else:
                del self._places[key]
        found = (example for place in self._places.values() for example in place)
        return sorted(found, key=lambda example: -example.at_s)
