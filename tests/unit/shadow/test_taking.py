"""The door of the observer, without a socket: who is let in, and how much is held."""

from collections.abc import Callable

import pytest

from modelrollout.shadow import increments
from modelrollout.shadow.serving import budget, config, ledger, taking

HEADERS = {"content-type": "application/json"}


def door(now_s: Callable[[], float] = lambda: 0.0, **changes: object) -> taking.Door:
    chosen = config.Config.model_validate(
        {
            "models": {"candidate": "http://c", "stable": "http://s"},
            "fronts": {"extProc": 0},
            "protocol": {"plain": {}},
            "task": {"text": {}},
        }
        | changes
    )
    room = budget.Budget(chosen.budget.requests, chosen.budget.bytes)
    return taking.Door(chosen, ledger.Ledger(), room, now_s)


def take(at: taking.Door, name: str, **headers: str) -> taking.Taken | None:
    named = HEADERS | {"x-request-id": name} | headers
    return at.take(method="POST", path="/v1/models/m:predict", headers=named, size=10)


def outcomes(at: taking.Door, outcome: str) -> float:
    counters = at.book._counters[increments.Metric.REQUESTS]
    return sum(amount for key, amount in counters.items() if key[-1] == outcome)


def test_what_does_not_fit_is_dropped_and_counted_and_room_comes_back() -> None:
    at = door(budget={"requests": 2})
    held = [take(at, f"r{n}") for n in range(5)]
    assert [one is not None for one in held] == [True, True, False, False, False]
    assert outcomes(at, "queue_full") == 3
    assert held[0] is not None
    held[0].claim.release()
    held[0].claim.release()
    assert take(at, "later") is not None
    assert at.room.requests == 2


def test_bytes_are_bounded_over_all_requests() -> None:
    at = door(budget={"bytes": 1024})
    one, other = take(at, "a"), take(at, "b")
    assert one is not None
    assert other is not None
    assert one.claim.grow(1000)
    assert not other.claim.grow(100)
    one.claim.release()
    assert other.claim.grow(100)
    assert (at.room.held_bytes, at.room.highest_bytes) == (100, 1000)


def test_every_copy_ends_once() -> None:
    at = door()
    taken = take(at, "a")
    assert taken is not None
    at.let_go(taken, taking.Drop.CUT_OFF)
    at.let_go(taken, taking.Drop.STALE)
    assert (at.book.seen, at.book.ended()) == (1, 1)
    assert outcomes(at, "cut_off") == 1


@pytest.mark.parametrize("jump_s", [3_600.0, -7_200.0, 1e9], ids=["hour", "back", "far"])
def test_a_clock_that_jumps_breaks_nothing(jump_s: float) -> None:
    now = [10_000.0]
    at = door(lambda: now[0], sampling={"share": 0.0, "leastPerHour": 3})
    first = sum(take(at, f"a{n}") is not None for n in range(10))
    now[0] += jump_s
    second = sum(take(at, f"b{n}") is not None for n in range(10))
    assert (first, second) == (3, 3)


def test_series_are_bounded_whatever_is_counted() -> None:
    book = ledger.Ledger(most_series=100)
    metric = increments.Metric.FIELDS
    for number in range(1000):
        count = increments.Count(metric, (f"field-{number}", "value"))
        book.add(ledger.Pair.CANDIDATE, [count], slice_name="all")
    assert sum(len(family.samples) for family in book.collect()) <= 102
    assert book.folded >= 900
