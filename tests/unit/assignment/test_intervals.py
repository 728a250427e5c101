"""Interval lists: shares are exact, and nobody moves but those who must."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.assignment import intervals
from modelrollout.assignment.intervals import Interval, Intervals
from tests.unit.assignment import vectors

PARTS = 10_000


def owners(present: Intervals) -> list[str]:
    return [one.version for one in present for _ in range(one.parts)]


def shared(**arms: int) -> dict[str, int]:
    return arms | {"v1": PARTS - sum(arms.values())}


ARMS = st.fixed_dictionaries({name: st.integers(0, 3333) for name in ("v2", "v3", "v4")})


@pytest.mark.parametrize("vector", vectors.of("choose", "case"))
def test_a_bucket_is_looked_up_as_published(vector: dict[str, Any]) -> None:
    made, at = [], 0
    for index, (start, end) in enumerate(vector["ranges"]):
        made += [Interval("-1", round(start * PARTS) - at)]
        made += [Interval(str(index), round((end - start) * PARTS))]
        at = round(end * PARTS)
    made.append(Interval("-1", PARTS - at))

    assert intervals.version_of(round(vector["bucket"] * PARTS), made) == str(vector["expected"])


@given(ARMS, ARMS)
def test_nobody_moves_but_to_or_from_stable_and_only_as_many_as_the_shares_say(
    before: dict[str, int], after: dict[str, int]
) -> None:
    old = intervals.carved((), shared(**before), stable="v1")
    new = intervals.carved(old, shared(**after), stable="v1")

    assert Counter(owners(new)) == Counter({k: v for k, v in shared(**after).items() if v})
    moved = Counter(
        (was, now) for was, now in zip(owners(old), owners(new), strict=True) if was != now
    )
    joined = {("v1", name): max(0, after[name] - before[name]) for name in before}
    left = {(name, "v1"): max(0, before[name] - after[name]) for name in before}
    if sum(joined.values()) <= shared(**before)["v1"]:
        assert moved == +Counter(joined | left)
    else:  # stable has too few for those who join: the rest can only come from those who leave
        beyond = sum(joined.values()) - shared(**before)["v1"]
        assert sum(n for pair, n in moved.items() if "v1" not in pair) == beyond


def test_an_arm_that_stops_gives_its_users_to_stable_and_nobody_else_moves() -> None:
    old = intervals.carved((), shared(v2=2000, v3=2000, v4=1000), stable="v1")
    new = intervals.carved(old, shared(v2=2000, v4=1000), stable="v1")

    moves = {(was, now) for was, now in zip(owners(old), owners(new), strict=True) if was != now}
    assert moves == {("v3", "v1")}


def test_shares_that_grow_go_on_from_where_they_are() -> None:
    old = intervals.carved((), shared(v2=1000, v3=1000), stable="v1")
    new = intervals.carved(old, shared(v2=2000, v3=2000), stable="v1")

    assert new == (
        Interval("v2", 1000),
        Interval("v3", 1000),
        Interval("v2", 1000),
        Interval("v3", 1000),
        Interval("v1", 6000),
    )


def test_after_a_promotion_those_who_were_first_stay_and_the_held_back_are_of_the_rest() -> None:
    half = intervals.carved((), shared(v2=5000), stable="v1")
    baked = intervals.carved(half, {"v2": 9500, "v1": 500}, stable="v2")

    assert baked == (Interval("v2", 5000), Interval("v1", 500), Interval("v2", 4500))
    assert intervals.carved(baked, {"v2": PARTS}, stable="v2") == (Interval("v2", PARTS),)


def test_a_list_that_weights_going_to_and_fro_have_frayed_is_laid_out_anew() -> None:
    frayed = tuple(Interval(f"v{2 + n % 3}" if n % 2 else "v1", 50) for n in range(200))
    shares = dict(Counter(owners(frayed)))

    assert intervals.carved(frayed, shares, stable="v1") == tuple(
        Interval(name, shares[name]) for name in (*[name for name in shares if name != "v1"], "v1")
    )


@pytest.mark.parametrize("shares", [{"v1": 9999}, {"v1": 10_100, "v2": -100}])
def test_shares_that_are_no_whole_are_refused(shares: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="sum to 10000"):
        intervals.carved((), shares, stable="v1")


def test_a_bucket_outside_of_the_list_is_refused() -> None:
    with pytest.raises(ValueError, match="hold bucket 5000"):
        intervals.version_of(5000, (Interval("v1", 5000),))
