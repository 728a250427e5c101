"""Which buckets belong to which version: a list of intervals that is only ever carved.

A version grows out of stable's buckets and shrinks back into them. So nobody changes versions but
those who join or leave the one that grows or shrinks, however many there are. No rule without
memory can promise that to three versions (of any three, two would have to grow into the same
buckets), so the list is part of the persisted decision.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from modelrollout.api.scalars import PARTS

LONGEST: Final = 100
"""Intervals at most. More come only of weights that go up and down in turn, very often."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The next `parts` buckets belong to `version`."""

    version: str
    parts: int


Intervals = tuple[Interval, ...]


def carved(present: Sequence[Interval], shares: Mapping[str, int], *, stable: str) -> Intervals:
    """The intervals for new shares, with as few people moved as the shares require.

    Args:
        present: as they are; none when everybody is on stable.
        shares: parts per version, summing to `PARTS`.
        stable: the version that others grow out of and shrink into.

    Raises:
        ValueError: on shares that are negative or do not sum to `PARTS`.
    """
    if sum(shares.values()) != PARTS or min(shares.values()) < 0:
        raise ValueError(f"expected shares of at least 0 that sum to {PARTS}, found {dict(shares)}")
    wanted = {name: share for name, share in shares.items() if name != stable}
    now = list(present) or [Interval(stable, PARTS)]
    # Grown first, so that who leaves one version is not taken up by another in the same breath.
    now = _shrunk(_grown(now, wanted, stable=stable), wanted, stable=stable)
    made = _merged(_grown(now, wanted, stable=stable))
    return made if len(made) <= LONGEST else _merged(_laid(wanted, stable=stable))


def version_of(bucket: int, present: Sequence[Interval]) -> str:
    """The version of a bucket: the first whose running total exceeds it.

    Raises:
        ValueError: on a bucket that no interval holds.
    """
    above = 0
    for one in present:
        above += one.parts
        if bucket < above:
            return one.version
    raise ValueError(f"expected intervals that hold bucket {bucket}, found {above} parts")


def _grown(now: list[Interval], wanted: Mapping[str, int], *, stable: str) -> list[Interval]:
    for name, share in wanted.items():
        missing = min(share - _parts(now, name), _parts(now, stable))
        if missing > 0:
            now = _taken(now, missing, giver=stable, taker=name)
    return now


def _shrunk(now: list[Interval], wanted: Mapping[str, int], *, stable: str) -> list[Interval]:
    for name in dict.fromkeys(one.version for one in now):
        surplus = _parts(now, name) - wanted.get(name, 0)
        if name != stable and surplus > 0:
            # From the end: who joined last leaves first.
            now = _taken(now[::-1], surplus, giver=name, taker=stable)[::-1]
    return now


def _laid(wanted: Mapping[str, int], *, stable: str) -> Iterable[Interval]:
    # Too long a list is laid out anew: everybody may move, once.
    yield from (Interval(name, share) for name, share in wanted.items())
    yield Interval(stable, PARTS - sum(wanted.values()))


def _parts(intervals: Iterable[Interval], name: str) -> int:
    return sum(one.parts for one in intervals if one.version == name)


def _taken(now: Iterable[Interval], parts: int, *, giver: str, taker: str) -> list[Interval]:
    """The first `parts` buckets of `giver` go to `taker`."""
    left, made = parts, []
    for one in now:
        moved = min(left, one.parts) if one.version == giver else 0
        left -= moved
        made += [Interval(taker, moved), Interval(one.version, one.parts - moved)]
    return made


def _merged(now: Iterable[Interval]) -> Intervals:
    real = (one for one in now if one.parts > 0)
    return tuple(
        Interval(name, sum(one.parts for one in same))
        for name, same in groupby(real, key=lambda one: one.version)
    )
