"""Counter arithmetic: exact under resets, births, deaths, missing scrapes and split windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.analysis.counters import Readings, increase

steps = st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=2, max_size=30)


def test_the_plain_difference() -> None:
    assert increase(Readings(start=10.0, end=17.0)) == 7.0


def test_a_reset_counts_from_zero() -> None:
    assert increase(Readings(start=10.0, end=4.0, samples=(12.0, 1.0, 4.0))) == 6.0


def test_two_resets_in_one_window() -> None:
    assert increase(Readings(start=5.0, end=2.0, samples=(7.0, 3.0, 1.0, 2.0))) == 2 + 3 + 1 + 1


def test_a_reset_that_ends_higher_than_it_began_is_seen_by_its_samples() -> None:
    assert increase(Readings(start=5.0, end=9.0, samples=(6.0, 2.0, 9.0))) == 1 + 2 + 7


def test_a_series_born_in_the_window_counts_whole() -> None:
    assert increase(Readings(start=None, end=8.0, whole=True)) == 8.0


def test_a_series_of_unknown_birth_counts_from_its_first_value() -> None:
    assert increase(Readings(start=None, end=8.0)) == 0.0
    assert increase(Readings(start=None, end=8.0, samples=(3.0, 8.0))) == 5.0


def test_without_a_value_in_the_window_nothing_is_known() -> None:
    assert increase(Readings(start=8.0, end=None)) == 0.0


def test_no_counter_is_negative() -> None:
    with pytest.raises(ValueError, match="at least 0, found -1"):
        increase(Readings(start=0.0, end=-1.0))


def history(moves: list[tuple[int, bool]]) -> tuple[list[float], int]:
    """A counter's values at each scrape, and how much was really counted."""
    values, value, real = [0.0], 0, 0
    for grown, restarted in moves:
        value = grown if restarted else value + grown
        real += grown
        values.append(float(value))
    return values, real


def window(values: list[float], first: int, last: int) -> Readings:
    inside = values[first + 1 : last + 1]
    return Readings(start=values[first], end=inside[-1] if inside else None, samples=tuple(inside))


def ambiguous(values: list[float], moves: list[tuple[int, bool]]) -> bool:
    """A restart after which more was counted than before cannot be seen in any value."""
    return any(
        restarted and after >= before
        for (_, restarted), before, after in zip(moves, values[:-1], values[1:], strict=True)
    )


@given(steps)
def test_what_was_counted_is_what_is_found(moves: list[tuple[int, bool]]) -> None:
    values, real = history(moves)
    found = increase(window(values, 0, len(values) - 1))
    assert found <= real
    if not ambiguous(values, moves):
        assert found == real


@given(steps, st.data())
def test_a_split_window_gives_the_same_sum(
    moves: list[tuple[int, bool]], data: st.DataObject
) -> None:
    values, _ = history(moves)
    last = len(values) - 1
    cut = data.draw(st.integers(0, last))
    whole = increase(window(values, 0, last))
    assert increase(window(values, 0, cut)) + increase(window(values, cut, last)) == whole


@given(steps, st.data())
def test_a_missed_scrape_loses_nothing(moves: list[tuple[int, bool]], data: st.DataObject) -> None:
    values, real = history([(grown, False) for grown, _ in moves])
    missed = data.draw(st.integers(1, len(values) - 2))
    left = values[:missed] + values[missed + 1 :]
    assert increase(window(left, 0, len(left) - 1)) == real
