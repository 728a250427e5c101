"""The time a plan takes by formula is the time that simulated rollouts take, within a quarter."""

import math

import numpy as np
import pytest

from modelrollout.analysis import evidence
from modelrollout.analysis.counts import RateCounts
from modelrollout.analysis.questions import Better, Kind, Margin, Question
from modelrollout.planning import duration
from modelrollout.planning.duration import Forecast
from tests.unit.analysis import many

FLAT = [(0.5, 60.0)]
RAMP = [(0.05 * step, 180.0) for step in range(1, 11)]
LOOKS = 200


def weights(steps: list[tuple[float, float]]) -> many.Floats:
    rows = [share for share, least_s in steps for _ in range(round(least_s / 60))]
    return np.array(rows + [steps[-1][0]] * (LOOKS - len(rows)))[:, None]


def agrees(forecast: Forecast, shown: many.Floats, *, steps: list[tuple[float, float]]) -> None:
    """Both times agree with the simulated ones, neither of which comes before the plan's end."""
    least = sum(least_s for _, least_s in steps) / 60
    half, most = np.quantile(np.maximum(shown, least), [0.5, 0.8])
    assert forecast.seconds is not None
    assert forecast.typical_s is not None
    assert forecast.typical_s / 60 == pytest.approx(half, rel=0.25)
    assert forecast.seconds / 60 == pytest.approx(most, rel=0.25)


@pytest.mark.parametrize("steps", [FLAT, RAMP], ids=["half-of-the-traffic", "ramp"])
@pytest.mark.parametrize("warm", [False, True], ids=["rate-unknown", "rate-known"])
@pytest.mark.parametrize(
    ("rate", "margin", "rps"),
    [
        (0.0, Margin(absolute=0.01), 0.4),
        (0.0, Margin(relative=0.5, absolute=0.001), 4.0),
        (0.0005, Margin(absolute=0.01), 0.4),
        (0.0005, Margin(relative=0.5, absolute=0.001), 16.0),
        (0.0005, Margin(relative=0.5), 320.0),
        (0.01, Margin(absolute=0.01), 2.5),
        (0.01, Margin(relative=0.5), 16.0),
        (0.05, Margin(absolute=0.01), 12.0),
        (0.05, Margin(relative=0.5, absolute=0.01), 2.5),
    ],
    ids=str,
)
def test_the_forecast_of_a_rate_holds(
    rate: float, margin: Margin, rps: float, steps: list[tuple[float, float]], *, warm: bool
) -> None:
    asked = Question(margin=margin, usual_rate=rate if warm else None)
    forecast = duration.time_to_answer(
        asked, stable_rate=rate, requests_per_s=rps, steps=steps, deadline_s=86400.0
    )
    rng = np.random.default_rng(51)
    drawn = many.rates_drawn(rng, runs=400, rps=rps, p_c=rate, p_s=rate, weight=weights(steps))
    shown = many.judged_rates(drawn, asked).not_worse
    assert shown is not None
    agrees(forecast, many.first_crossing(shown, alpha=asked.false_promotion), steps=steps)


@pytest.mark.parametrize("steps", [FLAT, RAMP], ids=["half-of-the-traffic", "ramp"])
@pytest.mark.parametrize(
    ("margin", "rps"),
    [(Margin(relative=0.2), 0.5), (Margin(absolute=0.1), 1.5), (Margin(0.1, 0.2), 0.5)],
    ids=str,
)
def test_the_forecast_of_a_mean_holds(
    margin: Margin, rps: float, steps: list[tuple[float, float]]
) -> None:
    asked = Question(kind=Kind.MEAN, margin=margin)
    forecast = duration.time_to_answer(
        asked,
        stable_mean=1.0,
        stable_sd=1.0,
        requests_per_s=rps,
        steps=steps,
        deadline_s=86400.0,
    )
    rng = np.random.default_rng(52)
    drawn = many.means_drawn(
        rng,
        lambda draws, size: draws.exponential(size=size),
        runs=300,
        rps=rps,
        weight=weights(steps),
    )
    shown = many.judged_means(drawn, asked).not_worse
    assert shown is not None
    agrees(forecast, many.first_crossing(shown, alpha=asked.false_promotion), steps=steps)


def test_the_same_for_successes_as_for_failures() -> None:
    times = [
        duration.time_to_answer(
            Question(margin=Margin(absolute=0.01), better=better),
            stable_rate=rate,
            requests_per_s=5.0,
            steps=RAMP,
            deadline_s=86400.0,
        ).seconds
        for better, rate in ((Better.LOWER, 0.02), (Better.HIGHER, 0.98))
    ]
    assert times[0] == pytest.approx(times[1], abs=1.0)


def test_a_question_that_is_never_answered() -> None:
    without_margin = duration.time_to_answer(
        Question(), stable_rate=0.01, requests_per_s=1.0, steps=FLAT, deadline_s=60.0
    )
    assert (without_margin.seconds, without_margin.answerable) == (None, False)
    assert "without a margin" in without_margin.sentence
    no_traffic = duration.time_to_answer(
        Question(margin=Margin(absolute=0.01)),
        stable_rate=0.01,
        requests_per_s=0.0,
        steps=FLAT,
        deadline_s=60.0,
    )
    assert "never answered" in no_traffic.sentence


def test_too_little_time_is_said_with_what_to_change() -> None:
    late = duration.time_to_answer(
        Question(margin=Margin(absolute=0.001)),
        stable_rate=0.01,
        requests_per_s=1.0,
        steps=FLAT,
        deadline_s=3600.0,
    )
    assert not late.answerable
    assert "longer than the 60 minutes allowed" in late.sentence
    assert "a larger margin" in late.sentence


def test_more_traffic_answers_sooner_and_the_plan_is_never_cut_short() -> None:
    times = [
        duration.time_to_answer(
            Question(margin=Margin(relative=0.5)),
            stable_rate=0.005,
            requests_per_s=rps,
            steps=RAMP,
            deadline_s=1e9,
        ).seconds
        for rps in (0.1, 1.0, 10.0, 100.0, 10_000.0)
    ]
    assert None not in times
    assert sorted((t or 0.0 for t in times), reverse=True) == times
    assert times[-1] == sum(least_s for _, least_s in RAMP)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": []}, "at least one step"),
        ({"steps": [(1.5, 60.0)]}, "share between 0 and 1"),
        ({"steps": [(0.5, -1.0)]}, "duration of at least 0"),
        ({"requests_per_s": math.nan}, "requests per second"),
        ({"stable_rate": None}, "stable_rate between 0 and 1"),
        ({"stable_rate": 1.5}, "stable_rate between 0 and 1"),
    ],
)
def test_what_cannot_be_planned_is_refused(change: dict[str, object], says: str) -> None:
    given: dict[str, object] = {
        "stable_rate": 0.01,
        "requests_per_s": 1.0,
        "steps": FLAT,
        "deadline_s": 60.0,
    }
    with pytest.raises(ValueError, match=says):
        duration.time_to_answer(Question(margin=Margin(absolute=0.01)), **{**given, **change})  # type: ignore[arg-type]


def test_what_is_left_is_told_in_seconds() -> None:
    asked = Question(margin=Margin(absolute=0.01))
    state = evidence.advance(
        evidence.fresh(asked), asked, candidate=RateCounts(100, 0), stable=RateCounts(100, 0)
    )
    judged = evidence.judge(state, asked)
    left_s = duration.remaining_s(judged, candidate_requests_per_s=2.0)
    assert left_s == pytest.approx(((345 + 370) / 2 - 100) / 2.0, rel=0.15)
    assert duration.remaining_s(judged, candidate_requests_per_s=0.0) is None
