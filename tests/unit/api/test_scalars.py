"""Durations, weights and percentages: what people write, and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelrollout.api import scalars


@pytest.mark.parametrize(
    ("text", "length_s"),
    [("30s", 30.0), ("1h30m", 5400.0), ("2d", 172800.0), ("250ms", 0.25), (15, 15.0)],
)
def test_reads_durations(text: object, length_s: float) -> None:
    assert scalars.seconds(text) == length_s


@pytest.mark.parametrize("text", ["", "5 minutes", "1w", "-3s", None, True, "1.5h"])
def test_refuses_other_durations_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 30s"):
        scalars.seconds(text)


@given(st.integers(0, 10**8))
def test_whole_seconds_survive_writing_and_reading(length_s: int) -> None:
    assert scalars.seconds(scalars.duration(length_s)) == length_s


@pytest.mark.parametrize(
    ("weight", "parts"), [(0, 0), (25, 2500), (100, 10000), ("0.1%", 10), ("7.5%", 750)]
)
def test_reads_weights_as_parts_of_ten_thousand(weight: object, parts: int) -> None:
    assert scalars.parts(weight) == parts


@pytest.mark.parametrize("weight", [101, -1, 2.5, "25", "101%", "0.001%", True, None])
def test_refuses_other_weights_with_an_example(weight: object) -> None:
    with pytest.raises(ValueError, match="expected a weight such as 25"):
        scalars.parts(weight)


@given(st.integers(0, scalars.PARTS))
def test_every_share_survives_writing_and_reading(share: int) -> None:
    assert scalars.parts(scalars.percent(share)) == share


def test_refuses_a_ratio_that_is_no_percentage() -> None:
    assert scalars.ratio("50%") == 0.5
    with pytest.raises(ValueError, match="expected a percentage"):
        scalars.ratio(0.5)
