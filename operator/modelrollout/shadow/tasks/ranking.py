"""Ranking: are the same items at the top, in the same order? The core is fed by fronts.

The leading distance is 1 - RBO, extrapolated and for lists of uneven length (Webber, Moffat and
Zobel 2010, equation 32); p = 0.9 puts about 86 % of the weight on the first ten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from modelrollout.shadow import comparison, increments, jsontext, trouble
from modelrollout.shadow.tasks import inversions, naming

MOST_ITEMS = 1_000


@dataclass(frozen=True, slots=True)
class Items:
    """Items from the best on, with their scores where the model gives them."""

    names: tuple[str, ...]
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """How lists are read and compared.

    An instance is a list of items (strings or numbers), or of objects of `item` and `score`.

    Attributes:
        persistence: p of RBO, between 0 and 1.
        depth: k of overlap@k and NDCG@k.
        tolerance: 1 - RBO that is still the same.

    Raises:
        ValueError: on a persistence or tolerance outside of 0 to 1, or a depth below 1.
    """

    persistence: float = 0.9
    depth: int = 10
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not (0.0 < self.persistence < 1.0 and 0.0 <= self.tolerance <= 1.0):
            raise ValueError(
                f"expected a persistence between 0 and 1 and a tolerance of 0 to 1, found "
                f"{self.persistence} and {self.tolerance}"
            )
        if self.depth < 1:
            raise ValueError(f"expected a depth of at least 1, found {self.depth}")

    def read(self, value: object) -> Items:
        """See the class; raises as every task does."""
        if not isinstance(value, list):
            raise comparison.schema(f"expected a list of items, found {jsontext.kind(value)}")
        if len(value) > MOST_ITEMS:
            raise trouble.UnreadableError(
                trouble.Trouble.TOO_LARGE,
                f"expected at most {MOST_ITEMS} items, found {len(value)}",
            )
        scored = bool(value) and all(isinstance(item, dict) for item in value)
        names = tuple(
            naming.label(item["item"] if scored and "item" in item else item) for item in value
        )
        if len(set(names)) != len(names):
            raise comparison.schema("expected every item once, found one twice")
        if not scored or not all("score" in item for item in value):
            return Items(names)
        return Items(names, tuple(jsontext.number(i["score"], what="a score") for i in value))

    def compare(self, primary: Items, candidate: Items) -> comparison.Comparison:
        """Both may be empty; an empty list and a filled one are as far apart as can be."""
        a, b = primary.names, candidate.names
        apart = 1.0 - rank_biased_overlap(a, b, p=self.persistence)
        same = apart <= self.tolerance
        tau = kendall(primary, candidate)
        return comparison.Comparison(
            verdict=comparison.verdict_of(same=same),
            distance=apart,
            counted=(
                increments.distance("rbo", apart),
                increments.distance("overlap", 1.0 - overlap(a, b, depth=self.depth)),
                increments.distance("ndcg", 1.0 - ndcg(a, b, depth=self.depth)),
                *(() if tau is None else (increments.distance("kendall", 0.5 * (1.0 - tau)),)),
                *(() if a[:1] == b[:1] else (increments.mark("head_differs"),)),
                *increments.shift("items", primary=len(a), candidate=len(b)),
            ),
            differences=() if same else (comparison.Difference("items", "order"),),
        )


def rank_biased_overlap(a: Sequence[str], b: Sequence[str], *, p: float) -> float:
    """RBO, extrapolated; 0 to 1, symmetric; 1 for equal lists and for a prefix of the other.

    Items differ within each list. Two empty lists are equal; one empty list has nothing in common.
    """
    if tuple(a) == tuple(b):
        return 1.0
    shorter, longer = sorted((a, b), key=len)
    s, length = len(shorter), len(longer)
    if s == 0:
        return 0.0
    overlaps = _overlaps(shorter, longer)
    at_s, at_end = overlaps[s - 1], overlaps[-1]
    total = 0.0
    for d, x in enumerate(overlaps, start=1):
        extrapolated = x / d if d <= s else x / d + at_s * (d - s) / (s * d)
        total += extrapolated * p**d
    tail = ((at_end - at_s) / length + at_s / s) * p**length
    return min(1.0, max(0.0, total * (1.0 - p) / p + tail))


def _overlaps(shorter: Sequence[str], longer: Sequence[str]) -> list[int]:
    """Common items of both prefixes, by depth up to the longer list."""
    seen_short: set[str] = set()
    seen_long: set[str] = set()
    common, found = 0, []
    for depth, item in enumerate(longer):
        seen_long.add(item)
        common += item in seen_short
        if depth < len(shorter):
            seen_short.add(shorter[depth])
            common += shorter[depth] in seen_long
        found.append(common)
    return found


def overlap(a: Sequence[str], b: Sequence[str], *, depth: int) -> float:
    """Share of common items among the first `depth`; by the longer list where both are shorter."""
    k = min(depth, max(len(a), len(b)))
    return len(set(a[:k]) & set(b[:k])) / k if k else 1.0


def ndcg(primary: Sequence[str], candidate: Sequence[str], *, depth: int) -> float:
    """NDCG@depth of the candidate's order with the primary's gains.

    The primary's item at rank r has the gain k + 1 - r, anything else none; k is `depth` or the
    length of the primary's list. Gains are linear, the discount is log2(rank + 1) (Jarvelin and
    Kekalainen 2002). 1 where the primary is empty and the candidate too.
    """
    k = min(depth, len(primary))
    if k == 0:
        return 1.0 if not candidate else 0.0
    if tuple(primary[:k]) == tuple(candidate[:k]):
        return 1.0
    gains = {item: float(k - rank) for rank, item in enumerate(primary[:k])}
    reached = _discounted([gains.get(item, 0.0) for item in candidate[:k]])
    return min(1.0, reached / _discounted(list(gains.values())))


def _discounted(gains: list[float]) -> float:
    return math.fsum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains))


def kendall(primary: Items, candidate: Items) -> float | None:
    """Kendall's tau-b on the items that both have; None with fewer than two, or all tied."""
    common = set(primary.names) & set(candidate.names)
    ours, theirs = _levels(primary), _levels(candidate)
    return inversions.tau_b([(ours[item], theirs[item]) for item in common])


def _levels(items: Items) -> dict[str, float]:
    """By score, so that ties are ties; by position where there are no scores."""
    if items.scores:
        return dict(zip(items.names, (-score for score in items.scores), strict=True))
    return {name: float(at) for at, name in enumerate(items.names)}
