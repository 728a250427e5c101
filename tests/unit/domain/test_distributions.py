"""What people are shown of whole latency distributions, and how often it is read."""

import math

import pytest

from modelrollout.analysis.histograms import Histogram
from modelrollout.api.status import Decision, LookStatus, ModelRolloutStatus, Rollout
from modelrollout.domain import distributions
from modelrollout.domain.observed import Distribution
from modelrollout.domain.planned import Window

BOUNDS = (0.1, 0.25, 0.5, math.inf)


def status(*, number: int, confirmed_at: float | None = 1000.0) -> ModelRolloutStatus:
    rollout = Rollout(
        id="x", phase="Stepping", started_at=0.0, step_index=0, share=500, clock_at=0.0
    )
    decision = Decision(sequence=2, shares={"v1": 9500, "v2": 500}, confirmed_at=confirmed_at)
    look = LookStatus(at=1500.0, number=number)
    return ModelRolloutStatus(rollout=rollout, decision=decision, look=look)


def due(*, number: int, end: float = 1530.0, confirmed_at: float | None = 1000.0) -> Window | None:
    return distributions.due(
        status(number=number, confirmed_at=confirmed_at),
        end,
        candidate="v2",
        stable="v1",
        warm_up_s=30.0,
        interval_s=30.0,
    )


def words(candidate: tuple[int, ...], stable: tuple[int, ...]) -> str:
    found = Distribution(Histogram(BOUNDS, candidate), Histogram(BOUNDS, stable), "s")
    return distributions.words(found)


def test_every_fifth_look_reads_the_present_weight_after_its_warm_up() -> None:
    assert due(number=4) == Window(1030.0, 1530.0, "v2", "v1")
    assert [due(number=number) for number in (5, 6, 7, 8)] == [None] * 4


def test_half_an_hour_is_the_longest_stretch() -> None:
    assert due(number=4, end=9000.0) == Window(7200.0, 9000.0, "v2", "v1")


@pytest.mark.parametrize(("end", "confirmed_at"), [(1040.0, 1000.0), (1530.0, None)])
def test_a_weight_that_has_just_changed_is_not_read(end: float, confirmed_at: float | None) -> None:
    assert due(number=4, end=end, confirmed_at=confirmed_at) is None


def test_quantiles_come_with_intervals_that_end_at_bucket_bounds() -> None:
    told = words((600, 900, 1000, 1000), (600, 900, 1000, 1000))
    # The median of 1,000 values of which 600 are at most 0.1: 500/600 of the first bucket.
    assert told.startswith("p50 0.0833 s (0 to 0.1) against 0.0833 s (0 to 0.1), p99 0.475 s (")
    assert told.endswith("slower at no bound")


def test_a_candidate_that_is_slower_is_told_where() -> None:
    told = words((100, 200, 1000, 1000), (900, 950, 1000, 1000))
    assert told.endswith("80.0 % more of its requests take over 0.1 s")


def test_too_few_requests_say_so() -> None:
    assert words((10, 20, 30, 40), (600, 900, 1000, 1000)).endswith(
        "fewer than 100 requests of a version"
    )


def test_different_buckets_are_not_compared() -> None:
    one, other = Histogram((1.0, math.inf), (1, 2)), Histogram((2.0, math.inf), (1, 2))
    assert "different buckets" in distributions.words(Distribution(one, other, "s"))
