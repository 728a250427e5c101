"""The power of a plan by formula is that of simulated rollouts, within a tenth and their error.

Steps are held while evidence of harm is loud, which the formula does not know: simulated rollouts
stand at a smaller weight then. That, and totals taken at their quantiles, is what the tenth is for.
"""

import math
from dataclasses import replace

import pytest

from modelrollout.analysis.questions import Better, Kind, Margin, Question, RollBackWhen
from modelrollout.analysis.spending import Plan
from modelrollout.planning import power, simulating
from modelrollout.planning.schedule import Schedule, Service

RUNS = 60
TOLERANCE = 0.1
SCHEDULES = {
    "half-of-the-traffic": ((0.5, 600.0),),
    "ramp": tuple((0.05 * step, 180.0) for step in range(1, 11)),
    "three-steps": ((0.01, 300.0), (0.1, 600.0), (0.5, 900.0)),
}
EVENTS_PER_S = 0.25


def planned(steps: tuple[tuple[float, float], ...], *, minutes: float = 60.0) -> Schedule:
    return Schedule(steps, deadline_s=60.0 * minutes, interval_s=60.0, warm_up_s=30.0)


def asked(rate: float, *, margin: Margin | None = None) -> Question:
    return Question(
        margin=margin or Margin(relative=0.5),
        usual_rate=rate,
        planned_events=900.0,
        spending=Plan(0.02, 60),
    )


def close(formula: float, found: float) -> bool:
    """Within the tolerance and two standard errors of the simulation."""
    error = math.sqrt(max(found * (1.0 - found), 1.0 / RUNS) / RUNS)
    return abs(formula - found) <= TOLERANCE + 2.0 * error


@pytest.mark.parametrize("steps", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("rate", [0.0005, 0.005, 0.05, 0.3], ids=str)
def test_formula_and_simulation_agree_on_what_is_caught(
    rate: float, steps: tuple[tuple[float, float], ...]
) -> None:
    service = Service(EVENTS_PER_S / rate, rate=rate)
    question, schedule = asked(rate), planned(steps)
    size = power.smallest(question, schedule, service).by_step[-1]
    assert size is not None
    formula = power.course(question, schedule, service, worse_by=0.85 * size)
    found = simulating.simulated(
        question, schedule, service, worse_by=0.85 * size, runs=RUNS, seed=71
    )
    pairs = zip(formula.by_step, found.caught_by_step, strict=True)
    assert all(close(one, other) for one, other in pairs), (formula, found)


@pytest.mark.parametrize("steps", SCHEDULES.values(), ids=SCHEDULES)
@pytest.mark.parametrize("rate", [0.0005, 0.005, 0.05, 0.3], ids=str)
def test_formula_and_simulation_agree_on_what_is_promoted(
    rate: float, steps: tuple[tuple[float, float], ...]
) -> None:
    service = Service(0.12 / rate, rate=rate)
    question, schedule = asked(rate), planned(steps, minutes=40.0)
    found = simulating.simulated(question, schedule, service, runs=RUNS, seed=72)
    formula = power.promoted(question, schedule, service)
    assert 0.05 < formula < 0.9999
    assert close(formula, found.promoted + found.caught), (formula, found)
    assert found.caught <= 0.08


def test_formula_and_simulation_agree_on_the_requests_that_meet_a_harmful_model() -> None:
    service, question = Service(50.0, rate=0.005), asked(0.005)
    schedule = planned(SCHEDULES["ramp"])
    formula = power.course(question, schedule, service, worse_by=0.01)
    found = simulating.simulated(question, schedule, service, worse_by=0.01, runs=RUNS, seed=73)
    assert formula.harmed_requests == pytest.approx(found.candidate_requests, rel=0.25)


@pytest.mark.parametrize(
    ("question", "service"),
    [
        pytest.param(
            replace(
                asked(0.02, margin=Margin(absolute=0.01)),
                roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
                spending=None,
            ),
            Service(20.0, rate=0.02),
            id="rate-beyond-its-margin",
        ),
        pytest.param(
            replace(asked(0.005), spending=None), Service(50.0, rate=0.005), id="e-process"
        ),
        pytest.param(
            Question(
                kind=Kind.MEAN,
                better=Better.HIGHER,
                margin=Margin(relative=0.02),
                roll_back_when=RollBackWhen.WORSE_THAN_MARGIN,
            ),
            Service(20.0, mean=4.0, deviation=1.0),
            id="mean-beyond-its-margin",
        ),
        pytest.param(
            replace(asked(0.99), better=Better.HIGHER),
            Service(20.0, rate=0.99),
            id="successes",
        ),
    ],
)
def test_questions_of_other_kinds_agree_too(question: Question, service: Service) -> None:
    schedule = planned(SCHEDULES["three-steps"])
    size = power.smallest(question, schedule, service).by_step[-1]
    assert size is not None
    formula = power.course(question, schedule, service, worse_by=size)
    found = simulating.simulated(question, schedule, service, worse_by=size, runs=RUNS, seed=74)
    assert formula.by_step[-1] == pytest.approx(0.8, abs=0.05)
    assert close(formula.by_step[-1], found.caught_by_step[-1]), (formula, found)


def test_larger_regressions_more_traffic_and_later_steps_are_caught_more_often() -> None:
    question, schedule = asked(0.005), planned(SCHEDULES["ramp"])
    quiet, busy = Service(10.0, rate=0.005), Service(100.0, rate=0.005)
    small = power.course(question, schedule, quiet, worse_by=0.003)
    large = power.course(question, schedule, quiet, worse_by=0.01)
    crowded = power.course(question, schedule, busy, worse_by=0.003)
    assert list(small.by_step) == sorted(small.by_step)
    assert small.by_step[-1] < large.by_step[-1]
    assert small.by_step[-1] < crowded.by_step[-1]
    assert large.harmed_requests < small.harmed_requests


def test_an_equal_candidate_is_caught_as_often_as_stated() -> None:
    chance = power.course(
        asked(0.005), planned(SCHEDULES["ramp"]), Service(100.0, rate=0.005), worse_by=0.0
    ).by_deadline
    assert 0.01 < chance <= 0.021


def test_a_service_of_any_size_can_be_planned() -> None:
    for rps in (1e-3, 1.0, 1e9):
        found = power.smallest(asked(0.005), planned(SCHEDULES["ramp"]), Service(rps, rate=0.005))
        assert found.by_deadline is None or 0 < found.by_deadline < 1
    nothing = power.smallest(asked(0.005), planned(SCHEDULES["ramp"]), Service(0.0, rate=0.005))
    assert nothing.by_deadline is None


def test_a_service_without_errors_is_measured_in_shares() -> None:
    found = power.smallest(
        asked(0.0, margin=Margin(absolute=0.01)),
        planned(SCHEDULES["half-of-the-traffic"]),
        Service(10.0, rate=0.0),
    )
    # About eight errors in a row on a half of the traffic are 1 in 256 by chance.
    assert found.by_step[-1] is not None
    assert 1.0 < found.by_step[-1] * 10.0 * 570.0 * 0.5 < 15.0


def test_the_same_seed_simulates_the_same() -> None:
    given = (asked(0.005), planned(SCHEDULES["three-steps"]), Service(10.0, rate=0.005))
    assert simulating.simulated(*given, runs=5) == simulating.simulated(*given, runs=5)
    assert simulating.simulated(*given, runs=5) != simulating.simulated(*given, runs=5, seed=2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"steps": ()}, "at least one step"),
        ({"steps": ((1.5, 60.0),)}, "share between 0 and 1"),
        ({"steps": ((0.5, -60.0),)}, "duration of at least"),
        ({"deadline_s": 0.0}, "deadline of at least one interval"),
        ({"warm_up_s": math.inf}, "warm-up"),
    ],
)
def test_a_schedule_that_is_none_is_refused(change: dict[str, object], says: str) -> None:
    given: dict[str, object] = {"steps": ((0.5, 60.0),), "deadline_s": 600.0}
    with pytest.raises(ValueError, match=says):
        Schedule(**{**given, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"requests_per_s": -1.0}, "requests per second"),
        ({"rate": 1.5}, "rate between 0 and 1"),
        ({"mean": math.nan}, "finite mean"),
        ({"deviation": -1.0}, "deviation of at least"),
    ],
)
def test_a_service_that_is_none_is_refused(change: dict[str, float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Service(**{"requests_per_s": 1.0, **change})


def test_what_cannot_be_foreseen_is_refused() -> None:
    schedule, nothing = planned(SCHEDULES["ramp"]), Service(1.0)
    with pytest.raises(ValueError, match="worsening"):
        power.course(asked(0.01), schedule, Service(1.0, rate=0.01), worse_by=-1.0)
    with pytest.raises(ValueError, match="at least one run"):
        simulating.simulated(asked(0.01), schedule, Service(1.0, rate=0.01), runs=0)
    for question in (asked(0.01), Question(kind=Kind.MEAN, margin=Margin(absolute=0.1))):
        with pytest.raises(ValueError, match="expected a service with"):
            power.course(question, schedule, nothing, worse_by=1.0)
        with pytest.raises(ValueError, match="expected a service with"):
            simulating.simulated(question, schedule, nothing)
